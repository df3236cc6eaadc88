"""The emulator the screen worker has: libghostty-vt, behind `Emulator`.

It keeps the session's size and its promises whatever the output asks for: answers go through the allowlist, the size is the pty's and
not the output's, a sequence without an end is forgotten. The worker makes one with `new` or `load`, for each session.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

from coprocd.screen.answers import allowed
from coprocd.screen.capture import capture
from coprocd.screen.emulator import SCROLLBACK_BYTES, Capture, Emulator, Format
from coprocd.screen.native import Terminal
from coprocd.screen.redraw import redraw

MOST_ROWS = MOST_COLS = 1000
"""A pty may claim 65,535 of each, and the cells of such a screen would be 32 GiB."""

_PIECE_BYTES = 64 << 10


def new(rows: int, cols: int, scrollback_bytes: int = SCROLLBACK_BYTES) -> Emulator:
    """A terminal on which nothing was printed."""
    answers: list[bytes] = []
    return _Ghostty(Terminal.new(*_size(rows, cols), scrollback_bytes, answers.append), answers)


def load(saved: bytes, scrollback_bytes: int = SCROLLBACK_BYTES) -> Emulator:
    """One that is like that which `save` was asked of. EmulatorError when these are no such bytes."""
    answers: list[bytes] = []
    return _Ghostty(Terminal.decode(saved, scrollback_bytes, answers.append), answers)


def _size(rows: int, cols: int) -> tuple[int, int]:
    return min(max(rows, 1), MOST_ROWS), min(max(cols, 1), MOST_COLS)


class _Ghostty:
    def __init__(self, terminal: Terminal, answers: list[bytes]) -> None:
        self._terminal = terminal
        self._answers = answers
        self._rows, self._cols = terminal.number("ROWS"), terminal.number("COLS")
        self._begun = b""

    @property
    def rows(self) -> int:
        return self._rows

    @property
    def cols(self) -> int:
        return self._cols

    @property
    def title(self) -> str:
        text = self._terminal.title.decode(errors="replace")
        return "".join(character for character in text if unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp"))

    def feed(self, data: bytes) -> bytes:
        for start in range(0, len(data), _PIECE_BYTES):
            self._terminal.write(data[start : start + _PIECE_BYTES] if len(data) > _PIECE_BYTES else data)
            self._forget()
        if self._terminal.number("COLS") != self._cols:  # DECCOLM: the pty's size is not the output's to change
            self._terminal.resize(self._rows, self._cols)
        return self._answered()

    def resize(self, rows: int, cols: int) -> bytes:
        self._rows, self._cols = _size(rows, cols)
        self._terminal.resize(self._rows, self._cols)
        return self._answered()

    def save(self) -> bytes:
        return self._terminal.encode()

    def redraw(self, *, moved: Callable[[], None] = lambda: None) -> bytes:
        return redraw(self._terminal, moved)

    def capture(self, format: Format, scrollback: int = 0, *, moved: Callable[[], None] = lambda: None) -> Capture:
        return capture(self._terminal, format, scrollback, self.title, moved)

    def close(self) -> None:
        self._terminal.close()

    def _forget(self) -> None:
        """Lets a string that has no end go, so that the rest can be saved. One of no meaning takes its place, until it ends after all."""
        if self._terminal.ground:
            self._begun = b""
            return
        continuation = self._terminal.continuation()
        if continuation is not None:
            self._begun = continuation[:2]
            return
        self._terminal.write(b"\x18" + (b"\x1b]9999;" if self._begun == b"\x1b]" else b"\x1b_"))

    def _answered(self) -> bytes:
        if not self._answers:
            return b""
        answers = b"".join(self._answers)
        self._answers.clear()
        return allowed(answers)
