"""A style as the SGR sequence that sets it (ECMA-48, 8.3.117; colours and underlines as xterm and kitty have them)."""

from __future__ import annotations

from coprocd.screen.emulator import Color
from coprocd.screen.grid import PLAIN, Style

_FLAGS = (
    ("bold", "1"),
    ("faint", "2"),
    ("italic", "3"),
    ("blink", "5"),
    ("inverse", "7"),
    ("invisible", "8"),
    ("strikethrough", "9"),
    ("overline", "53"),
)


def sgr(style: Style) -> str:
    """What sets `style` whatever was set before: it begins with a reset."""
    if style == PLAIN:
        return "\x1b[m"
    codes = ["0", *(code for name, code in _FLAGS if getattr(style, name))]
    if style.underline:
        codes.append("4" if style.underline == 1 else f"4:{style.underline}")
    codes += [*_color(style.fg, 30, 90, "38"), *_color(style.bg, 40, 100, "48")]
    if style.underline_color is not None:
        # With colons only: a terminal that does not know 58 takes semicolons for attributes of their own.
        color = style.underline_color
        codes.append(f"58:5:{color}" if isinstance(color, int) else "58:2::{}:{}:{}".format(*_rgb(color)))
    return f"\x1b[{';'.join(codes)}m"


def _color(color: Color | None, low: int, high: int, code: str) -> list[str]:
    if color is None:
        return []
    if isinstance(color, str):
        return [code, "2", *map(str, _rgb(color))]
    if color < 8:
        return [str(low + color)]
    return [str(high + color - 8)] if color < 16 else [code, "5", str(color)]


def _rgb(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)
