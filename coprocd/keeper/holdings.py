"""What the keeper holds: descriptors under keys, and the jobs they belong to, from their start to the return of their pid.

A *holding* is a key with named descriptors and, for a job, its pid. A job that has ended stays a zombie until the daemon has
said `reap`: so its pid and process group cannot be anybody else's when a signal is sent to them. One that an earlier keeper
started is not our child: init reaps it, and its pidfd stands for it.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from coprocd.keeper import spawn
from coprocd.keeper.register import Entry, Register
from coprocd.platform import pidfd, processes

log = logging.getLogger("coprocd.keeper")

PIDFD = "pidfd"
"""The name under which a job's own pidfd is held, and handed over."""

Status = dict[str, int | str | None]


@dataclass
class Holding:
    """Descriptors under one key, and the job they belong to. `ours` tells whether it is our child."""

    key: str
    label: str = ""
    fds: dict[str, int] = field(default_factory=dict)
    pid: int | None = None
    ours: bool = True
    status: Status | None = None
    reaped: bool = False
    dropped: bool = False

    @property
    def pidfd(self) -> int:
        return self.fds.get(PIDFD, -1)

    def job(self) -> dict[str, Any]:
        return {"key": self.key, "pid": self.pid, "status": self.status, "reaped": self.reaped}


class Holdings:
    """Every holding by its key, and every job that has not been reaped."""

    def __init__(self, register: Register, on_watch: Callable[[Holding], None], on_ended: Callable[[Holding], None]) -> None:
        """`on_watch(holding)` asks for `look` to be called when its pidfd is readable; `on_ended` is told when a job has ended."""
        self.jobs: dict[int, Holding] = {}
        self._by_key: dict[str, Holding] = {}
        self._register = register
        self._on_watch = on_watch
        self._on_ended = on_ended

    def __iter__(self) -> Iterator[Holding]:
        return iter(self._by_key.values())

    def __contains__(self, key: str) -> bool:
        return key in self._by_key

    def __len__(self) -> int:
        return len(self._by_key)

    def get(self, key: str) -> Holding | None:
        return self._by_key.get(key)

    def made(self, key: str) -> Holding:
        """The holding under `key`, an empty one where there was none."""
        return self._by_key.setdefault(key, Holding(key))

    def take(self, key: str, fds: dict[str, int], label: str | None = None) -> Holding:
        """Holds descriptors, ours from now on, under `key`, in place of what was held under these names."""
        holding = self.made(key)
        for name, fd in fds.items():
            old = holding.fds.get(name)
            if old is not None and name == PIDFD:  # the same process, and this one is being watched
                os.close(fd)
                continue
            if old is not None:
                os.close(old)
            holding.fds[name] = fd
        if label is not None and label != holding.label:
            holding.label = label
            self._register.rename(key, label)
        return holding

    def restore(self, holding: Holding) -> None:
        """One that this process held before its renewal."""
        self._by_key[holding.key] = holding

    # -- jobs ---------------------------------------------------------------------------------------------------------

    def started(self, holding: Holding, pid: int, fds: dict[str, int]) -> None:
        """Its job is our child `pid`, with descriptors of its own."""
        holding.fds |= fds
        handle = pidfd.open_pid(pid)
        if handle >= 0:
            holding.fds[PIDFD] = handle
        self.watch(holding, pid)

    def adopted(self, holding: Holding, job: dict[str, Any]) -> None:
        """Its job was started by an earlier keeper; `job` is what that one said of it last."""
        if holding.pid is None and job["pid"] is not None:
            holding.ours = False
            holding.status = job["status"]
            holding.reaped = bool(job["reaped"]) or (holding.pidfd < 0 and pidfd.AVAILABLE)
            holding.pid = job["pid"]
            if not holding.reaped:
                self.watch(holding, job["pid"])

    def watch(self, holding: Holding, pid: int) -> None:
        """Sees to it that its end is noticed."""
        holding.pid = pid
        self.jobs[pid] = holding
        if holding.status is None and holding.pidfd >= 0:
            self._on_watch(holding)

    def look(self, holding: Holding) -> None:
        """Notes how the job ended, if it has; our child stays a zombie until it is reaped or dropped."""
        if holding.status is not None or holding.pid is None:
            return
        if holding.ours:
            status = spawn.waited(holding.pid)
            if status is None:
                return
        elif holding.pidfd < 0 and processes.lives(holding.pid):
            return
        else:
            status = pidfd.wait_status(holding.pidfd, holding.pid)
        holding.status = spawn.status_of(status) if status is not None else spawn.unknown_status()
        if holding.dropped:
            self.reap(holding)
        else:
            self._on_ended(holding)

    def look_at_all(self) -> None:
        """Where there are no pidfds: after SIGCHLD, and now and then, for those that are not our children."""
        for holding in list(self.jobs.values()):
            self.look(holding)

    @property
    def must_poll(self) -> bool:
        """Whether there is a job whose end nothing tells."""
        return any(not holding.ours and holding.status is None and holding.pidfd < 0 for holding in self.jobs.values())

    def signal(self, key: str, number: int) -> bool:
        """Signals the process group of the job under `key`; whether there was one. OSError for a number that is no signal."""
        holding = self._by_key.get(key)
        if holding is None or holding.pid is None or holding.reaped:
            return False
        return pidfd.signal_group(holding.pidfd, holding.pid, number, reaped=not holding.ours and holding.status is not None)

    def reap(self, holding: Holding) -> None:
        """Gives the pid of an ended job back to the system; its group can be signalled no more."""
        if holding.pid is not None and holding.status is not None and not holding.reaped:
            if holding.ours:
                os.waitpid(holding.pid, 0)
            holding.reaped = True
            if self.jobs.get(holding.pid) is holding:  # an orphan's number may be another job's by now
                del self.jobs[holding.pid]
            handle = holding.fds.pop(PIDFD, -1)
            if handle >= 0:
                os.close(handle)

    # -- the end ------------------------------------------------------------------------------------------------------

    def drop(self, key: str, names: list[str] | None = None) -> None:
        """Closes descriptors under `key`; without `names` all of them, and what is left of its job is killed."""
        holding = self._by_key.get(key)
        if holding is None:
            return
        for name in list(holding.fds) if names is None else names:
            if names is None and name == PIDFD and not holding.reaped and holding.pid is not None:
                continue  # closed when it is reaped
            fd = holding.fds.pop(name, None)
            if fd is not None:
                os.close(fd)
        if names is None:
            del self._by_key[key]
            self._register.drop(key)
            holding.dropped = True
            if holding.pid is not None and not holding.reaped:
                pidfd.signal_group(holding.pidfd, holding.pid, signal.SIGKILL, reaped=not holding.ours and holding.status is not None)
                self.reap(holding)

    def drop_all(self) -> None:
        for key in list(self._by_key):
            self.drop(key)

    def claims(self, entry: Entry) -> bool:
        """Whether what the register says is held here: the job too, if there was one. A key alone may be held without it."""
        holding = self._by_key.get(entry.key)
        return holding is not None and entry.pid in (None, holding.pid)

    def entries(self) -> list[Entry]:
        """What the register has to say of what is held now."""
        return [Entry(h.key, h.label, h.pid, _start_time(h)) for h in self._by_key.values() if h.pid is not None]


def _start_time(holding: Holding) -> int | None:
    """When its job was started; None when it has ended, for then the number of one that is not our child may be another's."""
    if holding.pid is None or holding.reaped or (holding.status is not None and not holding.ours):
        return None
    start = pidfd.start_time(holding.pid)
    return start if holding.ours or not pidfd.has_ended(holding.pidfd) else None
