"""Strays: jobs that an earlier keeper left and no daemon claims. Their terminals have hung up; what does not mind that is ended."""

from __future__ import annotations

import os
import signal
import time

from coprocd.keeper.register import Entry
from coprocd.platform import pidfd

GRACE_S = 2.0
"""Between SIGTERM and SIGKILL."""


class Strays:
    """Process groups that are to end."""

    def __init__(self) -> None:
        self._groups: list[tuple[int, Entry]] = []
        self._due = 0.0

    def end(self, entry: Entry) -> bool:
        """Asks the group of a lost job to end, and sees to it later; whether there was one. A number that is another's by now is left alone."""
        if entry.pid is None:
            return False
        try:
            handle = pidfd.open_pid(entry.pid)
        except OSError:
            return False
        self._groups.append((handle, entry))
        self._due = time.monotonic() + GRACE_S
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGCONT):
            if not _signal(handle, entry, number):
                _close(handle)
                del self._groups[-1]
                return False
        return True

    def seconds_to_kill(self) -> float | None:
        """How long until `kill_if_due` has something to do; None for never."""
        return max(0.0, self._due - time.monotonic()) if self._groups else None

    def kill_if_due(self) -> None:
        if self._groups and time.monotonic() >= self._due:
            for handle, entry in self._groups:
                _signal(handle, entry, signal.SIGKILL)
                _close(handle)
            self._groups.clear()


def _signal(handle: int, entry: Entry, number: int) -> bool:
    assert entry.pid is not None
    started = pidfd.start_time(entry.pid)
    same = started is not None and started == entry.start
    return (same or number == signal.SIGKILL) and pidfd.signal_group(handle, entry.pid, number, reaped=not same)


def _close(handle: int) -> None:
    if handle >= 0:
        os.close(handle)
