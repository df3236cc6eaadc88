"""Escape sequences in output, as far as lines are concerned: which end the line, which switch the screen, which only go.

Two ways that agree. Stretches of output whose sequences are whole and usual are stripped by compiled expressions, since
that is most of all output. At anything else (a sequence cut by a chunk, a string, the alternate screen, a control
inside a sequence) the `Parser` goes on byte by byte, as a terminal does (ECMA-48 §5; vt100.net's parser of DEC's VTs).
The line assembler calls both.
"""

from __future__ import annotations

import re
from collections.abc import Callable

LINE_MOVED = b"\x0b"
"""What stands in the text where the cursor has left the line: VT, which is one of the ways to leave it."""

INVALID = b"\x7f"
"""What stands in output for a byte that is not UTF-8. DEL itself leaves no trace: it is made a NUL before."""

OSC_MOST_BYTES = 4 << 10
"""The rest of an operating system command is dropped: no notification is longer."""

_PARAMETERS_MOST = 64
"""A control sequence with more bytes of parameters has no effect."""

# \x1b[ parameters, then one final; the finals of moves: CUU, CUD, CNL, CPL, CUP, VPA, HVP
_MOVE = rb"\x1b(?:\[[0-9:;]{0,64}+[ABEFHfd]|[DEM])"
_ALTERNATE = rb"\?[0-9:;]*?(?<![0-9])(?:47|1047|1049)(?![0-9])[0-9:;]*+[hl]"
_ESCAPE = rb"(?:[ -/]++[0-~]|[0-CF-LNOQ-WYZ\\`abd-~])"
_CONTROL_SEQUENCE = rb"(?:[0-9:;]{0,64}+%b|(?!" + _ALTERNATE + rb")[<=>?][0-9:;<=>?]*+[@-~]|[0-?]*+[ -/]++[@-~])"
_STAYS = _CONTROL_SEQUENCE % rb"[@CDGI-Z\\\]^_`abceg-~]"
_ANY = _CONTROL_SEQUENCE % rb"[@-~]"

_UNUSUAL_OR_MOVE = re.compile(rb"\x1b(?!\[" + _STAYS + rb"|" + _ESCAPE + rb")")
_UNUSUAL = re.compile(rb"\x1b(?!\[" + _ANY + rb"|" + _ESCAPE + rb"|[DEM])")
_MOVES = re.compile(_MOVE)
_SEQUENCES = re.compile(rb"\x1b(?:\[" + _ANY + rb"|" + _ESCAPE + rb"|[DEM])")
_TRACELESS = bytes(byte for byte in range(32) if byte not in b"\t\n\x0b\x0c\r\x1b")
_GONE = re.compile(rb"\x1b(?:\[" + _ANY + rb"|" + _ESCAPE + rb"|[DEM])|[" + re.escape(_TRACELESS) + rb"]++")

_PLAIN = bytes.maketrans(_TRACELESS + b"\x0b\x0c\r\x1b\x7f", b"\0" * len(_TRACELESS) + b"\n\n\n\0\0")
_SHOWN = bytes.maketrans(_TRACELESS + b"\x0b\x0c\r\x7f", b"\0" * len(_TRACELESS) + b"\n\n\n\x1a")

_SEQUENCE_BYTES = re.compile(rb"[ -?]*")
_MOVE_FINALS = b"ABEFHfd"
_MOVE_PARAMETERS = re.compile(rb"[0-9:;]*")
_ALTERNATE_SET = re.compile(_ALTERNATE)
_OSC_END = re.compile(rb"[\x07\x18\x1a\x1b]")
_STRING_END = re.compile(rb"[\x18\x1a\x1b]")
_OSC_TOLD = re.compile(rb"(?:[029]|777)(?:;|\Z)|1337;Custom=")
"""Title, notification and progress, notification, custom escape sequence (OSC 0, 2, 9, 777 and 1337)."""

_CAN, _SUB, _ESC, _BEL, _DEL = 0x18, 0x1A, 0x1B, 0x07, 0x7F

GROUND, ESCAPE, CONTROL, OSC, STRING = range(5)
"""Where a parser is: in text, behind ESC, behind CSI, in an operating system command, in another string."""


def plain(output: bytes) -> bytes:
    """Its lines, each ended by LF, as long as the output; with a NUL in it if there is more than text and line ends."""
    return output.translate(_PLAIN)


def shown(marks: bytes) -> bytes:
    """The lines that text with its line ends (LF, CR, VT, FF) makes, each ended by LF; of the same length."""
    return marks.translate(_SHOWN)


def usual_until(output: bytes, start: int) -> tuple[int, bool]:
    """Where the parser must be asked (ESC of a sequence that is unusual or not whole), and whether moves come before."""
    first = _UNUSUAL_OR_MOVE.search(output, start)
    if first is None:
        return len(output), False
    unusual = _UNUSUAL.search(output, first.start())
    return len(output) if unusual is None else unusual.start(), True


def strip(output: bytes, moves: bool) -> bytes:
    """The text of output that `usual_until` has passed: sequences and controls gone, line ends as they are."""
    if moves:
        output = _MOVES.sub(LINE_MOVED, output)
    if b"\x1b" in output:
        output = _SEQUENCES.sub(b"", output)
    if b"\0" in output.translate(_SHOWN):
        output = output.translate(None, _TRACELESS)
    return output


def runs(output: bytes) -> tuple[list[int], list[int], int]:
    """Where what `strip` leaves comes from: for each run its index in the text and in the output; and the text's length."""
    indices: list[int] = []
    positions: list[int] = []
    index = begun = 0
    for gone in _GONE.finditer(output):
        start, end = gone.span()
        if start > begun:
            indices.append(index)
            positions.append(begun)
            index += start - begun
        begun = end
        if _MOVES.match(output, start) is not None:
            # Its last byte is the one that stands for it.
            begun = end - 1
            indices.append(index)
            positions.append(begun)
            index += 1
            begun = end
    if begun < len(output):
        indices.append(index)
        positions.append(begun)
        index += len(output) - begun
    return indices, positions, index


class Parser:
    """The sequence that output is in the midst of. It holds at most OSC_MOST_BYTES of it, however long it is.

    What comes of it is told to three functions: `text` (bytes that come into the text: a control, or LINE_MOVED; with the
    position of the last byte behind it), `screen` (the alternate screen is to show or not) and `told` (a string).
    """

    __slots__ = ("_collected", "_osc", "_screen", "_text", "_told", "effectless", "state")

    def __init__(self, text: Callable[[bytes, int], None], screen: Callable[[bool], None], told: Callable[[bytes, int], None]) -> None:
        self._text = text
        self._screen = screen
        self._told = told
        self.restart(GROUND)

    def restart(self, state: int) -> None:
        """Goes on in that state, in the midst of a sequence that has no effect."""
        self.state = state
        self.effectless = state != GROUND
        self._collected = bytearray()
        self._osc: bytes | None = None

    def begin(self) -> None:
        """An ESC has been read in text."""
        self.restart(ESCAPE)
        self.effectless = False

    def feed(self, output: bytes, exact: bytes, start: int) -> int:
        """Reads on in the sequence; returns how far. `exact` is the output before repairs: strings are taken from it."""
        if self.state >= OSC:
            return self._string(output, exact, start)
        if self.state == CONTROL:
            collected = _SEQUENCE_BYTES.match(output, start)
            assert collected is not None
            start = collected.end()
            if len(self._collected) <= _PARAMETERS_MOST:
                self._collected += collected.group()[: _PARAMETERS_MOST + 1]
            if start == len(output):
                return start
        byte = output[start]
        if byte >= _DEL:
            # No sequence holds it: what was begun is none, and this is text.
            self.restart(GROUND)
            return start
        if byte == _ESC:
            self.begin()
        elif byte in (_CAN, _SUB):
            self.restart(GROUND)
        elif byte < 0x20:
            self._control(byte, start)
        elif self.state == CONTROL:
            self._final(byte, start)
        else:
            self._escape(byte, start)
        return start + 1

    def _control(self, byte: int, at: int) -> None:
        """A control in the midst of a sequence does what it does, and the sequence goes on."""
        self._text(bytes([byte]), at)
        if byte in b"\n\x0b\x0c\r":
            # A line that begins inside a sequence begins in a state that a number can say.
            self.effectless = True
            self._collected.clear()
            self._osc = None

    def _escape(self, byte: int, at: int) -> None:
        if byte < 0x30:
            self._collected[:] = b" "
            return
        osc, effectless, intermediate = self._osc, self.effectless, bool(self._collected)
        self.restart(GROUND)
        if intermediate:
            return
        if byte == 0x5B:
            self.state = CONTROL
            self.effectless = effectless
        elif byte == 0x5D:
            self.state = OSC
            self.effectless = effectless
        elif byte in b"PX^_":
            self.state = STRING
        elif effectless:
            return
        elif byte == 0x5C and osc is not None:
            self._tell(osc, at)
        elif byte in b"DEM":
            self._text(LINE_MOVED, at)
        elif byte == 0x63:
            self._text(LINE_MOVED, at)
            self._screen(False)

    def _final(self, byte: int, at: int) -> None:
        parameters = bytes(self._collected)
        effect = not self.effectless and len(parameters) <= _PARAMETERS_MOST
        self.restart(GROUND)
        if not effect:
            return
        if byte in _MOVE_FINALS:
            if _MOVE_PARAMETERS.fullmatch(parameters) is not None:
                self._text(LINE_MOVED, at)
        elif byte in b"hl" and _ALTERNATE_SET.fullmatch(parameters + bytes([byte])) is not None:
            self._text(LINE_MOVED, at)
            self._screen(byte == 0x68)

    def _string(self, output: bytes, exact: bytes, start: int) -> int:
        end = (_OSC_END if self.state == OSC else _STRING_END).search(output, start)
        stop = len(output) if end is None else end.start()
        room = OSC_MOST_BYTES - len(self._collected)
        if self.state == OSC and room > 0 and not self.effectless:
            self._collected += exact[start : min(stop, start + room)]
        if end is None:
            return stop
        byte = output[stop]
        osc = bytes(self._collected) if self.state == OSC and not self.effectless else None
        self.restart(GROUND)
        if byte == _ESC:
            self.begin()
            self._osc = osc
        elif byte == _BEL and osc is not None:
            self._tell(osc, stop)
        return stop + 1

    def _tell(self, osc: bytes, at: int) -> None:
        if _OSC_TOLD.match(osc) is not None:
            self._told(osc, at)
