"""Mends what a resize has torn: wide characters on a screen that does not reflow, of which half is beyond the right edge.

The library does not save a terminal with such a cell, and may end the process over it. The binding calls this after each resize, and
once more when saving fails all the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from coprocd.screen.pen import BARE_PEN, pen

if TYPE_CHECKING:
    from coprocd.screen.native import Terminal

_ORIGIN, _ALTERNATE = 6, 47


def mend(terminal: Terminal) -> None:
    """Makes spaces of torn cells on the screen that shows. A sequence in progress goes on, and the cursor stays, but does not wait to wrap."""
    if torn := terminal.torn():
        _aside(terminal, b"".join(b"\x1b[%d;%dH\x1b[1X " % (y + 1, x + 1) for x, y in torn))


def clear_alternate(terminal: Terminal) -> None:
    """Clears the alternate screen while the primary one shows: it may hold torn cells, and nothing will look at it again."""
    if not terminal.alternate:
        alternate = terminal.mode(_ALTERNATE)
        _aside(terminal, b"\x1b[?%dh\x1b[2J\x1b[?%dl" % (_ALTERNATE, _ALTERNATE))
        terminal.set_mode(_ALTERNATE, alternate)


def _aside(terminal: Terminal, output: bytes) -> None:
    """Prints `output` with a bare pen and without margins counting, and goes on as if nothing had been."""
    held = terminal.continuation() or b""
    back = b"\x1b[%d;%dH" % (terminal.number("CURSOR_Y") + 1, terminal.number("CURSOR_X") + 1) + pen(terminal)
    origin = terminal.mode(_ORIGIN)
    terminal.set_mode(_ORIGIN, False)
    terminal.write((b"\x18" if held else b"") + BARE_PEN + output + back)
    terminal.set_mode(_ORIGIN, origin)
    terminal.write(held)
