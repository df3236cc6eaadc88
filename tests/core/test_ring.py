"""The ring's arithmetic, and its recovery from a kill between any two steps of a movement.

A kill is an exception out of the step before which it happens; what is left are the slots, the pipe and the file, as the
keeper would hand them to the next daemon.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coprocd.core.ring import FeedPosition, Ring

BASE = 3
"""Where the ring's bytes begin in its file."""

CHUNKS = st.lists(st.binary(min_size=1, max_size=12), min_size=1, max_size=6)
PARTS = st.lists(st.integers(1, 5), min_size=1, max_size=8)
KILLS = st.lists(st.integers(0, 25), max_size=6)


class Killed(BaseException):
    """The process ended here."""


class Fuse:
    """Burns one step at a time; at the end of each of its lengths the process is killed."""

    def __init__(self, lengths: list[int]) -> None:
        self._lengths = list(lengths)

    def step(self) -> None:
        if self._lengths:
            if self._lengths[0] == 0:
                del self._lengths[0]
                raise Killed
            self._lengths[0] -= 1


class Slots(list[int]):
    """Shared slots, and a kill before any store to them."""

    def __init__(self, count: int, fuse: Fuse) -> None:
        super().__init__([0] * count)
        self.fuse = fuse

    def __setitem__(self, index: object, value: object) -> None:
        self.fuse.step()
        super().__setitem__(index, value)  # type: ignore[index, assignment]


class IntakeWorld:
    """What outlives the process that takes bytes in: a descriptor with chunks, the private pipe, the file, the slots."""

    def __init__(self, chunks: list[bytes], parts: list[int], capacity: int, kills: list[int]) -> None:
        self.fuse = Fuse(kills)
        self.slots = Slots(Ring.SLOTS, self.fuse)
        self.capacity = capacity
        self.source = list(chunks)
        self.pipe = b""
        self.file = bytearray(BASE + capacity)
        self.parts = parts
        self.stores = 0

    def ring(self) -> Ring:
        return Ring(self.slots, 0, BASE, self.capacity)

    def store(self, ring: Ring, offset: int, size: int) -> None:
        """Moves `size` bytes from the pipe to `offset`, in parts, killed before any of them."""
        for position, length in ring.segments(offset, size):
            while length:
                self.fuse.step()
                moved = min(length, self.parts[self.stores % len(self.parts)])
                self.stores += 1
                self.file[position : position + moved] = self.pipe[:moved]
                self.pipe = self.pipe[moved:]
                position += moved
                length -= moved

    def move(self, ring: Ring) -> None:
        self.fuse.step()
        chunk = self.source.pop(0)
        self.pipe, rest = chunk[: self.capacity], chunk[self.capacity :]
        if rest:
            self.source.insert(0, rest)
        ring.promise(len(self.pipe))
        self.store(ring, ring.end, len(self.pipe))
        ring.keep()

    def recover(self, ring: Ring) -> None:
        self.fuse.step()
        left = len(self.pipe)
        self.store(ring, ring.recover(left), left)
        ring.keep()

    def read(self, ring: Ring, offset: int) -> bytes:
        return b"".join(bytes(self.file[at : at + length]) for at, length in ring.segments(offset, ring.end - offset))


def run_intake(world: IntakeWorld) -> tuple[bytes, int]:
    """Goes on, life after life, until all is taken in; what a reader saw of it, and the number of kills."""
    seen, kills = b"", 0
    while True:
        ring = world.ring()
        try:
            world.recover(ring)
            seen += world.read(ring, len(seen))
            while world.source:
                world.move(ring)
                seen += world.read(ring, len(seen))
            return seen, kills
        except Killed:
            kills += 1


@settings(max_examples=200, deadline=None)
@given(CHUNKS, PARTS, st.integers(1, 20), KILLS)
def test_an_intake_killed_anywhere_and_again_while_it_recovers_takes_an_exact_run(
    chunks: list[bytes], parts: list[int], capacity: int, kills: list[int]
) -> None:
    seen, _ = run_intake(IntakeWorld(chunks, parts, capacity, kills))
    assert seen == b"".join(chunks)


def test_an_intake_killed_at_each_step_in_turn_takes_an_exact_run() -> None:
    chunks = [b"abcde", b"fghijklm", b"n", b"opqrst"]
    for point in range(1000):
        seen, kills = run_intake(IntakeWorld(chunks, [2, 1, 3], 8, [point]))
        assert seen == b"abcdefghijklmnopqrst", point
        if not kills:
            break
    assert 20 < point < 1000


class FeedWorld:
    """What outlives the process that feeds a reader: the ring's bytes, the private pipe, the slots, what the reader has."""

    def __init__(self, data: bytes, fills: list[int], parts: list[int], kills: list[int]) -> None:
        self.fuse = Fuse(kills)
        self.slots = Slots(FeedPosition.SLOTS, self.fuse)
        self.data = data
        self.pipe = b""
        self.taken = b""
        self.fills = fills
        self.parts = parts
        self.moves = 0

    def move(self, position: FeedPosition) -> None:
        self.moves += 1
        if not position.in_pipe:
            data = self.data[position.filled : position.filled + self.fills[self.moves % len(self.fills)]]
            position.promise(len(data))
            self.fuse.step()
            self.pipe = data[: self.parts[self.moves % len(self.parts)]]  # a pipe may take fewer than promised
            position.keep(len(self.pipe))
        self.fuse.step()
        moved = min(len(self.pipe), self.parts[(self.moves + 1) % len(self.parts)])
        self.taken, self.pipe = self.taken + self.pipe[:moved], self.pipe[moved:]
        self.fuse.step()
        position.in_pipe -= moved


def run_feed(world: FeedWorld) -> int:
    """Goes on, life after life, until all is fed; the number of kills."""
    kills = 0
    while True:
        position = FeedPosition(world.slots, 0)
        try:
            world.fuse.step()
            position.recover(len(world.pipe))
            assert position.position == len(world.taken)
            while position.position < len(world.data):
                world.move(position)
                assert position.position == len(world.taken)
            return kills
        except Killed:
            kills += 1


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60), PARTS, PARTS, KILLS)
def test_a_feed_killed_anywhere_knows_the_exact_byte_its_reader_has_taken(
    data: bytes, fills: list[int], parts: list[int], kills: list[int]
) -> None:
    world = FeedWorld(data, fills, parts, kills)
    run_feed(world)
    assert world.taken == data


def test_a_feed_killed_at_each_step_in_turn_feeds_an_exact_run() -> None:
    data = bytes(range(40))
    for point in range(1000):
        world = FeedWorld(data, [7, 12], [5, 3], [point])
        kills = run_feed(world)
        assert world.taken == data, point
        if not kills:
            break
    assert 20 < point < 1000


@settings(deadline=None)
@given(st.integers(1, 50), st.integers(0, 500), st.data())
def test_a_run_stands_in_one_piece_or_in_two_around_the_wrap(capacity: int, offset: int, data: st.DataObject) -> None:
    size = data.draw(st.integers(0, capacity))
    pieces = list(Ring([0, 0], 0, BASE, capacity).segments(offset, size))
    places = [at + i for at, length in pieces for i in range(length)]
    assert len(pieces) <= 2
    assert places == [BASE + (offset + i) % capacity for i in range(size)]


def test_a_run_that_ends_at_the_wrap_is_one_piece() -> None:
    ring = Ring([0, 0], 0, BASE, 10)
    assert list(ring.segments(6, 4)) == [(BASE + 6, 4)]
    assert list(ring.segments(10, 4)) == [(BASE, 4)]
    assert list(ring.segments(6, 5)) == [(BASE + 6, 4), (BASE, 1)]
    assert list(ring.segments(6, 0)) == []


def test_without_a_hold_the_whole_ring_is_room() -> None:
    ring = Ring([0, 0], 0, BASE, 10)
    ring.append(25)
    assert ring.room(None) == 10


def test_a_hold_leaves_the_room_that_would_not_overwrite_it() -> None:
    ring = Ring([0, 0], 0, BASE, 10)
    ring.append(25)
    assert [ring.room(hold) for hold in (15, 16, 20, 25)] == [0, 1, 5, 10]


@settings(deadline=None)
@given(st.integers(1, 30), st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40))))
def test_a_writer_that_keeps_to_the_room_never_overwrites_what_is_held(capacity: int, steps: list[tuple[int, int]]) -> None:
    ring, hold = Ring([0, 0], 0, BASE, capacity), 0
    for written, read in steps:
        ring.append(min(written, ring.room(hold)))
        assert ring.retained_from <= hold <= ring.end
        hold += min(read, ring.end - hold)


def test_what_was_appended_is_retained_up_to_the_capacity() -> None:
    ring = Ring([0, 0], 0, BASE, 10)
    assert (ring.retained_from, ring.end) == (0, 0)
    ring.append(10)
    assert (ring.retained_from, ring.end) == (0, 10)
    ring.append(1)
    assert (ring.retained_from, ring.end) == (1, 11)


def test_an_append_killed_before_its_only_store_is_left_out() -> None:
    slots = Slots(Ring.SLOTS, Fuse([0]))
    ring = Ring(slots, 0, BASE, 10)
    with pytest.raises(Killed):
        ring.append(4)
    assert Ring(slots, 0, BASE, 10).end == 0


def test_rings_and_positions_use_no_slots_but_their_own() -> None:
    slots = [7] * 9
    ring, position = Ring(slots, 2, BASE, 100), FeedPosition(slots, 5)
    ring.promise(3)
    ring.keep()
    ring.append(4)
    ring.recover(2)
    position.seek(1)
    position.promise(2)
    position.keep(2)
    position.recover(0)
    assert [slots[i] for i in (0, 1, 4, 7, 8)] == [7] * 5


def test_a_seek_goes_on_at_the_offset_also_backwards() -> None:
    position = FeedPosition([0, 0], 0)
    for offset in (500, 20, 21):
        position.seek(offset)
        assert (position.filled, position.position) == (offset, offset)


@pytest.mark.parametrize("point", [0, 1])
@pytest.mark.parametrize("to", [3, 90])
def test_a_seek_that_was_killed_has_happened_or_not(point: int, to: int) -> None:
    slots = Slots(FeedPosition.SLOTS, Fuse([]))
    position = FeedPosition(slots, 0)
    position.seek(40)
    slots.fuse = Fuse([point])
    with pytest.raises(Killed):
        position.seek(to)
    again = FeedPosition(slots, 0)
    again.recover(0)
    assert again.position in (40, to)


STEPS_OF_A_FEED = [  # where it was killed, slots, bytes in the pipe, bytes the reader has
    ("before the promise", [10, 10], 0, 10),
    ("after the promise", [10, 18], 0, 10),
    ("after the copy", [10, 18], 8, 10),
    ("after a short copy", [10, 18], 5, 10),
    ("after the promise was lowered", [10, 15], 5, 10),
    ("after it was kept", [18, 18], 8, 10),
    ("after a part was spliced on", [18, 18], 3, 15),
    ("after all was spliced on", [18, 18], 0, 18),
]


@pytest.mark.parametrize(("where", "slots", "in_pipe", "taken"), STEPS_OF_A_FEED)
def test_a_feed_is_found_where_it_was_killed(where: str, slots: list[int], in_pipe: int, taken: int) -> None:
    position = FeedPosition(list(slots), 0)
    position.recover(in_pipe)
    assert (position.position, position.in_pipe, position.filled) == (taken, in_pipe, taken + in_pipe)
