"""A record is written whole or not at all: a torn write leaves the one before."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator

import msgspec
import pytest

from coprocd.platform import memory
from coprocd.protocol.errors import CoprocdError
from coprocd.runtime.record import Record

BASE, COPY = 4096, 4096


class Note(msgspec.Struct):
    text: str
    number: int = 0


@pytest.fixture
def fd() -> Iterator[int]:
    fd = memory.create("coprocd-record", BASE + 2 * COPY)
    yield fd
    os.close(fd)


def opened(fd: int) -> Record[Note]:
    """What the next daemon makes of what is left."""
    return Record(fd, BASE, COPY, Note)


def content(fd: int) -> bytes:
    return os.pread(fd, BASE + 2 * COPY, 0)


def test_nothing_is_read_where_nothing_was_written(fd: int) -> None:
    assert opened(fd).read() is None


def test_the_last_of_many_values_is_read(fd: int) -> None:
    record = opened(fd)
    for number in range(7):
        record.write(Note("x" * number, number))
        assert opened(fd).read() == Note("x" * number, number)


def test_a_daemon_that_has_read_a_record_goes_on_writing_it(fd: int) -> None:
    for number in range(7):
        record = opened(fd)
        record.read()
        record.write(Note("life", number))
    assert opened(fd).read() == Note("life", 6)


def test_a_record_can_be_read_by_the_daemon_that_wrote_it_as_often_as_it_likes(fd: int) -> None:
    record = opened(fd)
    record.write(Note("a"))
    assert [record.read(), record.read()] == [Note("a"), Note("a")]


def test_a_write_leaves_the_copy_of_the_value_before(fd: int) -> None:
    record = opened(fd)
    record.write(Note("a"))
    record.write(Note("b"))
    before = content(fd)
    record.write(Note("c"))
    changed = [at for at, (old, new) in enumerate(zip(before, content(fd), strict=True)) if old != new]
    assert max(changed) - min(changed) < COPY
    assert len({(at - BASE) // COPY for at in changed}) == 1


@pytest.mark.parametrize(
    "values", [("one", "two", "three"), ("old", "a longer value than before", "b"), ("a longer value", "b", "c" * 100)]
)
def test_a_write_torn_after_any_byte_leaves_the_one_before_or_the_new_one(fd: int, values: tuple[str, str, str]) -> None:
    record = opened(fd)
    record.write(Note(values[0], 1))
    record.write(Note(values[1], 2))
    before = content(fd)
    record.write(Note(values[2], 3))
    after = content(fd)
    changed = [at for at, (old, new) in enumerate(zip(before, after, strict=True)) if old != new]
    for cut in range(min(changed), max(changed) + 2):
        os.pwrite(fd, after[:cut] + before[cut:], 0)
        expected = Note(values[2], 3) if cut > max(changed) else Note(values[1], 2)
        assert opened(fd).read() == expected, f"torn after {cut - min(changed)} bytes"


def test_any_corrupt_byte_of_the_newest_copy_leaves_the_one_before(fd: int) -> None:
    record = opened(fd)
    record.write(Note("older", 1))
    before = content(fd)
    record.write(Note("newer", 2))
    after = content(fd)
    changed = [at for at, (old, new) in enumerate(zip(before, after, strict=True)) if old != new]
    for at in range(min(changed) + 8, max(changed) + 1):  # past the sequence number
        os.pwrite(fd, bytes([after[at] ^ 0xFF]), at)
        assert opened(fd).read() == Note("older", 1), at
        os.pwrite(fd, after[at : at + 1], at)
    assert opened(fd).read() == Note("newer", 2)


def test_a_length_beyond_the_copy_is_not_followed(fd: int) -> None:
    record = opened(fd)
    record.write(Note("a"))
    os.pwrite(fd, struct.pack("<QII", 2**64 - 1, 2**32 - 1, 0), BASE)
    assert opened(fd).read() == Note("a")


def test_with_both_copies_corrupt_nothing_is_read(fd: int) -> None:
    record = opened(fd)
    record.write(Note("a"))
    record.write(Note("b"))
    for copy in range(2):
        os.pwrite(fd, b"\xff" * 64, BASE + copy * COPY + 12)
    assert opened(fd).read() is None


def test_a_torn_write_is_made_good_by_the_next(fd: int) -> None:
    record = opened(fd)
    record.write(Note("a", 1))
    record.write(Note("b", 2))
    os.pwrite(fd, b"\xff" * 8, BASE + 16)  # sequence 2 stands in the first copy
    again = opened(fd)
    assert again.read() == Note("a", 1)
    again.write(Note("c", 3))
    assert opened(fd).read() == Note("c", 3)


def test_a_value_that_fills_its_copy_is_stored(fd: int) -> None:
    record = opened(fd)
    largest = COPY - 16 - len(msgspec.json.encode(Note("")))
    for number in range(3):
        record.write(Note("x" * largest, number))
        assert opened(fd).read() == Note("x" * largest, number)


def test_a_value_that_is_too_large_is_refused_and_the_old_one_stands(fd: int) -> None:
    record = opened(fd)
    record.write(Note("old"))
    before = content(fd)
    with pytest.raises(CoprocdError) as caught:
        record.write(Note("x" * COPY))
    assert caught.value.code == "resource_exhausted"
    assert "Note" in str(caught.value)
    assert content(fd) == before
    record.write(Note("new"))
    assert opened(fd).read() == Note("new")


def test_a_segment_that_takes_no_bytes_is_out_of_resources_and_the_old_value_stands(fd: int) -> None:
    opened(fd).write(Note("old"))
    read_only = os.open(f"/dev/fd/{fd}", os.O_RDONLY)
    record = opened(read_only)
    assert record.read() == Note("old")
    with pytest.raises(CoprocdError) as caught:
        record.write(Note("new"))
    os.close(read_only)
    assert caught.value.code == "resource_exhausted"
    assert opened(fd).read() == Note("old")


def test_nothing_is_written_outside_the_two_copies(fd: int) -> None:
    os.pwrite(fd, b"\xaa" * BASE, 0)
    record = opened(fd)
    for number in range(4):
        record.write(Note("x" * 3000, number))
    assert content(fd)[:BASE] == b"\xaa" * BASE
    assert os.fstat(fd).st_size == BASE + 2 * COPY


def test_a_value_that_is_no_text_is_refused_and_the_one_before_stands(fd: int) -> None:
    record = opened(fd)
    record.write(Note("before"))
    with pytest.raises(CoprocdError, match="no text"):
        record.write(Note("\udcff"))
    assert opened(fd).read() == Note("before")
