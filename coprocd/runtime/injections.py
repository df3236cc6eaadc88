"""Bytes that screen and viewers show and that the job did not print: what is injected into a session's output.

Not in the log: neither the job nor coprocesses, triggers and hashes have them. Each has the offset before which it is shown, which is
no place in the middle of an escape sequence or a character.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

from coprocd.core.sequence import LOOK_BACK_BYTES, in_progress
from coprocd.core.timeline import Injection, Place
from coprocd.protocol.errors import CoprocdError

if TYPE_CHECKING:
    from coprocd.runtime.session import Session

MOST_BYTES = 1 << 20
"""Kept of a session, the newest; what one call or one action may add is as much."""

MOST = 10_000
"""So many, however small."""


class Injections:
    """Those of one session, in order of their offsets."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._placed: deque[Injection] = deque()
        self._waiting: deque[bytes] = deque()
        self._bytes = 0
        self.first = self.made = time.time_ns() // 1000
        """The number of the first, and of the next. A later daemon's numbers are higher, so that a viewer's place in an earlier one's is before all."""

    def __iter__(self) -> Iterator[Injection]:
        return iter(self._placed)

    def since(self, number: int) -> Iterator[Injection]:
        """Those kept from this number on."""
        return islice(self._placed, max(number - self.kept_from, 0), None)

    @property
    def kept_from(self) -> int:
        """The number of the first that is kept."""
        return self.made - len(self._placed)

    def resumed(self, offset: int, behind: int | None) -> Place:
        """The place at `offset` of one that has all injections before the number `behind`, in this daemon or an earlier one; not given, those before `offset`."""
        if behind is None:
            behind = next((injection.number for injection in self._placed if injection.offset >= offset), self.made)
        return Place(offset, max(behind, self.first) if behind <= self.made else self.first)

    @property
    def waiting(self) -> bool:
        """Whether some wait for a sequence to end."""
        return bool(self._waiting)

    def put(self, data: bytes) -> None:
        """Injects `data` where the output ends now, or as soon as a sequence in progress has ended."""
        if not data:
            return
        if len(data) > MOST_BYTES:
            raise CoprocdError(
                "invalid_params", f"{len(data)} bytes are too many to inject at a time, {MOST_BYTES} are the most; inject in parts"
            )
        if sum(map(len, self._waiting)) + len(data) > MOST_BYTES:
            raise CoprocdError(
                "resource_exhausted",
                f"too much waits to be injected: session {self._session.record.name} is in the middle of an escape sequence; inject when it has ended",
            )
        self._waiting.append(data)
        self.place()

    def place(self) -> None:
        """Gives those that wait their place, where that can be; called after every chunk of output while some do."""
        log = self._session.log
        if not self._waiting:
            return
        start = max(log.retained_from, log.end - LOOK_BACK_BYTES)
        if in_progress(log.read(start, log.end - start)):
            return
        if len(self._waiting) > 1:  # many that are small would take much more memory than their bytes
            self._waiting = deque([b"".join(self._waiting)])
        while self._waiting:
            data = self._waiting.popleft()
            self._placed.append(Injection(self.made, log.end, data))
            self.made += 1
            self._bytes += len(data)
            self._session.context.events.append("session.injected", self._session.id, offset=log.end, bytes=len(data))
        while self._bytes > MOST_BYTES or len(self._placed) > MOST:
            self._bytes -= len(self._placed.popleft().data)
