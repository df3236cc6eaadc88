"""Mends a terminal that the library will not save.

It refuses one where half a wide character stands at the right edge, which is what a resize leaves of one on a screen that does not reflow:
the alternate one, be it shown or left. And one that is within a sequence of control characters of eight bits. Both are mended with as
little change as can be; the binding calls it when saving has failed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from coprocd.screen.sgr import sgr

if TYPE_CHECKING:
    from coprocd.screen.native import Terminal

_ORIGIN, _ALTERNATE = 6, 47


def mend_edges(terminal: Terminal) -> None:
    """Erases what stands at the right edge and does not fit, in the screen that shows, and all of an alternate screen that was left."""
    cols = terminal.number("COLS")
    broken = [y for y, line in enumerate(terminal.lines()) if sum(piece.width for piece in line.pieces) > cols]
    held = terminal.continuation() or b""
    back = b"\x1b[%d;%dH" % (terminal.number("CURSOR_Y") + 1, terminal.number("CURSOR_X") + 1)
    pen = sgr(terminal.pen()).encode() + terminal.pen_fragments()
    origin, alternate = terminal.mode(_ORIGIN), terminal.mode(_ALTERNATE)
    terminal.set_mode(_ORIGIN, False)
    terminal.write(b"\x18\x1b[m")
    for y in broken:
        terminal.write(b"\x1b[%d;%dH\x1b[X" % (y + 1, cols))
    if not terminal.alternate:
        terminal.write(b"\x1b[?%dh\x1b[2J\x1b[?%dl" % (_ALTERNATE, _ALTERNATE))
        terminal.set_mode(_ALTERNATE, alternate)
    terminal.write(back + pen)
    terminal.set_mode(_ORIGIN, origin)
    terminal.write(held)
