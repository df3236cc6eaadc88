"""Reads the rows of a terminal of libghostty-vt: its cells, as the library would draw them, become lines of pieces.

The other half of the binding, beside `native`. A cell comes as one number, which is looked at once however often it occurs; most of
a screen is the same few hundred.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from enum import Enum
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from pyghostty._ffi import ffi, lib, union_fn

from coprocd.screen.emulator import Color, EmulatorError
from coprocd.screen.grid import PLAIN, Line, Piece, Style

MOST_ABOVE = 65535
"""The library draws no more rows above the screen at once."""

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def sized(ctype: str) -> Any:
    """A new structure with its `size` filled in, and those of the structures within."""
    made = ffi.new(f"{ctype}*")
    _fill_sizes(made)
    return made


def _fill_sizes(pointer: Any) -> None:
    ctype = ffi.typeof(pointer).item
    for name, field in ctype.fields:
        if name == "size":
            pointer.size = ffi.sizeof(ctype)
        elif field.type.kind == "struct":
            _fill_sizes(ffi.addressof(pointer[0], name))


def grid_ref(terminal: Any, x: int, y: int) -> Any:
    """The library's reference to a cell; `y` counts from the oldest row of the scrollback on. Good until the terminal changes."""
    find = union_fn("ghostty_terminal_grid_ref", "GhosttyResult(*)(GhosttyTerminal, GhosttyPointS, GhosttyGridRef*)")
    point, ref = ffi.new("GhosttyPointS*"), sized("GhosttyGridRef")
    point.tag, point.value.x, point.value.y = lib.GHOSTTY_POINT_TAG_SCREEN, x, y
    if find(terminal, point[0], ref):
        raise EmulatorError(f"the emulator has no cell {x},{y}")
    return ref


def style_of(style: Any) -> Style:
    """The value of a GhosttyStyle."""
    return Style(
        fg=_color(style.fg_color),
        bg=_color(style.bg_color),
        bold=style.bold,
        faint=style.faint,
        italic=style.italic,
        underline=style.underline,
        underline_color=_color(style.underline_color),
        blink=style.blink,
        inverse=style.inverse,
        invisible=style.invisible,
        strikethrough=style.strikethrough,
        overline=style.overline,
    )


class _Part(Enum):
    """What a cell is of a character: all of it, a half, or none, left empty at the end of a row before a wide one."""

    WHOLE = 0
    LEFT = 1
    RIGHT = 2
    HEAD = 3


_PARTS = {
    lib.GHOSTTY_CELL_WIDE_NARROW: _Part.WHOLE,
    lib.GHOSTTY_CELL_WIDE_WIDE: _Part.LEFT,
    lib.GHOSTTY_CELL_WIDE_SPACER_TAIL: _Part.RIGHT,
    lib.GHOSTTY_CELL_WIDE_SPACER_HEAD: _Part.HEAD,
}

_CELL_DATA = {
    "CODEPOINT": "uint32_t",
    "CONTENT_TAG": "int",
    "WIDE": "int",
    "STYLE_ID": "uint16_t",
    "HAS_HYPERLINK": "bool",
    "PROTECTED": "bool",
    "COLOR_PALETTE": "uint8_t",
    "COLOR_RGB": "GhosttyColorRgb",
}


class _Same(NamedTuple):
    """What side by side in a row makes a piece. `alone`: not without looking at each cell, for its link or its other characters."""

    empty: bool
    width: int
    style: int
    bg: Color | None
    protected: bool
    alone: bool
    joined: bool


class _Look(NamedTuple):
    """What a cell's number says. `style` is the library's number of it, good within a row; `bg` is of cells without text.

    `joined`: it has more characters than `text`.
    """

    text: str
    width: int
    style: int
    bg: Color | None
    linked: bool
    protected: bool
    joined: bool
    part: _Part
    same: _Same


_TEXT, _SAME = (itemgetter(_Look._fields.index(name)) for name in ("text", "same"))


class _Looks(dict[int, _Look]):
    """Of all the numbers there were. Each is asked about once, with one call."""

    def __init__(self) -> None:
        self._keys = ffi.new("GhosttyCellData[]", [getattr(lib, f"GHOSTTY_CELL_DATA_{name}") for name in _CELL_DATA])
        self._out = [ffi.new(f"{ctype}*") for ctype in _CELL_DATA.values()]
        self._values = ffi.new("void*[]", self._out)

    def __missing__(self, cell: int) -> _Look:
        _must(lib.ghostty_cell_get_multi(cell, len(_CELL_DATA), self._keys, self._values, ffi.NULL))
        point, tag, wide, style, linked, protected, palette, rgb = (out[0] for out in self._out)
        part = _PARTS[wide]
        bg: Color | None = None
        if tag == lib.GHOSTTY_CELL_CONTENT_BG_COLOR_PALETTE:
            point, bg = 0, palette
        elif tag == lib.GHOSTTY_CELL_CONTENT_BG_COLOR_RGB:
            point, bg = 0, _hex(rgb)
        # What is left of half a wide character is empty, but looks as that did: as a space would.
        text = _character(point) if point else " " if style or linked else ""
        width = {_Part.WHOLE: 1, _Part.LEFT: 2}.get(part, 0)
        joined = bool(tag == lib.GHOSTTY_CELL_CONTENT_CODEPOINT_GRAPHEME)
        same = _Same(not text, width, style, bg, protected, linked or joined, joined)
        look = self[cell] = _Look(text, width, style, bg, linked, protected, joined, part, same)
        return look


class Drawn:
    """The library's rendering of a terminal at one moment, with so many rows above the screen. A context: it holds memory."""

    def __init__(self, terminal: Any, above: int = 0) -> None:
        self._terminal = terminal
        self._above = min(above, MOST_ABOVE)
        self._state = ffi.new("GhosttyRenderState*")
        self._iterator = ffi.new("GhosttyRenderStateRowIterator*")
        self._cells = ffi.new("GhosttyRenderStateRowCells*")
        self._looks = _Looks()
        self._selected = False
        self._style_read = sized("GhosttyStyle")

    def __enter__(self) -> Drawn:
        _must(lib.ghostty_render_state_new(ffi.NULL, self._state))
        _must(lib.ghostty_render_state_row_iterator_new(ffi.NULL, self._iterator))
        _must(lib.ghostty_render_state_row_cells_new(ffi.NULL, self._cells))
        overscan = ffi.new("GhosttyRenderStateOverscan*", {"above": self._above})
        _must(lib.ghostty_render_state_set(self._state[0], lib.GHOSTTY_RENDER_STATE_OPTION_OVERSCAN, overscan))
        _must(lib.ghostty_render_state_update(self._state[0], self._terminal))
        return self

    def __exit__(self, *_error: object) -> None:
        lib.ghostty_render_state_row_cells_free(self._cells[0])
        lib.ghostty_render_state_row_iterator_free(self._iterator[0])
        lib.ghostty_render_state_free(self._state[0])

    def cursor_shape(self) -> tuple[int, bool]:
        """As DECSCUSR counts shapes: 1 block, 3 underline, 5 bar, 0 the terminal's own; and whether it blinks."""
        cursor = sized("GhosttyRenderStateCursor")
        _must(lib.ghostty_render_state_get(self._state[0], lib.GHOSTTY_RENDER_STATE_DATA_CURSOR, cursor))
        shapes = {
            lib.GHOSTTY_RENDER_STATE_CURSOR_VISUAL_STYLE_BLOCK: 1,
            lib.GHOSTTY_RENDER_STATE_CURSOR_VISUAL_STYLE_UNDERLINE: 3,
            lib.GHOSTTY_RENDER_STATE_CURSOR_VISUAL_STYLE_BAR: 5,
        }
        return shapes.get(cursor.visual_style, 0), bool(cursor.blinking)

    def lines(self, scrollback_rows: int) -> Iterator[Line]:
        """From the oldest row asked for to the last of the screen. `scrollback_rows` is how many rows there are above the screen."""
        row, wraps, y = ffi.new("GhosttyRow*"), ffi.new("bool*"), ffi.new("int32_t*")
        for cells, cols in self._rows():
            _must(lib.ghostty_render_state_row_get(self._iterator[0], lib.GHOSTTY_RENDER_STATE_ROW_DATA_RAW, row))
            _must(lib.ghostty_render_state_row_get(self._iterator[0], lib.GHOSTTY_RENDER_STATE_ROW_DATA_VIEWPORT_Y, y))
            _must(lib.ghostty_row_get(row[0], lib.GHOSTTY_ROW_DATA_WRAP, wraps))
            pieces = tuple(self._pieces(cells, scrollback_rows + y[0]))
            split = wraps[0] and len(cells) == cols and self._looks[cells[-1]].part is _Part.HEAD
            yield Line(pieces, bool(wraps[0]), bool(split))

    def torn(self) -> Iterator[tuple[int, int]]:
        """Cells that are half of a wide character without the other half, or left empty for one that is not there."""
        for y, (cells, cols) in enumerate(self._rows()):
            parts = [self._looks[cell].part for cell in cells]
            for x, part in enumerate(parts):
                after = parts[x + 1] if x + 1 < len(parts) else _Part.WHOLE
                if (
                    (part is _Part.LEFT and after is not _Part.RIGHT)
                    or (part is _Part.RIGHT and (not x or parts[x - 1] is not _Part.LEFT))
                    or (part is _Part.HEAD and x + 1 != cols)
                ):
                    yield x, y

    def _rows(self) -> Iterator[tuple[array[int], int]]:
        """Each row's cells up to the last that is not empty, and how many there are with those."""
        view = ffi.new("GhosttyCellsView*")
        _must(lib.ghostty_render_state_get(self._state[0], lib.GHOSTTY_RENDER_STATE_DATA_ROW_ITERATOR, self._iterator))
        while lib.ghostty_render_state_row_iterator_next(self._iterator[0]):
            _must(lib.ghostty_render_state_row_get(self._iterator[0], lib.GHOSTTY_RENDER_STATE_ROW_DATA_CELLS_RAW, view))
            filled = bytes(ffi.buffer(view.ptr, 8 * view.len)).rstrip(b"\0")
            yield array("Q", filled.ljust((len(filled) + 7) // 8 * 8, b"\0")), view.len

    def _pieces(self, cells: array[int], y: int) -> Iterator[Piece]:
        """The pieces of a row. `y` counts from the oldest row of the scrollback on."""
        self._selected = False
        styles = {0: PLAIN}
        x = 0
        # What has no width is the right half of a wide character, or the cell left empty before one.
        looks = [look for look in map(self._looks.__getitem__, cells) if look.width]
        for same, group in groupby(looks, _SAME):
            alike = list(group)
            first = alike[0]
            if first.style not in styles:
                styles[first.style] = self._style(x)
            style = styles[first.style] if first.bg is None else PLAIN._replace(bg=first.bg)
            if not same.alone:
                yield Piece("".join(map(_TEXT, alike)), first.width * len(alike), style, None, first.protected)
                x += first.width * len(alike)
                continue
            for link, count in self._links(x, y, first.width, len(alike)) if first.linked else [(None, len(alike))]:
                if not first.joined:
                    text = "".join(map(_TEXT, alike[:count]))
                    yield Piece(text, first.width * count, style, link, first.protected)
                    x += first.width * count
                else:
                    for _ in range(count):
                        text = self._graphemes(x)
                        yield Piece(text, first.width, style, link, first.protected, True, _needs_clusters(text, first.width))
                        x += first.width
                del alike[:count]

    def _links(self, x: int, y: int, width: int, count: int) -> list[tuple[str | None, int]]:
        """The links of `count` cells from `x` on, each with how many it goes on."""
        links = groupby(self._link(x + width * place, y) for place in range(count))
        return [(link, sum(1 for _ in group)) for link, group in links]

    def _select(self, x: int) -> None:
        if not self._selected:
            _must(lib.ghostty_render_state_row_get(self._iterator[0], lib.GHOSTTY_RENDER_STATE_ROW_DATA_CELLS, self._cells))
            self._selected = True
        _must(lib.ghostty_render_state_row_cells_select(self._cells[0], x))

    def _style(self, x: int) -> Style:
        self._select(x)
        style = self._style_read
        _must(lib.ghostty_render_state_row_cells_get(self._cells[0], lib.GHOSTTY_RENDER_STATE_ROW_CELLS_DATA_STYLE, style))
        return style_of(style)

    def _graphemes(self, x: int) -> str:
        self._select(x)
        size = ffi.new("uint32_t*")
        get = lib.ghostty_render_state_row_cells_get
        _must(get(self._cells[0], lib.GHOSTTY_RENDER_STATE_ROW_CELLS_DATA_GRAPHEMES_LEN, size))
        points = ffi.new("uint32_t[]", max(size[0], 1))
        _must(get(self._cells[0], lib.GHOSTTY_RENDER_STATE_ROW_CELLS_DATA_GRAPHEMES_BUF, points))
        return "".join(map(_character, ffi.unpack(points, size[0])))

    def _link(self, x: int, y: int) -> str | None:
        ref, size = grid_ref(self._terminal, x, y), ffi.new("size_t*")
        lib.ghostty_grid_ref_hyperlink_uri(ref, ffi.NULL, 0, size)
        uri = ffi.new("uint8_t[]", max(size[0], 1))
        if lib.ghostty_grid_ref_hyperlink_uri(ref, uri, size[0], size):
            return None
        # OSC 8 has a URI in printable ASCII; all else is escaped, as a URI escapes it.
        return "".join(chr(byte) if 0x20 < byte < 0x7F else f"%{byte:02X}" for byte in ffi.unpack(uri, size[0])) or None


def _needs_clusters(text: str, width: int) -> bool:
    """Whether a terminal makes one cell of `text` only when it joins graphemes: by itself each character has its own width."""
    widths = [lib.ghostty_unicode_codepoint_width(ord(character)) for character in text]
    return any(widths[1:]) or widths[0] != width


def _character(point: int) -> str:
    """The character, or a stand-in for one that a terminal would act on."""
    return _REPLACEMENT if point < 0x20 or 0x7F <= point < 0xA0 or 0xD800 <= point < 0xE000 or point > 0x10FFFF else chr(point)


def _color(color: Any) -> Color | None:
    if color.tag == lib.GHOSTTY_STYLE_COLOR_PALETTE:
        return int(color.value.palette)
    return _hex(color.value.rgb) if color.tag == lib.GHOSTTY_STYLE_COLOR_RGB else None


def _hex(color: Any) -> str:
    return f"#{color.r:02x}{color.g:02x}{color.b:02x}"


def _must(result: int) -> None:
    if result:
        raise EmulatorError(f"the emulator's screen could not be read: {result}")
