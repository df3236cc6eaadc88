"""Where the text of lines comes from: for each index in a text the offset of its byte in the output.

Owns the map, which is filled in order and worked out only where it is asked: most text is never matched. The line
assembler fills it; whoever has a match asks.
"""

from __future__ import annotations

from bisect import bisect_right

from coprocd.core import escapes

_UNWORKED_MOST = 16
"""Stretches of output that are kept to be worked out when asked: bounds the memory of a line that grows."""


class Places:
    """Runs of text that stand in the output as they are, and stretches of output that have yet to be worked out."""

    __slots__ = ("_indices", "_offsets", "_stretches", "_unworked")

    def __init__(self) -> None:
        self._indices: list[int] = []
        self._offsets: list[int] = []
        self._stretches: list[tuple[bytes, int] | None] = []
        self._unworked = 0

    def add(self, index: int, offset: int, stretch: tuple[bytes, int] | None = None) -> None:
        """Text from this index on is at that offset: byte for byte, or what `escapes.strip` leaves of a stretch, and its length."""
        if stretch is not None:
            self._unworked += 1
        elif self._stretches and self._stretches[-1] is None and index - self._indices[-1] == offset - self._offsets[-1]:
            return
        self._indices.append(index)
        self._offsets.append(offset)
        self._stretches.append(stretch)

    def offset(self, index: int) -> int:
        """Where the byte at this index of the text is; the last byte of a sequence for a sequence that ends a line."""
        while True:
            at = bisect_right(self._indices, index) - 1 if len(self._indices) > 1 else 0
            if self._stretches[at] is None:
                return self._offsets[at] + index - self._indices[at]
            self._work_out(at, index)

    def take(self, other: Places, start: int, end: int, index: int, anew: bool = True) -> None:
        """The places of `other` between start and end, for text that begins at `index` here.

        Not `anew`: what leads up to `start` there leads up to `index` here.
        """
        at = max(bisect_right(other._indices, start) - 1, 0)
        if index and at < len(other._indices) and other._indices[at] < start:
            if anew:
                self.add(index, other.offset(start))
                at = bisect_right(other._indices, start) - 1
            at += 1
        while at < len(other._indices) and other._indices[at] < end:
            self.add(other._indices[at] - start + index, other._offsets[at], other._stretches[at])
            at += 1
        if self._unworked > _UNWORKED_MOST:
            self._compact()

    def _work_out(self, at: int, index: int) -> None:
        """Puts runs in place of a stretch. Of its last line alone, if the index is there: it is what is asked most."""
        stretch = self._stretches[at]
        assert stretch is not None
        output, length = stretch
        begun, offset = self._indices[at], self._offsets[at]
        self._unworked -= 1
        kept = 0
        cut = output.rfind(b"\n")
        if cut > 0:
            indices, positions, count = escapes.runs(output[cut:])
            if index >= begun + length - count:
                kept = 1
                self._unworked += 1
                self._stretches[at] = (output[:cut], length - count)
                begun += length - count
                offset += cut
        if not kept:
            indices, positions, _ = escapes.runs(output)
        at += kept
        until = at + 1 - kept
        self._indices[at:until] = [begun + each for each in indices]
        self._offsets[at:until] = [offset + each for each in positions]
        self._stretches[at:until] = [None] * len(indices)

    def _compact(self) -> None:
        whole = Places()
        for at in range(len(self._stretches) - 1, -1, -1):
            if self._stretches[at] is not None:
                self._work_out(at, self._indices[at] - 1)
        first = max(bisect_right(self._indices, 0) - 1, 0)
        for index, offset in zip(self._indices[first:], self._offsets[first:], strict=True):
            whole.add(index, offset)
        self._indices, self._offsets, self._stretches, self._unworked = whole._indices, whole._offsets, whole._stretches, 0
