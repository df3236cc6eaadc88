"""The screen as a value: plain text, text with SGR and links, HTML, or rows of runs.

Nothing that a session prints becomes anything but text in it. An emulator's `capture` calls it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from coprocd.screen.emulator import Capture, Cursor, Format, Row, Run
from coprocd.screen.grid import PLAIN, UNDERLINES, Line, Piece, watched
from coprocd.screen.markup import Markup
from coprocd.screen.native import Terminal
from coprocd.screen.rows import MOST_ABOVE
from coprocd.screen.sgr import sgr


def capture(terminal: Terminal, format: Format, scrollback: int, title: str, moved: Callable[[], None]) -> Capture:
    """See `Emulator.capture`."""
    rows = terminal.number("ROWS")
    there = terminal.number("TOTAL_ROWS", "size_t") - rows
    above = min(there, MOST_ABOVE, scrollback if scrollback >= 0 else there)
    lines = watched(terminal.lines(above), moved)
    content: dict[str, Any] = {}
    if format == "json":
        content["lines"] = [Row([_run(piece) for piece in merged(line)], line.wraps) for line in lines]
    elif format == "html":
        markup = Markup(terminal.color("FOREGROUND"), terminal.color("BACKGROUND"), terminal.palette())
        content["text"] = markup.pre(map(merged, lines))
    else:
        content["text"] = _ansi(lines) if format == "ansi" else _text(lines)
    return Capture(
        format=format,
        rows=rows,
        cols=terminal.number("COLS"),
        cursor=Cursor(terminal.number("CURSOR_Y"), terminal.number("CURSOR_X"), bool(terminal.number("CURSOR_VISIBLE", "bool"))),
        title=title,
        alternate=terminal.alternate,
        scrollback=above,
        **content,
    )


def merged(line: Line) -> list[Piece]:
    """The pieces of a row, those that look the same as one; blanks are spaces, and at the end they are left out where they are plain."""
    pieces: list[Piece] = []
    for piece in line.pieces:
        text = piece.text or " " * piece.width
        if pieces and (last := pieces[-1]).style == piece.style and last.link == piece.link:
            pieces[-1] = last._replace(text=last.text + text, width=last.width + piece.width)
        else:
            pieces.append(Piece(text, piece.width, piece.style, piece.link))
    if pieces and (last := pieces[-1]).style == PLAIN and last.link is None:
        text = last.text.rstrip(" ")
        pieces[-1:] = [last._replace(text=text, width=last.width - len(last.text) + len(text))] if text else []
    return pieces


def _text(lines: Iterable[Line]) -> str:
    return "".join("".join(piece.text or " " * piece.width for piece in line.pieces).rstrip(" ") + "\n" for line in lines)


def _ansi(lines: Iterable[Line]) -> str:
    """Each row begins and ends with nothing set, so that one may be shown without the others."""
    out: list[str] = []
    for line in lines:
        style, link = PLAIN, None
        for piece in merged(line):
            if piece.link != link:
                out.append(f"\x1b]8;;{piece.link or ''}\x1b\\")
                link = piece.link
            if piece.style != style:
                out.append(sgr(piece.style))
                style = piece.style
            out.append(piece.text)
        out.append(("\x1b]8;;\x1b\\" if link else "") + ("\x1b[m" if style != PLAIN else "") + "\n")
    return "".join(out)


def _run(piece: Piece) -> Run:
    style = piece.style._asdict()
    return Run(piece.text, piece.width, link=piece.link, **(style | {"underline": UNDERLINES[piece.style.underline]}))
