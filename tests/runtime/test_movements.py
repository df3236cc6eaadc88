"""Intake and Feed on real descriptors: equal bytes through every wrap, and an exact run after a kill anywhere.

A kill is `Killed`, raised before or after the n-th operation that outlives the process: a store to a slot, a splice, a
read or write. Then everything is forgotten but what the keeper holds (segments and pipes), and the next life recovers.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import hashlib
import os
import random
import select
import tty
from collections.abc import Callable, Iterator, MutableSequence
from typing import Any

import pytest

from coprocd.core.canonical import LINE_MOST
from coprocd.core.ring import FeedPosition, Ring
from coprocd.platform import memory, pipes
from coprocd.protocol.errors import CoprocdError
from coprocd.runtime import intake as intake_module
from coprocd.runtime.feed import MOVES_MOST, Feed
from coprocd.runtime.intake import Intake
from coprocd.runtime.output_log import OutputLog
from coprocd.runtime.ring_file import RingFile
from coprocd.runtime.segment import PAGE, RESERVED_SLOTS, Segment

SCHEMA = 1
CAPACITY = 8192

needs_splice = pytest.mark.skipif(not pipes.AVAILABLE, reason="without splice a kill may lose what is on its way")


@pytest.fixture(params=["splice and memfd", "portable"])
def platform(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both platform paths, one after the other."""
    if request.param == "portable":
        monkeypatch.setattr(pipes, "AVAILABLE", False)
        monkeypatch.setattr(memory, "AVAILABLE", False)
    elif not (pipes.AVAILABLE and memory.AVAILABLE):
        pytest.skip("this system has only the portable path")
    return str(request.param)


@pytest.fixture
def stack() -> Iterator[contextlib.ExitStack]:
    """Closes what a test opened; and no descriptor may be left over."""
    before = os.listdir("/dev/fd")
    with contextlib.ExitStack() as stack:
        yield stack
    assert len(os.listdir("/dev/fd")) == len(before)


class Killed(BaseException):
    """The daemon ended here. No Exception, so that nothing catches it."""


class Fuse:
    """Counts the steps at which a kill makes a difference, and kills at those that it was told (each once)."""

    def __init__(self, *points: int) -> None:
        self.points = set(points)
        self.steps = 0

    def step(self) -> None:
        self.steps += 1
        if self.steps - 1 in self.points:
            self.points.discard(self.steps - 1)
            raise Killed

    def guard(self, operation: Callable[..., Any]) -> Callable[..., Any]:
        """`operation`, with a step before it and one after."""

        def guarded(*args: Any, **kwargs: Any) -> Any:
            self.step()
            result = operation(*args, **kwargs)
            self.step()
            return result

        return guarded


class FusedSlots:
    """Shared slots with a step before every store."""

    def __init__(self, slots: MutableSequence[int], fuse: Fuse) -> None:
        self._slots = slots
        self._fuse = fuse

    def __getitem__(self, index: int) -> int:
        return self._slots[index]

    def __setitem__(self, index: int, value: int) -> None:
        self._fuse.step()
        self._slots[index] = value


def make_ring(stack: contextlib.ExitStack, capacity: int = CAPACITY, ring_id: int = 1, start: int = 0) -> tuple[Segment, RingFile]:
    segment = Segment.create("coprocd-test", PAGE, capacity, SCHEMA)
    stack.callback(segment.close)
    ring = Ring(segment.slots, RESERVED_SLOTS, PAGE, capacity)
    ring.append(start)
    return segment, RingFile(segment.fd, ring, ring_id)


def make_pipe(stack: contextlib.ExitStack, size: int | None = None) -> tuple[int, int]:
    pipe = pipes.create(size)
    for fd in pipe:
        stack.callback(close_if_open, fd, os.fstat(fd).st_ino)
    return pipe


def close_if_open(fd: int, inode: int) -> None:
    with contextlib.suppress(OSError):
        if os.fstat(fd).st_ino == inode:
            os.close(fd)


def make_intake(stack: contextlib.ExitStack) -> Intake:
    intake = Intake.create()
    stack.callback(intake.close)
    return intake


def make_pty(stack: contextlib.ExitStack) -> tuple[int, int]:
    """A master that never blocks, and its raw terminal."""
    master, terminal = os.openpty()
    tty.setraw(terminal)
    os.set_blocking(master, False)
    inodes = os.fstat(master).st_ino, os.fstat(terminal).st_ino
    stack.callback(close_if_open, master, inodes[0])
    stack.callback(close_if_open, terminal, inodes[1])
    return master, terminal


def noise(size: int, seed: int = 7) -> bytes:
    return random.Random(seed).randbytes(size)


def drain(fd: int) -> bytes:
    """All that can be read now."""
    taken = b""
    with contextlib.suppress(BlockingIOError):
        while data := os.read(fd, 65536):
            taken += data
    return taken


# -- intake ---------------------------------------------------------------------------------------------------------


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


def lives(live: Callable[[], None]) -> int:
    """Daemons one after another, until one has done all; the number of those killed."""
    killed = 0
    while True:
        try:
            live()
            return killed
        except Killed:
            killed += 1


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


# -- feed -----------------------------------------------------------------------------------------------------------


class Fed:
    """A ring with a feed, on the running loop, and what it told."""

    def __init__(
        self, stack: contextlib.ExitStack, capacity: int = CAPACITY, drops: bool = False, fill_bytes: int = pipes.CHUNK_BYTES
    ) -> None:
        self.segment, self.ring = make_ring(stack, capacity)
        self.position = FeedPosition(self.segment.slots, RESERVED_SLOTS + Ring.SLOTS)
        self.pipe = make_pipe(stack, 4096)
        self.moved = asyncio.Event()
        self.broken = 0
        self.overtaken: list[tuple[int, int]] = []
        self.feed = Feed(
            self.ring, self.position, self.pipe, self.moved.set, self._on_broken, self._on_overtaken if drops else None, fill_bytes
        )
        stack.callback(self.feed.disconnect)

    def _on_broken(self) -> None:
        self.broken += 1

    def _on_overtaken(self, to: int) -> None:
        self.overtaken.append((self.position.filled, to))


@pytest.mark.parametrize("fill_bytes", [100, 4096, pipes.CHUNK_BYTES])
@pytest.mark.parametrize("seed", range(3))
async def test_what_is_written_in_random_chunks_reaches_the_reader_as_it_was(
    platform: str, stack: contextlib.ExitStack, fill_bytes: int, seed: int
) -> None:
    chance = random.Random(seed)
    fed = Fed(stack, fill_bytes=fill_bytes)
    reader, sink = make_pipe(stack, 4096)
    data, written, taken = noise(200_000, seed), 0, b""
    fed.feed.connect(sink)
    while len(taken) < len(data):
        size = min(chance.randint(0, 6000), fed.ring.ring.room(fed.position.filled), len(data) - written)
        fed.ring.write(data[written : written + size])
        written += size
        fed.feed.pump()
        assert fed.feed.waiting_bytes == written - fed.position.position
        if not fed.feed.blocked or chance.random() < 0.5:
            taken += drain(reader)
            if fed.feed.waiting_bytes:
                fed.moved.clear()
                await fed.moved.wait()
    assert hashlib.sha256(taken).digest() == hashlib.sha256(data).digest()
    assert fed.feed.waiting_bytes == 0


async def test_a_terminal_that_takes_part_gets_the_rest_as_it_reads(platform: str, stack: contextlib.ExitStack) -> None:
    fed = Fed(stack, capacity=1 << 18)
    master, terminal = make_pty(stack)
    os.set_blocking(terminal, False)
    data, taken, complete = noise(100_000), bytearray(), asyncio.Event()
    fed.ring.write(data)
    fed.feed.connect(master)
    assert fed.feed.blocked
    assert fed.feed.waiting_bytes > 10_000

    def read() -> None:
        taken.extend(os.read(terminal, 65536))
        if len(taken) >= len(data):
            complete.set()

    asyncio.get_running_loop().add_reader(terminal, read)
    await complete.wait()
    asyncio.get_running_loop().remove_reader(terminal)
    assert bytes(taken) == data
    assert fed.feed.waiting_bytes == 0


async def test_a_long_backlog_is_moved_in_several_turns(stack: contextlib.ExitStack) -> None:
    fed = Fed(stack, fill_bytes=10)
    reader, sink = make_pipe(stack)
    fed.ring.write(noise(35 + MOVES_MOST * 10))
    fed.feed.connect(sink)
    assert fed.feed.waiting_bytes == 35
    await fed.moved.wait()
    assert fed.feed.waiting_bytes == 0
    assert drain(reader) == noise(35 + MOVES_MOST * 10)


async def test_a_feed_that_has_moved_all_is_not_blocked(platform: str, stack: contextlib.ExitStack) -> None:
    fed = Fed(stack, fill_bytes=10)
    _, sink = make_pipe(stack)
    fed.ring.write(noise(MOVES_MOST * 10))
    fed.feed.connect(sink)
    assert (fed.feed.waiting_bytes, fed.feed.blocked) == (0, False)


async def test_what_waits_is_counted_and_goes_to_the_next_sink(platform: str, stack: contextlib.ExitStack) -> None:
    fed = Fed(stack)
    fed.ring.write(b"abc")
    assert (fed.feed.pump(), fed.feed.connected, fed.feed.waiting_bytes) == (False, False, 3)
    reader, sink = make_pipe(stack)
    fed.feed.connect(sink)
    assert (fed.feed.connected, fed.feed.waiting_bytes, drain(reader)) == (True, 0, b"abc")
    fed.feed.disconnect()
    fed.ring.write(b"def")
    assert (fed.feed.pump(), drain(reader)) == (False, b"")
    reader, sink = make_pipe(stack)
    fed.feed.connect(sink)
    assert drain(reader) == b"def"


async def test_a_reader_that_is_gone_is_told_once_and_keeps_its_place(platform: str, stack: contextlib.ExitStack) -> None:
    fed = Fed(stack)
    reader, sink = make_pipe(stack)
    fed.feed.connect(sink)
    os.close(reader)
    fed.ring.write(b"abc")
    fed.feed.pump()
    fed.ring.write(b"def")
    fed.feed.pump()
    assert (fed.broken, fed.feed.connected, fed.feed.waiting_bytes) == (1, False, 6)
    reader, sink = make_pipe(stack)
    fed.feed.connect(sink)
    assert drain(reader) == b"abcdef"


async def test_a_reader_that_goes_while_it_is_waited_for_is_told_once(platform: str, stack: contextlib.ExitStack) -> None:
    fed = Fed(stack, capacity=1 << 18)
    reader, sink = make_pipe(stack, 4096)
    fed.ring.write(noise(1 << 18))
    fed.feed.connect(sink)
    assert fed.feed.blocked
    broken = asyncio.Event()
    fed.feed._on_broken = broken.set
    os.close(reader)
    await broken.wait()
    assert not fed.feed.blocked
    assert not fed.feed.connected


async def test_bytes_in_the_pipe_do_not_change_when_the_ring_overwrites_them(stack: contextlib.ExitStack) -> None:
    fed = Fed(stack, capacity=PAGE)
    reader, sink = make_pipe(stack, 4096)
    os.write(sink, bytes(4096))  # full: what is fed stays in the private pipe
    fed.ring.write(b"A" * PAGE)
    fed.feed.connect(sink)
    assert fed.feed.blocked
    if pipes.AVAILABLE:
        assert fed.ring.ring.room(fed.position.filled) == PAGE
        fed.ring.write(b"B" * PAGE)
    assert drain(reader) == bytes(4096)
    await fed.moved.wait()
    assert drain(reader) == b"A" * PAGE


@pytest.mark.parametrize("seed", range(5))
async def test_a_reader_that_holds_nothing_back_is_told_of_each_gap_and_gets_exact_runs_around_it(
    platform: str, stack: contextlib.ExitStack, seed: int
) -> None:
    chance = random.Random(seed)
    fed = Fed(stack, drops=True, fill_bytes=1000)
    reader, sink = make_pipe(stack, 4096)
    data, written, taken = noise(150_000, seed), 0, b""
    while written < len(data):
        size = chance.randint(1, CAPACITY)
        fed.ring.write(data[written : written + size])
        written = min(written + size, len(data))
        fed.feed.connect(sink)
        fed.feed.disconnect()
        if chance.random() < 0.6:
            taken += drain(reader)
    while fed.feed.waiting_bytes:
        fed.feed.connect(sink)
        fed.feed.disconnect()
        taken += drain(reader)
    taken += drain(reader)
    assert fed.overtaken
    expected, at = b"", 0
    for gap, to in fed.overtaken:
        assert gap < to
        expected, at = expected + data[at:gap], to
    assert taken == expected + data[at:]


async def test_an_overtaken_reader_goes_on_half_a_ring_behind_the_end(platform: str, stack: contextlib.ExitStack) -> None:
    fed = Fed(stack, capacity=1000, drops=True)
    reader, sink = make_pipe(stack)
    fed.ring.write(noise(1000))
    fed.ring.write(noise(1, seed=1))
    fed.feed.connect(sink)
    assert fed.overtaken == [(0, 501)]
    assert drain(reader) == noise(1000)[501:] + noise(1, seed=1)


async def test_a_reader_exactly_a_ring_behind_is_not_overtaken(platform: str, stack: contextlib.ExitStack) -> None:
    fed = Fed(stack, capacity=1000, drops=True)
    reader, sink = make_pipe(stack)
    fed.ring.write(noise(1000))
    fed.feed.connect(sink)
    assert fed.overtaken == []
    assert drain(reader) == noise(1000)


class FeedLife:
    """What the keeper holds while daemons that feed a reader come and go, and what the reader has taken."""

    def __init__(self, stack: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch, fuse: Fuse, data: bytes, start: int) -> None:
        self.segment, self.ring = make_ring(stack, start=start)
        self.slots = FusedSlots(self.segment.slots, fuse)
        self.position().seek(start)
        self.pipe = make_pipe(stack, 4096)
        self.reader, self.sink = make_pipe(stack, 4096)
        self.data = data
        self.written = 0
        self.taken = b""
        for name in ("splice", "write"):
            monkeypatch.setattr(os, name, fuse.guard(getattr(os, name)))

    def position(self) -> FeedPosition:
        return FeedPosition(self.segment.slots, RESERVED_SLOTS + Ring.SLOTS)

    def live(self) -> None:
        """One life of a daemon, until all is fed. Its ring's writer is not the one that is killed here."""
        position = FeedPosition(self.slots, RESERVED_SLOTS + Ring.SLOTS)  # type: ignore[arg-type]
        feed = Feed(self.ring, position, self.pipe, on_moved=lambda: None, on_broken=lambda: None, fill_bytes=6000)
        try:
            feed.recover()
            while True:
                self.taken += drain(self.reader)
                room = self.ring.ring.room(position.filled)
                self.ring.write(self.data[self.written : self.written + min(room, 5000)])
                self.written = min(self.written + min(room, 5000), len(self.data))
                if self.written == len(self.data) and not feed.waiting_bytes:
                    return
                feed.connect(self.sink)
                feed.disconnect()
        finally:  # what the end of a process does by itself
            feed.disconnect()
            self.taken += drain(self.reader)


@needs_splice
@pytest.mark.parametrize("start", [0, CAPACITY - 2000])
async def test_a_feed_killed_at_any_step_loses_and_repeats_nothing(
    stack: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch, start: int
) -> None:
    data = noise(17_000)
    for point in range(1000):
        with monkeypatch.context() as patch, contextlib.ExitStack() as life:
            world = FeedLife(life, patch, Fuse(point), data, start)
            killed = lives(world.live)
        assert world.taken == data, f"killed at step {point}"
        if not killed:
            break
    assert 20 < point < 1000


@needs_splice
@pytest.mark.parametrize("seed", range(25))
async def test_a_feed_killed_again_and_again_loses_and_repeats_nothing(
    stack: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chance = random.Random(seed)
    world = FeedLife(stack, monkeypatch, Fuse(*chance.sample(range(60), 12)), noise(40_000, seed), chance.randrange(CAPACITY))
    assert lives(world.live) >= 6
    assert hashlib.sha256(world.taken).digest() == hashlib.sha256(world.data).digest()


@needs_splice
async def test_a_naive_write_then_note_repeats_what_was_taken(stack: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        world = FeedLife(stack, patch, Fuse(1), noise(2000), 0)
        patch.setattr(pipes, "AVAILABLE", False)  # the portable path is the naive one, and its docs say so
        assert lives(world.live) == 1
    assert world.taken == noise(2000) * 2


@needs_splice
async def test_a_killed_feed_that_recovers_tells_the_exact_position(stack: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    for point in range(1000):
        with monkeypatch.context() as patch, contextlib.ExitStack() as life:
            world = FeedLife(life, patch, Fuse(point), noise(9000), 0)
            try:
                world.live()
                break
            except Killed:
                position = world.position()
                Feed(world.ring, position, world.pipe, lambda: None, lambda: None).recover()
                assert position.position == len(world.taken), f"killed at step {point}"
    assert 15 < point < 1000


# -- what they stand on ---------------------------------------------------------------------------------------------


def test_a_segment_is_found_again_by_its_descriptor(platform: str, stack: contextlib.ExitStack) -> None:
    segment = Segment.create("coprocd-test", PAGE, 100, SCHEMA)
    segment.slots[RESERVED_SLOTS] = 2**64 - 1
    os.pwrite(segment.fd, b"bytes", PAGE)
    fd = os.dup(segment.fd)
    segment.close()
    segment.close()
    again = Segment.open(fd, PAGE, SCHEMA)
    stack.callback(again.close)
    assert again.slots[RESERVED_SLOTS] == 2**64 - 1
    assert os.pread(again.fd, 5, PAGE) == b"bytes"


def test_a_segment_of_another_layout_is_refused_and_closed(platform: str, stack: contextlib.ExitStack) -> None:
    segment = Segment.create("coprocd-test", PAGE, 0, SCHEMA + 1)
    stack.callback(segment.close)
    with pytest.raises(CoprocdError) as caught:
        Segment.open(os.dup(segment.fd), PAGE, SCHEMA)
    assert caught.value.code == "version_mismatch"


def test_an_intake_of_another_layout_is_refused(stack: contextlib.ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
    intake = make_intake(stack)
    monkeypatch.setattr(intake_module, "SCHEMA", intake_module.SCHEMA + 1)
    with pytest.raises(CoprocdError) as caught:
        Intake.open(os.dup(intake.segment.fd), intake.pipe)
    assert caught.value.code == "version_mismatch"


def test_an_empty_ring_takes_no_memory(stack: contextlib.ExitStack) -> None:
    segment, into = make_ring(stack, capacity=64 << 20)
    assert os.fstat(segment.fd).st_blocks * 512 <= 2 * PAGE
    into.write(b"x")
    assert os.fstat(segment.fd).st_blocks * 512 <= 3 * PAGE


def test_a_private_pipe_never_blocks_and_is_not_inherited(stack: contextlib.ExitStack) -> None:
    for fd in make_pipe(stack):
        assert not os.get_blocking(fd)
        assert not os.get_inheritable(fd)


def test_what_stands_in_a_pipe_is_counted(stack: contextlib.ExitStack) -> None:
    reader, writer = make_pipe(stack)
    assert pipes.unread(reader) == 0
    os.write(writer, b"x" * 12_345)
    assert pipes.unread(reader) == 12_345
    nothing = os.open(os.devnull, os.O_RDONLY)
    stack.callback(os.close, nothing)
    assert pipes.unread(nothing) == 0


def test_an_output_log_is_taken_over_at_its_exact_byte_with_modes_and_silence(platform: str, stack: contextlib.ExitStack) -> None:
    log = OutputLog.create("0123", 1000)
    log.write(b"x" * 990 + b"\x1b[?2004h$ \x1b[?1h")
    log.silence.open(1000, log.retained_from)
    assert log.modes().bracketed_paste
    epoch, fd = log.epoch, os.dup(log.segment.fd)
    log.close()
    again = OutputLog.open(fd)
    stack.callback(again.close)
    assert (again.epoch, again.end, again.retained_from) == (epoch, 1005, 5)
    assert again.read(998, 7) == b"$ \x1b[?1h"
    assert (again.modes().bracketed_paste, again.modes().application_cursor) == (True, True)
    assert again.silence.opened_at == 1000


@pytest.mark.skipif(not hasattr(fcntl, "F_SETPIPE_SZ"), reason="another system's terminal")
def test_a_terminal_that_collects_lines_takes_as_many_bytes_as_we_say_and_cuts_one_more(stack: contextlib.ExitStack) -> None:
    for size, arrives in ((LINE_MOST, LINE_MOST), (LINE_MOST + 1, LINE_MOST)):
        master, terminal = os.openpty()
        stack.callback(os.close, master)
        stack.callback(os.close, terminal)
        os.write(master, b"x" * size + b"\n")
        assert os.read(terminal, 65536) == b"x" * arrives + b"\n"
