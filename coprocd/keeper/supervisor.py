"""Who starts the daemon when no service manager does: the keeper, again and again, until it is told not to.

A daemon that ends before it was ready counts; five in a row and the keeper gives up loudly. One that was ready and
ended is started again at once. Sessions wait meanwhile: they are the keeper's. A daemon that was there before the keeper (it
has outlived another) is taken over when it says hello. A `managed` supervisor starts nothing: a service manager does.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from typing import Any

from coprocd.platform import processes

log = logging.getLogger("coprocd.keeper")

FAILURES_MOST = 5
"""Daemons that may end before they were ready, one after another."""

BACKOFF_S = 0.1
"""The wait after the first such end; it doubles with each."""

EXPECTED_S = 10.0
"""A daemon that lives and has lost its keeper comes to the next one within this time; else another is started."""

_READY = b"READY\n"


class Supervisor:
    """Starts daemons, one at a time, and tells those who wait whether it is ready."""

    def __init__(self, socket_path: str, managed: bool = False) -> None:
        self.pid: int | None = None
        self.managed = managed
        self.socket_path = socket_path
        self.gave_up = False
        """Whether no daemon could be started, until one is asked for again."""
        self._wanted = False
        self._due: float | None = None
        self._failures = 0
        self._status = -1
        self._said = b""
        self._waiting: list[int] = []
        self._new = False
        self._retiring = False
        self.adopted = False
        """Whether the daemon was there before us, and is not our child."""

    @property
    def status(self) -> int:
        """The descriptor on which the daemon tells of its start, until it has ended; −1 when there is none."""
        return self._status

    @property
    def at_rest(self) -> bool:
        """Whether no daemon runs and none will be started."""
        return self.pid is None and self._due is None and not self.managed

    @property
    def ready(self) -> bool:
        return self._said.startswith(_READY.strip())

    def start(self, waiting: int | None = None) -> None:
        """Wants a daemon from now on; `waiting` is a descriptor, ours from now on, on which it is told how that went."""
        self._wanted = True
        if waiting is not None:
            self._waiting.append(waiting)
        if self.pid is None and self.managed:
            self._tell(b"a service manager starts the daemon here: systemctl --user start coprocd\n")
        elif self.pid is None:
            self._failures = 0
            self._launch()
        elif self.ready and not self._retiring:  # else the next one is waited for
            self._tell(_READY)

    def expect(self) -> None:
        """A daemon lives that will say hello; only if it does not, another is started."""
        self._wanted = True
        self._due = time.monotonic() + EXPECTED_S

    def adopt(self, pid: int) -> None:
        """The daemon `pid`, which we may not have started, has said hello."""
        if pid == self.pid:
            return
        if self.pid is None:
            self.pid = pid
            self._wanted, self._due, self._new = True, None, True
            self.adopted, self.gave_up, self._retiring = True, False, False
            self._status, self._said = -1, _READY
            self._tell(_READY)

    def retire(self) -> None:
        """The daemon is about to end, and no other is wanted."""
        self._wanted = False
        self._retiring = True

    def end(self) -> None:
        """Asks the daemon to end."""
        self._wanted = False
        self._due = None
        if self.managed:
            self.pid = None  # its end is the service manager's
        elif self.pid is not None:
            os.kill(self.pid, signal.SIGTERM)

    def seconds_to_start(self) -> float | None:
        """How long until `start_if_due` has something to do; None for never."""
        return None if self._due is None else max(0.0, self._due - time.monotonic())

    def start_if_due(self) -> None:
        if self._due is not None and time.monotonic() >= self._due:
            self._launch()

    def launched(self) -> tuple[int, int] | None:
        """The pid of a daemon that is new since this was last asked, and the descriptor on which it tells of its start, or −1."""
        if not self._new or self.pid is None:
            return None
        self._new = False
        return self.pid, self._status

    def hear(self) -> bool:
        """Takes what the daemon says of its start, and passes it on to those who wait; False once it has said all."""
        if self._status < 0:
            return False
        said = b""
        try:
            said = os.read(self._status, 4096)
            self._said += said
        except BlockingIOError:
            pass
        if self.ready:
            self._failures = 0
            self._tell(_READY)
        return bool(said)

    def reap(self, known: bool) -> None:
        """Sees whether the daemon has ended, and decides what follows; `known` is for one that is not our child, of which wait(2) tells nothing."""
        if self.pid is None:
            return
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            pid, status = self.pid if known or not processes.lives(self.pid) else 0, None
        if pid == 0:
            return
        self.hear()
        if self._status >= 0:
            os.close(self._status)
            self._status = -1
        ending = _ending(status)
        reason = self._said.decode(errors="replace").strip() or f"the daemon ended with {ending}"
        was_ready, self.pid, self.adopted = self.ready, None, False
        if not self._wanted or self.managed:
            self._tell(b"the daemon was stopped\n")
            return
        self._failures = 0 if was_ready else self._failures + 1
        log.warning("daemon %d ended with %s", pid, ending)
        if was_ready:
            self._due = time.monotonic()
        elif self._failures < FAILURES_MOST and not self._said:
            self._due = time.monotonic() + BACKOFF_S * 2 ** (self._failures - 1)
        else:
            log.error("giving up: %s", reason)
            self._wanted = False
            self.gave_up = True
            self._tell(f"{reason}\n".encode())

    # -- renewal --------------------------------------------------------------------------------------------------------

    def descriptors(self) -> list[int]:
        return [fd for fd in (self._status, *self._waiting) if fd >= 0]

    def describe(self) -> dict[str, Any]:
        """What `resumed` takes."""
        return {
            "socket_path": self.socket_path,
            "managed": self.managed,
            "pid": self.pid,
            "wanted": self._wanted,
            "due": self._due,
            "failures": self._failures,
            "status": self._status,
            "said": self._said.decode(errors="replace"),
            "waiting": self._waiting,
            "gave_up": self.gave_up,
            "retiring": self._retiring,
            "adopted": self.adopted,
        }

    @classmethod
    def resumed(cls, known: dict[str, Any]) -> Supervisor:
        """As it was before the process was renewed."""
        supervisor = cls(known["socket_path"], known["managed"])
        supervisor.pid = known["pid"]
        supervisor._wanted = known["wanted"]
        supervisor._due = known["due"]
        supervisor._failures = known["failures"]
        supervisor._status = known["status"]
        supervisor._said = known["said"].encode()
        supervisor._waiting = known["waiting"]
        supervisor.gave_up = known["gave_up"]
        supervisor._retiring = known.get("retiring", False)
        supervisor.adopted = known.get("adopted", False)
        supervisor._new = supervisor.pid is not None
        return supervisor

    def _launch(self) -> None:
        self._due = None
        self._said = b""
        self.gave_up = self._retiring = self.adopted = False
        try:
            self._status, write_end = os.pipe()
        except OSError as error:
            log.error("the daemon cannot be started now: %s", error.strerror)
            self._due = time.monotonic() + 1
            return
        os.set_blocking(self._status, False)
        argv = [sys.executable, "-P", "-m", "coprocd", "--socket", self.socket_path, "--status-fd", str(write_end)]
        try:
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, pass_fds=(write_end,))
        except OSError as error:
            log.error("the daemon cannot be started now: %s", error.strerror)
            os.close(self._status)
            self._status = -1
            self._due = time.monotonic() + 1
            return
        finally:
            os.close(write_end)
        process.returncode = 0  # reaped here; its __del__ must not
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


def _ending(status: int | None) -> str:
    if status is None:
        return "a status that only its parent was told"
    return f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"exit status {os.WEXITSTATUS(status)}"
