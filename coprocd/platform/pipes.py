"""Pipes that carry bytes between a descriptor and a ring, and what can be asked of them.

With splice(2) bytes move inside the kernel, so a killed daemon leaves each of them either in the pipe or in the ring.
Without it they pass through the daemon's memory, and a kill in that instant loses what is on its way: at most one
chunk of 64 KiB a descriptor.
"""

from __future__ import annotations

import array
import fcntl
import os
import termios

AVAILABLE = hasattr(os, "splice")

CHUNK_BYTES = 65536
"""The most that moves in one turn: the size of a pipe's buffer (pipe(7))."""


def create(size: int | None = None) -> tuple[int, int]:
    """A pipe that never blocks (read end, write end), its buffer set to `size` bytes where that can be done."""
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    os.set_blocking(write_end, False)
    if size is not None and hasattr(fcntl, "F_SETPIPE_SZ"):
        try:
            fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, size)
        except OSError:
            pass  # over the user's share (pipe-user-pages-soft): a smaller buffer only means more turns
    return read_end, write_end


def close(fd: int) -> None:
    """Closes `fd`, unless it is −1."""
    if fd >= 0:
        os.close(fd)


def unread(fd: int) -> int:
    """Bytes that stand in the pipe behind `fd` (FIONREAD); 0 where the system does not say."""
    return counted(fd, termios.FIONREAD)


def counted(fd: int, request: int) -> int:
    """What this ioctl(2) counts; 0 where the system does not say."""
    count = array.array("i", [0])
    try:
        fcntl.ioctl(fd, request, count)
    except OSError:
        return 0
    return count[0]
