"""The binding to libghostty-vt: one terminal of it, with what the screen needs. Only this and `rows` import pyghostty.

It knows calls, options and structures, and no policy: `ghostty` decides what is asked, `redraw` and `capture` what is made of it.
Its C structures come through cffi, whose types are not known to a type checker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from pyghostty._ffi import ffi, lib

from coprocd.screen.emulator import EmulatorError
from coprocd.screen.grid import Line, Style
from coprocd.screen.mending import clear_alternate, mend
from coprocd.screen.rows import Drawn, grid_ref, sized, style_of

CELL_PIXELS = (8, 16)
"""Width and height of a cell, for those who ask: nothing is drawn here, and these are usual."""

FOREGROUND, BACKGROUND = (0xE5, 0xE5, 0xE5), (0, 0, 0)

CONTINUATION_BYTES = 256 << 10
"""A sequence in progress is kept up to this size, so that it can be saved: far more than any that has an effect on the screen."""

_OF_SCREEN = ("hyperlink", "protection", "charsets")
_AUTOWRAP, _BLINK = 7, 12


def _constant(name: str) -> int:
    return int(getattr(lib, f"GHOSTTY_{name}"))


def _must(result: int, what: str) -> None:
    if result:
        raise EmulatorError(f"the emulator could not {what}: {result}")


class Terminal:
    """One terminal of the library. `on_answer` gets what it answers to queries; without, it answers none."""

    def __init__(self, handle: Any, scrollback_bytes: int, on_answer: Callable[[bytes], None] | None) -> None:
        self._handle = handle
        self._callbacks: list[Any] = []  # the library holds them, and Python must not let them go
        self._set("SCROLLBACK_MAX_BYTES", "size_t", scrollback_bytes)
        self._set("CONTINUATION_MAX_BYTES", "size_t", CONTINUATION_BYTES)
        self._set("KITTY_IMAGE_STORAGE_LIMIT", "uint64_t", 0)
        self._set("CLIPBOARD_WRITE_MAX_BYTES", "size_t", 0)
        self._set("APC_MAX_BYTES", "size_t", 0)
        for service in ("KITTY_IMAGE_MEDIUM_FILE", "KITTY_IMAGE_MEDIUM_SHARED_MEM", "GLYPH_PROTOCOL", "TITLE_REPORT"):
            self._set(service, "bool", False)
        # A shape that no sequence sets, so that one can tell whether the session has set one. Setting it stops the blinking.
        blinks = self.mode(_BLINK)
        self._set("DEFAULT_CURSOR_STYLE", "int", _constant("TERMINAL_CURSOR_STYLE_BLOCK_HOLLOW"))
        self.set_mode(_BLINK, blinks)
        for what, color in (("FOREGROUND", FOREGROUND), ("BACKGROUND", BACKGROUND), ("CURSOR", FOREGROUND)):
            self._set(f"COLOR_{what}", "GhosttyColorRgb", dict(zip("rgb", color, strict=True)))
        if on_answer is not None:
            self._answer_with(on_answer)

    @classmethod
    def new(cls, rows: int, cols: int, scrollback_bytes: int, on_answer: Callable[[bytes], None] | None = None) -> Terminal:
        handle = ffi.new("GhosttyTerminal*")
        _must(lib.ghostty_terminal_new(ffi.NULL, handle, cols, rows), f"make a terminal of {rows} rows and {cols} columns")
        terminal = cls(handle[0], scrollback_bytes, on_answer)
        terminal.resize(rows, cols)
        return terminal

    @classmethod
    def decode(
        cls, saved: bytes, scrollback_bytes: int, on_answer: Callable[[bytes], None] | None = None, *, history: bool = True
    ) -> Terminal:
        """The terminal that `encode` was asked of; without `history` its scrollback is left out, which costs a tenth."""
        start = 4 + int.from_bytes(saved[:4], "little")
        held, saved = saved[4:start], saved[start:]
        decoder, handle = ffi.new("GhosttySnapshotDecoder*"), ffi.new("GhosttyTerminal*")
        _must(lib.ghostty_snapshot_decoder_new_buf(ffi.NULL, decoder, saved, len(saved)), "read a saved screen")
        try:
            most = ffi.new("size_t*", CONTINUATION_BYTES)
            lib.ghostty_snapshot_decoder_set(decoder[0], lib.GHOSTTY_SNAPSHOT_DECODER_OPT_MAX_CONTINUATION_BYTES, most)
            lib.ghostty_snapshot_decoder_set(decoder[0], lib.GHOSTTY_SNAPSHOT_DECODER_OPT_RETAIN_CONTINUATION, ffi.new("bool*", True))
            make = lib.ghostty_snapshot_decoder_decode if history else lib.ghostty_snapshot_decoder_ready
            _must(make(decoder[0], handle), "read a saved screen")
        finally:
            lib.ghostty_snapshot_decoder_free(decoder[0])
        terminal = cls(handle[0], scrollback_bytes, on_answer)
        terminal.write(held)
        return terminal

    def close(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            lib.ghostty_terminal_free(handle)
            self._callbacks.clear()

    # -- what goes in ------------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        lib.ghostty_terminal_vt_write(self._handle, data, len(data))

    def resize(self, rows: int, cols: int) -> None:
        """The primary screen reflows, also where the session has turned autowrap off: the library would cut its rows otherwise."""
        wraps = self.mode(_AUTOWRAP)
        self.set_mode(_AUTOWRAP, True)
        _must(lib.ghostty_terminal_resize(self._handle, cols, rows, *CELL_PIXELS), f"take a size of {rows} rows and {cols} columns")
        self.set_mode(_AUTOWRAP, wraps)
        mend(self)

    def set_mode(self, number: int, value: bool, *, ansi: bool = False) -> None:
        self._set("MODE", "GhosttyTerminalModeConfig", {"mode": number | ansi << 15, "value": value})

    # -- what it is like -----------------------------------------------------------------------------------------------

    def encode(self) -> bytes:
        """All of it, for `decode`. It fails where `continuation` has nothing."""
        held = b""
        result, saved = self._encoded()
        if result:
            mend(self)
            clear_alternate(self)
            result, saved = self._encoded()
        if result:  # control characters of eight bits within a sequence, which it cannot save
            held = self.continuation() or b""
            self.write(b"\x18")
            result, saved = self._encoded()
            self.write(held)
        _must(result, "save its state")
        return len(held).to_bytes(4, "little") + held + saved

    def continuation(self) -> bytes | None:
        """The bytes of the sequence in progress; None when they were more than CONTINUATION_BYTES."""
        result, held = self._allocated(lib.ghostty_terminal_continuation_alloc, self._handle, ffi.NULL)
        return held if result == 0 else None

    def number(self, name: str, ctype: str = "uint16_t") -> int:
        out = ffi.new(f"{ctype}*")
        _must(lib.ghostty_terminal_get(self._handle, _constant(f"TERMINAL_DATA_{name}"), out), f"say its {name}")
        return int(out[0])

    @property
    def ground(self) -> bool:
        """Whether no sequence is in progress."""
        return bool(self.number("VT_GROUND", "bool"))

    @property
    def alternate(self) -> bool:
        return self.number("ACTIVE_SCREEN", "int") == int(lib.GHOSTTY_TERMINAL_SCREEN_ALTERNATE)

    @property
    def title(self) -> bytes:
        out = ffi.new("GhosttyString*")
        _must(lib.ghostty_terminal_get(self._handle, lib.GHOSTTY_TERMINAL_DATA_TITLE, out), "say its title")
        return bytes(ffi.buffer(out.ptr, out.len)) if out.len else b""

    def mode(self, number: int, *, ansi: bool = False) -> bool:
        config = ffi.new("GhosttyTerminalModeConfig*", {"mode": number | ansi << 15})
        _must(lib.ghostty_terminal_get(self._handle, lib.GHOSTTY_TERMINAL_DATA_MODE, config), f"say its mode {number}")
        return bool(config.value)

    def color(self, name: str) -> tuple[int, int, int]:
        out = ffi.new("GhosttyColorRgb*")
        _must(lib.ghostty_terminal_get(self._handle, _constant(f"TERMINAL_DATA_COLOR_{name}"), out), f"say its {name}")
        return (out.r, out.g, out.b)

    def palette(self, *, default: bool = False) -> list[tuple[int, int, int]]:
        """Its 256 colours, as they are or as they were before the session changed any."""
        out = ffi.new("GhosttyColorRgb[256]")
        name = "TERMINAL_DATA_COLOR_PALETTE_DEFAULT" if default else "TERMINAL_DATA_COLOR_PALETTE"
        _must(lib.ghostty_terminal_get(self._handle, _constant(name), out), "say its palette")
        return [(color.r, color.g, color.b) for color in out]

    def pen_fragments(self) -> bytes:
        """What of the pen is no style: link, protection, charsets."""
        return self.fragment(*_OF_SCREEN)

    def fragment(self, *names: str) -> bytes:
        """Sequences that set parts of its state as the library formats them: `scrolling_region`, `tabstops`, `keyboard`, those of the pen."""
        text, cell = self._formatted(names), self._formatted(())
        return text[len(cell) :] if text.startswith(cell) else text.removesuffix(cell)

    def pen(self) -> Style:
        """How the next character will look."""
        style = sized("GhosttyStyle")
        _must(lib.ghostty_terminal_get(self._handle, lib.GHOSTTY_TERMINAL_DATA_CURSOR_STYLE, style), "say its style")
        return style_of(style)

    def lines(self, above: int = 0) -> Iterator[Line]:
        """The rows of the screen that shows, from at most `above` rows of its scrollback on."""
        with Drawn(self._handle, above) as drawn:
            yield from drawn.lines(self.number("TOTAL_ROWS", "size_t") - self.number("ROWS"))

    def torn(self) -> list[tuple[int, int]]:
        """The cells of the screen that are half of a wide character whose other half is missing."""
        with Drawn(self._handle) as drawn:
            return list(drawn.torn())

    def cursor_shape(self) -> tuple[int, bool]:
        """Its shape as DECSCUSR counts (1 block, 3 underline, 5 bar; 0 when the session has set none), and whether it blinks."""
        with Drawn(self._handle) as drawn:
            return drawn.cursor_shape()

    # -- the library's ways -------------------------------------------------------------------------------------------

    def _set(self, option: str, ctype: str, value: Any) -> None:
        _must(lib.ghostty_terminal_set(self._handle, _constant(f"TERMINAL_OPT_{option}"), ffi.new(f"{ctype}*", value)), f"set {option}")

    def _answer_with(self, on_answer: Callable[[bytes], None]) -> None:
        def write(_terminal: Any, _userdata: Any, data: Any, size: int) -> None:
            on_answer(bytes(ffi.buffer(data, size)))

        def size(terminal: Any, _userdata: Any, out: Any) -> bool:
            out.rows, out.columns = self.number("ROWS"), self.number("COLS")
            out.cell_width, out.cell_height = CELL_PIXELS
            return True

        for option, ctype, function in (("WRITE_PTY", "GhosttyTerminalWritePtyFn", write), ("SIZE", "GhosttyTerminalSizeFn", size)):
            callback = ffi.callback(ctype, function)
            self._callbacks.append(callback)
            _must(lib.ghostty_terminal_set(self._handle, _constant(f"TERMINAL_OPT_{option}"), callback), f"set {option}")

    def _encoded(self) -> tuple[int, bytes]:
        return self._allocated(lib.ghostty_snapshot_encode_alloc, self._handle, ffi.NULL)

    def _allocated(self, call: Any, *arguments: Any) -> tuple[int, bytes]:
        pointer, size = ffi.new("uint8_t**"), ffi.new("size_t*")
        result = int(call(*arguments, pointer, size))
        if result:
            return result, b""
        try:
            return 0, bytes(ffi.buffer(pointer[0], size[0])) if size[0] else b""
        finally:
            lib.ghostty_free(ffi.NULL, pointer[0], size[0])

    def _formatted(self, names: tuple[str, ...]) -> bytes:
        options, selection = sized("GhosttyFormatterTerminalOptions"), sized("GhosttySelection")
        options.emit = lib.GHOSTTY_FORMATTER_FORMAT_VT
        selection.start = selection.end = grid_ref(self._handle, 0, 0)[0]
        options.selection = selection
        for name in names:
            setattr(options.extra.screen if name in _OF_SCREEN else options.extra, name, True)
        formatter = ffi.new("GhosttyFormatter*")
        _must(lib.ghostty_formatter_terminal_new(ffi.NULL, formatter, self._handle, options[0]), "say its state")
        try:
            result, text = self._allocated(lib.ghostty_formatter_format_alloc, formatter[0], ffi.NULL)
        finally:
            lib.ghostty_formatter_free(formatter[0])
        _must(result, "say its state")
        return text
