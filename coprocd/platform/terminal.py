"""What a pty's master tells of its terminal: name, size, line discipline, and the process group in front."""

from __future__ import annotations

import fcntl
import os
import struct
import termios
from collections import namedtuple

Line = namedtuple("Line", "echo canonical")

_TIOCGPTN = 0x80045430
"""Asks a Linux master for its number (ioctl_tty(2)); os.ptsname came with Python 3.13."""


def name(master: int) -> str:
    """The path of the terminal, `/dev/pts/3`; empty where it cannot be told."""
    if hasattr(os, "ptsname"):
        return str(os.ptsname(master))
    try:
        return f"/dev/pts/{struct.unpack('i', fcntl.ioctl(master, _TIOCGPTN, bytes(4)))[0]}"
    except OSError:
        return ""


def resize(master: int, rows: int, cols: int) -> None:
    """Sets the winsize; the job in front gets SIGWINCH."""
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))


def line(master: int) -> Line | None:
    """Whether the terminal echoes, and whether it collects lines (ICANON); None once it is gone."""
    try:
        flags = termios.tcgetattr(master)[3]
    except termios.error:
        return None
    return Line(bool(flags & termios.ECHO), bool(flags & termios.ICANON))


def foreground(master: int) -> int | None:
    """The process group in front, or None when there is none."""
    try:
        group = os.tcgetpgrp(master)
    except OSError:
        return None
    return group if group > 0 else None
