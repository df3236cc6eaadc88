"""A ring with its bytes: positions from `core.ring`, reads and writes on a segment's descriptor."""

from __future__ import annotations

import os

from coprocd.core.ring import Ring
from coprocd.platform import memory

PAGE = 4096

AHEAD_LEAST_BYTES = 8 << 10
AHEAD_MOST_BYTES = 256 << 10
"""Memory is asked for so far ahead, more the more there is: a session that prints a line costs little, one that floods asks seldom."""


class RingFile:
    """Bytes by absolute offset, the last `capacity` kept.

    Its memory comes as it fills for the first time, and before a byte is taken from where it is: `reserve`.
    """

    __slots__ = ("_reserved", "fd", "id", "ring")

    def __init__(self, fd: int, ring: Ring, ring_id: int) -> None:
        """`ring_id` tells this ring from all others, in this daemon and the next: the intake notes whose bytes it carries."""
        self.fd = fd
        self.ring = ring
        self.id = ring_id
        self._reserved = min(ring.end, ring.capacity)

    def read(self, offset: int, size: int) -> bytes:
        """The `size` bytes at `offset`, which must all be retained."""
        segments = self.ring.segments(offset, size)
        if len(segments) == 1:
            position, length = segments[0]
            return os.pread(self.fd, length, position)
        return b"".join([os.pread(self.fd, length, position) for position, length in segments])

    def reserve(self, size: int) -> int:
        """How many bytes, at most `size` (> 0), can be written at the end for certain; NoMemory when there is no room for one."""
        capacity, end = self.ring.capacity, self.ring.end
        if self._reserved < capacity:
            ahead = max(AHEAD_LEAST_BYTES, min(end // 4, AHEAD_MOST_BYTES))
            if self._reserved < end + min(size, ahead // 2):
                try:
                    self._grow(end + ahead)
                except memory.NoMemory:
                    if self._reserved <= end:
                        self._grow((end // PAGE + 1) * PAGE)  # the page at hand, which may be there already
            if self._reserved < capacity:
                return min(size, self._reserved - end)
        return size

    def reserve_all(self, size: int) -> None:
        """Makes sure of all of `size` bytes at the end; NoMemory when there is no room."""
        if self._reserved < min(self.ring.capacity, self.ring.end + size):
            self._grow(((self.ring.end + size - 1) // PAGE + 1) * PAGE)

    def write(self, data: bytes) -> None:
        """Appends `data`, for which there must be room. Only between two movements of the intake."""
        ring, left = self.ring, memoryview(data)
        for position, length in ring.segments(ring.end, len(data)):
            os.pwrite(self.fd, left[:length], position)
            left = left[length:]
        ring.append(len(data))

    def _grow(self, to: int) -> None:
        to = min(to, self.ring.capacity)
        memory.reserve(self.fd, self.ring.base + self._reserved, to - self._reserved)
        self._reserved = to
