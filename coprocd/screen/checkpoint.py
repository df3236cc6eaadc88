"""Checkpoints: a terminal as it was at a place of its session's output, kept behind the ring of the output log.

Two copies stand side by side. The worker writes the older one, and then gives the memory of the other back: a worker killed while it
writes leaves the one before. So a terminal is there again, whoever of worker, daemon and keeper was killed, once what came after the checkpoint
was fed again. The daemon reads only what a checkpoint stands for.

    head    magic · sequence · offset · injected · rows, cols · packed · length · crc32 of the rest and the data
    data    what the emulator saved, compressed when it is packed
"""

from __future__ import annotations

import os
import struct
import zlib
from typing import NamedTuple

from coprocd.platform import memory

COPY_BYTES = 32 << 20
"""One copy with its head; what is never written takes no memory. The most that a terminal with the most scrollback was seen to take is a third."""

BYTES = 2 * COPY_BYTES

_MAGIC = int.from_bytes(b"coprocdS", "little")
_HEAD = struct.Struct("<QQQQIIIII")


class Saved(NamedTuple):
    """What a checkpoint stands for: the place in the session's display, and the size."""

    offset: int
    injected: int
    rows: int
    cols: int


class _Head(NamedTuple):
    sequence: int
    saved: Saved
    packed: bool
    length: int
    checksum: int


class Checkpoints:
    """The two copies from `base` on in the segment `fd`, which stays the caller's."""

    def __init__(self, fd: int, base: int) -> None:
        self._fd = fd
        self.base = base

    def newest(self) -> Saved | None:
        """What the newest one stands for, by its head alone."""
        heads = self._heads()
        return heads[0][1].saved if heads else None

    def read(self) -> tuple[Saved, bytes] | None:
        """The newest whole one, and what the emulator saved."""
        for copy, head in self._heads():
            data = os.pread(self._fd, head.length, self._place(copy) + _HEAD.size)
            if _checksum(head, data) == head.checksum:
                return head.saved, zlib.decompress(data) if head.packed else data
        return None

    def write(self, saved: Saved, data: bytes, pack: bool) -> bool:
        """Stores one, `pack`: in less memory; False when there is no room, and then those before stand."""
        if pack:
            data = zlib.compress(data, 1)
        if len(data) > COPY_BYTES - _HEAD.size:
            return False
        heads = self._heads()
        copy = 1 - heads[0][0] if heads else 0
        head = _Head(heads[0][1].sequence + 1 if heads else 1, saved, pack, len(data), 0)
        head = head._replace(checksum=_checksum(head, data))
        at, size = self._place(copy), _HEAD.size + len(data)
        try:
            memory.reserve(self._fd, at, size)
            _write(self._fd, data, at + _HEAD.size)
            _write(self._fd, _packed(head), at)
        except (OSError, memory.NoMemory):
            self._forget(copy)
            return False
        self._forget(1 - copy)
        memory.release(self._fd, at + size, COPY_BYTES - size)
        return True

    def forget(self) -> None:
        """There is none any more."""
        for copy in (0, 1):
            self._forget(copy)

    def _place(self, copy: int) -> int:
        return self.base + copy * COPY_BYTES

    def _forget(self, copy: int) -> None:
        """It counts no longer, and its memory is given back where the system can."""
        try:
            os.pwrite(self._fd, bytes(_HEAD.size), self._place(copy))
        except OSError:
            pass  # there was no memory for it, so there is nothing
        memory.release(self._fd, self._place(copy), COPY_BYTES)

    def _heads(self) -> list[tuple[int, _Head]]:
        """Those that look whole, by copy, the newest first."""
        found = []
        for copy in (0, 1):
            raw = os.pread(self._fd, _HEAD.size, self._place(copy))
            if len(raw) < _HEAD.size:  # the segment of a version that had none
                continue
            magic, sequence, offset, injected, rows, cols, packed, length, checksum = _HEAD.unpack(raw)
            if magic == _MAGIC and length <= COPY_BYTES - _HEAD.size:
                found.append((copy, _Head(sequence, Saved(offset, injected, rows, cols), bool(packed), length, checksum)))
        return sorted(found, key=lambda entry: -entry[1].sequence)


def _packed(head: _Head) -> bytes:
    saved = head.saved
    return _HEAD.pack(_MAGIC, head.sequence, saved.offset, saved.injected, saved.rows, saved.cols, head.packed, head.length, head.checksum)


def _checksum(head: _Head, data: bytes) -> int:
    """Over both, so that the head of one and the data of another, as a torn write may leave, do not count."""
    return zlib.crc32(data, zlib.crc32(_packed(head._replace(checksum=0))))


def _write(fd: int, data: bytes, at: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, at)
        view, at = view[written:], at + written
