"""The length of the line that a canonical terminal is collecting: past 4,095 bytes the kernel drops what is typed.

termios(3): in canonical mode a line is at most 4,096 characters, the line end included; more are cut without an error
to the writer. So they are counted, by rules that are the terminal's at that time. The count may be too high, never too
low: what erases a character counts as one more, and so does what the terminal ignores.
"""

from __future__ import annotations

import re
from typing import NamedTuple

LINE_MOST = 4095
"""Bytes of one line, its end not counted (N_TTY_BUF_SIZE − 1, n_tty(4))."""

_END = b"\n"


class LineRules(NamedTuple):
    """What a terminal's settings say of a line; each is a set of bytes, as a string of them."""

    ends: bytes = b"\n\r\x03\x04\x15\x1a\x1c"
    """What ends or empties it; the default: LF, CR, ^C, ^D, ^U, ^Z, ^\\."""
    quotes: bytes = b"\x16"
    """What takes its meaning from the byte that follows."""
    doubled: bytes = b""
    """What takes the room of two."""

    def plain(self, data: bytes, quoted: bool) -> tuple[bytes, bool]:
        """`data`, each byte as long as it counts and with LF as the one end of a line; and whether the next byte is `quoted`."""
        for byte in self.doubled:
            data = data.replace(bytes([byte]), bytes([byte, byte]))
        if quoted and data:
            data = b"." + data[1:]
        quoted = quoted and not data
        if self.quotes:
            data = re.sub(b"[%b]." % re.escape(self.quotes), b"..", data, flags=re.DOTALL)
            quoted = quoted or data.endswith(tuple(bytes([byte]) for byte in self.quotes))
        others = bytes(set(_END) - set(self.ends))
        return data.translate(bytes.maketrans(others + self.ends, b"." * len(others) + _END * len(self.ends))), quoted


class CanonicalLine(NamedTuple):
    """The line so far: its bytes since the last end, and whether the next one is quoted."""

    length: int = 0
    quoted: bool = False

    def type(self, data: bytes, rules: LineRules) -> Typed:
        """What comes of it when `data` is typed."""
        text, quoted = rules.plain(data, self.quoted)
        start, cut, longest = -self.length, 0, 0
        while True:
            # The last end within reach: no line before it can be too long.
            end = text.rfind(_END, max(start, 0), max(start + LINE_MOST + 1, 0))
            if end < 0:
                end = text.find(_END, max(start + LINE_MOST + 1, 0))
                stop = end if end >= 0 else len(text)
                past = min(stop - max(start, 0), stop - start - LINE_MOST)
                if past > 0:
                    cut, longest = cut + past, max(longest, stop - start)
                if end < 0:
                    return Typed(CanonicalLine(len(text) - start, quoted), cut, longest)
            start = end + 1


class Typed(NamedTuple):
    """The `line` afterwards, how many bytes the terminal drops, and how long the `longest` line is that loses some."""

    line: CanonicalLine
    cut: int
    longest: int
