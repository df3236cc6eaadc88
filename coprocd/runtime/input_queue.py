"""The input queue: what is to be typed into a session, whole and in order, whoever it comes from.

Its ring is in the session's state, so what was accepted is typed even if the daemon dies; a feed moves it to the master.
The only writer to the master is that feed.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

from coprocd.core.canonical import LINE_MOST, CanonicalLine
from coprocd.core.ring import FeedPosition, Ring
from coprocd.platform import memory, terminal
from coprocd.protocol.errors import CoprocdError
from coprocd.runtime.feed import Feed
from coprocd.runtime.ring_file import RingFile
from coprocd.runtime.segment import Segment

SLOTS = 1 + Ring.SLOTS + FeedPosition.SLOTS
LINE_SLOTS = 3
"""Of the line that the terminal collects: up to where the input is counted, its length there, and whether a byte is quoted next."""

_NO_LINE = CanonicalLine()

KEY_BYTES = 16
"""What is no longer may be a key: the terminal is not asked how it collects a line while somebody waits for the echo."""

PIPE_BYTES = 4096
"""The private pipe towards the master: what a terminal takes at a time, and a page of the user's share."""


class InputQueue(RingFile):
    """Bytes on their way to the job. `at` is the first of its slots in `segment`, `line_at` of those of the line; its bytes begin at `base`."""

    __slots__ = ("_line_at", "_slots", "_told", "feed")

    def __init__(
        self, segment: Segment, at: int, line_at: int, base: int, capacity: int, pipe: tuple[int, int], on_moved: Callable[[], None]
    ) -> None:
        slots = segment.slots
        if not slots[at]:
            slots[at] = secrets.randbits(63) | 1
        super().__init__(segment.fd, Ring(slots, at + 1, base, capacity), slots[at])
        position = FeedPosition(slots, at + 1 + Ring.SLOTS)
        self.feed = Feed(self, position, pipe, self._on_moved, on_broken=lambda: None, fill_bytes=PIPE_BYTES)
        self._told = on_moved
        self._slots = slots
        self._line_at = line_at

    @property
    def waiting_bytes(self) -> int:
        """Accepted, and not yet taken by the terminal."""
        return self.feed.waiting_bytes

    @property
    def room(self) -> int:
        return self.ring.room(self.feed.position.filled)

    def check(self, data: bytes) -> None:
        """`input_full` or `line_too_long` when `data` cannot be typed whole."""
        size, room = len(data), self.room
        if size > room:
            why, remedy = "to be read by the job", "send less at a time, or wait until the job reads"
            if self.feed.held:
                why, remedy = "since a trigger holds the input", "add a trigger whose action is buffer_input, and its parameter `stop`"
            raise CoprocdError(
                "input_full",
                f"{size} bytes do not fit: {self.waiting_bytes} bytes wait {why}, {room} more are taken; {remedy}",
                room=room,
                waiting_bytes=self.waiting_bytes,
            )
        try:
            self.reserve_all(size)
        except memory.NoMemory as error:
            raise CoprocdError("resource_exhausted", f"no memory for what is typed: {error}; nothing was typed, close sessions") from error
        slots, at = self._slots, self._line_at
        if slots[at + 1] + 2 * (self.ring.end - slots[at] + size) <= LINE_MOST:
            return  # it fits, whatever the terminal makes of it
        line = self._terminal()
        if line is None or not line.canonical:
            return
        self._count(line)
        typed = self._line.type(data, line.rules)
        if typed.cut:
            raise CoprocdError(
                "line_too_long",
                f"a line would be {typed.longest} bytes, and the terminal, which collects lines now, drops what is past {LINE_MOST}; "
                "send shorter lines, or let the job switch to raw input (stty -icanon)",
                longest=typed.longest,
                most=LINE_MOST,
            )

    def put(self, data: bytes) -> None:
        """Accepts `data`, which was checked in this turn: from here on it will be typed."""
        self.write(data)
        self.feed.pump(data)
        if len(data) > KEY_BYTES:
            self.count()

    # -- the line that the terminal collects ------------------------------------------------------------------------------

    def count(self) -> int:
        """Counts what has come into the ring since the last time, by the rules of the terminal now; the bytes of it that will be dropped.

        What the terminal took in raw mode belongs to no line. What came then and still waits is counted once it is taken.
        """
        return self._count(self._terminal())

    def catch_up(self) -> None:
        """Counts keys that are not counted yet. Called a moment after something was typed: no echo waits for it."""
        if self._slots[self._line_at] != self.ring.end:
            self.count()

    def _count(self, line: terminal.Line | None) -> int:
        end = self.ring.end
        if line is None or not line.canonical:
            if self.feed.position.position == end:
                self._store_line(_NO_LINE, end)
            return 0
        uncounted = self._slots[self._line_at]
        start = max(uncounted, self.ring.retained_from)
        if start == end:
            return 0
        before = CanonicalLine(self._line.length + start - uncounted, self._line.quoted)
        typed = before.type(self.read(start, end - start), line.rules)
        self._store_line(typed.line, end)
        return typed.cut

    def _on_moved(self) -> None:
        if not self.waiting_bytes:
            self.count()
        self._told()

    @property
    def _line(self) -> CanonicalLine:
        at = self._line_at
        return CanonicalLine(self._slots[at + 1], bool(self._slots[at + 2]))

    def _store_line(self, line: CanonicalLine, counted: int) -> None:
        """`counted` last: killed before, the next daemon counts the same bytes again, and so rather too many."""
        at = self._line_at
        self._slots[at + 1] = line.length
        self._slots[at + 2] = line.quoted
        self._slots[at] = counted

    def _terminal(self) -> terminal.Line | None:
        sink = self.feed.sink
        return terminal.line(sink) if sink >= 0 else None
