"""What can be asked of a socket."""

from __future__ import annotations

import array
import fcntl
import termios


def untaken(fd: int) -> int:
    """How much the peer has still to take of what was sent (TIOCOUTQ); on Unix sockets with the kernel's own cost, so only a measure. 0 where the system does not say."""
    count = array.array("i", [0])
    try:
        fcntl.ioctl(fd, termios.TIOCOUTQ, count)
    except OSError:
        return 0
    return count[0]
