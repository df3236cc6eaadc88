"""`coprocctl` as users run it, in a place of its own; and a peer that plays a script where the daemon would be."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

COPROCCTL = [sys.executable, "-m", "coprocctl"]
TIMEOUT_S = 90

# What a Peer does with a request: answers, with one message or several, or hangs up.
Script = Callable[[dict[str, Any]], dict[str, Any] | list[dict[str, Any]] | None]


class Beside(subprocess.Popen[bytes]):
    """A command that runs beside a test. As a context it is killed at the end: a test that failed does not wait for it."""

    def __exit__(self, *error: Any) -> None:
        if self.poll() is None:
            self.kill()
        super().__exit__(*error)


class Command:
    """`coprocctl` in an environment of its own; never another's daemon."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.socket = root / "run" / "coprocd.sock"
        self.env = {name: value for name, value in os.environ.items() if not name.startswith(("COPROCD_", "XDG_"))}
        self.env |= {
            "COPROCD_RUNTIME_DIR": str(root / "run"),
            "XDG_STATE_HOME": str(root / "state"),
            "XDG_CONFIG_HOME": str(root / "config"),
            "HOME": str(root),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "COLUMNS": "120",
        }

    def __call__(self, *args: str | bytes, stdin: bytes = b"", **env: str) -> subprocess.CompletedProcess[bytes]:
        """Runs it to its end."""
        return subprocess.run(
            [*COPROCCTL, *args], input=stdin, capture_output=True, env=self.env | env, cwd=self.root, timeout=TIMEOUT_S, check=False
        )

    def text(self, *args: str, **more: Any) -> str:
        """Its stdout, stripped; it must succeed."""
        done = self(*args, **more)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().strip()

    def json(self, *args: str, **more: Any) -> Any:
        """What it prints with `--json`; it must succeed."""
        return json.loads(self.text("--json", *args, **more))

    def spawn(self, *args: str, **env: str) -> Beside:
        """Runs it beside the test."""
        return Beside(
            [*COPROCCTL, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.env | env, cwd=self.root
        )


class Peer:
    """Something that listens where the daemon would, and answers each request as the script says; for what a daemon cannot be made to do."""

    def __init__(self, path: Path, script: Script) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = str(path)
        self.requests: list[dict[str, Any]] = []
        self._script = script
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        """Ends it; a connection that is open is served to its end first."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            # A command that has what it needs goes, and need not wait for the rest.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError), connection, connection.makefile("rb") as lines:
                for line in lines:
                    request = json.loads(line)
                    self.requests.append(request)
                    answer = self._script(request)
                    if answer is None:
                        break  # hangs up without a word
                    for message in answer if isinstance(answer, list) else [answer]:
                        connection.sendall(json.dumps({"jsonrpc": "2.0", "id": request["id"], **message}).encode() + b"\n")
