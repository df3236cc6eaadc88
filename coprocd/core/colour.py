"""Colours, as the triggers write them that have text drawn: `highlight`, `highlight_line` and `sgr`.

A colour is `#rrggbb`, one of ANSI's sixteen names, a number of the palette of 256, or what iTerm2 writes of a wide display,
`p3#rrrrggggbbbb`. `check` is called when a trigger is added, the rest by the export: iTerm2 knows neither names nor numbers.
What is drawn is the clients' matter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from coprocd.core.parameter import pieces
from coprocd.protocol.errors import CoprocdError

ACTIONS = frozenset(("highlight", "highlight_line", "sgr"))

_PLAIN = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")
NAMES = (*_PLAIN, *(f"bright_{name}" for name in _PLAIN))
"""In the order of the palette."""

# xterm's defaults of these; the rest of the palette is a cube of six levels, and greys.
_ANSI = (
    *(0x000000, 0xCD0000, 0x00CD00, 0xCDCD00, 0x0000EE, 0xCD00CD, 0x00CDCD, 0xE5E5E5),
    *(0x7F7F7F, 0xFF0000, 0x00FF00, 0xFFFF00, 0x5C5CFF, 0xFF00FF, 0x00FFFF, 0xFFFFFF),
)
_LEVELS = (0, 95, 135, 175, 215, 255)

_HEX = re.compile(r"#[0-9a-f]{6}|p3#[0-9a-f]{12}", re.I)
_NUMBER = re.compile(r"[0-9]{1,3}")
_CODES = re.compile(r"[0-9:;]+")
_PARTS = ("foreground", "background")


def check(action: str, parameter: str | Mapping[str, Any]) -> None:
    """`invalid_params` where `parameter`, which is not empty, has no colours, or, of sgr, no codes."""
    if action == "sgr" and isinstance(parameter, str) and _are_codes(parameter):
        return
    found = pair(parameter)
    if found is None or not any(found) or not all(_is_colour(colour) for colour in found if colour):
        shown = repr(parameter[:60]) if isinstance(parameter, str) else "this object"
        codes = "codes such as `1;31`, or " if action == "sgr" else ""
        raise CoprocdError(
            "invalid_params",
            f"the parameter of {action} cannot be {shown}: give {codes}a colour, or two as `{{text,background}}`; a colour is `#rrggbb`, "
            f"a number from 0 to 255, or one of {', '.join(_PLAIN)}, each also with `bright_` before it",
            action=action,
        )


def pair(parameter: str | Mapping[str, Any]) -> tuple[str, str] | None:
    """Colour of the text and of its background as they are written, empty where there is none; None where it has another form."""
    if isinstance(parameter, Mapping):
        text, background = (parameter.get(part, "") for part in _PARTS)
        return (text, background) if isinstance(text, str) and isinstance(background, str) and not parameter.keys() - {*_PARTS} else None
    if parameter.startswith("{") and parameter.endswith("}"):
        text, comma, background = parameter[1:-1].partition(",")
        return (text, background) if comma else None
    return parameter, ""


def as_pair(parameter: str | Mapping[str, Any]) -> str:
    """The colours of a highlight in iTerm2's words."""
    text, background = pair(parameter) or ("", "")
    return f"{{{_in_hex(text)},{_in_hex(background)}}}"


def as_codes(parameter: str | Mapping[str, Any]) -> str:
    """The parameter of sgr in iTerm2's words."""
    if isinstance(parameter, str) and _are_codes(parameter):
        return parameter
    found = zip((38, 48), pair(parameter) or (), strict=False)
    return ";".join(f"{code}:2:1:{':'.join(str(part) for part in rgb(colour))}" for code, colour in found if colour)


def rgb(colour: str) -> tuple[int, int, int]:
    """Red, green and blue, each 0 to 255. What is wider is cut."""
    if colour.startswith("#"):
        return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
    if _HEX.fullmatch(colour):
        return int(colour[3:5], 16), int(colour[7:9], 16), int(colour[11:13], 16)
    number = NAMES.index(colour) if colour in NAMES else int(colour)
    if number < len(_ANSI):
        return _ANSI[number] >> 16, _ANSI[number] >> 8 & 0xFF, _ANSI[number] & 0xFF
    if number < 232:
        number -= 16
        return _LEVELS[number // 36], _LEVELS[number // 6 % 6], _LEVELS[number % 6]
    grey = 8 + 10 * (number - 232)
    return grey, grey, grey


def _in_hex(colour: str) -> str:
    if not colour or _HEX.fullmatch(colour):
        return colour
    red, green, blue = rgb(colour)
    return f"#{red:02x}{green:02x}{blue:02x}"


def _is_colour(text: str) -> bool:
    return text in NAMES or _HEX.fullmatch(text) is not None or (_NUMBER.fullmatch(text) is not None and int(text) < 256)


def _are_codes(parameter: str) -> bool:
    """Whether it is a list of SGR's codes; a capture may stand for one, or for a part of it."""
    written = "".join("0" if isinstance(piece, int) else piece for piece, _ in pieces(parameter))
    return _CODES.fullmatch(written) is not None and all(not code or int(code) < 256 for code in re.split("[:;]", written))
