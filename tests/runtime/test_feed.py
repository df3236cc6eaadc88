"""Feed on real descriptors: equal bytes through every wrap, and an exact run after a kill anywhere (`support/movements.py`)."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import random

import pytest
from support.movements import (
    CAPACITY,
    Fuse,
    FusedSlots,
    Killed,
    drain,
    lives,
    make_pipe,
    make_pty,
    make_ring,
    needs_splice,
    noise,
)

from coprocd.core.ring import FeedPosition, Ring
from coprocd.platform import pipes
from coprocd.runtime.feed import MOVES_MOST, Feed
from coprocd.runtime.segment import PAGE, RESERVED_SLOTS


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
