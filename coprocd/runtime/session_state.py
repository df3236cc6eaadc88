"""What of a session outlives the daemon: its record, its output log and the ring of its input. The keeper holds them all.

header   magic, layout · input queue · size of its ring · where the output stood when something was last typed
         · the line that the terminal collects · how far the output was matched · what the screen has answered
record   two copies
input    the ring
triggers two copies of their record

Slots are added at the end of the header, and what else is new at the end of the segment (`layouts` says why): those of the line came
after the rest, and 0 in them counts all that is in the ring.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Literal

import msgspec

from coprocd.core.definition import Definition
from coprocd.platform import memory, pipes
from coprocd.protocol.errors import CoprocdError
from coprocd.runtime.answers import Spoken
from coprocd.runtime.input_queue import LINE_SLOTS, PIPE_BYTES, InputQueue
from coprocd.runtime.input_queue import SLOTS as INPUT_SLOTS
from coprocd.runtime.output_log import OutputLog
from coprocd.runtime.record import Record
from coprocd.runtime.segment import PAGE, RESERVED_SLOTS, Segment
from coprocd.runtime.trigger_state import RECORD_BYTES as TRIGGER_RECORD_BYTES
from coprocd.runtime.trigger_state import SLOTS as TRIGGER_SLOTS
from coprocd.runtime.trigger_state import TriggerState

log = logging.getLogger("coprocd.session")

SCHEMA = 1
RECORD_BYTES = 4 << 20
"""Each copy of the record may take so much: arguments and environment are the most of it. Untouched pages take no memory."""

FIRST_BYTES = 4096
"""Of output and of input, for which there is memory from the first moment on."""

_INPUT_BASE = PAGE + 2 * RECORD_BYTES
_INPUT = RESERVED_SLOTS
_INPUT_SIZE = _INPUT + INPUT_SLOTS
_TYPED_AT = _INPUT_SIZE + 1
_LINE = _TYPED_AT + 1
_TRIGGERS = _LINE + LINE_SLOTS
_SPOKEN = _TRIGGERS + TRIGGER_SLOTS


class SessionRecord(msgspec.Struct, kw_only=True):
    """The record of a session. Times are seconds since the Unix epoch; those named clock are of the monotonic clock."""

    id: str
    name: str
    argv: list[str]
    env: dict[str, str]
    cwd: str
    rows: int
    cols: int
    created_at: float
    log_bytes: int
    labels: dict[str, str]
    key: str | None
    lease_s: float | None
    renewed_clock: float
    remove: bool
    variables: dict[str, str] = {}
    profile: str = "default"
    triggers: list[Definition] = []
    title: str = ""
    directory: str | None = None
    user: str | None = None
    host: str | None = None
    """Directory, user and host as a trigger reported them."""
    input_held: bool = False
    pid: int | None = None
    tty: str = ""
    state: Literal["running", "exited"] = "running"
    drained: bool = False
    exit_status: int | None = None
    signal: str | None = None
    ended_at: float | None = None
    ended_clock: float = 0.0
    made: bool = True
    """Whether all that it was to begin with has been started: a daemon that was killed before leaves one that the next drops."""
    drawn: bool = False
    """Whether the version that wrote it has a screen, which answers queries: of one that had none, all that was printed counts as answered."""
    typed_keys: list[tuple[str, int, int, int]] = []
    """Of each idempotency key: where its bytes end in the input, how many they were, and the output's end then."""


class SessionState:
    """The segments of one session and the private pipe of its input."""

    def __init__(
        self, segment: Segment, stored: Record[SessionRecord], record: SessionRecord, log: OutputLog, pipe: tuple[int, int]
    ) -> None:
        self.record = record
        self.log = log
        self.pipe = pipe
        self.triggers = TriggerState(segment, _TRIGGERS, _INPUT_BASE + segment.slots[_INPUT_SIZE])
        self.spoken = Spoken(segment.slots, _SPOKEN)
        self._segment = segment
        self._stored = stored

    @classmethod
    def create(cls, record: SessionRecord, input_bytes: int) -> SessionState:
        """State of a new session; `resource_exhausted` when there is no memory or no descriptor for it."""
        log = OutputLog.create(record.id, record.log_bytes)
        try:
            segment = Segment.create(f"coprocd-session-{record.id}", PAGE, 2 * (RECORD_BYTES + TRIGGER_RECORD_BYTES) + input_bytes, SCHEMA)
        except CoprocdError:
            log.close()
            raise
        segment.slots[_INPUT_SIZE] = input_bytes
        try:
            # Its first lines and a ^C find room, whatever becomes of the machine's memory.
            log.reserve(FIRST_BYTES)
            memory.reserve(segment.fd, _INPUT_BASE, FIRST_BYTES)
            pipe = pipes.create(PIPE_BYTES)
        except (OSError, memory.NoMemory) as error:
            log.close()
            segment.close()
            what = "memory" if isinstance(error, memory.NoMemory) else "pipe"
            raise CoprocdError(
                "resource_exhausted", f"no {what} for a session: {error}; close sessions, or raise the limit that this names"
            ) from error
        return cls(segment, _stored(segment), record, log, pipe)

    @classmethod
    def open(cls, held: dict[str, int]) -> SessionState | None:
        """What an earlier daemon left, by the names of the descriptors, all of which are taken over; None when it had not begun to exist."""
        segment = Segment.open(held["state"], PAGE, SCHEMA)
        stored = _stored(segment)
        record = stored.read()
        if record is None or not record.made or ("master" not in held and record.state == "running"):
            segment.close()
            for name in held.keys() - {"state"}:
                os.close(held[name])
            return None
        state = cls(segment, stored, record, OutputLog.open(held["log"]), (held.get("pipe_read", -1), held.get("pipe_write", -1)))
        if not record.drawn:
            state.spoken.to = state.log.end
            record.drawn = True
            try:
                state.save()
            except CoprocdError as error:
                log.error("session %s: %s", record.id, error)
        return state

    @property
    def typed_at(self) -> int:
        """The end of the output when something was last typed; 0 when nothing was."""
        return self._segment.slots[_TYPED_AT]

    @typed_at.setter
    def typed_at(self, offset: int) -> None:
        self._segment.slots[_TYPED_AT] = offset

    def held(self) -> dict[str, int]:
        """What the keeper is to hold beside the master."""
        return {"log": self.log.fd, "state": self._segment.fd, "pipe_read": self.pipe[0], "pipe_write": self.pipe[1]}

    def input_queue(self, on_moved: Callable[[], None]) -> InputQueue:
        slots = self._segment.slots
        return InputQueue(self._segment, _INPUT, _LINE, _INPUT_BASE, slots[_INPUT_SIZE], self.pipe, on_moved)

    def layouts(self) -> dict[str, int]:
        return {"log": self.log.segment.layout, "session": self._segment.layout}

    def save(self) -> None:
        self._stored.write(self.record)

    def close_pipe(self) -> None:
        """The terminal is gone: nothing will be typed any more."""
        for fd in self.pipe:
            pipes.close(fd)
        self.pipe = (-1, -1)

    def close(self) -> None:
        """Lets go of all of it; whoever waits for output is woken."""
        self.close_pipe()
        self.log.close()
        self._segment.close()


def _stored(segment: Segment) -> Record[SessionRecord]:
    return Record(segment.fd, PAGE, RECORD_BYTES, SessionRecord)
