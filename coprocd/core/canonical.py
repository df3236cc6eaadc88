"""The length of the line that a canonical terminal is collecting: past 4,095 bytes the kernel drops what is typed.

termios(3): in canonical mode a line is at most 4,096 characters, the line end included; more are cut without an error
to the writer. So they are counted before they are typed.
"""

from __future__ import annotations

import re

LINE_MOST = 4095
"""Bytes of one line, its end not counted (N_TTY_BUF_SIZE − 1, n_tty(4))."""

# What ends or empties the line that is being collected, with the usual control characters: LF, CR, ^C, ^D, ^U, ^Z, ^\.
_BREAK = re.compile(rb"[\n\r\x03\x04\x15\x1a\x1c]")


class CanonicalLine:
    """Counts the bytes typed since the line was last ended."""

    __slots__ = ("length",)

    def __init__(self) -> None:
        self.length = 0

    def longest(self, data: bytes) -> int:
        """The length of the longest line if `data` were typed now."""
        pieces = _BREAK.split(data)
        return max(self.length + len(pieces[0]), *(len(piece) for piece in pieces[1:]), 0)

    def typed(self, data: bytes) -> None:
        """`data` was typed."""
        pieces = _BREAK.split(data)
        self.length = len(pieces[-1]) + (self.length if len(pieces) == 1 else 0)
