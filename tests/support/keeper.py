"""A real keeper without a daemon, and a client that speaks its wire, one request after another."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from support.live import PATIENCE_S, lives

from coprocd.keeper import wire


class Refused(Exception):
    """An error answer of the keeper's."""

    def __init__(self, error: dict[str, str]) -> None:
        super().__init__(error["message"])
        self.code = error["code"]


class KeeperUser:
    """One connection to the keeper at `path`, greeted as the daemon is."""

    def __init__(self, path: str, role: str = "daemon", greet: bool = True) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE_S)
        try:
            self.socket.connect(path)
        except OSError:
            self.socket.close()
            raise
        self.events: list[dict[str, Any]] = []
        self._decoder = wire.Decoder()
        self._messages: list[tuple[dict[str, Any], list[int]]] = []
        self._number = 0
        if greet:
            wire.send(self.socket, wire.greeting(role))
            self.hello, _ = self.receive()

    def receive(self) -> tuple[dict[str, Any], list[int]]:
        """The next message; EOFError once the keeper has hung up."""
        while not self._messages:
            if not self._decoder.receive(self.socket):
                raise EOFError("the keeper hung up")
            self._messages += self._decoder.messages()
        return self._messages.pop(0)

    def ask(self, op: str, fds: Sequence[int] = (), **fields: Any) -> tuple[dict[str, Any], list[int]]:
        """The answer to an operation, and its descriptors; news that comes before it goes to `events`."""
        self._number += 1
        wire.send(self.socket, {"op": op, "id": self._number, **fields}, fds)
        while True:
            message, received = self.receive()
            if message.get("id") == self._number:
                if "error" in message:
                    raise Refused(message["error"])
                return message, received
            self.events.append(message)

    def spawn(self, key: str, shell: str, kind: str = "pty", **more: Any) -> tuple[int, dict[str, int]]:
        """The pid and the descriptors of a shell command."""
        fields = {"argv": ["/bin/sh", "-c", shell], "env": {"PATH": os.defpath}, "cwd": "/", "names": []}
        fields |= {"rows": 24, "cols": 80} if kind == "pty" else {"stdout": True}
        message, fds = self.ask("spawn", key=key, kind=kind, **(fields | more))
        return message["pid"], dict(zip(message["names"], fds, strict=True))

    def ended(self, key: str) -> dict[str, Any]:
        """How the job under `key` ended, once it has."""
        while True:
            for event in self.events:
                if event["key"] == key:
                    return dict(event["status"])
            self.events.append(self.receive()[0])

    def close(self) -> None:
        self.socket.close()


class LoneKeeper:
    """`coprocd-keeper --managed` in a directory of its own: it starts no daemon."""

    def __init__(self, limit: int | None = None, environment: dict[str, str] | None = None) -> None:
        self.directory = tempfile.mkdtemp(prefix="k", dir="/tmp")
        self.socket = f"{self.directory}/s"
        self.path = f"{self.socket}.keeper"
        self.register = f"{self.socket}.jobs"
        self._limit = limit
        self._environment = os.environ | (environment or {})
        self.start()

    def start(self) -> None:
        argv = [sys.executable, "-P", "-m", "coprocd.keeper", "--socket", self.socket, "--managed"]
        if self._limit is not None:
            argv = ["/bin/sh", "-c", f'ulimit -n {self._limit}; exec "$@"', "sh", *argv]
        self.process = subprocess.Popen(argv, env=self._environment, stderr=subprocess.PIPE)
        assert self.process.stderr is not None
        while True:
            try:
                KeeperUser(self.path).close()
                return
            except (FileNotFoundError, ConnectionRefusedError):
                assert self.process.poll() is None, self.process.stderr.read()

    def user(self) -> KeeperUser:
        return KeeperUser(self.path)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stderr is not None
        self.process.stderr.close()

    def stop(self) -> None:
        """SIGTERM: it ends what it holds, and itself."""
        if lives(self.process.pid) and self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.communicate(timeout=PATIENCE_S)
        shutil.rmtree(self.directory)


@contextmanager
def lone_keeper(**options: Any) -> Iterator[LoneKeeper]:
    keeper = LoneKeeper(**options)
    try:
        yield keeper
    finally:
        keeper.stop()
