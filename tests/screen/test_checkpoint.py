"""Checkpoints: whole or not at all, in two copies of which one takes memory, behind the log of any version."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from coprocd.platform import memory
from coprocd.runtime.output_log import OutputLog
from coprocd.screen import checkpoint
from coprocd.screen.checkpoint import BYTES, COPY_BYTES, Checkpoints, Saved

BASE = 8192
ONE, TWO, THREE = (Saved(offset, 5, 24, 80) for offset in (1, 2, 3))


class Killed(BaseException):
    """The worker ended here."""


@pytest.fixture
def fd() -> Iterator[int]:
    fd = memory.create("checkpoints", BASE + BYTES)
    yield fd
    os.close(fd)


@pytest.mark.parametrize("pack", [False, True])
def test_the_newest_is_read(fd: int, pack: bool) -> None:
    checkpoints = Checkpoints(fd, BASE)
    assert checkpoints.newest() is None and checkpoints.read() is None
    for saved in (ONE, TWO, THREE):
        data = b"%d" % saved.offset * 10_000
        assert checkpoints.write(saved, data, pack)
        assert checkpoints.newest() == saved and Checkpoints(fd, BASE).read() == (saved, data)
    checkpoints.forget()
    assert checkpoints.newest() is None and checkpoints.read() is None


@pytest.mark.parametrize("writes", [0, 1])
def test_a_worker_killed_while_it_writes_leaves_the_one_before(fd: int, monkeypatch: pytest.MonkeyPatch, writes: int) -> None:
    checkpoints, left = Checkpoints(fd, BASE), [writes]
    checkpoints.write(ONE, b"one", pack=False)
    write = checkpoint._write

    def killed(fd: int, data: bytes, at: int) -> None:
        if not left[0]:
            write(fd, data[: len(data) // 2], at)
            raise Killed
        left[0] -= 1
        write(fd, data, at)

    monkeypatch.setattr(checkpoint, "_write", killed)
    with pytest.raises(Killed):
        checkpoints.write(TWO, b"two" * 1000, pack=False)
    monkeypatch.undo()
    assert Checkpoints(fd, BASE).read() == (ONE, b"one")
    assert Checkpoints(fd, BASE).write(THREE, b"three", pack=False) and checkpoints.read() == (THREE, b"three")


def test_one_that_was_damaged_does_not_count(fd: int) -> None:
    checkpoints = Checkpoints(fd, BASE)
    checkpoints.write(ONE, b"one" * 1000, pack=False)
    os.pwrite(fd, b"?", BASE + 500)
    os.pwrite(fd, b"?", BASE + COPY_BYTES + 500)
    assert checkpoints.read() is None


def test_without_memory_the_one_before_stands(fd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoints = Checkpoints(fd, BASE)
    checkpoints.write(ONE, b"one", pack=False)

    def none(*_: Any) -> None:
        raise memory.NoMemory("none")

    monkeypatch.setattr(memory, "reserve", none)
    assert not checkpoints.write(TWO, b"two", pack=False)
    assert checkpoints.read() == (ONE, b"one")


def test_one_that_is_too_large_is_not_written(fd: int) -> None:
    checkpoints = Checkpoints(fd, BASE)
    checkpoints.write(ONE, b"one", pack=False)
    assert not checkpoints.write(TWO, bytes(COPY_BYTES), pack=False)
    assert checkpoints.read() == (ONE, b"one")


@pytest.mark.skipif(not memory.AVAILABLE, reason="memory is given back where the system has memfds")
def test_only_the_newest_takes_memory(fd: int) -> None:
    checkpoints = Checkpoints(fd, BASE)
    for saved in (ONE, TWO):
        checkpoints.write(saved, os.urandom(4 << 20), pack=True)
    assert os.fstat(fd).st_blocks * 512 < 5 << 20
    for saved in (THREE, ONE):
        checkpoints.write(saved, bytes(4 << 20), pack=True)
    assert os.fstat(fd).st_blocks * 512 < 64 << 10


def test_a_log_of_a_version_that_had_none_is_made_longer() -> None:
    log = OutputLog.create("s", 100_000)
    log.write(b"x" * 150_000)
    fd, old_bytes = os.dup(log.fd), log.checkpoints.base - 1000
    log.close()
    os.ftruncate(fd, old_bytes)
    log = OutputLog.open(fd)
    assert log.read(50_000, 100_000) == b"x" * 100_000
    assert log.checkpoints.newest() is None and log.checkpoints.write(ONE, b"one", pack=True)
    assert log.read(50_000, 100_000) == b"x" * 100_000 and log.checkpoints.read() == (ONE, b"one")
    log.close()
