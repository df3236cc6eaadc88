"""The event log: what happened, numbered, kept for a while, read by cursors.

Owns the numbering (`seq` from 1, one `epoch` for one life of it) and the retained events, bounded by count and bytes.
The oldest are dropped at the bound: a writer never waits. A reader that was overtaken, or comes from another epoch, is told so by one
`dropped` event and goes on with what is retained; it never meets a silent gap. Readers pull; the log only wakes them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

Event = dict[str, Any]
Listener = Callable[[], None]


class EventLog:
    """A bounded ring of events. Called by whoever something happens to; read through `cursor`, or `read`."""

    def __init__(
        self,
        *,
        epoch: str,
        clock: Callable[[], float],
        max_events: int = 10_000,
        max_bytes: int = 8 << 20,
        on_listener_error: Callable[[Exception], None] | None = None,
    ) -> None:
        """`epoch` is random, `clock` gives seconds since the Unix epoch; `max_bytes` counts the events as JSON."""
        self.epoch = epoch
        self.seq = 0
        self._clock = clock
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._on_listener_error = on_listener_error
        self._events: deque[tuple[int, Event]] = deque()
        self._bytes = 0
        self._listeners: dict[Listener, None] = {}

    @property
    def first_seq(self) -> int:
        """The number of the oldest event retained; `seq` + 1 when there is none."""
        return self.seq - len(self._events) + 1

    @property
    def retained_bytes(self) -> int:
        """What the retained events measure as JSON."""
        return self._bytes

    def now(self) -> float:
        """Seconds since the Unix epoch, as the events are stamped."""
        return self._clock()

    def append(self, type: str, session: str | None = None, **fields: object) -> int:
        """Adds an event and wakes the listeners; returns its number. What JSON cannot hold raises here, at its writer."""
        event: Event = {"seq": self.seq + 1, "epoch": self.epoch, "time": self._clock(), "type": type, "session": session, **fields}
        size = len(msgspec.json.encode(event))
        self.seq += 1
        self._events.append((size, event))
        self._bytes += size
        while self._events and (len(self._events) > self._max_events or self._bytes > self._max_bytes):
            self._bytes -= self._events.popleft()[0]
        for listener in tuple(self._listeners):
            try:
                listener()
            except Exception as error:
                if self._on_listener_error is not None:
                    self._on_listener_error(error)
        return self.seq

    def listen(self, listener: Listener) -> None:
        """Calls `listener` after every event, from inside `append`: it must only note that there is something to read."""
        self._listeners[listener] = None

    def unlisten(self, listener: Listener) -> None:
        """Calls `listener` no more; one that is not registered is no error."""
        self._listeners.pop(listener, None)

    def cursor(
        self,
        since_seq: int | None = None,
        epoch: str | None = None,
        types: Iterable[str] | None = None,
        session: str | None = None,
    ) -> Cursor:
        """A reader that begins after `since_seq` (None: with the next event). A foreign `epoch` gets one `dropped` first."""
        # A number ahead of ours can only be of another life.
        foreign = (epoch is not None and epoch != self.epoch) or (since_seq is not None and since_seq > self.seq)
        if since_seq is None:
            since_seq = self.seq
        elif foreign:
            since_seq = 0
        return Cursor(self, since_seq, None if types is None else frozenset(types), session, foreign)

    def read(self, since_seq: int = 0, types: Iterable[str] | None = None, session: str | None = None) -> Iterator[Event]:
        """All that is retained after `since_seq`, `dropped` first where events are missing."""
        yield from self.cursor(since_seq, None, types, session).take()

    def at(self, seq: int) -> Event:
        """The event numbered `seq`, which is retained."""
        return self._events[seq - self.first_seq][1]


class Cursor:
    """A reader's place in the log, and what it wants: `types` (None: all) and one session's events only, by id."""

    __slots__ = ("_foreign", "_log", "_session", "_types", "seq")

    def __init__(self, log: EventLog, seq: int, types: frozenset[str] | None, session: str | None, foreign: bool) -> None:
        """`seq` is the last event that it has passed."""
        self.seq = seq
        self._log = log
        self._types = types
        self._session = session
        self._foreign = foreign

    @property
    def behind(self) -> bool:
        """True while there is something that it has not looked at."""
        return self._foreign or self.seq < self._log.seq

    def take(self, limit: int | None = None) -> list[Event]:
        """The next events, at most `limit`, and moves past them and past what it does not want."""
        log = self._log
        taken: list[Event] = []
        if self._foreign or self.seq + 1 < log.first_seq:
            taken.append(self._dropped())
        while self.seq < log.seq and (limit is None or len(taken) < limit):
            self.seq += 1
            event = log.at(self.seq)
            if (self._types is None or event["type"] in self._types) and (self._session is None or event["session"] == self._session):
                taken.append(event)
        return taken

    def _dropped(self) -> Event:
        """The event that tells of missing ones. From another epoch `from_seq` is 0: all that was before this numbering."""
        log = self._log
        from_seq = 0 if self._foreign else self.seq + 1
        self.seq = max(self.seq, log.first_seq - 1)
        self._foreign = False
        return {
            "seq": self.seq,
            "epoch": log.epoch,
            "time": log.now(),
            "type": "dropped",
            "session": None,
            "from_seq": from_seq,
            "to_seq": self.seq,
        }
