"""What a command prints: tables and sentences for people, JSON for programs, colour on a terminal only.

Callers escape what they did not make up themselves (`coprocctl.format.escaped`); JSON is ASCII, so it needs none.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, TextIO

GAP = "  "
_COLOURS = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}


def print_json(value: Any, stream: TextIO | None = None) -> None:
    """One JSON document: indented on a terminal, else on one line."""
    import json

    stream = stream or sys.stdout
    style: dict[str, Any] = {"indent": 2} if stream.isatty() else {"separators": (",", ":")}
    stream.write(json.dumps(value, **style) + "\n")


def note(message: str) -> None:
    """A sentence for people, on stderr: no program reads it."""
    sys.stdout.flush()
    sys.stderr.write(f"coprocctl: {message}\n")


def coloured(text: str, colour: str, stream: TextIO | None = None) -> str:
    """`text` in `colour`, where `stream` is a terminal that wants colour (no-color.org)."""
    stream = stream or sys.stdout
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not stream.isatty():
        return text
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]], colours: Sequence[dict[int, str]] = ()) -> None:
    """Columns, aligned. On a terminal the last column is cut where the line would wrap.

    colours:    for each row, which column takes which colour
    """
    widths = [max(width(row[column]) for row in (headings, *rows)) for column in range(len(headings))]
    room = columns() - sum(widths[:-1]) - len(GAP) * (len(widths) - 1)
    sys.stdout.write(coloured(_line(headings, widths, room, {}), "bold") + "\n")
    for index, row in enumerate(rows):
        sys.stdout.write(_line(row, widths, room, colours[index] if colours else {}) + "\n")


def print_pairs(pairs: Sequence[tuple[str, str]]) -> None:
    """A block of names and values, the values aligned."""
    indent = max(len(name) for name, _ in pairs)
    for name, value in pairs:
        sys.stdout.write(f"{coloured(name.ljust(indent), 'bold')}{GAP}{value}\n")


def columns() -> int:
    """How wide stdout is; practically endless where it is no terminal."""
    if not sys.stdout.isatty():
        return 1 << 30
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def width(text: str) -> int:
    """How many cells `text` takes: wide characters two, combining ones none."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text)


def cut(text: str, room: int) -> str:
    """`text` in at most `room` cells, with `…` where something was cut."""
    if width(text) <= room:
        return text
    while text and width(text) > max(room - 1, 0):
        text = text[:-1]
    return text + "…"


def _line(cells: Sequence[str], widths: Sequence[int], room: int, colours: dict[int, str]) -> str:
    parts = []
    for column, cell in enumerate(cells):
        last = column == len(cells) - 1
        text = cut(cell, max(room, 10)) if last else cell
        padding = "" if last else " " * (widths[column] - width(text))
        parts.append((coloured(text, colours[column]) if column in colours else text) + padding)
    return GAP.join(parts).rstrip()
