"""Lines of cells as the bytes that draw them on an empty screen: text, SGR, OSC 8, and erasing where nothing was printed.

It leaves rows joined where the text wraps, so that a terminal that is made wider later puts them together as the first one did.
It counts on: no margins, autowrap on, inserting off, ASCII charsets. `redraw` sees to that.
"""

from __future__ import annotations

from collections.abc import Iterable

from coprocd.screen.grid import PLAIN, Line, Piece, Style
from coprocd.screen.sgr import sgr


class Brush:
    """Bytes in the making, and the pen that a terminal has after them."""

    def __init__(self) -> None:
        self._out: list[str] = []
        self._style = PLAIN
        self._link: str | None = None
        self._protected = False

    def taken(self) -> bytes:
        """What was painted; a new painting begins, with the pen as it is."""
        painted = "".join(self._out).encode()
        self._out.clear()
        return painted

    def lines(self, lines: Iterable[Line], cols: int) -> None:
        """All of `lines`, from the top on."""
        before = Line()
        for y, line in enumerate(lines):
            goes_on = before.wraps and (_is_wide(line) if before.split else _fills(before, cols))
            if goes_on:
                if not line.pieces or not line.pieces[0].text:
                    self._pen(PLAIN, None, False)
                    self._out.append(" \r\x1b[X")  # the space wraps, and is taken away
            elif line.pieces:
                self._out.append(f"\x1b[{y + 1}H")
            x = 0
            for piece in line.pieces:
                self.piece(piece, x, cols)
                x += piece.width
            if line.split:
                self._out.append(f"\x1b[{cols}G")
            before = line
        self.rest()

    def piece(self, piece: Piece, x: int, cols: int) -> None:
        """A piece, at whose column `x` the cursor is."""
        end = x + piece.width
        if not piece.text:
            if piece.style != PLAIN:
                self._pen(piece.style, None, False)
                self._out.append("\x1b[K" if end >= cols else f"\x1b[{piece.width}X")
            if end < cols:
                self._out.append(f"\x1b[{piece.width}C")
            return
        self._pen(piece.style, piece.link, piece.protected)
        if piece.clustered:
            # A terminal that does not join them by itself may, for this cell; one that cannot goes on at the right column.
            self._out.append(f"\x1b[?2027h{piece.text}\x1b[?2027l")
            if end < cols:
                self._out.append(f"\x1b[{end + 1}G")
        else:
            self._out.append(piece.text)

    def erased(self, style: Style) -> None:
        """Makes the cell at the cursor an empty one."""
        self._pen(style, None, False)
        self._out.append("\x1b[X")
        self.rest()

    def rest(self) -> None:
        """Leaves the pen plain."""
        self._pen(PLAIN, None, False)

    def _pen(self, style: Style, link: str | None, protected: bool) -> None:
        if style != self._style:
            self._out.append(sgr(style))
            self._style = style
        if link != self._link:
            self._out.append(f"\x1b]8;;{link or ''}\x1b\\")
            self._link = link
        if protected != self._protected:
            self._out.append('\x1b[1"q' if protected else '\x1b[0"q')
            self._protected = protected


def _is_wide(line: Line) -> bool:
    """Whether it begins with a wide character."""
    first = line.pieces[0] if line.pieces else Piece("", 0)
    return bool(first.text) and first.width == 2 * (1 if first.joined else len(first.text))


def _fills(line: Line, cols: int) -> bool:
    return bool(line.pieces) and bool(line.pieces[-1].text) and sum(piece.width for piece in line.pieces) == cols


def cell_before(line: Line, x: int) -> tuple[int, Piece]:
    """The cell of `line` that ends before column `x` > 0, and where it begins. It is an empty one where `x` is within a wide one."""
    start = 0
    for piece in line.pieces:
        if start < x <= start + piece.width:
            if not piece.text:
                return x - 1, piece._replace(width=1)
            each = piece.width if piece.joined else piece.width // len(piece.text)
            place, rest = divmod(x - start, each)
            if rest:
                break
            return x - each, piece if piece.joined else piece._replace(text=piece.text[place - 1], width=each)
        start += piece.width
    return x - 1, Piece("", 1)
