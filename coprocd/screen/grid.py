"""A terminal's cells as values: rows of pieces that look the same. The binding reads them, a capture and a redrawing are made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from coprocd.screen.emulator import Color

WATCHED_ROWS = 64
"""A thousand wide rows of clusters take seconds; so many, a tenth of one."""

UNDERLINES = (None, "single", "double", "curly", "dotted", "dashed")


class Style(NamedTuple):
    """How a cell looks, as SGR sets it (ECMA-48, 8.3.117). `underline` is a place in UNDERLINES."""

    fg: Color | None = None
    bg: Color | None = None
    bold: bool = False
    faint: bool = False
    italic: bool = False
    underline: int = 0
    underline_color: Color | None = None
    blink: bool = False
    inverse: bool = False
    invisible: bool = False
    strikethrough: bool = False
    overline: bool = False


PLAIN = Style()


class Piece(NamedTuple):
    """Characters side by side that look the same and are equally wide. `text` is "" where nothing was ever printed, or it was erased.

    `joined` is one that others are combined with, alone: all other text is one character after the other. `clustered` is such a one whose
    characters are one only to a terminal that joins graphemes (DEC mode 2027); `protected` ones are spared by selective erasing (DECSCA).
    """

    text: str
    width: int
    style: Style = PLAIN
    link: str | None = None
    protected: bool = False
    joined: bool = False
    clustered: bool = False


class Line(NamedTuple):
    """A row of cells. What is right of the last piece is empty and plain. `wraps`: its text goes on in the next row.

    `split`: it wraps a cell early, before a wide character for which one cell was left.
    """

    pieces: tuple[Piece, ...] = ()
    wraps: bool = False
    split: bool = False


def watched(lines: Iterable[Line], moved: Callable[[], None]) -> Iterator[Line]:
    """The same lines; `moved` is called at every WATCHED_ROWS, so that who waits for them sees that it goes on."""
    for number, line in enumerate(lines):
        if not number % WATCHED_ROWS:
            moved()
        yield line
