"""Strays: jobs that an earlier keeper left and no daemon claims. Their terminals have hung up; what does not mind that is ended."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from coprocd.keeper.register import Entry
from coprocd.platform import pidfd

GRACE_S = 2.0
"""Between SIGTERM and SIGKILL."""


class Strays:
    """Process groups that are to end. They stay in the register until they have: this keeper may be killed too."""

    def __init__(self, on_killed: Callable[[Entry], None]) -> None:
        self._groups: list[tuple[int, Entry]] = []
        self._due = 0.0
        self._on_killed = on_killed

    def end(self, entry: Entry) -> bool:
        """Asks the group of a lost job to end, and sees to it later; whether there was one. A number that is another's by now is left alone."""
        if entry.pid is None:
            return False
        try:
            handle = pidfd.open_pid(entry.pid)
        except OSError:
            return False
        if not _is_the_job(entry):
            _close(handle)
            return False
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGCONT):
            _signal(handle, entry, number)
        self._groups.append((handle, entry))
        self._due = time.monotonic() + GRACE_S
        return True

    def entries(self) -> list[Entry]:
        """Those that may still run."""
        return [entry for _, entry in self._groups]

    def seconds_to_kill(self) -> float | None:
        """How long until `kill_if_due` has something to do; None for never."""
        return max(0.0, self._due - time.monotonic()) if self._groups else None

    def kill_if_due(self) -> None:
        if self._groups and time.monotonic() >= self._due:
            self.kill()

    def kill(self) -> None:
        """Does not wait any longer."""
        for handle, entry in self._groups:
            _signal(handle, entry, signal.SIGKILL)
            _close(handle)
            self._on_killed(entry)
        self._groups.clear()

    # -- renewal --------------------------------------------------------------------------------------------------------

    def descriptors(self) -> list[int]:
        return [handle for handle, _ in self._groups if handle >= 0]

    def describe(self) -> dict[str, Any]:
        """What `resume` takes."""
        return {"groups": [[handle, asdict(entry)] for handle, entry in self._groups], "due": self._due}

    def resume(self, known: dict[str, Any]) -> None:
        self._groups = [(handle, Entry(**entry)) for handle, entry in known["groups"]]
        self._due = known["due"]


def _is_the_job(entry: Entry) -> bool:
    assert entry.pid is not None
    started = pidfd.start_time(entry.pid)
    return started is not None and started == entry.start


def _signal(handle: int, entry: Entry, number: int) -> None:
    """By its descriptor, which was opened when the number was the job's; without one only while it still is."""
    assert entry.pid is not None
    if handle >= 0 or _is_the_job(entry):
        pidfd.signal_group(handle, entry.pid, number, reaped=not _is_the_job(entry))


def _close(handle: int) -> None:
    if handle >= 0:
        os.close(handle)
