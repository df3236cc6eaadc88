"""Silenced ranges: the parts of an output that a silent coprocess keeps from screens, viewers and triggers.

They stand in the slots of the log's header, where the screen worker sees them too, and outlive the daemon. The log
still holds the bytes. At most one range is open, and its boundary is fixed the moment it opens.
"""

from __future__ import annotations

from collections.abc import MutableSequence

OPEN = 2**64 - 1


class Silence:
    """A bounded list of (from, to) offsets in slots: [count, from, to, from, to, …]. `to` is OPEN while it lasts."""

    __slots__ = ("_at", "_most", "_slots")

    def __init__(self, slots: MutableSequence[int], at: int, most: int) -> None:
        """`most` ranges fit; the slots needed are 1 + 2 · most."""
        self._slots = slots
        self._at = at
        self._most = most

    @property
    def opened_at(self) -> int | None:
        """Where the open range began, or None when nothing is silenced."""
        count = self._slots[self._at]
        if count and self._slots[self._at + 2 * count] == OPEN:
            return self._slots[self._at + 2 * count - 1]
        return None

    def open(self, offset: int, retained_from: int) -> bool:
        """Silences from `offset` on. False when the list is full of ranges that the log still holds."""
        slots, at = self._slots, self._at
        if slots[at] == self._most:
            self._forget(retained_from)
            if slots[at] == self._most:
                return False
        index = at + 1 + 2 * slots[at]
        slots[index] = offset
        slots[index + 1] = OPEN
        slots[at] += 1
        return True

    def close(self, offset: int) -> None:
        """Ends the open range before `offset`; one that began there was nothing and is dropped."""
        slots, at = self._slots, self._at
        begun = self.opened_at
        if begun is None:
            return
        if offset <= begun:
            slots[at] -= 1
        else:
            slots[at + 2 * slots[at]] = offset

    def lift(self) -> None:
        """Takes the open range back, as if it had never been: its bytes are shown."""
        if self.opened_at is not None:
            self._slots[self._at] -= 1

    def within(self, start: int, stop: int) -> list[tuple[int, int]]:
        """The silenced parts of [start, stop), in order."""
        slots, at = self._slots, self._at
        parts = []
        for index in range(at + 1, at + 1 + 2 * slots[at], 2):
            begun, ended = max(slots[index], start), min(slots[index + 1], stop)
            if begun < ended:
                parts.append((begun, ended))
        return parts

    def _forget(self, retained_from: int) -> None:
        slots, at = self._slots, self._at
        ranges = [(slots[i], slots[i + 1]) for i in range(at + 1, at + 1 + 2 * slots[at], 2)]
        kept = [r for r in ranges if r[1] > retained_from]
        if len(kept) == len(ranges):
            return
        slots[at] = 0
        for index, (begun, ended) in enumerate(kept):
            slots[at + 1 + 2 * index] = begun
            slots[at + 2 + 2 * index] = ended
        slots[at] = len(kept)
