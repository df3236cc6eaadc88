"""What of a session's output hurts the screen: which bytes it was at when it died, and what follows from that. Sans-IO: it is told the time.

Theory of operation. Whatever kills a screen worker is fed again, for it may have been killed from outside: the second time in small pieces. The
piece that kills it again is passed over. A session that goes on killing it has no screen for a while, each time for longer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

PIECE_BYTES = 8 << 10
"""Fed at a time: an emulator that takes 45 µs for a byte of what it is slowest at is seen to move."""

SMALL_BYTES = 64
"""… of what has killed before; so much of the output is not shown where it does again."""

FAULTS_MOST = 4
FAULTS_S = 60.0
"""So many faults in so many seconds switch the screen of a session off: two pieces that are passed over, each after its second."""

OFF_S = 10.0
OFF_MOST_S = 600.0
"""For how long at first, and at most; each time is twice as long as the one before."""

KEPT_MOST = 64
"""Pieces of each kind, suspected and passed over, that are remembered; of more the oldest is forgotten, and fed again like any other."""


class Poison:
    """That of one session. Places are offsets of its output, times seconds of any clock that does not go back."""

    def __init__(self) -> None:
        self._suspects: deque[tuple[int, int]] = deque(maxlen=KEPT_MOST)
        self._passed: deque[tuple[int, int]] = deque(maxlen=KEPT_MOST)
        self._faults: deque[float] = deque()
        self._offs = 0
        self.off_until = 0.0
        """When its screen may be tried again."""

    @property
    def suspected(self) -> bool:
        """Whether some of the output has killed a worker, and is still to be fed again."""
        return bool(self._suspects)

    def fault(self, now: float, piece: tuple[int, int] | None) -> None:
        """A worker died of this session, at this piece of its output or at something else."""
        if piece is not None:
            if self.suspects(*piece):
                self._passed.append(piece)
            else:
                self._suspects.append(piece)
        self._faults.append(now)
        while self._faults[0] <= now - FAULTS_S:
            self._faults.popleft()
        if len(self._faults) >= FAULTS_MOST:
            self._faults.clear()
            self.off_until = now + min(OFF_S * 2**self._offs, OFF_MOST_S)
            self._offs = min(self._offs + 1, 16)

    def forget(self, offset: int) -> None:
        """What is before `offset` will not be fed again."""
        for ranges in (self._suspects, self._passed):
            while ranges and ranges[0][1] <= offset:
                ranges.popleft()

    def suspects(self, start: int, stop: int) -> bool:
        """Whether these bytes are among those that have killed before."""
        return any(begun <= start and stop <= ended for begun, ended in self._suspects)

    def limit(self, offset: int, until: int) -> tuple[int, int]:
        """How far, at most `until`, the next message may lead from `offset`, and how large its pieces are."""
        for start, stop in self._suspects:
            if start <= offset < stop:
                return min(until, stop), SMALL_BYTES
            if offset < start < until:
                until = start
        return until, PIECE_BYTES

    def split(self, start: int, stop: int) -> Iterator[tuple[int, int, bool]]:
        """The parts of a range in order, and of each whether it is fed (or passed over)."""
        for begun, ended in sorted(self._passed):
            begun, ended = max(begun, start), min(ended, stop)
            if begun < ended:
                if start < begun:
                    yield start, begun, True
                yield begun, ended, False
                start = ended
        if start < stop:
            yield start, stop, True
