"""A trigger's parameter, taken apart once: literal text, and the numbers of captures.

`\\0` to `\\9` are captures; `\\a \\b \\e \\n \\r \\t \\\\` and `\\xNN` are single characters; any other `\\X` stays as it is. What a
capture holds is never looked at here, so nothing in it is expanded. `substitution` puts the pieces together again.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NoReturn

from coprocd.protocol.errors import CoprocdError

_PIECE = re.compile(r"\\(?:([0-9])|x([0-9A-Fa-f]{2})|([abenrt\\]))")
_ESCAPES = {"a": "\a", "b": "\b", "e": "\x1b", "n": "\n", "r": "\r", "t": "\t", "\\": "\\"}

Piece = tuple[str | int, int]
"""Literal text or the number of a capture, and where in the parameter it stands."""


@lru_cache(1024)
def pieces(parameter: str) -> tuple[Piece, ...]:
    """The parameter in order. A byte from 0x80 (`\\xNN`) is a lone surrogate, as with `surrogateescape`."""
    found: list[Piece] = []
    end = 0
    for match in _PIECE.finditer(parameter):
        if match.start() > end:
            found.append((parameter[end : match.start()], end))
        capture, byte, escape = match.groups()
        if capture is not None:
            found.append((int(capture), match.start()))
        elif byte is not None:
            number = int(byte, 16)
            found.append((chr(number if number < 0x80 else 0xDC00 + number), match.start()))
        else:
            found.append((_ESCAPES[escape], match.start()))
        end = match.end()
    if end < len(parameter):
        found.append((parameter[end:], end))
    return tuple(found)


def characters(parameter: str) -> list[Piece]:
    """The same, one piece a character: what a scanner walks over."""
    found: list[Piece] = []
    for piece, at in pieces(parameter):
        if isinstance(piece, int) or len(piece) == 1:
            found.append((piece, at))
        else:
            found.extend((char, at + index) for index, char in enumerate(piece))
    return found


def has_captures(parameter: str) -> bool:
    """Whether any capture is named in it."""
    return any(isinstance(piece, int) for piece, _ in pieces(parameter))


def refuse(at: int, what: str, remedy: str, element: bool = False) -> NoReturn:
    """Raise `invalid_params` for a character of a parameter, or an element of an argv list, counted from 0."""
    place = f"in element {at + 1} of the parameter" if element else f"in the parameter at character {at + 1}"
    raise CoprocdError("invalid_params", f"{place}: {what}; {remedy}", at=at + 1)
