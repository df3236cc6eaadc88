"""Who starts the daemon when no service manager does: the keeper, again and again, until it is told not to.

A daemon that ends before it was ready counts; five in a row and the keeper gives up loudly. One that was ready and
ended is started again at once. Sessions wait meanwhile: they are the keeper's.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time

log = logging.getLogger("coprocd.keeper")

FAILURES_MOST = 5
"""Daemons that may end before they were ready, one after another."""

BACKOFF_S = 0.1
"""The wait after the first such end; it doubles with each."""


class Supervisor:
    """Starts daemons, one at a time, and tells those who wait whether it is ready."""

    def __init__(self, socket_path: str) -> None:
        self.pid: int | None = None
        self._socket_path = socket_path
        self._wanted = False
        self._due: float | None = None
        self._failures = 0
        self._status = -1
        self._said = b""
        self._waiting: list[int] = []
        self._new = False

    @property
    def at_rest(self) -> bool:
        """Whether no daemon runs and none will be started."""
        return self.pid is None and self._due is None

    @property
    def ready(self) -> bool:
        return self._said.startswith(b"READY")

    def start(self, waiting: int | None = None) -> None:
        """Wants a daemon from now on; `waiting` is a descriptor, ours from now on, on which it is told how that went."""
        self._wanted = True
        if waiting is not None:
            self._waiting.append(waiting)
        if self.pid is None:
            self._failures = 0
            self._launch()
        elif self.ready:
            self._tell(b"READY\n")

    def retire(self) -> None:
        """The daemon is about to end, and no other is wanted."""
        self._wanted = False

    def end(self) -> None:
        """Asks the daemon to end."""
        self._wanted = False
        self._due = None
        if self.pid is not None:
            os.kill(self.pid, 15)

    def seconds_to_start(self) -> float | None:
        """How long until `start_if_due` has something to do; None for never."""
        return None if self._due is None else max(0.0, self._due - time.monotonic())

    def start_if_due(self) -> None:
        if self._due is not None and time.monotonic() >= self._due:
            self._launch()

    def launched(self) -> tuple[int, int] | None:
        """The pid of a daemon started since this was last asked, and the descriptor on which it tells of its start."""
        if not self._new or self.pid is None:
            return None
        self._new = False
        return self.pid, self._status

    def hear(self) -> bool:
        """Takes what the daemon says of its start, and passes it on to those who wait; False once it has said all."""
        said = b""
        try:
            said = os.read(self._status, 4096)
            self._said += said
        except BlockingIOError:
            pass
        if self.ready:
            self._failures = 0
            self._tell(b"READY\n")
        return bool(said)

    def reap(self) -> None:
        """Sees whether the daemon has ended, and decides what follows."""
        if self.pid is None:
            return
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid == 0:
            return
        self.hear()
        os.close(self._status)
        reason = self._said.decode(errors="replace").strip() or f"the daemon ended with {_ending(status)}"
        was_ready, self.pid = self.ready, None
        if not self._wanted:
            self._tell(b"the daemon was stopped\n")
            return
        self._failures = 0 if was_ready else self._failures + 1
        log.warning("daemon %d ended with %s", pid, _ending(status))
        if was_ready:
            self._due = time.monotonic()
        elif self._failures < FAILURES_MOST and not self._said:
            self._due = time.monotonic() + BACKOFF_S * 2 ** (self._failures - 1)
        else:
            log.error("giving up: %s", reason)
            self._wanted = False
            self._tell(f"{reason}\n".encode())

    def _launch(self) -> None:
        self._due = None
        self._said = b""
        self._status, write_end = os.pipe()
        os.set_blocking(self._status, False)
        argv = [sys.executable, "-P", "-m", "coprocd", "--socket", self._socket_path, "--status-fd", str(write_end)]
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, pass_fds=(write_end,))
        process.returncode = 0  # reaped here; its __del__ must not
        os.close(write_end)
        self.pid = process.pid
        self._new = True

    def _tell(self, text: bytes) -> None:
        for fd in self._waiting:
            try:
                os.write(fd, text)
            except OSError:
                pass  # whoever waited is gone
            os.close(fd)
        self._waiting.clear()


def _ending(status: int) -> str:
    return f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"exit status {os.WEXITSTATUS(status)}"
