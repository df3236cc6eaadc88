"""What the tests of Intake and Feed have in common: rings, pipes and terminals of their own, and a daemon that is killed anywhere.

A kill is `Killed`, raised before or after the n-th operation that outlives the process: a store to a slot, a splice, a
read or write. Then everything is forgotten but what the keeper holds (segments and pipes), and the next life recovers.
"""

from __future__ import annotations

import contextlib
import os
import random
import tty
from collections.abc import Callable, MutableSequence
from typing import Any

import pytest

from coprocd.core.ring import Ring
from coprocd.platform import pipes
from coprocd.runtime.intake import Intake
from coprocd.runtime.ring_file import RingFile
from coprocd.runtime.segment import PAGE, RESERVED_SLOTS, Segment

SCHEMA = 1
CAPACITY = 8192

needs_splice = pytest.mark.skipif(not pipes.AVAILABLE, reason="without splice a kill may lose what is on its way")


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


def lives(live: Callable[[], None]) -> int:
    """Daemons one after another, until one has done all; the number of those killed."""
    killed = 0
    while True:
        try:
            live()
            return killed
        except Killed:
            killed += 1
