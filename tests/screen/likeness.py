"""All that can be told of a terminal, cell by cell, so that two can be compared; and what is told of what lies below and behind it."""

from __future__ import annotations

from typing import Any

from coprocd.screen.emulator import Emulator
from coprocd.screen.grid import Line, Piece
from coprocd.screen.native import Terminal

DEC_MODES = (1, 5, 6, 7, 8, 9, 12, 25, 45, 66, 67, 69, 1000, 1002, 1003, 1004, 1005, 1006, 1007, 1015, 1016, 1035, 1036, 1039, 1045)
DEC_MODES += (2004, 2026, 2027, 2031, 2033, 5522)
ANSI_MODES = (4, 12, 20)


def likeness(emulator: Emulator) -> dict[str, Any]:
    """What `emulator` looks like and how it will behave, as values."""
    terminal: Terminal = emulator._terminal  # type: ignore[attr-defined]
    told = {
        "cells": cells(terminal),
        "alternate": terminal.alternate,
        "title": emulator.title,
        "modes": {mode: terminal.mode(mode) for mode in DEC_MODES},
        "ansi modes": {mode: terminal.mode(mode, ansi=True) for mode in ANSI_MODES},
        "margins": terminal.fragment("scrolling_region"),
        "tabs": terminal.fragment("tabstops"),
        "keyboard": terminal.fragment("keyboard"),
        "palette": terminal.palette(),
        "colors": [terminal.color(name) for name in ("FOREGROUND", "BACKGROUND", "CURSOR")],
        "shape": terminal.cursor_shape(),
        "continuation": terminal.continuation(),
        "cursor": cursor(terminal),
    }
    copy = Terminal.decode(terminal.encode(), 0)
    try:
        copy.write(b"\x18\x1b8")
        told["saved cursor"] = cursor(copy)
        told["keyboard flags"] = keyboard_flags(copy)
        if terminal.alternate:
            copy.write(b"\x1b[?1049l" if terminal.mode(1049) else b"\x1b[?47l")
            told["primary cells"] = cells(copy)
            told["primary keyboard flags"] = keyboard_flags(copy)
            copy.write(b"\x1b8")
            told["primary saved cursor"] = cursor(copy)
    finally:
        copy.close()
    return told


def cells(terminal: Terminal) -> list[tuple[list[Piece], bool]]:
    """Each row's cells, of which a wide one is followed by None, up to the last that is not empty; and whether it wraps.

    A row that wraps into none, or though its end was erased since, is one that does not.
    """
    lines, cols = list(terminal.lines()), terminal.number("COLS")
    rows = [_row(line) for line in lines]
    return [(row, _wraps(line, cols) and bool(below)) for row, line, below in zip(rows, lines, [*rows[1:], []], strict=True)]


def _wraps(line: Line, cols: int) -> bool:
    return line.wraps and (line.split or (sum(piece.width for piece in line.pieces) == cols and bool(line.pieces[-1].text)))


def _row(line: Line) -> list[Piece | None]:
    row: list[Piece | None] = []
    for piece in line.pieces:
        if not piece.text:
            row += [piece._replace(width=1)] * piece.width
            continue
        texts = [piece.text] if piece.joined else list(piece.text)
        width = piece.width // len(texts)
        for text in texts:
            row += [piece._replace(text=text, width=width), *[None] * (width - 1)]
    while row and row[-1] in (Piece("", 1), Piece(" ", 1)):
        row.pop()
    return row


def cursor(terminal: Terminal) -> dict[str, Any]:
    """The cursor and the pen at it."""
    charsets = terminal.pen_fragments()
    for slot in b"()*+":
        charsets = charsets.replace(b"\x1b%cB" % slot, b"")  # ASCII named, and by default, is the same
    return {
        "place": (terminal.number("CURSOR_Y"), terminal.number("CURSOR_X")),
        "pending": terminal.number("CURSOR_PENDING_WRAP", "bool"),
        "origin": terminal.mode(6),
        "style": terminal.pen(),
        "pen": charsets,
    }


def keyboard_flags(copy: Terminal) -> list[int]:
    """The stack of the kitty keyboard's flags, which is taken down."""
    flags = []
    for _ in range(8):
        flags.append(copy.number("KITTY_KEYBOARD_FLAGS", "uint8_t"))
        copy.write(b"\x1b[<u")
    return flags


def differences(one: object, other: object, where: str = "") -> list[str]:
    """Where two likenesses are not alike, in lines one can read; the first few."""
    if one == other:
        return []
    if isinstance(one, dict) and isinstance(other, dict):
        pairs = [(f"{where} {key}", one.get(key), other.get(key)) for key in {**one, **other}]
    elif isinstance(one, list | tuple) and isinstance(other, list | tuple) and type(one) is type(other) and len(one) == len(other):
        pairs = [(f"{where}[{place}]", left, right) for place, (left, right) in enumerate(zip(one, other, strict=True))]
    else:
        return [f"{where}: {one!r} is not {other!r}"]
    return [line for place, left, right in pairs for line in differences(left, right, place)][:5]
