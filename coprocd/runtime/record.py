"""A record: a small value that outlives the daemon, written whole or not at all.

Two copies stand side by side in a segment; each write goes to the older one. A copy counts when its checksum is right,
and of two that count the one with the higher sequence number: so a daemon killed while it writes leaves the one before.
"""

from __future__ import annotations

import os
import struct
import zlib
from typing import Generic, TypeVar

import msgspec

from coprocd.platform import memory
from coprocd.protocol.errors import CoprocdError

SPARE_BYTES = 4096
"""How much a value may grow before memory is asked for again."""

_HEAD = struct.Struct("<QII")  # sequence, length, crc32

Value = TypeVar("Value", bound=msgspec.Struct)


class Record(Generic[Value]):
    """The record of type `kind` in the two copies of `copy_bytes` each that begin at `base` of `fd`."""

    def __init__(self, fd: int, base: int, copy_bytes: int, kind: type[Value]) -> None:
        self._fd = fd
        self._base = base
        self._copy_bytes = copy_bytes
        self._kind = kind
        self._decoder = msgspec.json.Decoder(kind)
        self._encoder = msgspec.json.Encoder()
        self._sequence = 0
        self._reserved = 0

    def write(self, value: Value) -> None:
        """Stores `value`; `resource_exhausted` when it is too large, and then the one before stands."""
        try:
            data = self._encoder.encode(value)
        except UnicodeEncodeError as error:
            raise CoprocdError("invalid_params", f"{self._kind.__name__} holds bytes that are no text: {error}; give text") from None
        if len(data) > self._copy_bytes - _HEAD.size:
            raise CoprocdError(
                "resource_exhausted",
                f"{self._kind.__name__} takes {len(data)} bytes and may take {self._copy_bytes - _HEAD.size}: give fewer or shorter arguments, variables, labels and triggers",
            )
        sequence = self._sequence + 1
        try:
            self._reserve(_HEAD.size + len(data))
            os.pwrite(self._fd, _HEAD.pack(sequence, len(data), _checksum(sequence, data)) + data, self._place(sequence))
        except (OSError, memory.NoMemory) as error:
            raise CoprocdError("resource_exhausted", f"no memory for a session's state: {error}; close sessions that have ended") from error
        self._sequence = sequence

    def read(self) -> Value | None:
        """The newest whole value, or None when none was ever written."""
        newest, latest = b"", 0
        for place in (self._place(0), self._place(1)):
            head = os.pread(self._fd, _HEAD.size, place)
            if len(head) < _HEAD.size:  # the segment of a version that had no such record
                continue
            sequence, length, checksum = _HEAD.unpack(head)
            if sequence > latest and length <= self._copy_bytes - _HEAD.size:
                data = os.pread(self._fd, length, place + _HEAD.size)
                if _checksum(sequence, data) == checksum:
                    newest, latest = data, sequence
        self._sequence = max(self._sequence, latest)
        return self._decoder.decode(newest) if newest else None

    def _reserve(self, size: int) -> None:
        """Makes sure of both copies, and of a little more: what happens to a session at its end must find room."""
        if size > self._reserved:
            more = min(self._copy_bytes, size + SPARE_BYTES)
            for place in (self._place(0), self._place(1)):
                memory.reserve(self._fd, place, more)
            self._reserved = more

    def _place(self, sequence: int) -> int:
        return self._base + sequence % 2 * self._copy_bytes


def _checksum(sequence: int, data: bytes) -> int:
    """Over both: an old value under a new number, as a torn write may leave, must not count."""
    return zlib.crc32(data, sequence & 0xFFFFFFFF)
