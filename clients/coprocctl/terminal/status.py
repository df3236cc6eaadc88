"""The last row of the terminal, kept from the session for a line of the client's; or what of the terminal is below a session with fewer rows.

Sans-IO. The session's rows are a scroll region on the terminal, and what would lead out of it is rewritten: margins and rows in sequences that place the cursor. What
it cannot know without being a terminal: a line feed, or CUD, below a scroll region of the job's own leads one row too far there.

The line is drawn between two sequences of output, under a saved cursor (DECSC). There is one slot for that, and the job uses it too: while it has saved a cursor
and may yet restore it the line is drawn only right behind its own saving or restoring, where what is in the slot is where the cursor is. `drawing` calls it,
with sequences that are whole.
"""

from __future__ import annotations

import re

from coprocctl.output import cut, width

FORGOTTEN_S = 5.0
"""A cursor that was saved so long ago, and not restored since, will not be."""

_SEQUENCE = re.compile(
    rb"\x1b(?:"
    rb"\[(?P<numbers>[0-9;]*)(?P<place>[rHfde])"
    rb"|(?P<save>7|\[s)|(?P<restore>8|\[u)"
    rb"|(?P<erase>\[[023]?J)"
    rb"|(?P<reset>\[!p|c|#8|\[\?[0-9;]*?\b0*3[hl])"
    rb"|\[\?(?P<modes>[0-9;]*)(?P<on>[hl])"
    rb")"
)
_ALTERNATE = frozenset((b"47", b"1047", b"1049"))
_SAVE, _RESTORE = b"\x1b7", b"\x1b8"


class StatusLine:
    """That of one terminal; without a text it only keeps the session where it belongs."""

    def __init__(self) -> None:
        self.rows = 0
        """Those of the session."""
        self._row = self._cols = 0
        """Where the line is, and how long it may be; row 0: there is none."""
        self._text = ""
        self._due = False
        self._saved: dict[bool, float | None] = {False: None, True: None}
        """When the job last touched the cursor that it saved on the primary and on the alternate screen; None where it has saved none."""
        self._alternate = False
        self.covering = False
        """Whether the line lies over what the session shows."""

    @property
    def active(self) -> bool:
        """Whether the terminal has more rows than the session."""
        return self.rows > 0

    def fit(self, rows: int, cols: int, session_rows: int, line: bool) -> bytes:
        """What sets the terminal up for a session of so many rows; `line`: its last row is for the line."""
        was_active = self.active
        self.covering = False
        self.rows = session_rows if session_rows < rows else 0
        self._row, self._cols = (rows, cols) if line and self.active else (0, 0)
        self._due = self._row > 0
        if not self.active:
            return _SAVE + b"\x1b[r" + _RESTORE if was_active else b""
        return _SAVE + b"\x1b[?6l" + self._margins() + b"\x1b[%d;1H\x1b[J" % (self.rows + 1) + _RESTORE

    def cover(self, rows: int, cols: int, text: str) -> None:
        """It says `text`; from here on, until the next `fit`, the line lies over the last row of the session, where it has none of its own: it is drawn after all output."""
        if not self._row:
            self._row, self._cols, self.covering = rows, cols, True
        self._text = text
        self._due = True

    def clear(self) -> None:
        """The terminal has no saved cursor, and shows the primary screen."""
        self._saved = {False: None, True: None}
        self._alternate = False

    def end(self) -> bytes:
        """What gives the rows back."""
        return _SAVE + b"\x1b[?6l\x1b[r\x1b[m\x1b[%d;1H\x1b[J" % (self.rows + 1) + _RESTORE if self.active else b""

    def show(self, text: str) -> None:
        """What the line says from now on; "" for nothing."""
        if text != self._text:
            self._text = text
            self._due = self._row > 0

    def rewrite(self, data: bytes, now: float) -> bytes:
        """Output that stays in the session's rows."""
        return _SEQUENCE.sub(lambda found: self._rewritten(found, now), data) if b"\x1b" in data else data

    def draw(self, now: float) -> bytes:
        """What draws the line, if it is due and can be; here is no sequence in progress."""
        saved = self._saved[self._alternate]
        if not (self._due or self.covering) or (saved is not None and now - saved < FORGOTTEN_S):
            return b""
        self._saved[self._alternate] = None
        return _SAVE + self._drawn()

    @property
    def due(self) -> bool:
        """Whether the line is to be drawn, and could not be yet."""
        return self._due

    def _drawn(self) -> bytes:
        """The line, and the cursor back where it was saved."""
        self._due = False
        text = cut(self._text, self._cols)
        shown = b"\x1b[7m" + (text + " " * (self._cols - width(text))).encode("utf-8", "replace") if text else b""
        return b"\x1b[?6l\x1b[%d;1H\x0f\x1b(B\x1b[m\x1b[2K" % self._row + shown + _RESTORE

    def _margins(self) -> bytes:
        return b"\x1b[1;%dr" % self.rows

    def _rewritten(self, found: re.Match[bytes], now: float) -> bytes:
        sequence = found[0]
        if found["place"] is not None:
            return self._placed(sequence, found["numbers"], found["place"])
        if found["save"] is not None or found["restore"] is not None:
            if found["save"] is not None or self._saved[self._alternate] is not None:
                self._saved[self._alternate] = now
            # What is in the slot is where the cursor is.
            return sequence + self._drawn() if self._due else sequence
        modes = [mode.lstrip(b"0") for mode in (found["modes"] or b"").split(b";")]
        if found["modes"] is not None and _ALTERNATE.isdisjoint(modes):
            return sequence
        self._due = self._row > 0
        if found["erase"] is not None:
            return sequence
        if found["modes"] is not None:
            self._alternate = found["on"] == b"h"
            if not self._alternate:
                if b"1049" in modes:  # which has restored the cursor that it had saved
                    self._saved[False] = None
                return sequence
        self._saved[self._alternate] = None
        return sequence + _SAVE + self._margins() + _RESTORE

    def _placed(self, sequence: bytes, numbers: bytes, place: bytes) -> bytes:
        """A sequence with rows in it, none of them below the session's."""
        if place == b"e":  # VPR minds no margins, in some terminals; CUD, which is the same otherwise, does
            return b"\x1b[%bB" % numbers
        values = [min(int(number.lstrip(b"0")[:6] or b"0"), 1 << 16) for number in numbers.split(b";")[:2]]
        if place == b"r":
            top, bottom = values[0], values[1] if len(values) > 1 else 0
            bottom = min(bottom, self.rows) or self.rows
            return b"\x1b[%d;%dr" % (top or 1, bottom)
        if values[0] <= self.rows:
            return sequence
        return b"\x1b[%d" % self.rows + (b";%d" % values[1] if len(values) > 1 else b"") + place
