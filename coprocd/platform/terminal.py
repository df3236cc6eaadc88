"""What a pty's master tells of its terminal: name, size, line discipline, whether it takes output, and the process group in front."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import termios
from collections import namedtuple

from coprocd.core.canonical import LineRules

# Whether the terminal echoes, whether it collects lines (ICANON), and if so by which LineRules, else None.
Line = namedtuple("Line", "echo canonical rules")

_TIOCGPTN = 0x80045430
"""Asks a Linux master for its number (ioctl_tty(2)); os.ptsname came with Python 3.13."""

_TIOCGPTPEER = 0x5441
"""Opens the other end of a Linux master, wherever its path leads (ioctl_tty(2), Linux 4.13)."""

_EXTPROC = 0o200000
"""In c_lflag of Linux: lines are edited by somebody else, and no byte ends one."""


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


def size(master: int) -> tuple[int, int] | None:
    """The winsize (rows, cols), unless it was set to nothing."""
    cols, rows = os.get_terminal_size(master)
    return (rows, cols) if rows and cols else None


def line(master: int) -> Line | None:
    """How the terminal treats what is typed; None once it is gone."""
    try:
        input_flags, _, _, flags, _, _, characters = termios.tcgetattr(master)
    except termios.error:
        return None
    canonical = bool(flags & termios.ICANON)
    return Line(bool(flags & termios.ECHO), canonical, _rules(input_flags, flags, characters, _disabled(master)) if canonical else None)


def foreground(master: int) -> int | None:
    """The process group in front, or None when there is none."""
    try:
        group = os.tcgetpgrp(master)
    except OSError:
        return None
    return group if group > 0 else None


def takes_output(master: int) -> bool | None:
    """Whether the job could print a byte now: False where the terminal is full, or stopped (^S); None where it cannot be told."""
    try:
        slave = fcntl.ioctl(master, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        poll = select.poll()
        poll.register(slave, select.POLLOUT)
        return bool(poll.poll(0))
    finally:
        os.close(slave)


def _rules(input_flags: int, flags: int, characters: list[bytes], disabled: bytes) -> LineRules:
    """From the c_iflag, c_lflag and c_cc of a canonical terminal (termios(3)), the reverse of the order in which Linux goes by them.

    A control character that is switched off stands as `disabled`.
    """

    def bytes_of(*indices: int) -> set[bytes]:
        return {characters[index] for index in indices} - {disabled}

    extended = bool(flags & termios.IEXTEN)
    ends = bytes_of(termios.VEOF, termios.VEOL, termios.VKILL, *([termios.VEOL2] if extended else []))
    ends = ends - {b"\n"} if input_flags & termios.INLCR else ends | {b"\n"}
    quotes = bytes_of(termios.VLNEXT) if extended else set()
    ends -= bytes_of(termios.VERASE, *([termios.VWERASE, termios.VREPRINT] if extended else [])) | quotes
    if input_flags & termios.IGNCR:
        ends -= {b"\r"}
    elif input_flags & termios.ICRNL and b"\n" in ends:
        ends |= {b"\r"}
    if flags & termios.ISIG:
        signals = bytes_of(termios.VINTR, termios.VQUIT, termios.VSUSP)
        ends = ends - signals if flags & termios.NOFLSH else ends | signals
    if input_flags & termios.IXON:
        ends -= bytes_of(termios.VSTART, termios.VSTOP)
    if flags & _EXTPROC:
        ends.clear()
    if input_flags & termios.ISTRIP:
        quotes |= {bytes([quote[0] | 0x80]) for quote in quotes}
    return LineRules(b"".join(sorted(ends)), b"".join(sorted(quotes)), b"\xff" if input_flags & termios.PARMRK else b"")


def _disabled(master: int) -> bytes:
    """What stands for a control character that is switched off: NUL on Linux, 0xff elsewhere (fpathconf(3))."""
    return bytes([os.fpathconf(master, "PC_VDISABLE")])
