"""The signals that the keeper acts on, as bytes of a pipe. It outlives a renewal, so that none that comes meanwhile is lost, or ends it.

exec(2) sets handlers back to the default, which is the end; what is blocked stays so, and waits. So they are blocked just before,
and let through again when the new code has its own handlers.
"""

from __future__ import annotations

import os
import signal

NUMBERS = (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)


class Signals:
    """Readable at `fd` when one has come."""

    def __init__(self, ends: tuple[int, int] | None = None) -> None:
        """`ends` is the pipe of the process that this one was before its renewal."""
        self._ends = ends or os.pipe()
        for end in self._ends:
            os.set_blocking(end, False)

    @property
    def fd(self) -> int:
        return self._ends[0]

    @property
    def descriptors(self) -> tuple[int, int]:
        return self._ends

    def listen(self) -> None:
        """From now on they come here, those included that were held back."""
        signal.set_wakeup_fd(self._ends[1])
        for number in NUMBERS:
            signal.signal(number, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, NUMBERS)

    def hold_back(self) -> None:
        """Until `listen`, by this code or by that which takes its place."""
        signal.pthread_sigmask(signal.SIG_BLOCK, NUMBERS)

    def close(self) -> None:
        """Of one that has not listened."""
        for end in self._ends:
            os.close(end)

    def take(self) -> bytes:
        """The numbers of those that have come."""
        try:
            return os.read(self._ends[0], 4096)
        except BlockingIOError:
            return b""
