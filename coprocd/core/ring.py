"""The ring: a run of bytes by absolute offset, of which the last `capacity` are kept. Positions only, no bytes.

Theory of operation. A ring lives in a file that outlives the process writing it, and its positions in 64-bit
slots of a mapping of that file's first page. A store to one slot is atomic; between any two statements the
process may be killed. Two kinds of movement touch it, and each keeps one invariant by which the next process
finds the exact byte:

*intake* (descriptor → private pipe → ring; `Ring`)

    splice descriptor → pipe        n bytes, now owned by nobody but the pipe
    target = end + n                a promise
    splice pipe → file at `end`     may come in parts
    end = target                    kept

    Killed before the promise: the pipe holds r bytes and target == end, so they belong at `end`.
    Killed after it: the pipe holds the r bytes that are still to be written, at target − r.

*feed* (ring → private pipe → descriptor; `FeedPosition`)

    with the pipe empty:
    target = filled + n             a promise
    write n bytes into the pipe     copied: a pipe must never refer to pages that the ring overwrites
    filled = target                 kept (a short write first lowers the promise)
    splice pipe → descriptor        may come in parts

    Killed before `filled` is stored: nothing has left the pipe, so filled is what it was, plus the pipe's r bytes.
    Killed after it: the reader has all up to filled − r.

There is no flag to clear in either, and so no instant at which a flag is wrong.
"""

from __future__ import annotations

from collections.abc import MutableSequence, Sequence


class Ring:
    """Positions of one ring, held in two slots (`end`, `target`) of a shared header."""

    __slots__ = ("_end", "_slots", "_target", "base", "capacity")

    SLOTS = 2

    def __init__(self, slots: MutableSequence[int], at: int, base: int, capacity: int) -> None:
        """`at` is the first of its slots; its bytes stand at `base` … `base + capacity` of the file."""
        self._slots = slots
        self._end = at
        self._target = at + 1
        self.base = base
        self.capacity = capacity

    @property
    def end(self) -> int:
        """The offset that the next byte will have."""
        return self._slots[self._end]

    @property
    def retained_from(self) -> int:
        """The offset of the oldest byte kept."""
        return max(0, self._slots[self._end] - self.capacity)

    def room(self, hold: int | None) -> int:
        """How many bytes may come in without overwriting what stands at `hold` or later (None: nobody holds)."""
        return self.capacity if hold is None else hold + self.capacity - self._slots[self._end]

    def segments(self, offset: int, size: int) -> Sequence[tuple[int, int]]:
        """(file position, length) of the one or two pieces in which the run of `size` bytes, at most `capacity`, at `offset` stands."""
        index = offset % self.capacity
        to_edge = self.capacity - index
        if size <= to_edge:
            return ((self.base + index, size),) if size else ()
        return ((self.base + index, to_edge), (self.base, size - to_edge))

    def promise(self, size: int) -> None:
        """`size` bytes are in the private pipe and will be written at `end`."""
        slots = self._slots
        slots[self._target] = slots[self._end] + size

    def keep(self) -> None:
        """All that was promised is written."""
        slots = self._slots
        slots[self._end] = slots[self._target]

    def withdraw(self) -> None:
        """What was promised will not be written."""
        self._slots[self._target] = self._slots[self._end]

    def append(self, size: int) -> None:
        """`size` bytes were written at `end`: one store accepts them, and no promise is left behind for the intake."""
        self._slots[self._end] += size

    def recover(self, in_pipe: int) -> int:
        """The offset at which the `in_pipe` bytes left in the private pipe belong; the promise stands afterwards."""
        slots = self._slots
        if slots[self._target] <= slots[self._end]:
            slots[self._target] = slots[self._end] + in_pipe
        return slots[self._target] - in_pipe


class FeedPosition:
    """How far one lossless reader has got, held in two slots (`filled`, `target`) of a shared header.

    `filled` is the offset up to which bytes were copied out of the ring, and so where the reader holds it back.
    `in_pipe` of those have not reached the reader yet.
    """

    __slots__ = ("_filled", "_slots", "_target", "in_pipe")

    SLOTS = 2

    def __init__(self, slots: MutableSequence[int], at: int) -> None:
        self._slots = slots
        self._filled = at
        self._target = at + 1
        self.in_pipe = 0

    @property
    def filled(self) -> int:
        return self._slots[self._filled]

    @property
    def position(self) -> int:
        """The offset up to which the reader's descriptor has taken the bytes."""
        return self._slots[self._filled] - self.in_pipe

    def seek(self, offset: int) -> None:
        """Goes on at `offset`. Only with the pipe empty."""
        self._slots[self._target] = offset
        self._slots[self._filled] = offset

    def promise(self, size: int) -> None:
        """`size` bytes are about to be copied into the empty pipe."""
        slots = self._slots
        slots[self._target] = slots[self._filled] + size

    def keep(self, size: int) -> None:
        """`size` bytes are in the pipe; fewer than promised lower the promise first."""
        slots = self._slots
        slots[self._target] = slots[self._filled] + size
        slots[self._filled] = slots[self._target]
        self.in_pipe = size

    def recover(self, in_pipe: int) -> None:
        """Finds the exact position from the bytes that are left in the pipe."""
        slots = self._slots
        if slots[self._target] > slots[self._filled]:
            slots[self._target] = slots[self._filled] + in_pipe
            slots[self._filled] = slots[self._target]
        self.in_pipe = in_pipe
