"""A command beside the client that is a session's coprocess: its stdin and stdout are bridged to a connection (docs/coprocesses.md).

`run-coprocess --here` runs it. The rules are the daemon's: what the command has printed when it ends is typed, and one that closes its stdout is at
its end. Nothing is kept but what one side does not take now: who does not read is not read from.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time

from coprocctl.exits import EXIT_OUR_FAULT, Failure
from coprocctl.output import note
from coprocctl.websocket import Closed, WebSocket, target
from coprocd.protocol import close_codes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HELD_BYTES = 256 << 10
"""What may wait for either side before the other is not read."""

READ_BYTES = 64 << 10

GRACE_S = 2.0
"""Between SIGTERM and SIGKILL, as the daemon gives it."""

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

OUR_ENDS = {
    "stalled": "it and the session waited for each other",
    "not_reading": "it did not read what the session printed",
}
"""Reasons for which the daemon closes the connection where the command's own status says nothing."""


class Here:
    """One command. `run` returns its exit status, as a shell gives it."""

    def __init__(self, socket_path: str, session: str, query: dict[str, str | int]) -> None:
        """Connects; raises Refused where the session takes no coprocess now, and then nothing was started."""
        self._socket_path = socket_path
        self._session = session
        self._types = query.get("input") != "false"
        self._socket = WebSocket(socket_path, target("/sessions/{session}/coprocess", session, query))
        self._process: subprocess.Popen[bytes]
        self._stdin = self._stdout = -1
        self._held = bytearray()
        """What came for the command's stdin and was not taken yet."""
        self._signal = 0
        self._kill_at: float | None = None
        self._end = ""

    def run(self, argv: list[str], cwd: str | None) -> int:
        """Runs `argv` until it and the connection have ended."""
        with self._socket:
            try:
                self._start(argv, cwd)
            except OSError as error:
                raise Failure(f"{argv[0]}: {error.strerror}; nothing was started", EXIT_OUR_FAULT, "spawn_failed") from None
            self._listen()
            try:
                while self._process.poll() is None or not self._socket.closed:
                    self._step()
            finally:
                self._process.kill()
                self._process.wait()
        return self._status()

    def _start(self, argv: list[str], cwd: str | None) -> None:
        env = os.environ | {"COPROCD_SESSION": self._session, "COPROCD_SOCKET": self._socket_path}
        # In our process group: a command that asks on the terminal may, and ^C there reaches it.
        self._process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE if self._types else None, cwd=cwd, env=env, bufsize=0
        )
        assert self._process.stdin is not None
        self._stdin = self._process.stdin.fileno()
        os.set_blocking(self._stdin, False)
        if self._process.stdout is not None:
            self._stdout = self._process.stdout.fileno()
            os.set_blocking(self._stdout, False)

    def _listen(self) -> None:
        """Signals wake the loop."""
        self._wake, wake = os.pipe()
        for fd in (self._wake, wake):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in ENDING:
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, _: Any) -> None:
        """The command is asked to end, and may still say its last words to the session."""
        if self._signal and self._process.poll() is not None:
            self._socket.abort()
        self._signal = number
        self._terminate()

    def _terminate(self) -> None:
        if self._kill_at is None:
            self._process.terminate()
            self._kill_at = time.monotonic() + GRACE_S

    # -- one turn -------------------------------------------------------------------------------------------------------

    def _step(self) -> None:
        """Waits until something can be moved, and moves it."""
        if self._kill_at is not None and time.monotonic() >= self._kill_at:
            self._process.kill()
            if self._process.poll() is not None:
                self._socket.abort()
        self._wait()
        self._socket.flush()
        if len(self._held) < HELD_BYTES:
            self._receive()
        self._feed()
        ended = self._process.poll() is not None
        self._read(ended)
        if ended and self._stdout < 0:
            self._socket.close()

    def _wait(self) -> None:
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        if not self._socket.closed:
            events = (select.POLLIN if len(self._held) < HELD_BYTES else 0) | (select.POLLOUT if self._socket.unsent_bytes else 0)
            poll.register(self._socket.fd, events)
        if self._held and self._stdin >= 0:
            poll.register(self._stdin, select.POLLOUT)
        if self._stdout >= 0 and self._socket.unsent_bytes < HELD_BYTES:
            poll.register(self._stdout, select.POLLIN)
        timeout_s = None if self._kill_at is None else max(self._kill_at - time.monotonic(), 0.01)
        if not self._socket.waiting:
            poll.poll(None if timeout_s is None else timeout_s * 1000)
        try:
            os.read(self._wake, 4096)
        except BlockingIOError:
            pass

    def _receive(self) -> None:
        for received in self._socket.receive():
            if isinstance(received, Closed):
                self._on_closed(received.code, received.reason)
            elif isinstance(received, bytes) and self._stdin >= 0:
                self._held += received

    def _on_closed(self, code: int, reason: str) -> None:
        """The coprocess is over. Where its session has ended the command gets end of file, and may take its time; else it is to end."""
        self._end = reason if code in (close_codes.NORMAL, close_codes.POLICY) else "connection_lost"
        self._close_stdout()
        if self._end != "session_ended":
            self._close_stdin()
            if self._process.poll() is None:
                self._terminate()

    def _feed(self) -> None:
        """Gives the command what came for it."""
        while self._held and self._stdin >= 0:
            try:
                del self._held[: os.write(self._stdin, self._held)]
            except BlockingIOError:
                return
            except BrokenPipeError:  # it reads no more, and may still print
                self._close_stdin()
        if self._socket.closed:
            self._close_stdin()

    def _read(self, ended: bool) -> None:
        """Sends what the command has printed; once it has ended no more than that: whoever else holds its stdout might print for ever."""
        while self._stdout >= 0 and self._socket.unsent_bytes < HELD_BYTES:
            try:
                data = os.read(self._stdout, READ_BYTES)
            except BlockingIOError:
                if ended:
                    self._close_stdout()
                return
            if not data:
                self._close_stdout()
                self._socket.send_text(json.dumps({"type": "eof"}))
                return
            self._socket.send_binary(data)

    def _close_stdin(self) -> None:
        self._held.clear()
        if self._stdin >= 0:
            self._stdin = -1
            assert self._process.stdin is not None
            self._process.stdin.close()

    def _close_stdout(self) -> None:
        if self._stdout >= 0:
            self._stdout = -1
            assert self._process.stdout is not None
            self._process.stdout.close()

    # -- the end --------------------------------------------------------------------------------------------------------

    def _status(self) -> int:
        if self._signal:
            return 128 + self._signal
        if self._end in OUR_ENDS:
            note(f"the coprocess was ended ({self._end}): {OUR_ENDS[self._end]}")
            return EXIT_OUR_FAULT
        if self._end == "connection_lost":
            note("the connection to the daemon was lost, and the coprocess has ended with it")
            return EXIT_OUR_FAULT
        code = self._process.returncode
        return 128 - code if code < 0 else code
