"""The output log: all that a session has printed, by absolute offset, the last part of it kept. The centre of everything.

The pump is its only writer. Every reader is a position in it: lossless ones (coprocess, observer) hold it back and so the
pty; all others take what is retained. It lives in a segment of its own, which a new daemon takes over at the exact byte.

    header   magic, layout · capacity · epoch · end, target · scanned, modes · silenced ranges
    bytes    the ring
    behind   two checkpoints of its screen, from the next page on; a log of a version that had none is made longer
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Callable

from coprocd.core.modes import InputModes
from coprocd.core.ring import Ring
from coprocd.core.silence import Silence
from coprocd.runtime.ring_file import RingFile
from coprocd.runtime.segment import PAGE, RESERVED_SLOTS, Segment
from coprocd.screen.checkpoint import BYTES as CHECKPOINT_BYTES
from coprocd.screen.checkpoint import Checkpoints

SCHEMA = 1
_HEADER_BYTES = 4 * PAGE
_CAPACITY = RESERVED_SLOTS
_EPOCH = _CAPACITY + 1
_RING = _EPOCH + 1
_SCANNED = _RING + Ring.SLOTS
_MODES = _SCANNED + 1
_SILENCE = _MODES + 1
_SILENCES_MOST = (_HEADER_BYTES // 8 - _SILENCE - 1) // 2

_BRACKETED, _APPLICATION, _ALTERNATE = 1, 2, 4

SCAN_LAG_BYTES = 256 << 10
"""Output is scanned for terminal modes when so much of it has come, or when they are asked for."""

_SCAN_BACK_BYTES = 64
"""A new daemon scans from a little before, since a sequence may have begun there."""

LINE_SCAN_BYTES = 64 << 10
"""Read at once where the beginning of a line is looked for: many screens full."""


class OutputLog(RingFile):
    """One life of a session's output, told apart from any other by `epoch`."""

    __slots__ = ("_listeners", "_modes", "_waiting", "checkpoints", "epoch", "segment", "silence")

    def __init__(self, segment: Segment) -> None:
        slots = segment.slots
        ring = Ring(slots, _RING, _HEADER_BYTES, slots[_CAPACITY])
        super().__init__(segment.fd, ring, slots[_EPOCH])
        self.segment = segment
        self.epoch = f"{slots[_EPOCH]:016x}"
        self.silence = Silence(slots, _SILENCE, _SILENCES_MOST)
        self.checkpoints = Checkpoints(segment.fd, _checkpoints_at(slots[_CAPACITY]))
        modes = slots[_MODES]
        self._modes = InputModes(bool(modes & _BRACKETED), bool(modes & _APPLICATION), bool(modes & _ALTERNATE))
        self._waiting: set[asyncio.Future[None]] = set()
        self._listeners: list[Callable[[], None]] = []

    @classmethod
    def create(cls, session_id: str, capacity: int) -> OutputLog:
        """A new, empty log; `resource_exhausted` when there is no memory for it."""
        segment = Segment.create(
            f"coprocd-log-{session_id}", _HEADER_BYTES, _checkpoints_at(capacity) - _HEADER_BYTES + CHECKPOINT_BYTES, SCHEMA
        )
        segment.slots[_CAPACITY] = capacity
        segment.slots[_EPOCH] = secrets.randbits(63) | 1
        return cls(segment)

    @classmethod
    def open(cls, fd: int) -> OutputLog:
        """The log an earlier daemon left; takes the descriptor over."""
        segment = Segment.open(fd, _HEADER_BYTES, SCHEMA)
        slots = segment.slots
        slots[_SCANNED] = max(slots[_SCANNED] - min(slots[_SCANNED], _SCAN_BACK_BYTES), 0)
        size = _checkpoints_at(slots[_CAPACITY]) + CHECKPOINT_BYTES
        if os.fstat(fd).st_size < size:
            os.ftruncate(fd, size)
        return cls(segment)

    @property
    def end(self) -> int:
        """The offset that the next byte will have; asked for at every turn, and so read from the ring's slot itself."""
        return self.segment.slots[_RING]

    @property
    def retained_from(self) -> int:
        return self.ring.retained_from

    def line_start(self) -> int:
        """The offset of the first retained byte of the line that is not ended yet."""
        stop = self.end
        while stop > self.retained_from:
            start = max(self.retained_from, stop - LINE_SCAN_BYTES)
            found = self.read(start, stop - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            stop = start
        return stop

    def last_line_start(self, since: int) -> int:
        """The offset of the last line that shows something, ended or not, when it began after the line at `since` ended; else the end."""
        start = max(self.retained_from, self.end - LINE_SCAN_BYTES)
        text = self.read(start, self.end - start)
        found = start + text.rstrip().rfind(b"\n") + 1
        if not text.strip() or not since:
            return found if text.strip() else self.end
        return found if found > since and b"\n" in self.read(max(since, start), found - max(since, start)) else self.end

    def modes(self) -> InputModes:
        """The terminal modes at the end of the output."""
        self.scan()
        return self._modes

    def scan_if_due(self) -> None:
        if self.end - self.segment.slots[_SCANNED] > SCAN_LAG_BYTES:
            self.scan()

    def scan(self) -> None:
        """Looks for terminal modes in what has come since the last scan."""
        slots = self.segment.slots
        offset = max(slots[_SCANNED], self.retained_from)
        while offset < self.end:
            size = min(SCAN_LAG_BYTES, self.end - offset)
            self._modes.feed(self.read(offset, size))
            offset += size
        modes = self._modes
        slots[_MODES] = _BRACKETED * modes.bracketed_paste | _APPLICATION * modes.application_cursor | _ALTERNATE * modes.alternate_screen
        slots[_SCANNED] = offset

    def wake(self) -> None:
        """Tells those who wait that there is more, or that there will be none."""
        if self._waiting:
            for future in self._waiting:
                if not future.done():
                    future.set_result(None)
            self._waiting.clear()
        for listener in self._listeners:
            listener()

    def listen(self, listener: Callable[[], None]) -> None:
        """Calls `listener` at every `wake`, in the pump's turn: it must be cheap, and only note."""
        self._listeners.append(listener)

    def unlisten(self, listener: Callable[[], None]) -> None:
        """Calls it no more."""
        self._listeners.remove(listener)

    async def wait(self, timeout_s: float) -> None:
        """Returns at the next `wake`, or after `timeout_s`."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(future)
        try:
            async with asyncio.timeout(timeout_s):
                await future
        except TimeoutError:
            pass
        finally:
            self._waiting.discard(future)

    def close(self) -> None:
        """Lets the memory go, and wakes whoever waits."""
        self.segment.close()
        self.wake()


def _checkpoints_at(capacity: int) -> int:
    """Where in the segment they begin."""
    return -(-(_HEADER_BYTES + capacity) // PAGE) * PAGE
