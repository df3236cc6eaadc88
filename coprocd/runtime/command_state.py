"""What of a trigger's command outlives the daemon: its record, and of its output the beginning and the end.

header   magic, layout · head ring and its id · tail ring and its id
record   two copies
output   the first HEAD_BYTES, which are never overwritten · a ring of TAIL_BYTES with the last

Where the tail has gone round, what stood between the two is lost; how much that is follows from the positions.
"""

from __future__ import annotations

import secrets

import msgspec

from coprocd.core.ring import Ring
from coprocd.protocol.objects import CommandFailure
from coprocd.runtime.intake import Intake
from coprocd.runtime.record import Record
from coprocd.runtime.ring_file import RingFile
from coprocd.runtime.segment import PAGE, RESERVED_SLOTS, Segment

SCHEMA = 1
RECORD_BYTES = 1 << 20
HEAD_BYTES = 16 << 10
TAIL_BYTES = 48 << 10

_HEAD_ID = RESERVED_SLOTS
_TAIL_ID = _HEAD_ID + 1
_HEAD = _TAIL_ID + 1
_TAIL = _HEAD + Ring.SLOTS
_OUTPUT = PAGE + 2 * RECORD_BYTES


class CommandRecord(msgspec.Struct, kw_only=True):
    """The record of a command; fields as in `objects.Command`. `started_clock` is of the monotonic clock."""

    id: str
    session: str
    trigger: str
    command: str
    cwd: str
    created_at: float
    started_at: float | None = None
    started_clock: float = 0.0
    pid: int | None = None
    timed_out: bool = False
    stopped: bool = False
    exit_status: int | None = None
    signal: str | None = None
    failure: CommandFailure | None = None
    ended_at: float | None = None


class CommandState:
    """The segment of one command. Made when it starts; one that waits has none."""

    def __init__(self, segment: Segment, record: CommandRecord | None = None) -> None:
        slots = segment.slots
        self.head = RingFile(segment.fd, Ring(slots, _HEAD, _OUTPUT, HEAD_BYTES), slots[_HEAD_ID])
        self.tail = RingFile(segment.fd, Ring(slots, _TAIL, _OUTPUT + HEAD_BYTES, TAIL_BYTES), slots[_TAIL_ID])
        self._segment = segment
        self._stored = Record(segment.fd, PAGE, RECORD_BYTES, CommandRecord)
        self.record = record or self._stored.read()

    @classmethod
    def create(cls, record: CommandRecord) -> CommandState:
        """State of a command that is about to start; `resource_exhausted` when there is no room for it."""
        segment = Segment.create(f"coprocd-{record.id}", PAGE, 2 * RECORD_BYTES + HEAD_BYTES + TAIL_BYTES, SCHEMA)
        for slot in (_HEAD_ID, _TAIL_ID):
            segment.slots[slot] = secrets.randbits(63) | 1
        return cls(segment, record)

    @classmethod
    def open(cls, held: dict[str, int]) -> CommandState:
        """What an earlier daemon left, by the names of the descriptors; its `record` is None when the command had not begun to exist."""
        return cls(Segment.open(held["state"], PAGE, SCHEMA))

    @property
    def layout(self) -> int:
        return self._segment.layout

    def held(self) -> dict[str, int]:
        """What the keeper is to hold beside the pipe of its process."""
        return {"state": self._segment.fd}

    def rings(self) -> list[RingFile]:
        """Every ring into which the intake may have been moving."""
        return [self.head, self.tail]

    def save(self) -> None:
        """Stores its record; `resource_exhausted` when that cannot be, and then the record before stands."""
        assert self.record is not None
        self._stored.write(self.record)

    def take(self, intake: Intake, source: int) -> int:
        """Moves a chunk of its output from `source`; as `Intake.move`."""
        room = HEAD_BYTES - self.head.ring.end
        return intake.move(source, self.head, room) if room > 0 else intake.move(source, self.tail, TAIL_BYTES)

    @property
    def left_out_bytes(self) -> int:
        """How much of the output, in its middle, is not kept."""
        return self.tail.ring.retained_from

    def output(self) -> str:
        """Its output, with a line in the place of what was left out."""
        head = self.head.read(0, self.head.ring.end)
        tail = self.tail.read(self.left_out_bytes, self.tail.ring.end - self.left_out_bytes)
        if not self.left_out_bytes:
            return (head + tail).decode(errors="replace")
        return f"{head.decode(errors='replace')}\n[{self.left_out_bytes} bytes left out]\n{tail.decode(errors='replace')}"

    def close(self) -> None:
        self._segment.close()
