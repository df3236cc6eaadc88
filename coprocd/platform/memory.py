"""Memory with a descriptor, that lives as long as any process holds it: a memfd, else a file without a name."""

from __future__ import annotations

import errno
import mmap
import os
import tempfile

AVAILABLE = hasattr(os, "memfd_create")

_REFUSED = (errno.ENOSPC, errno.ENOMEM, errno.EDQUOT, errno.EFBIG)


CHUNK_BYTES = 1 << 18
"""Written at a time where memory cannot be asked for otherwise."""


class NoMemory(Exception):
    """There is no room for more now; what was to be written is still where it was."""


def create(name: str, size: int) -> int:
    """A descriptor of `size` bytes of zeros, none of which take memory until they are written. OSError when there is no room."""
    if AVAILABLE:
        fd = os.memfd_create(name, os.MFD_CLOEXEC)
    else:
        with tempfile.TemporaryFile(prefix="coprocd-") as file:
            fd = os.dup(file.fileno())
    try:
        os.ftruncate(fd, size)
    except OSError:
        os.close(fd)
        raise
    return fd


def reserve(fd: int, position: int, size: int) -> None:
    """Makes sure that `size` bytes at `position` can be written; NoMemory when they cannot. Costs memory, as writing them would."""
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(fd, position, size)
        else:  # macOS: what is there is written back, zeros where nothing was
            for start in range(position, position + size, CHUNK_BYTES):
                os.pwrite(fd, os.pread(fd, min(CHUNK_BYTES, position + size - start), start), start)
    except OSError as error:
        if error.errno not in _REFUSED:
            raise
        raise NoMemory(error.strerror) from error


def release(fd: int, position: int, size: int) -> None:
    """Gives the whole pages among `size` bytes at `position` back, where the system can; they are zeros then. The descriptor keeps its size."""
    start, stop = -(-position // mmap.PAGESIZE) * mmap.PAGESIZE, (position + size) // mmap.PAGESIZE * mmap.PAGESIZE
    if not hasattr(mmap, "MADV_REMOVE") or start >= stop:
        return
    try:
        with mmap.mmap(fd, stop - start, offset=start) as view:
            view.madvise(mmap.MADV_REMOVE)
    except (OSError, ValueError):  # a file system that cannot, or a file that ends before
        pass
