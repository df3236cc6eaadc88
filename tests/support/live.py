"""A real daemon in a directory of its own, and a client that speaks newline JSON to it and waits on its events."""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

PATIENCE_S = 30.0


class RpcError(Exception):
    """An error answer: its stable code, message and data."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["message"])
        self.code = error["data"]["code"]
        self.number = error["code"]
        self.data = error["data"]


class Client:
    """One connection; calls are answered in order unless they wait."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(PATIENCE_S)
        self._socket.connect(path)
        self._file = self._socket.makefile("rb")
        self._number = 0
        self._events: list[dict[str, Any]] = []
        self._answers: dict[int, dict[str, Any]] = {}

    def send(self, method: str, **params: Any) -> int:
        """Sends a call without awaiting its answer; its id."""
        self._number += 1
        params = {name.rstrip("_"): value for name, value in params.items()}
        call = {"jsonrpc": "2.0", "id": self._number, "method": method, "params": params}
        self._socket.sendall(json.dumps(call).encode() + b"\n")
        return self._number

    def answer(self, number: int) -> Any:
        while number not in self._answers:
            self._receive()
        answer = self._answers.pop(number)
        if "error" in answer:
            raise RpcError(answer["error"])
        return answer["result"]

    def call(self, method: str, **params: Any) -> Any:
        return self.answer(self.send(method, **params))

    def next_event(self) -> dict[str, Any]:
        """The next event, whatever it is."""
        while not self._events:
            self._receive()
        return self._events.pop(0)

    def event(self, type: str, **fields: Any) -> dict[str, Any]:
        """The next event of this type with these fields; others of before are passed over."""
        while True:
            event = self.next_event()
            if event["type"] == type and all(event.get(name) == value for name, value in fields.items()):
                return event

    def _receive(self) -> None:
        line = self._file.readline()
        if not line.endswith(b"\n"):
            raise EOFError("the daemon closed the connection")
        message = json.loads(line)
        if "id" in message:
            self._answers[message["id"]] = message
        else:
            self._events.append(message["params"]["result"])

    def close(self) -> None:
        self._file.close()
        self._socket.close()


class Live:
    """A daemon and its keeper. `client` is connected and subscribed to all events."""

    def __init__(self, environment: Mapping[str, str] | None = None, /, **limits: float) -> None:
        self.directory = tempfile.mkdtemp(prefix="c", dir="/tmp")
        outer = ("COPROCD_SOCKET", "COPROCD_SESSION", "COPROCD_TTY")
        self.environment = {name: value for name, value in os.environ.items() if name not in outer} | {
            "COPROCD_RUNTIME_DIR": f"{self.directory}/r",
            "XDG_STATE_HOME": f"{self.directory}/s",
            "XDG_CONFIG_HOME": f"{self.directory}/c",
            **(environment or {}),
        }
        if limits:
            os.makedirs(f"{self.directory}/c/coprocd")
            with open(f"{self.directory}/c/coprocd/config.toml", "w") as file:
                file.write("[limits]\n" + "".join(f"{name} = {value}\n" for name, value in limits.items()))
        self.socket = f"{self.directory}/r/coprocd.sock"
        self.command("daemon", "start")
        self.client: Client
        self.subscribe()

    def command(self, *arguments: str) -> str:
        argv = [sys.executable, "-m", "coprocctl", *arguments]
        done = subprocess.run(argv, env=self.environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def call(self, method: str, **params: Any) -> Any:
        return self.client.call(method, **params)

    def restart(self) -> None:
        self.client.close()
        self.command("daemon", "restart")
        self.subscribe()

    def kill(self) -> None:
        """Kills the daemon; returns when the next one answers."""
        os.kill(self.pids()[0], signal.SIGKILL)
        self.client.close()
        self.subscribe()

    def raw_cat(self, **params: Any) -> str:
        """A session that sends back what it is sent, and has said `ready`."""
        session = self.create(shell=RAW_CAT, **params)
        self.output(session, b"ready\n")
        return session

    def await_(self, holds: Callable[[], object]) -> None:
        """Returns when it holds; for what no event tells."""
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < deadline
            self.call("daemon.info")

    def create(self, *argv: str, **params: Any) -> str:
        """A session that runs `argv`, or /bin/sh on a `shell` command; its id."""
        return str(self.call("session.create", **({"argv": list(argv)} if argv else {}), **params)["id"])

    def ended(self, session: str) -> dict[str, Any]:
        """The coprocess of `session` whose end is the next to come."""
        coprocess: dict[str, Any] = self.client.event("coprocess.ended", session=session)["coprocess"]
        return coprocess

    def output(self, session: str, until: Callable[[bytes], bool] | bytes | None = None) -> bytes:
        """All it has printed, once `until` holds (a condition or bytes to appear); without, once it has ended."""
        data, offset = b"", 0
        deadline = time.monotonic() + PATIENCE_S
        while True:
            if until is not None and (until in data if isinstance(until, bytes) else until(data)):
                return data
            assert time.monotonic() < deadline, f"waited for {until!r}, got {data[-500:]!r}"
            read = self.call("session.read", session=session, from_offset=offset, wait_s=PATIENCE_S, max_bytes=4 << 20)
            assert read["lost_bytes"] == 0
            data += base64.b64decode(read["data_b64"])
            offset = read["next_offset"]
            if read["eof"]:
                assert until is None or (until in data if isinstance(until, bytes) else until(data)), data[-500:]
                return data

    def go(self, session: str, text: str = "g") -> None:
        """Types `text` as soon as the job has switched its terminal to raw mode, which throws away what was typed before."""
        while True:
            try:
                self.call("session.send_text", session=session, text=text, if_={"echo": False})
                return
            except RpcError as error:
                assert error.code == "precondition_failed"

    def descriptors(self) -> list[int]:
        """How many daemon and keeper have open, the daemon being `loaded`."""
        self.loaded()
        return [descriptors(pid) for pid in self.pids()]

    def loaded(self) -> None:
        """Returns when the daemon has loaded what it loads after its start, HTTP, and has the screen worker, which comes with the first session."""
        if self.call("daemon.info")["screen_pid"] is None:
            self.call("session.close", session=self.create("true"))
            self.await_(lambda: self.call("daemon.info")["screen_pid"])
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(PATIENCE_S)
            probe.connect(self.socket)
            probe.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            while probe.recv(4096):
                pass

    def pids(self) -> tuple[int, int]:
        info = self.call("daemon.info")
        return info["pid"], info["keeper_pid"]

    def log(self) -> str:
        """What daemon and keeper have logged."""
        with open(f"{self.directory}/s/coprocd/coprocd.log") as file:
            return file.read()

    def close(self) -> None:
        self.client.close()
        self.client = Client(self.socket)
        daemon, keeper = self.pids()
        self.client.close()
        self.command("daemon", "stop", "--all")
        assert not lives(daemon) and not lives(keeper)
        shutil.rmtree(self.directory)

    def subscribe(self) -> None:
        self.client = Client(self.socket)
        self.client.call("events.subscribe")


@contextmanager
def live(environment: Mapping[str, str] | None = None, /, **limits: float) -> Iterator[Live]:
    """A daemon for the time of a test, with this laid over its environment, and these limits in its config.toml."""
    daemon = Live(environment, **limits)
    try:
        yield daemon
    finally:
        daemon.close()


@contextmanager
def slow_keeper(daemon: Live) -> Iterator[None]:
    """Inside it the keeper does nothing: what is being started stays so."""
    keeper = daemon.pids()[1]
    os.kill(keeper, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(keeper, signal.SIGCONT)


def lives(pid: int) -> bool:
    """Whether the process has not ended; one that init has still to reap has."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except (FileNotFoundError, ProcessLookupError):
        return False


def resident_bytes(pid: int) -> int:
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith("VmRSS"))


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


# A job in raw mode: waits for a byte, prints MIB megabytes of every byte value, and last writes their SHA-256 to a file.
EVERY_BYTE = """
import hashlib, os, sys, tty
tty.setraw(0); os.read(0, 1)
block, digest, left = bytes(range(256)) * 256, hashlib.sha256(), int(sys.argv[1]) << 20
while left:
    size = os.write(1, block[:left]); digest.update(block[:size]); left -= size
with open(sys.argv[2], "w") as file: file.write(digest.hexdigest())
"""

# A job in raw mode without echo that sends back what it is sent.
RAW_CAT = "stty raw -echo; echo ready; exec cat"
