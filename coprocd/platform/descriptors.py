"""How many descriptors this process has open and may have, and how many terminals the machine has."""

from __future__ import annotations

import os
import resource

_TERMINALS = ("/proc/sys/kernel/pty/nr", "/proc/sys/kernel/pty/max")


def raise_limit() -> tuple[int, int]:
    """Raises the soft limit to the hard one; the limit as it was, which is what jobs get: select(2) breaks above 1,024."""
    original = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (original[1], original[1]))
    return original


def limit() -> int:
    """How many there may be."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return soft if soft != resource.RLIM_INFINITY else 1 << 31


def count() -> int:
    """How many are open: what the kernel counts (Linux 6.2), else as many as are listed."""
    try:
        return os.stat("/proc/self/fd").st_size or len(os.listdir("/proc/self/fd"))
    except OSError:
        return len(os.listdir("/dev/fd"))


def terminals() -> tuple[int, int] | None:
    """Terminals in use on the machine, and how many there may be; None where the system does not tell."""
    try:
        with open(_TERMINALS[0]) as used, open(_TERMINALS[1]) as most:
            return int(used.read()), int(most.read())
    except (OSError, ValueError):
        return None
