"""Memory with a descriptor, that lives as long as any process holds it: a memfd, else a file without a name."""

from __future__ import annotations

import os
import tempfile

AVAILABLE = hasattr(os, "memfd_create")


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
