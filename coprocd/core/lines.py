"""The line assembler: output in, in chunks of any size, and the text of its lines out, with where each byte stands.

Owns the line so far. A line ends at CR or LF (at CRLF once) and where the cursor leaves it. Sequences and controls leave
no trace in its text (TAB is text); bytes that are not UTF-8 are 0x1a each. Must never depend on how output is cut, nor
hold more than LINE_MOST_BYTES of a line. The trigger matcher calls it.
"""

from __future__ import annotations

import codecs
import re
from typing import Literal, NamedTuple

from coprocd.core import escapes
from coprocd.core.places import Places

LINE_MOST_BYTES = 64 << 10
"""Of a longer line the beginning is matched, and it is flagged; the rest until its end is passed over."""

_CR = 13
_NO_BYTE = re.compile("[\udc80-\udcff]")
_BEHIND_CR = 8
"""Added to a parser's state."""


class Signal(NamedTuple):
    """The bell (BEL), or an operating system command: its number, `;` and the rest. `offset` is of BEL, or of the last byte."""

    kind: Literal["bell", "osc"]
    offset: int
    payload: bytes


class Position(NamedTuple):
    """Enough to go on: the line so far begins at `line_at`, with the parser in that `state`, on that screen."""

    line_at: int
    state: int = escapes.GROUND
    alternate: bool = False


class Lines:
    """Finished lines. `text` joins them with LF, without the last end; the first is `truncated` or not."""

    __slots__ = ("_alternate", "_behind_cr", "_first_at", "_marks", "_shift", "_switches", "places", "text", "truncated")

    def __init__(
        self,
        text: bytes,
        places: Places,
        first_at: int | tuple[Places, int],
        truncated: bool,
        marks: bytes,
        shift: int,
        behind_cr: bool,
        alternate: bool,
        switches: list[tuple[int, bool]],
    ) -> None:
        """`marks` are the text with its line ends as they were, `shift` further on than in the text."""
        self.text = text
        self.places = places
        self.truncated = truncated
        self._first_at = first_at
        self._marks = marks
        self._shift = shift
        self._behind_cr = behind_cr
        self._alternate = alternate
        self._switches = switches

    def bounds(self, index: int) -> tuple[int, int]:
        """Start and end of the line that this index of the text is in."""
        end = self.text.find(b"\n", index)
        return self.text.rfind(b"\n", 0, index) + 1, len(self.text) if end < 0 else end

    def offset(self, start: int) -> int:
        """The offset in the output at which the line begins that starts at this index."""
        if start:
            return self.places.offset(start - 1) + 1
        return self._first_at if isinstance(self._first_at, int) else self._first_at[0].offset(self._first_at[1]) + 1

    def is_line(self, start: int, end: int) -> bool:
        """False for what is between CR and LF, between CR and CR, and for an empty line that the cursor has left."""
        if end > start:
            return True
        behind_cr = self._marks[start - self._shift - 1] == _CR if start else self._behind_cr
        return self._marks[end - self._shift] in b"\r\n" and not behind_cr

    def on_alternate(self, end: int) -> bool:
        """Whether the line that ends at this index shows on the alternate screen."""
        shows = self._alternate
        for index, switched in self._switches:
            if index >= end:
                break
            shows = switched
        return shows


class LineAssembler:
    """Fed with output in order. `so_far` is the text of the line that is not finished, `alternate` the screen that shows."""

    def __init__(self, position: Position) -> None:
        self._parser = escapes.Parser(self._add_text, self._switch, self._tell)
        self._marks: list[bytes] = []
        self._length = 0
        self._at = 0
        self.restart(position.line_at)
        self._parser.restart(position.state % _BEHIND_CR)
        self._behind_cr = position.state >= _BEHIND_CR
        self._line_state = position.state
        self.alternate = position.alternate

    def restart(self, offset: int) -> None:
        """The line begins here, empty and in no sequence."""
        self._parser.restart(escapes.GROUND)
        self._behind_cr = False
        self._held = b""
        self.so_far = b""
        self.truncated = False
        self._places = Places()
        self._line_at: int | tuple[Places, int] = offset
        self._line_state = escapes.GROUND

    def line_at(self) -> int:
        """The offset at which the line so far begins."""
        if not isinstance(self._line_at, int):
            places, index = self._line_at
            self._line_at = places.offset(index) + 1
        return self._line_at

    def position(self) -> Position:
        """Where to go on from, with the bytes since."""
        return Position(self.line_at(), self._line_state, self.alternate)

    @property
    def places(self) -> Places:
        """Those of the line so far."""
        return self._places

    def feed(self, output: bytes, offset: int) -> tuple[Lines | None, list[tuple[int, Signal]]]:
        """Takes the next output, less than LINE_MOST_BYTES; returns the lines that it finishes, and signals.

        Each signal is with the index in the text of the lines before which it stands; one in the line so far is past its end.
        """
        exact = output = self._held + output if self._held else output
        offset -= len(self._held)
        self._held = b""
        repaired = False
        if not output.isascii():
            output, repaired = self._valid(output)
            exact = exact[: len(output)]
        self._new = Places()
        self._signals: list[tuple[int, Signal]] = []
        self._switches: list[tuple[int, bool]] = []
        self._ended_in = (-1, escapes.GROUND)
        alternate = self.alternate
        text = b"\0" if self._parser.state else escapes.plain(output)
        if b"\0" in text:
            marks = self._parse(output if repaired else output.replace(b"\x7f", b"\0"), exact, offset)
            text = escapes.shown(marks)
        else:
            marks = output
            self._new.add(0, offset)
        return self._finish(text, marks, alternate), self._signals

    def _valid(self, output: bytes) -> tuple[bytes, bool]:
        """Output up to a character that is not whole yet, which is held back, in UTF-8; and whether it was repaired."""
        try:
            _, length = codecs.utf_8_decode(output, "strict", False)
            repaired = False
        except UnicodeDecodeError:
            text, length = codecs.utf_8_decode(output.replace(b"\x7f", b"\0"), "surrogateescape", False)
            repaired = True
        self._held = output[length:]
        if repaired:
            return _NO_BYTE.sub("\x7f", text).encode(), True
        return output[:length], False

    def _parse(self, output: bytes, exact: bytes, offset: int) -> bytes:
        """The text of output with its line ends, as they are."""
        self._marks = []
        self._length = 0
        self._at = offset
        parser, at, usual, moves = self._parser, 0, -1, False
        while at < len(output):
            if parser.state:
                at = parser.feed(output, exact, at)
                continue
            if usual < at:
                usual, moves = escapes.usual_until(output, at)
            bell = output.find(b"\x07", at, usual)
            stop = usual if bell < 0 else bell
            if stop > at:
                part = output[at:stop]
                text = escapes.strip(part, moves)
                if text:
                    self._new.add(self._length, offset + at, None if len(text) == len(part) else (part, len(text)))
                    self._marks.append(text)
                    self._length += len(text)
                at = stop
            if at == len(output):
                break
            if bell >= 0:
                self._signals.append((self._length, Signal("bell", offset + at, b"")))
            else:
                parser.begin()
            at += 1
        return b"".join(self._marks)

    def _add_text(self, text: bytes, at: int) -> None:
        if text == b"\x07":
            self._signals.append((self._length, Signal("bell", self._at + at, b"")))
        elif text in b"\t\n\x0b\x0c\r":
            self._new.add(self._length, self._at + at)
            self._ended_in = (self._length, self._parser.state)
            self._marks.append(text)
            self._length += 1

    def _switch(self, alternate: bool) -> None:
        self.alternate = alternate
        self._switches.append((self._length - 1, alternate))

    def _tell(self, payload: bytes, at: int) -> None:
        self._signals.append((self._length, Signal("osc", self._at + at, payload)))

    def _finish(self, text: bytes, marks: bytes, alternate: bool) -> Lines | None:
        """Joins the new text with the line so far, and takes the lines that are finished."""
        last = text.rfind(b"\n")
        if last < 0:
            self._grow(text)
            return None
        first = text.find(b"\n")
        shift = 0
        if self.so_far or first > LINE_MOST_BYTES:
            self._grow(text[:first])
            places, shift = self._places, len(self.so_far) - first
            places.take(self._new, first, last + 1, len(self.so_far), anew=self.truncated)
            whole = self.so_far + text[first:last]
            self._signals = [(min(index, first) + shift if index <= first else index + shift, signal) for index, signal in self._signals]
        else:
            places, whole = self._new, text[:last]
        switches = [(index + shift, switched) for index, switched in self._switches]
        lines = Lines(whole, places, self._line_at, self.truncated, marks, shift, self._behind_cr, alternate, switches)
        self.so_far = text[last + 1 :]
        self.truncated = False
        self._places = Places()
        if self.so_far:
            self._places.take(self._new, last + 1, len(text), 0)
        self._behind_cr = marks[last] == _CR
        self._line_at = (self._new, last)
        self._line_state = (self._ended_in[1] if self._ended_in[0] == last else escapes.GROUND) + (_BEHIND_CR if self._behind_cr else 0)
        return lines

    def _grow(self, text: bytes) -> None:
        """The line so far goes on with new text, as far as it may."""
        if self.truncated or not text:
            return
        room = LINE_MOST_BYTES - len(self.so_far)
        if len(text) > room:
            self.truncated = True
            while room and text[room] & 0xC0 == 0x80:
                room -= 1
            text = text[:room]
            if not text:
                return
            # So that no stretch goes on behind the cut, where the places of the line's end come.
            self._new.offset(room - 1)
        self._places.take(self._new, 0, len(text), len(self.so_far))
        self.so_far += text
