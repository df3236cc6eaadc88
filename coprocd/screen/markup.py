"""Lines of cells as HTML: one <pre> with its colours written into it, which needs nothing else to look right.

What a session prints is text there whatever it is: all of it is escaped, and a link is one only when it leads to a web page, a mail
or a file transfer. `capture` calls it.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from coprocd.screen.emulator import Color
from coprocd.screen.grid import PLAIN, Piece, Style

Rgb: TypeAlias = tuple[int, int, int]

LINK_SCHEMES = ("http://", "https://", "mailto:", "ftp://")

_UNDERLINES = ("", "solid", "double", "wavy", "dotted", "dashed")


class Markup:
    """With the colours of one terminal."""

    def __init__(self, foreground: Rgb, background: Rgb, palette: Sequence[Rgb]) -> None:
        self._foreground = _hex(foreground)
        self._background = _hex(background)
        self._palette = [_hex(color) for color in palette]

    def pre(self, lines: Iterable[Sequence[Piece]]) -> str:
        """The element. Its text is that of the rows, each with a newline."""
        text = "".join("".join(map(self._span, pieces)) + "\n" for pieces in lines)
        return f'<pre style="color:{self._foreground};background:{self._background};font-family:monospace">{text}</pre>\n'

    def _span(self, piece: Piece) -> str:
        text = html.escape(piece.text)
        if css := self._css(piece.style):
            text = f'<span style="{css}">{text}</span>'
        if piece.link and piece.link.lower().startswith(LINK_SCHEMES):
            text = f'<a href="{html.escape(piece.link)}" rel="noopener noreferrer" style="color:inherit">{text}</a>'
        return text

    def _css(self, style: Style) -> str:
        if style == PLAIN:
            return ""
        fg, bg = self._color(style.fg), self._color(style.bg)
        if style.inverse:
            fg, bg = bg or self._background, fg or self._foreground
        decorations = [("underline", style.underline), ("line-through", style.strikethrough), ("overline", style.overline)]
        drawn = " ".join(name for name, there in decorations if there)
        return ";".join(
            [
                *([f"color:{fg}"] if fg and not style.invisible else ["color:transparent"] if style.invisible else []),
                *([f"background:{bg}"] if bg else []),
                *(["font-weight:bold"] if style.bold else []),
                *(["font-style:italic"] if style.italic else []),
                *(["opacity:.6"] if style.faint else []),
                *([f"text-decoration-line:{drawn}"] if drawn else []),
                *([f"text-decoration-style:{_UNDERLINES[style.underline]}"] if style.underline > 1 else []),
                *([f"text-decoration-color:{self._color(style.underline_color)}"] if style.underline_color is not None else []),
            ]
        )

    def _color(self, color: Color | None) -> str | None:
        return self._palette[color] if isinstance(color, int) else color


def _hex(color: Rgb) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)
