"""What of a session's triggers outlives the daemon: how far the output was matched, the line so far, counts, marks and actions under way.

slots    where matching stands: an index, and two places of which it says which one counts
record   two copies: all else, with the place it was true at

Where nothing fires, only the slots move on. What fires is stored in the record first, together with the place behind it: so a daemon
that is killed leaves either the output that is to be matched again and nothing of what it led to, or both.
"""

from __future__ import annotations

import logging
from collections.abc import Container
from typing import Any, NamedTuple

import msgspec

from coprocd.protocol.errors import CoprocdError
from coprocd.protocol.objects import Mark
from coprocd.runtime.record import Record
from coprocd.runtime.segment import Segment

log = logging.getLogger("coprocd.triggers")

SLOTS = 5

TRIGGER_KEY = "\0"
"""What the idempotency keys of triggers begin with, so that a caller's are others."""

RECORD_BYTES = 2 << 20
"""Each copy; marks and the captures of actions under way are the most of it. Untouched pages take no memory."""

INTENTS_MOST_BYTES = 512 << 10
"""As JSON, of the actions under way together: what a session prints must not decide whether they are stored."""

GONE_MOST = 1000
"""Triggers whose counts are kept though they are not there now: a profile may be without its own while its file is edited."""


class Place(NamedTuple):
    """How far the output was matched: up to `cursor`; the line so far began at `line_at`, and the parser is in the state `mode`."""

    cursor: int
    line_at: int
    mode: int


class Count(msgspec.Struct):
    """What a trigger has done in this session. The clock is the monotonic one."""

    fired: int = 0
    suppressed: int = 0
    refused: int = 0
    last_fired_at: float | None = None
    last_fired_clock: float = 0.0
    disabled_why: str | None = None


class Intent(msgspec.Struct):
    """An action that is about to run. The next daemon finds it where this one was killed before it knew the outcome."""

    id: int
    trigger: str
    action: str
    offset: int
    data: dict[str, Any] = {}

    @property
    def key(self) -> str:
        """Under which it types."""
        return f"{TRIGGER_KEY}{self.trigger}/{self.id}"


class TriggerRecord(msgspec.Struct, kw_only=True):
    """The record; `fired_in_line` are the instant triggers that have fired in the line so far."""

    place: tuple[int, int, int] | None = None
    fired_in_line: list[str] = []
    counts: dict[str, Count] = {}
    intents: list[Intent] = []
    intents_made: int = 0
    marks: list[Mark] = []
    marks_made: int = 0


class TriggerState:
    """Slots from `at` on in the header of `segment`, and a record that begins at `base`."""

    def __init__(self, segment: Segment, at: int, base: int) -> None:
        self._slots = segment.slots
        self._at = at
        self._stored = Record(segment.fd, base, RECORD_BYTES, TriggerRecord)
        self.record = self._stored.read() or TriggerRecord()
        self._sizes = {intent.id: len(msgspec.json.encode(intent)) for intent in self.record.intents}

    def place(self) -> Place | None:
        """Where matching stands; None where it has not begun."""
        slots, at = self._slots, self._at
        places = [Place(*self.record.place)] if self.record.place is not None else []
        if committed := slots[at]:
            cursor, which = (committed - 1) >> 1, (committed - 1) & 1
            places.append(Place(cursor, slots[at + 1 + 2 * which], slots[at + 2 + 2 * which]))
        return max(places, default=None)

    def note(self, place: Place) -> None:
        """Moves on to `place` where nothing has fired: the last store decides."""
        slots, at = self._slots, self._at
        which = 1 - ((slots[at] - 1) & 1) if slots[at] else 0
        slots[at + 1 + 2 * which] = place.line_at
        slots[at + 2 + 2 * which] = place.mode
        slots[at] = (place.cursor << 1 | which) + 1

    def forget_place(self) -> None:
        """Matching has not begun; stored with the next save."""
        self.record.place = None
        self._slots[self._at] = 0

    def save(self, place: Place | None) -> bool:
        """Stores the record as of `place`, if that can be. Without memory it is logged, and what follows goes on: only a crash then would repeat it."""
        self.record.place = place
        try:
            self._stored.write(self.record)
            stored = True
        except CoprocdError as error:
            log.error("the state of triggers could not be stored: %s", error)
            stored = False
        if place is not None:
            self.note(place)
        return stored

    def count(self, trigger: str) -> Count:
        """The count of `trigger`, to be changed."""
        return self.record.counts.setdefault(trigger, Count())

    def forget_gone(self, there: Container[str]) -> None:
        """Of triggers that are not there only the latest counts are kept."""
        counts = self.record.counts
        gone = [trigger for trigger in counts if trigger not in there]
        for trigger in gone[:-GONE_MOST]:
            del counts[trigger]

    def require_room(self, data: dict[str, Any]) -> None:
        """`resource_exhausted` when too much is under way for an action with this to be stored too."""
        if sum(self._sizes.values()) + len(msgspec.json.encode(data)) > INTENTS_MOST_BYTES:
            raise CoprocdError(
                "resource_exhausted",
                f"what triggers of this session are about to do takes more than {INTENTS_MOST_BYTES} bytes: match less text, or less often",
            )

    def intend(self, trigger: str, action: str, offset: int, data: dict[str, Any]) -> Intent:
        """An action that is to run once this is stored; `resource_exhausted` where that cannot be."""
        self.require_room(data)
        self.record.intents_made += 1
        intent = Intent(self.record.intents_made, trigger, action, offset, data)
        self._sizes[intent.id] = len(msgspec.json.encode(intent))
        self.record.intents.append(intent)
        return intent

    def forget(self, intent: Intent) -> None:
        """Its outcome is known."""
        self.record.intents.remove(intent)
        self._sizes.pop(intent.id, None)
