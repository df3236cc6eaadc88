"""A ring with its bytes: positions from `core.ring`, reads and writes on a segment's descriptor."""

from __future__ import annotations

import os

from coprocd.core.ring import Ring


class RingFile:
    """Bytes by absolute offset, the last `capacity` kept."""

    __slots__ = ("fd", "id", "ring")

    def __init__(self, fd: int, ring: Ring, ring_id: int) -> None:
        """`ring_id` tells this ring from all others, in this daemon and the next: the intake notes whose bytes it carries."""
        self.fd = fd
        self.ring = ring
        self.id = ring_id

    def read(self, offset: int, size: int) -> bytes:
        """The `size` bytes at `offset`, which must all be retained."""
        pieces = [os.pread(self.fd, length, position) for position, length in self.ring.segments(offset, size)]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def write(self, data: bytes) -> None:
        """Appends `data`, for which there must be room. Only between two movements of the intake."""
        view = memoryview(data)
        for position, length in self.ring.segments(self.ring.end, len(data)):
            os.pwrite(self.fd, view[:length], position)
            view = view[length:]
        self.ring.append(len(data))
