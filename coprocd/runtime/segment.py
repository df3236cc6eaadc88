"""A segment: memory of a session or coprocess that outlives the daemon, since the keeper holds its descriptor too.

It begins with a mapped header of 64-bit slots, each stored atomically; what follows is read and written by offset and
never mapped, since mapped pages would count as ours and end the process with SIGBUS when memory is short.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import MutableSequence
from typing import cast

from coprocd.platform import memory
from coprocd.protocol.errors import CoprocdError

MAGIC = int.from_bytes(b"coprocd1", "little")
PAGE = 4096
RESERVED_SLOTS = 2
"""Slots 0 and 1 of every header: the magic number, and the version of the layout."""


class Segment:
    """A descriptor with a mapped header. `slots` is a sequence of unsigned 64-bit numbers."""

    __slots__ = ("_map", "_view", "fd", "slots")

    def __init__(self, fd: int, header_bytes: int) -> None:
        self.fd = fd
        self._map = mmap.mmap(fd, header_bytes)
        self._view = memoryview(self._map).cast("Q")
        self.slots = cast(MutableSequence[int], self._view)

    @classmethod
    def create(cls, name: str, header_bytes: int, data_bytes: int, schema: int) -> Segment:
        """A new segment, its header in memory for certain; `resource_exhausted` when there is no room for it."""
        try:
            fd = memory.create(name, header_bytes + data_bytes)
        except OSError as error:
            raise _exhausted(name, error) from error
        try:
            os.pwrite(fd, bytes(header_bytes), 0)
            segment = cls(fd, header_bytes)
        except OSError as error:
            os.close(fd)
            raise _exhausted(name, error) from error
        segment.slots[1] = schema
        segment.slots[0] = MAGIC
        return segment

    @classmethod
    def open(cls, fd: int, header_bytes: int, schema: int) -> Segment:
        """One that an earlier daemon made; takes the descriptor over. `version_mismatch` when its layout is not ours."""
        segment = cls(fd, header_bytes)
        if segment.slots[0] != MAGIC or segment.slots[1] != schema:
            found = segment.slots[1]
            segment.close()
            raise CoprocdError(
                "version_mismatch",
                f"a session's state has layout {found}, this daemon reads layout {schema}: start the version of coprocd that wrote it",
            )
        return segment

    @property
    def layout(self) -> int:
        """The number of its layout."""
        return self.slots[1]

    def close(self) -> None:
        """Lets go of the mapping and the descriptor; the keeper's duplicate stays until it is dropped there."""
        if self.fd >= 0:
            self._view.release()
            self._map.close()
            os.close(self.fd)
            self.fd = -1


def _exhausted(name: str, error: OSError) -> CoprocdError:
    return CoprocdError(
        "resource_exhausted",
        f"no memory for {name}: {error.strerror}; close sessions that have ended, or raise the limit it names",
    )
