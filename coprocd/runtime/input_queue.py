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

PIPE_BYTES = 4096
"""The private pipe towards the master: what a terminal takes at a time, and a page of the user's share."""


class InputQueue(RingFile):
    """Bytes on their way to the job. `at` is the first of its slots in `segment`, its bytes begin at `base`."""

    __slots__ = ("_line", "feed")

    def __init__(self, segment: Segment, at: int, base: int, capacity: int, pipe: tuple[int, int], on_moved: Callable[[], None]) -> None:
        slots = segment.slots
        if not slots[at]:
            slots[at] = secrets.randbits(63) | 1
        super().__init__(segment.fd, Ring(slots, at + 1, base, capacity), slots[at])
        position = FeedPosition(slots, at + 1 + Ring.SLOTS)
        self.feed = Feed(self, position, pipe, on_moved, on_broken=lambda: None, fill_bytes=PIPE_BYTES)
        self._line = CanonicalLine()

    @property
    def waiting_bytes(self) -> int:
        """Accepted, and not yet taken by the terminal."""
        return self.feed.waiting_bytes

    @property
    def room(self) -> int:
        return self.ring.room(self.feed.position.filled)

    def check(self, data: bytes) -> None:
        """`input_full` or `line_too_long` when `data` cannot be typed whole."""
        if len(data) > self.room:
            raise CoprocdError(
                "input_full",
                f"{len(data)} bytes do not fit: {self.waiting_bytes} bytes wait to be read by the job, {self.room} more are taken; "
                "send less at a time, or wait until the job reads",
                room=self.room,
                waiting_bytes=self.waiting_bytes,
            )
        try:
            self.reserve_all(len(data))
        except memory.NoMemory as error:
            raise CoprocdError("resource_exhausted", f"no memory for what is typed: {error}; nothing was typed, close sessions") from error
        line = terminal.line(self.feed.sink) if self.feed.connected else None
        if line is None or not line.canonical:
            self._line.length = 0
            return
        longest = self._line.longest(data)
        if longest > LINE_MOST:
            raise CoprocdError(
                "line_too_long",
                f"a line would be {longest} bytes, and the terminal, which collects lines now, drops what is past {LINE_MOST}; "
                "send shorter lines, or let the job switch to raw input (stty -icanon)",
                longest=longest,
                most=LINE_MOST,
            )

    def put(self, data: bytes) -> None:
        """Accepts `data`, which was checked: from here on it will be typed."""
        self.write(data)
        self._line.typed(data)
        self.feed.pump()
