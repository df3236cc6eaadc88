"""The page: what the worker is doing at this instant, in memory that the daemon sees too, so that it knows what a worker was at when it died.

The worker is its only writer. A count is odd while it is at something; the daemon's watchdog looks whether it moves.
"""

from __future__ import annotations

import mmap
from collections.abc import MutableSequence
from enum import IntEnum
from typing import NamedTuple, cast

BYTES = 4096

_COUNT, _TERMINAL, _KIND, _START, _STOP = range(5)


class Kind(IntEnum):
    """What it is at."""

    LOAD = 1
    FEED = 2
    SHOW = 3
    RESIZE = 4
    SAVE = 5
    REPLY = 6


class Work(NamedTuple):
    """What a worker is at: which terminal, what, and for FEED which bytes of the output."""

    terminal: int
    kind: Kind
    start: int
    stop: int


class Page:
    """The page behind a descriptor, which stays the caller's."""

    __slots__ = ("_map", "_slots", "_view")

    def __init__(self, fd: int) -> None:
        self._map = mmap.mmap(fd, BYTES)
        self._view = memoryview(self._map).cast("Q")
        self._slots = cast(MutableSequence[int], self._view)

    def begin(self, terminal: int, kind: Kind, start: int = 0, stop: int = 0) -> None:
        """The worker is about to do this."""
        slots = self._slots
        slots[_TERMINAL], slots[_KIND], slots[_START], slots[_STOP] = terminal, kind, start, stop
        slots[_COUNT] += 1

    def move(self) -> None:
        """It is still at it, and goes on."""
        self._slots[_COUNT] += 2

    def end(self) -> None:
        """It is done."""
        self._slots[_COUNT] += 1

    @property
    def count(self) -> int:
        """Moves with every begin and end, and where something long goes on."""
        return self._slots[_COUNT]

    @property
    def work(self) -> Work | None:
        """What the worker is at, or was when it died; None where it was at nothing."""
        slots = self._slots
        if not slots[_COUNT] & 1:
            return None
        return Work(slots[_TERMINAL], Kind(slots[_KIND]), slots[_START], slots[_STOP])

    def close(self) -> None:
        self._view.release()
        self._map.close()
