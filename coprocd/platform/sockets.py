"""What can be asked of a socket."""

from __future__ import annotations

import termios

from coprocd.platform import pipes


def untaken(fd: int) -> int:
    """How much the peer has still to take of what was sent (TIOCOUTQ); on Unix sockets with the kernel's own cost, so only a measure. 0 where the system does not say."""
    return pipes.counted(fd, termios.TIOCOUTQ)
