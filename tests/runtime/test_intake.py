"""Intake on real descriptors: equal bytes through every wrap, and an exact run after a kill anywhere (`support/movements.py`)."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import select

import pytest
from support.movements import (
    CAPACITY,
    Fuse,
    FusedSlots,
    Killed,
    lives,
    make_intake,
    make_pipe,
    make_pty,
    make_ring,
    needs_splice,
    noise,
)

from coprocd.core.ring import Ring
from coprocd.platform import pipes
from coprocd.runtime.intake import Intake
from coprocd.runtime.ring_file import RingFile
from coprocd.runtime.segment import PAGE, RESERVED_SLOTS


@pytest.mark.parametrize("capacity", [64, 1000, CAPACITY])
@pytest.mark.parametrize("seed", range(4))
def test_what_comes_in_random_chunks_from_a_pipe_is_read_as_it_was_written(
    platform: str, stack: contextlib.ExitStack, capacity: int, seed: int
) -> None:
    chance = random.Random(seed)
    _, into = make_ring(stack, capacity)
    intake = make_intake(stack)
    source, writer = make_pipe(stack)
    data, written, seen = noise(20 * capacity, seed), 0, b""
    while len(seen) < len(data):
        written += os.write(writer, data[written : written + chance.randint(0, capacity)])
        with contextlib.suppress(BlockingIOError):
            intake.move(source, into, min(chance.randint(1, capacity), into.ring.room(len(seen))))
        if chance.random() < 0.7 or not into.ring.room(len(seen)):
            seen += into.read(len(seen), into.ring.end - len(seen))
    assert hashlib.sha256(seen).digest() == hashlib.sha256(data).digest()


def test_what_a_terminal_prints_is_read_as_it_was_printed_and_then_it_hangs_up(platform: str, stack: contextlib.ExitStack) -> None:
    _, into = make_ring(stack)
    intake = make_intake(stack)
    master, terminal = make_pty(stack)
    data, written, seen = noise(100_000), 0, b""
    while len(seen) < len(data):
        written += os.write(terminal, data[written : written + 1500])
        select.select([master], [], [])
        intake.move(master, into, into.ring.room(len(seen)))
        seen += into.read(len(seen), into.ring.end - len(seen))
    assert seen == data
    os.close(terminal)
    with pytest.raises(OSError, match="Input/output error"):
        intake.move(master, into, 100)
    assert into.ring.end == len(data)


def test_an_empty_source_is_not_waited_for_and_a_closed_one_is_told_by_nothing(platform: str, stack: contextlib.ExitStack) -> None:
    _, into = make_ring(stack)
    intake = make_intake(stack)
    source, writer = make_pipe(stack)
    with pytest.raises(BlockingIOError):
        intake.move(source, into, 100)
    os.close(writer)
    assert intake.move(source, into, 100) == 0
    assert into.ring.end == 0


def test_no_more_is_moved_than_was_asked_for(platform: str, stack: contextlib.ExitStack) -> None:
    _, into = make_ring(stack)
    intake = make_intake(stack)
    source, writer = make_pipe(stack)
    os.write(writer, b"abcdefgh")
    assert [intake.move(source, into, most) for most in (3, 1, 100)] == [3, 1, 4]
    assert into.read(0, 8) == b"abcdefgh"


def test_a_chunk_around_the_wrap_overwrites_the_oldest_bytes_and_no_others(platform: str, stack: contextlib.ExitStack) -> None:
    segment, into = make_ring(stack, capacity=10)
    intake = make_intake(stack)
    source, writer = make_pipe(stack)
    for data in (b"0123456", b"789ABC"):
        os.write(writer, data)
        intake.move(source, into, 10)
    assert (into.ring.retained_from, into.ring.end) == (3, 13)
    assert into.read(3, 10) == b"3456789ABC"
    assert os.pread(segment.fd, 100, PAGE) == b"ABC3456789"


def test_one_intake_serves_many_rings_and_mixes_nothing(platform: str, stack: contextlib.ExitStack) -> None:
    chance = random.Random(5)
    intake = make_intake(stack)
    rings = [make_ring(stack, capacity=4096, ring_id=n)[1] for n in range(1, 5)]
    sources = [make_pipe(stack) for _ in rings]
    seen = [b""] * len(rings)
    data = [noise(20_000, seed) for seed in range(len(rings))]
    sent = [0] * len(rings)
    while seen != data:
        n = chance.randrange(len(rings))
        sent[n] += os.write(sources[n][1], data[n][sent[n] : sent[n] + 3000])
        with contextlib.suppress(BlockingIOError):
            intake.move(sources[n][0], rings[n], rings[n].ring.room(len(seen[n])))
        seen[n] += rings[n].read(len(seen[n]), rings[n].ring.end - len(seen[n]))


class IntakeLife:
    """What the keeper holds while daemons that take in bytes come and go, and a reader that has seen all so far."""

    def __init__(self, stack: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch, fuse: Fuse, data: bytes, start: int) -> None:
        self.fuse = fuse
        self.segment, _ = make_ring(stack, start=start)
        self.others = [make_ring(stack, ring_id=9)[1]]
        self.start = start
        self.slots = FusedSlots(self.segment.slots, fuse)
        self.intake = make_intake(stack)
        self.source, self.writer = make_pipe(stack)
        self.data = data
        self.written = 0
        self.seen = b""
        monkeypatch.setattr(os, "splice", fuse.guard(os.splice))

    def ring(self) -> RingFile:
        ring = Ring(self.slots, RESERVED_SLOTS, PAGE, CAPACITY)  # type: ignore[arg-type]
        return RingFile(self.segment.fd, ring, 1)

    def opened(self, stack: contextlib.ExitStack) -> Intake:
        """What a new daemon makes of what the keeper sends it."""
        intake = Intake.open(os.dup(self.intake.segment.fd), (os.dup(self.intake.pipe[0]), os.dup(self.intake.pipe[1])))
        stack.callback(intake.close)
        intake._slots = FusedSlots(intake.segment.slots, self.fuse)  # type: ignore[assignment]
        return intake

    def look(self, into: RingFile) -> None:
        at = self.start + len(self.seen)
        self.seen += into.read(at, into.ring.end - at)

    def live(self) -> None:
        """One life of a daemon, until all is taken in."""
        with contextlib.ExitStack() as stack:
            into = self.ring()
            intake = self.opened(stack)
            intake.recover([*self.others, into])
            self.look(into)
            while len(self.seen) < len(self.data):
                self.written += os.write(self.writer, self.data[self.written : self.written + 3000])
                intake.move(self.source, into, into.ring.room(self.start + len(self.seen)))
                self.look(into)


@needs_splice
@pytest.mark.parametrize("start", [0, CAPACITY - 2000])
def test_an_intake_killed_at_any_step_loses_and_repeats_nothing(
    stack: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch, start: int
) -> None:
    data = noise(9000)
    for point in range(1000):
        with monkeypatch.context() as patch, contextlib.ExitStack() as life:
            world = IntakeLife(life, patch, Fuse(point), data, start)
            killed = lives(world.live)
        assert world.seen == data, f"killed at step {point}"
        if not killed:
            break
    assert 15 < point < 1000


@needs_splice
@pytest.mark.parametrize("seed", range(25))
def test_an_intake_killed_again_and_again_also_while_it_recovers_loses_and_repeats_nothing(
    stack: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chance = random.Random(seed)
    world = IntakeLife(stack, monkeypatch, Fuse(*chance.sample(range(60), 12)), noise(20_000, seed), chance.randrange(CAPACITY))
    assert lives(world.live) >= 6
    assert hashlib.sha256(world.seen).digest() == hashlib.sha256(world.data).digest()


def naive_move(source: int, into: RingFile) -> int:
    """Read, then store: what the movement is not."""
    data = os.read(source, 65536)
    for position, length in into.ring.segments(into.ring.end, len(data)):
        os.pwrite(into.fd, data[:length], position)
        data = data[length:]
        into.ring.append(length)
    return len(data)


def test_a_naive_read_then_store_loses_what_was_on_its_way(stack: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = []
    for point in range(12):
        with monkeypatch.context() as patch, contextlib.ExitStack() as life:
            _, into = make_ring(life)
            source, writer = make_pipe(life)
            os.write(writer, noise(3000))
            fuse = Fuse(point)
            patch.setattr(os, "read", fuse.guard(os.read))
            patch.setattr(os, "pwrite", fuse.guard(os.pwrite))
            with contextlib.suppress(BlockingIOError):
                lives(lambda source=source, into=into: naive_move(source, into))  # type: ignore[misc]
            if into.ring.end != 3000:
                lost.append(point)
    assert lost == [1, 2, 3]


@needs_splice
def test_bytes_of_a_ring_that_is_gone_are_thrown_away_with_it(stack: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    world = IntakeLife(stack, monkeypatch, Fuse(3), noise(500), 0)
    with pytest.raises(Killed):
        world.live()
    assert pipes.unread(world.intake.pipe[0]) == 500
    assert world.opened(stack).recover(world.others) is None
    assert pipes.unread(world.intake.pipe[0]) == 0
    assert world.others[0].ring.end == 0


@needs_splice
def test_recovery_names_the_ring_that_got_bytes(stack: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    world = IntakeLife(stack, monkeypatch, Fuse(3), noise(500), 0)
    with pytest.raises(Killed):
        world.live()
    into, intake = world.ring(), world.opened(stack)
    assert intake.recover([*world.others, into]) is into
    assert into.read(0, into.ring.end) == world.data
    assert intake.recover([*world.others, into]) is None
    assert into.ring.end == 500


def test_a_new_intake_has_nothing_to_recover(platform: str, stack: contextlib.ExitStack) -> None:
    assert make_intake(stack).recover([make_ring(stack)[1]]) is None


@needs_splice
def test_a_promise_that_an_append_left_behind_does_not_misplace_the_next_bytes_taken_in(
    stack: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two kills: in the middle of an append to a ring that the intake does not work for, then after its first splice into it."""
    segment, into = make_ring(stack)
    _, other = make_ring(stack, ring_id=2)
    into.write(b"accepted ")
    fuse = Fuse(0)
    with pytest.raises(Killed):
        RingFile(segment.fd, Ring(FusedSlots(segment.slots, fuse), RESERVED_SLOTS, PAGE, CAPACITY), 1).write(b"never")  # type: ignore[arg-type]
    intake = make_intake(stack)
    intake.recover([other, into])
    source, writer = make_pipe(stack)
    os.write(writer, b"from the coprocess")
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(os, "splice", Fuse(1).guard(os.splice))
        intake.move(source, into, 100)
    intake.recover([other, into])
    assert into.read(0, into.ring.end) in (b"accepted from the coprocess", b"accepted neverfrom the coprocess")


@needs_splice
def test_bytes_that_a_ring_cannot_take_never_come_out_of_another_ring(stack: contextlib.ExitStack) -> None:
    segment, into = make_ring(stack)
    _, other = make_ring(stack, ring_id=2)
    intake = make_intake(stack)
    source, writer = make_pipe(stack)
    os.write(writer, b"secret")
    read_only = os.open(f"/dev/fd/{segment.fd}", os.O_RDONLY)
    stack.callback(os.close, read_only)
    broken = RingFile(read_only, into.ring, into.id)
    with pytest.raises(OSError, match="Bad file descriptor"):
        intake.move(source, broken, 100)
    assert pipes.unread(source) == 6, "nothing is taken for a ring that has no room"
    broken._reserved = into.ring.capacity
    with pytest.raises(OSError, match="Bad file descriptor"):
        intake.move(source, broken, 100)
    os.write(writer, b"public")
    intake.move(source, other, 100)
    assert b"secret" not in other.read(0, other.ring.end)


@needs_splice
def test_bytes_that_a_ring_cannot_take_do_not_keep_the_next_daemon_from_its_sessions(stack: contextlib.ExitStack) -> None:
    segment, into = make_ring(stack)
    intake = make_intake(stack)
    source, writer = make_pipe(stack)
    os.write(writer, b"kept")
    intake.move(source, into, 100)
    os.write(intake.pipe[1], b"on its way")
    read_only = os.open(f"/dev/fd/{segment.fd}", os.O_RDONLY)
    stack.callback(os.close, read_only)
    assert intake.recover([RingFile(read_only, into.ring, into.id)]) is None
    os.write(writer, b" and more")
    intake.move(source, into, 100)
    assert into.read(0, into.ring.end) == b"kept and more"
