"""Silenced ranges: the parts of an output that a silent coprocess keeps from screens, viewers and triggers.

They stand in the slots of the log's header, where the screen worker sees them too, and outlive the daemon. The log
still holds the bytes. At most one range is open, and its boundary is fixed the moment it opens. Each change takes
effect with one store, so a daemon killed in between leaves the state before it or after it.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableSequence

OPEN = 2**64 - 1

_COUNT_BITS = 32


class Silence:
    """A bounded circle of (from, to) offsets in slots: [first · 2³² + count, from, to, from, to, …]. `to` is OPEN while it lasts."""

    __slots__ = ("_at", "_most", "_slots")

    def __init__(self, slots: MutableSequence[int], at: int, most: int) -> None:
        """`most` ranges fit; the slots needed are 1 + 2 · most."""
        self._slots = slots
        self._at = at
        self._most = most

    @property
    def opened_at(self) -> int | None:
        """Where the open range began, or None when nothing is silenced."""
        last = self._last()
        return self._slots[last] if last is not None and self._slots[last + 1] == OPEN else None

    def open(self, offset: int, retained_from: int) -> bool:
        """Silences from `offset` on. False when it is full of ranges that the log still holds."""
        first, count = self._bounds()
        full = count == self._most
        while full and count and self._slots[self._place(first) + 1] <= retained_from:
            first, count = (first + 1) % self._most, count - 1
            self._set_bounds(first, count)
        if count == self._most:
            return False
        place = self._place(first + count)
        self._slots[place] = offset
        self._slots[place + 1] = OPEN
        self._set_bounds(first, count + 1)
        return True

    def close(self, offset: int) -> None:
        """Ends the open range before `offset`; one that began there was nothing and is dropped."""
        begun, last = self.opened_at, self._last()
        if begun is None or last is None:
            return
        if offset <= begun:
            self.lift()
        else:
            self._slots[last + 1] = offset

    def lift(self) -> None:
        """Takes the open range back, as if it had never been: its bytes are shown."""
        if self.opened_at is not None:
            first, count = self._bounds()
            self._set_bounds(first, count - 1)

    def within(self, start: int, stop: int) -> list[tuple[int, int]]:
        """The silenced parts of [start, stop), in order."""
        if self.none:
            return []
        slots = self._slots
        parts = ((max(slots[place], start), min(slots[place + 1], stop)) for place in self._places())
        return [(begun, ended) for begun, ended in parts if begun < ended]

    @property
    def none(self) -> bool:
        """Whether no range is kept."""
        return not self._slots[self._at] & (1 << _COUNT_BITS) - 1

    def _bounds(self) -> tuple[int, int]:
        head = self._slots[self._at]
        return head >> _COUNT_BITS, head & (1 << _COUNT_BITS) - 1

    def _set_bounds(self, first: int, count: int) -> None:
        self._slots[self._at] = first << _COUNT_BITS | count

    def _place(self, index: int) -> int:
        """The slot of the range's `from`."""
        return self._at + 1 + 2 * (index % self._most)

    def _places(self) -> Iterator[int]:
        first, count = self._bounds()
        return (self._place(first + index) for index in range(count))

    def _last(self) -> int | None:
        first, count = self._bounds()
        return self._place(first + count - 1) if count else None
