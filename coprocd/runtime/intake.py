"""Intake: the movement of bytes from a descriptor into a ring. One for the whole daemon, for one loop moves one chunk at a time.

Its private pipe and the segment that says whose bytes are in it are held by the keeper too, so a daemon that is killed
between two statements leaves every byte where the next one finds it (`core.ring` has the theory).
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from coprocd.platform import pipes
from coprocd.runtime.ring_file import RingFile
from coprocd.runtime.segment import PAGE, RESERVED_SLOTS, Segment

SCHEMA = 1
_OWNER = RESERVED_SLOTS


class Intake:
    """Moves output of ptys, and stdout and stderr of coprocesses, into their rings."""

    def __init__(self, segment: Segment, pipe: tuple[int, int]) -> None:
        self.segment = segment
        self.pipe = pipe
        self._slots = segment.slots

    @classmethod
    def create(cls) -> Intake:
        return cls(Segment.create("coprocd-intake", PAGE, 0, SCHEMA), pipes.create(pipes.CHUNK_BYTES))

    @classmethod
    def open(cls, fd: int, pipe: tuple[int, int]) -> Intake:
        """Takes over what an earlier daemon left; `recover` must follow before the first move."""
        return cls(Segment.open(fd, PAGE, SCHEMA), pipe)

    def move(self, source: int, into: RingFile, most: int) -> int:
        """Moves what `source` has, at most `most` bytes (> 0), to the ring's end; the number, 0 at end of file.

        Raises BlockingIOError when there is nothing now, OSError (EIO) at the end of a pty, and NoMemory when the ring cannot
        take a byte now: then none was taken from `source`.
        """
        most = into.reserve(most)
        if not pipes.AVAILABLE:
            data = os.read(source, min(most, pipes.CHUNK_BYTES))
            into.write(data)
            return len(data)
        slots = self._slots
        if slots[_OWNER] != into.id:
            slots[_OWNER] = into.id
        size = os.splice(source, self.pipe[1], min(most, pipes.CHUNK_BYTES))
        if size:
            ring = into.ring
            ring.promise(size)
            try:
                self._store(into, ring.end, size)
            except OSError:  # no memory for the ring's pages: what is on its way must not come out in another ring
                self._throw_away()
                ring.withdraw()
                raise
            ring.keep()
        return size

    def recover(self, rings: Iterable[RingFile]) -> RingFile | None:
        """Completes the movement in which the last daemon was killed; the ring that got bytes, or None.

        Every ring that lives must be among `rings`. Bytes of one that is gone are thrown away with it, and those for which
        there is no memory are lost as in `move`: the sessions must be served all the same.
        """
        left = pipes.unread(self.pipe[0])
        owner = next((ring for ring in rings if ring.id == self._slots[_OWNER]), None)
        if owner is None:
            self._throw_away()
            return None
        try:
            self._store(owner, owner.ring.recover(left), left)
        except OSError:
            self._throw_away()
            owner.ring.withdraw()
            return None
        owner.ring.keep()
        return owner if left else None

    def close(self) -> None:
        for fd in self.pipe:
            os.close(fd)
        self.segment.close()

    def _throw_away(self) -> None:
        """Empties the private pipe."""
        if left := pipes.unread(self.pipe[0]):
            os.read(self.pipe[0], left)

    def _store(self, into: RingFile, offset: int, size: int) -> None:
        for position, length in into.ring.segments(offset, size):
            while length:
                moved = os.splice(self.pipe[0], into.fd, length, offset_dst=position)
                position += moved
                length -= moved
