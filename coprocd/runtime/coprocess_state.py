"""What of a coprocess outlives the daemon: its record, its cursor in the output, what it has typed, and its stderr.

header   magic, layout · stderr ring · cursor · bytes typed · size of the stderr ring · bytes typed that the terminal dropped
         · the chunk being typed: where, after how many bytes
record   two copies
stderr   the ring
"""

from __future__ import annotations

import secrets
import shlex
import time

import msgspec

from coprocd.core.ring import FeedPosition, Ring
from coprocd.platform import pipes
from coprocd.protocol.errors import CoprocdError
from coprocd.protocol.objects import Coprocess as CoprocessObject
from coprocd.protocol.objects import CoprocessSpec, EndReason
from coprocd.protocol.objects import CoprocessState as LifeState
from coprocd.runtime.record import Record
from coprocd.runtime.ring_file import RingFile
from coprocd.runtime.segment import PAGE, RESERVED_SLOTS, Segment

SCHEMA = 1
RECORD_BYTES = 1 << 20
STDERR_CHARACTERS = 100_000

LOST_MOST = 100
"""Gaps listed of an observer that drops; older ones are merged into the first."""

_STDERR_ID = RESERVED_SLOTS
_STDERR = _STDERR_ID + 1
_FEED = _STDERR + Ring.SLOTS
_TYPED = _FEED + FeedPosition.SLOTS
_STDERR_SIZE = _TYPED + 1
_CUT = _STDERR_SIZE + 1
_CHUNK_AT = _CUT + 1
_CHUNK_AFTER = _CHUNK_AT + 1
"""One more than the bytes typed before the chunk, so while they are equal the chunk is not counted yet; 0: there is none."""


class CoprocessRecord(msgspec.Struct, kw_only=True):
    """The record of a coprocess; fields as in `objects.Coprocess`."""

    id: str
    session: str
    name: str | None
    command: str
    silent: bool
    input: bool
    on_stall: str
    on_full: str
    started_by: str
    started_at: float
    started_offset: int
    silent_from: int | None = None
    silent_to: int | None = None
    state: LifeState = "starting"
    pid: int | None = None
    end_reason: EndReason | None = None
    exit_status: int | None = None
    signal: str | None = None
    ended_at: float | None = None
    consumed_offset: int = 0
    undelivered_bytes: int = 0
    stalled: bool = False
    lost: list[tuple[int, int]] = []

    @classmethod
    def of(cls, session: str, spec: CoprocessSpec, offset: int, started_by: str, known_as: str | None = None) -> CoprocessRecord:
        """The record of one that begins now, under the id that it has been given already, if any."""
        return cls(
            id=known_as or "c" + secrets.token_hex(5),
            session=session,
            name=spec.name,
            command=spec.command if spec.command is not None else shlex.join(spec.argv or ()),
            silent=spec.silent,
            input=spec.input,
            on_stall=spec.on_stall,
            on_full=spec.on_full,
            started_by=started_by,
            started_at=time.time(),
            started_offset=offset,
        )

    def add_lost(self, gap: tuple[int, int]) -> None:
        if len(self.lost) == LOST_MOST:
            self.lost[:2] = [(self.lost[0][0], self.lost[1][1])]
        self.lost.append(gap)


class CoprocessState:
    """The segment of one coprocess and the private pipe towards its stdin."""

    def __init__(self, segment: Segment, pipe: tuple[int, int], record: CoprocessRecord | None = None) -> None:
        slots = segment.slots
        self.pipe = pipe
        self.position = FeedPosition(slots, _FEED)
        self.stderr = RingFile(segment.fd, Ring(slots, _STDERR, PAGE + 2 * RECORD_BYTES, slots[_STDERR_SIZE]), slots[_STDERR_ID])
        self._segment = segment
        self._stored = Record(segment.fd, PAGE, RECORD_BYTES, CoprocessRecord)
        self.record = record or self._stored.read()

    @classmethod
    def create(cls, record: CoprocessRecord, stderr_bytes: int) -> CoprocessState:
        """State of a new coprocess, its cursor at `started_offset`; `resource_exhausted` when there is no room for it."""
        segment = Segment.create(f"coprocd-{record.id}", PAGE, 2 * RECORD_BYTES + stderr_bytes, SCHEMA)
        segment.slots[_STDERR_SIZE] = stderr_bytes
        segment.slots[_STDERR_ID] = secrets.randbits(63) | 1
        try:
            pipe = pipes.create(pipes.CHUNK_BYTES)
        except OSError as error:
            segment.close()
            raise CoprocdError(
                "resource_exhausted", f"no pipe for a coprocess: {error.strerror}; stop others, or raise the limit of open files"
            ) from error
        state = cls(segment, pipe, record)
        state.position.seek(record.started_offset)
        return state

    @classmethod
    def open(cls, held: dict[str, int]) -> CoprocessState:
        """What an earlier daemon left, by the names of the descriptors; its `record` is None when the coprocess had not begun to exist."""
        return cls(Segment.open(held["state"], PAGE, SCHEMA), (held.get("pipe_read", -1), held.get("pipe_write", -1)))

    @property
    def typed_bytes(self) -> int:
        return self._segment.slots[_TYPED]

    def begin_typing(self, at: int) -> None:
        """A chunk of its stdout is about to be moved to the end of the input, at `at`; `count_typed` must follow in the same turn."""
        slots = self._segment.slots
        slots[_CHUNK_AT] = at
        slots[_CHUNK_AFTER] = slots[_TYPED] + 1

    def count_typed(self, size: int) -> None:
        """Of the chunk, `size` bytes were moved."""
        slots = self._segment.slots
        if size:
            slots[_TYPED] += size
        else:
            slots[_CHUNK_AFTER] = 0

    def recover_typed(self, end: int) -> None:
        """Counts the chunk that a killed daemon had moved, or the intake since, to the input, which ends at `end`."""
        slots = self._segment.slots
        if slots[_CHUNK_AFTER] == slots[_TYPED] + 1:
            self.count_typed(end - slots[_CHUNK_AT])

    @property
    def cut_bytes(self) -> int:
        return self._segment.slots[_CUT]

    def add_cut(self, size: int) -> None:
        self._segment.slots[_CUT] += size

    def held(self) -> dict[str, int]:
        """What the keeper is to hold beside the pipes of its process."""
        return {"state": self._segment.fd, "pipe_read": self.pipe[0], "pipe_write": self.pipe[1]}

    def stderr_text(self, most: int = STDERR_CHARACTERS) -> str:
        """The last of its stderr, at most `most` characters."""
        start = self.stderr.ring.retained_from
        return self.stderr.read(start, self.stderr.ring.end - start).decode(errors="replace")[-most:] if most else ""

    @property
    def layout(self) -> int:
        return self._segment.layout

    def describe(self, consumed_offset: int, undelivered_bytes: int, stderr_characters: int) -> CoprocessObject:
        """The coprocess as its callers know it; how far it has read is for its streams to say."""
        record = self.record
        assert record is not None
        return CoprocessObject(
            id=record.id,
            session=record.session,
            name=record.name,
            command=record.command,
            pid=record.pid,
            silent=record.silent,
            input=record.input,
            state=record.state,
            started_at=record.started_at,
            ended_at=record.ended_at,
            started_offset=record.started_offset,
            consumed_offset=consumed_offset,
            typed_bytes=self.typed_bytes,
            cut_bytes=self.cut_bytes,
            undelivered_bytes=undelivered_bytes,
            lost=record.lost,
            silent_from=record.silent_from,
            silent_to=record.silent_to,
            stalled=record.stalled,
            started_by=record.started_by,
            exit_status=record.exit_status,
            signal=record.signal,
            end_reason=record.end_reason if record.state == "ended" else None,
            stderr=self.stderr_text(stderr_characters),
        )

    def save(self) -> None:
        assert self.record is not None
        self._stored.write(self.record)

    def close_pipe(self) -> None:
        """Nothing will be fed any more."""
        for fd in self.pipe:
            pipes.close(fd)
        self.pipe = (-1, -1)

    def close(self) -> None:
        self.close_pipe()
        self._segment.close()
