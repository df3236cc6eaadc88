"""The pen of a terminal, as sequences: what the next character will look like, and which charsets it is taken from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coprocd.screen.grid import PLAIN
from coprocd.screen.sgr import sgr

if TYPE_CHECKING:
    from coprocd.screen.native import Terminal

BARE_PEN = b'\x1b[m\x1b(B\x1b)B\x1b*B\x1b+B\x0f\x1b}\x1b[0"q\x1b]8;;\x1b\\'
"""Makes a pen one with nothing set."""


def pen(terminal: Terminal) -> bytes:
    """Makes a bare pen that of `terminal`."""
    style = terminal.pen()
    return (sgr(style).encode() if style != PLAIN else b"") + terminal.pen_fragments()
