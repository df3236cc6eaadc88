"""The terminal modes that decide what is typed, and what triggers see: bracketed paste (DECSET 2004), application cursor keys (DECCKM), and
the alternate screen (DECSET 47, 1047, 1049).

Not a terminal: it only looks for the sequences that set and reset the three, across chunks, in what the session prints.
"""

from __future__ import annotations

import re

_SEQUENCE = re.compile(rb"\x1b\[\?([0-9;]{1,64})([hl])|\x1bc|\x1b\[!p")
_KEEP = 70
"""Bytes kept from one chunk to the next: as long as the longest sequence that is looked for."""


class InputModes:
    """Fed with output in order, it knows the modes at its end."""

    __slots__ = ("_tail", "alternate_screen", "application_cursor", "bracketed_paste")

    def __init__(self, bracketed_paste: bool = False, application_cursor: bool = False, alternate_screen: bool = False) -> None:
        self.bracketed_paste = bracketed_paste
        self.application_cursor = application_cursor
        self.alternate_screen = alternate_screen
        self._tail = b""

    def feed(self, data: bytes) -> None:
        """Takes the next chunk of output, of any size."""
        if self._tail:
            data = self._tail + data
        begun = 0
        if b"\x1b" in data:
            for match in _SEQUENCE.finditer(data):
                self._apply(match)
                begun = match.end()
        open_at = data.rfind(b"\x1b", max(begun, len(data) - _KEEP))
        self._tail = data[open_at:] if open_at >= 0 else b""

    def _apply(self, match: re.Match[bytes]) -> None:
        numbers, final = match.groups()
        if numbers is None:
            self.bracketed_paste = self.bracketed_paste and match.group() != b"\x1bc"
            self.application_cursor = False
            self.alternate_screen = self.alternate_screen and match.group() != b"\x1bc"
            return
        for number in numbers.split(b";"):
            if number == b"2004":
                self.bracketed_paste = final == b"h"
            elif number == b"1":
                self.application_cursor = final == b"h"
            elif number in (b"47", b"1047", b"1049"):
                self.alternate_screen = final == b"h"
