"""What the screen worker needs of a terminal emulator, and the values that go with it.

Only names and shapes; `coprocd.screen.ghostty` is the emulator. The worker and the tests hold an `Emulator` and never what is behind it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol, TypeAlias

from msgspec import Struct

SCROLLBACK_BYTES = 4 << 20
"""Memory one emulator may use for lines above the screen, unless it is told otherwise: some 5,000 lines of 120 columns."""

Format: TypeAlias = Literal["text", "ansi", "html", "json"]
Color: TypeAlias = int | str
"""A place in the palette (0-255), or "#rrggbb"."""


class EmulatorError(Exception):
    """The emulator could not do what it was asked: a state it cannot save, or bytes that are no saved state."""


class Run(Struct, frozen=True, omit_defaults=True):
    """Characters of a row that look the same. `width` is the cells they take: a wide character takes two, a combining one none."""

    text: str
    width: int
    fg: Color | None = None
    bg: Color | None = None
    bold: bool = False
    faint: bool = False
    italic: bool = False
    underline: Literal["single", "double", "curly", "dotted", "dashed"] | None = None
    underline_color: Color | None = None
    blink: bool = False
    inverse: bool = False
    invisible: bool = False
    strikethrough: bool = False
    overline: bool = False
    link: str | None = None


class Row(Struct, frozen=True, omit_defaults=True):
    """One row from its left edge on; what is missing at its right edge is blank. `wraps`: its text goes on in the next row."""

    runs: list[Run] = []
    wraps: bool = False


class Cursor(Struct, frozen=True):
    """Where the cursor is, both from 0 on, and whether it is shown."""

    row: int
    column: int
    visible: bool


class Capture(Struct, frozen=True, kw_only=True):
    """The screen as a value. `text` holds it for the formats text, ansi and html, `lines` for json.

    Both begin with the `scrollback` rows that were above the screen, the oldest first, then come all `rows` of the screen.
    """

    format: Format
    rows: int
    cols: int
    cursor: Cursor
    title: str
    alternate: bool
    scrollback: int
    text: str | None = None
    lines: list[Row] | None = None


class Emulator(Protocol):
    """One terminal. Whatever it is fed it stays usable, but it may take long or end the process: the worker is watched for that."""

    @property
    def rows(self) -> int: ...

    @property
    def cols(self) -> int: ...

    @property
    def title(self) -> str:
        """What the session last set, without control characters; "" until it does."""
        ...

    def feed(self, data: bytes) -> bytes:
        """Takes output, cut anywhere; returns what the terminal answers to the queries in it, of allowed forms only."""
        ...

    def resize(self, rows: int, cols: int) -> bytes:
        """Reflows the primary screen and its scrollback; returns what a program that asked for size reports is told."""
        ...

    def save(self) -> bytes:
        """Everything there is: both screens, scrollback, modes and a sequence that is not complete. `load` makes an equal terminal of it."""
        ...

    def redraw(self, *, moved: Callable[[], None] = lambda: None) -> bytes:
        """What makes another terminal of this size look and behave the same, without scrollback.

        The other one may be fresh or have shown any earlier output of the session, at any size: what that left on is taken back. Its own
        scrollback is kept. It may end within a sequence: what follows in the output goes on there.
        A large screen may take seconds: `moved` as for `capture`.
        """
        ...

    def capture(self, format: Format, scrollback: int = 0, *, moved: Callable[[], None] = lambda: None) -> Capture:
        """The screen, with at most `scrollback` lines above it; -1 for all. The alternate screen has none.

        All lines may take a second: `moved` is called every few dozen of them, so that it is seen to go on.
        """
        ...

    def close(self) -> None:
        """Gives its memory back. Nothing else may be called afterwards."""
        ...
