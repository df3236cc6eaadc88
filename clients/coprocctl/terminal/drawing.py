"""Output on its way to the terminal, and what the client adds to it: marks in the title, a status line.

Sans-IO: each method returns the bytes to be written. It drops questions to the terminal, follows what is set on it, and puts in what is the
client's only between two sequences and characters. `attachment` calls it.
"""

from __future__ import annotations

import re

from coprocctl.terminal.modes import Modes
from coprocctl.terminal.status import StatusLine
from coprocctl.terminal.title import Title
from coprocd.protocol.queries import Queries

_CUT_CHARACTER = re.compile(rb"[\xc2-\xf4]\Z|[\xe0-\xf4][\x80-\xbf]\Z|[\xf0-\xf4][\x80-\xbf]{2}\Z")
_END_SEQUENCE = b"\x18\x1b\\"
"""Ends what is in progress: CAN, and ST for those who take a string on behind CAN."""
_WAITING_BYTES = 4 << 10
"""Notifications that wait for a sequence to end; what comes when there are more is not shown."""
_PLAIN = b"\x1b[m"


class Drawing:
    """That of one session, on one terminal."""

    def __init__(self, line: bool) -> None:
        """`line`: the last row of the terminal is for a status line."""
        self.modes = Modes()
        self.title = Title()
        self.status = StatusLine()
        self._is_plain = False
        """Whether letters need nothing done to them: no sequence or character is in progress, and no row of the terminal is ours."""
        self.changed = True
        """Whether `reset` may be another than before what was made last."""
        self._line = line
        self._queries = Queries()
        self._cut = False
        self._waiting = b""
        self._rows = self._cols = 0
        self.session_rows = 0

    # -- the whole ---------------------------------------------------------------------------------------------------------

    def room(self, rows: int, cols: int) -> tuple[int, int]:
        """What a terminal of that size has for the session."""
        return (rows - 1 if self._line and rows > 1 else rows), cols

    def begin(self, rows: int, cols: int) -> bytes:
        """What is on the terminal is moved up into its scrollback, and its title saved."""
        return self.title.begin() + b"\x1b[%d;1H" % rows + b"\r\n" * rows + b"\x1b[H" + self.fit(rows, cols)

    def fit(self, rows: int, cols: int, session_rows: int | None = None) -> bytes:
        """What makes a terminal of that size show a session of so many rows: as many as it has room for, unless they are others."""
        self._rows, self._cols = rows, cols
        self.session_rows = self.room(rows, cols)[0] if session_rows is None else session_rows
        self._is_plain = False
        self.changed = True
        return self.status.fit(rows, cols, self.session_rows, self._line)

    def reset(self) -> bytes:
        """What makes the terminal as it was, but for what it shows."""
        return _END_SEQUENCE + self.modes.reset() + self.status.end() + _PLAIN + self.title.end()

    def end(self) -> bytes:
        """… and leaves the cursor on an empty last line."""
        return self.reset() + b"\x1b[%d;1H\r\n" % self._rows

    # -- output ------------------------------------------------------------------------------------------------------------

    def start_over(self, session_rows: int) -> bytes:
        """Before the screen is drawn anew, of a session of so many rows: what was set is reset, and what was in progress ended."""
        reset = _END_SEQUENCE + self.modes.reset() + _PLAIN
        self.modes.clear()
        self._queries.reset()
        self._cut = self._is_plain = False
        self.status.clear()
        return reset + self.fit(self._rows, self._cols, session_rows)

    def output(self, data: bytes, now: float) -> bytes:
        """What shows the next piece of output."""
        if self._is_plain and data.isalnum() and not self.status.covering:  # an echo, mostly
            return data
        data = self._queries.feed(data)
        self.changed = not self._queries.usual or self.modes.open or b"\x0e" in data or b"\x0f" in data
        if self.changed:
            data = self.title.passed(data)
            self.modes.feed(data)
        if data:
            self._cut = _CUT_CHARACTER.search(data[-3:]) is not None
        if self.status.active:
            data = self.status.rewrite(data, now)
        self._is_plain = self._queries.idle and not (self.changed or self._cut or self.status.active)
        return data + self.additions(now)

    def additions(self, now: float) -> bytes:
        """What is the client's to show, as far as it can be put in now."""
        if not self._queries.between or self._cut:
            return b""
        waiting, self._waiting = self._waiting, b""
        return waiting + self.title.changes(self.modes) + self.status.draw(now)

    def notification(self, sequence: bytes, now: float) -> bytes:
        """What shows it, now or with what comes next."""
        if len(self._waiting) + len(sequence) < _WAITING_BYTES:
            self._waiting += sequence
        return self.additions(now)
