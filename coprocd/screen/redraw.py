"""Puts together what makes another terminal look and behave like this one.

The order is what makes it right. First all is taken back that an earlier part of the output may have left on; then, with
nothing on that would change how text is printed, the primary screen is drawn and, above it, the alternate one; then come margins and tab
stops, the saved cursor, the modes; then the cursor, whose place depends on margins and modes; then the modes that
change how text is printed; last the beginning of a sequence that is not complete yet.

What a terminal does not tell is found by asking a copy of it to go back there: the cursor saved by DECSC, modes saved by XTSAVE, the
stack of keyboard flags, the primary screen. The one that is redrawn is only looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from coprocd.screen.grid import Line, watched
from coprocd.screen.native import Terminal
from coprocd.screen.paint import Brush, cell_before
from coprocd.screen.pen import BARE_PEN, pen

ORIGIN, AUTOWRAP, CURSOR_VISIBLE, MARGINS, SYNCHRONIZED, CLUSTERS = 6, 7, 25, 69, 2026, 2027
INSERT, RECEIVE, NEWLINE = 4, 12, 20
BLINK, KEYPAD = 12, 66

MODES = {
    **dict.fromkeys((1, 5, 8, 9, 45, 66, 67, 1000, 1002, 1003, 1004, 1005, 1006, 1015, 1016, 1039, 1045, 2004, 2031, 2033, 5522), False),
    **dict.fromkeys((AUTOWRAP, CURSOR_VISIBLE, 1007, 1035, 1036), True),
    CLUSTERS: False,
}
"""DEC modes that are redrawn, in their order, and what they are at first; origin, margins and the alternate screen are seen to apart.

Not among them: 3 and 40 change the size, which is the viewer's; 2048 makes a terminal report sizes, and the session's screen does;
ANSI mode 2 locks the keyboard, and with it the key that detaches.
"""

_OWN = (8, 67, 1007, 1035, 1036, 1039, 1045, CLUSTERS)
"""Modes that are a terminal's own settings: they are set where the session has, and not taken back where it has not."""

_APART = (AUTOWRAP, CLUSTERS, KEYPAD)
"""Modes that are not set with the others: two change how text is printed, and the keypad's is known to more terminals as ESC =."""

_KEYBOARD_LEVELS = 8
_NO_KEYBOARD_FLAGS = b"\x1b[<%du" % _KEYBOARD_LEVELS
_MOST_PARAMETERS = 16


def take_back() -> bytes:
    """What takes back all that an output may have left on, and clears the screen. No full reset: that clears what is scrolled back, too."""
    return (
        b"\x18\x1b[?2026h\x1b[?1049;1047;47l"
        + _set_modes({mode: value for mode, value in {**MODES, ORIGIN: False, MARGINS: False}.items() if mode not in _OWN})
        + b"\x1b[4;20l\x1b[12h\x1b[r\x1b[?5W\x1b>\x1b[>4m\x1b[0 q"
        + _NO_KEYBOARD_FLAGS
        + BARE_PEN
        + b"\x1b]104\x1b\\\x1b]110\x1b\\\x1b]111\x1b\\\x1b]112\x1b\\\x1b[H\x1b7\x1b[J"
    )


def redraw(terminal: Terminal, moved: Callable[[], None]) -> bytes:
    """See the module, and `Emulator.redraw`."""
    rows, cols = terminal.number("ROWS"), terminal.number("COLS")
    copy = Terminal.decode(terminal.encode(), 0, history=False)
    try:
        copy.write(b"\x18")
        margins = _Margins.of(terminal, rows, cols)
        brush = Brush()
        lines = list(watched(terminal.lines(), moved))
        saved = _saved_cursor(copy, lines, brush)
        keyboard = _keyboard(copy)
        saved_modes = _saved_modes(copy)
        below = _primary_below(terminal, copy, cols, moved) if terminal.alternate else b""
    finally:
        copy.close()
    brush.lines(watched(lines, moved), cols)
    out = [take_back(), below, brush.taken(), _tabs(terminal, cols), saved, margins.set(), terminal.fragment("keyboard")]
    out += [_colors(terminal), keyboard, saved_modes]
    modes = {mode: terminal.mode(mode) for mode in MODES}
    out.append(_set_modes({mode: value for mode, value in modes.items() if value != MODES[mode] and mode not in _APART}))
    out.append(b"\x1b=" if modes[KEYPAD] else b"")
    out += [b"\x1b[12l" if not terminal.mode(RECEIVE, ansi=True) else b"", b"\x1b[20h" if terminal.mode(NEWLINE, ansi=True) else b""]
    out.append(_shape(terminal))
    if title := terminal.title:
        out.append(b"\x1b]2;" + bytes(byte for byte in title if byte >= 0x20 and byte != 0x7F) + b"\x1b\\")
    out += [_place(terminal, margins, lines, brush), pen(terminal)]
    out.append(_set_modes({mode: modes[mode] for mode in (AUTOWRAP, CLUSTERS) if modes[mode] != MODES[mode]}))
    out.append(b"\x1b[4h" if terminal.mode(INSERT, ansi=True) else b"")
    out += [b"" if terminal.mode(SYNCHRONIZED) else b"\x1b[?2026l", terminal.continuation() or b""]
    return b"".join(out)


class _Margins(NamedTuple):
    """The scroll region, from 1 on, and whether there can be left and right margins."""

    top: int
    bottom: int
    left: int
    right: int
    sideways: bool

    @classmethod
    def of(cls, terminal: Terminal, rows: int, cols: int) -> _Margins:
        told = terminal.fragment("scrolling_region")
        vertical, horizontal = re.search(rb"\x1b\[(\d+);(\d+)r", told), re.search(rb"\x1b\[(\d+);(\d+)s", told)
        top, bottom = (int(vertical[1]), int(vertical[2])) if vertical else (1, rows)
        left, right = (int(horizontal[1]), int(horizontal[2])) if horizontal else (1, cols)
        return cls(top, bottom, left, right, terminal.mode(MARGINS))

    def set(self) -> bytes:
        across = f"\x1b[?{MARGINS}h\x1b[{self.left};{self.right}s" if self.sideways else ""
        return f"\x1b[{self.top};{self.bottom}r{across}".encode()


def _place(terminal: Terminal, margins: _Margins, lines: list[Line], brush: Brush) -> bytes:
    """Puts the cursor where that of `terminal` is, with a bare pen.

    It comes there by printing the character before it once more, where there is one: so the next character wraps if it would have, and
    one that is asked for again (REP) is the same.
    """
    x, y, origin = terminal.number("CURSOR_X"), terminal.number("CURSOR_Y"), terminal.mode(ORIGIN)
    start = x
    if _pending(terminal):
        start, piece = cell_before(lines[y], x + 1)
        brush.piece(piece if piece.text else piece._replace(text=" "), start, start + piece.width)
    elif x and (cell := cell_before(lines[y], x))[1].text and not cell[1].clustered and not (margins.sideways and x == margins.right):
        start, piece = cell
        brush.piece(piece, start, x)
    brush.rest()
    row, column = (max(y - margins.top + 2, 1), max(start - margins.left + 2, 1)) if origin else (y + 1, start + 1)
    return (f"\x1b[?{ORIGIN}{'h' if origin else 'l'}\x1b[{row};{column}H").encode() + brush.taken()


def _saved_cursor(copy: Terminal, lines: list[Line], brush: Brush) -> bytes:
    """Saves the cursor that DECSC has saved. It is that of the copy afterwards, which has no margins any more.

    None are set where it is saved, either: it may lie outside of those there are now.
    """
    copy.write(b"\x1b[?69l\x1b[r\x1b8")
    margins = _Margins.of(copy, copy.number("ROWS"), copy.number("COLS"))
    saved = _place(copy, margins, lines, brush) + pen(copy) + b"\x1b7" + BARE_PEN
    if _pending(copy) and not (cell := cell_before(lines[copy.number("CURSOR_Y")], copy.number("CURSOR_X") + 1)[1]).text:
        brush.erased(cell.style)
    return saved + brush.taken()


def _pending(terminal: Terminal) -> bool:
    return bool(terminal.number("CURSOR_PENDING_WRAP", "bool"))


def _primary_below(terminal: Terminal, copy: Terminal, cols: int, moved: Callable[[], None]) -> bytes:
    """Draws the primary screen and leaves it for the alternate one, in the way the session did. The copy shows the primary one then."""
    switch = next((mode for mode in (1049, 1047, 47) if terminal.mode(mode)), 1049)
    copy.write(b"\x1b[?%dl" % switch)
    brush, lines = Brush(), list(watched(copy.lines(), moved))
    brush.lines(watched(lines, moved), cols)
    drawn = brush.taken() + _keyboard(copy)
    saved = _saved_cursor(copy, lines, brush) + b"\x1b8"
    # 1049 saves the cursor once more, with its pen. The alternate screen may be that of an earlier output.
    away = f"\x1b[?{switch}h\x1b[?{ORIGIN}l".encode() + _NO_KEYBOARD_FLAGS + BARE_PEN + b"\x1b[H\x1b[J"
    return drawn + saved + _shape(copy) + away


def _shape(terminal: Terminal) -> bytes:
    """The shape of the cursor; each screen has its own in some terminals. 0 is the viewer's own."""
    shape, blinks = terminal.cursor_shape()
    if shape:
        return f"\x1b[{shape if blinks else shape + 1} q".encode()
    return b"\x1b[0 q" + (b"\x1b[?12h" if terminal.mode(BLINK) else b"")


def _keyboard(copy: Terminal) -> bytes:
    """Builds up the stack of the kitty keyboard's flags, which is taken down in the copy."""
    flags = []
    for _ in range(_KEYBOARD_LEVELS):
        flags.append(copy.number("KITTY_KEYBOARD_FLAGS", "uint8_t"))
        copy.write(b"\x1b[<u")
    while flags and not flags[-1]:
        flags.pop()
    return b"".join(b"\x1b[>%du" % level for level in reversed(flags))


def _saved_modes(copy: Terminal) -> bytes:
    """Saves the modes that XTSAVE has saved, where they are not what they are at first. They are set in the copy, and left set."""
    copy.write(_each("r", MODES))
    saved = {mode: value for mode, first in MODES.items() if (value := copy.mode(mode)) != first}
    return _set_modes(saved) + _each("s", saved) + _set_modes({mode: not value for mode, value in saved.items()})


def _set_modes(modes: dict[int, bool]) -> bytes:
    return _each("h", [mode for mode, value in modes.items() if value]) + _each("l", [mode for mode, value in modes.items() if not value])


def _each(final: str, modes: Iterable[int]) -> bytes:
    """A sequence for DEC modes, or several: a terminal need not take more parameters at once than sixteen."""
    names, out = list(map(str, modes)), ""
    for start in range(0, len(names), _MOST_PARAMETERS):
        out += f"\x1b[?{';'.join(names[start : start + _MOST_PARAMETERS])}{final}"
    return out.encode()


def _colors(terminal: Terminal) -> bytes:
    changed = [
        b"\x1b]4;%d;rgb:%02x/%02x/%02x\x1b\\" % (place, *color)
        for place, (color, first) in enumerate(zip(terminal.palette(), terminal.palette(default=True), strict=True))
        if color != first
    ]
    for code, name in ((10, "FOREGROUND"), (11, "BACKGROUND"), (12, "CURSOR")):
        if (color := terminal.color(name)) != terminal.color(f"{name}_DEFAULT"):
            changed.append(b"\x1b]%d;rgb:%02x/%02x/%02x\x1b\\" % (code, *color))
    return b"".join(changed)


def _tabs(terminal: Terminal, cols: int) -> bytes:
    usual = b"\x1b[3g" + b"".join(b"\x1b[%dG\x1bH" % column for column in range(9, cols, 8)) + b"\x1b[H"
    told = terminal.fragment("tabstops")
    return b"" if told == usual else told
