"""Feed: the movement of bytes from a ring to a descriptor, for one lossless reader.

A coprocess and an observer are feeds of the output log; the master is a feed of the input queue. Bytes are copied into
a private pipe that the keeper holds too, and spliced on from there: what the reader has taken is known to the byte,
whenever the daemon is killed (`core.ring` has the theory).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from coprocd.core.ring import FeedPosition
from coprocd.platform import pipes
from coprocd.runtime.ring_file import RingFile

MOVES_MOST = 8
"""Chunks moved in one turn, so that a long backlog does not hold up the other sessions: 512 KiB, well under 1 ms."""


class Feed:
    """Feeds `sink` from `ring` as fast as it takes the bytes; waits on the loop when it does not."""

    __slots__ = ("_fill_bytes", "_loop", "_on_broken", "_on_moved", "_on_overtaken", "_waiting", "held", "pipe", "position", "ring", "sink")

    def __init__(
        self,
        ring: RingFile,
        position: FeedPosition,
        pipe: tuple[int, int],
        on_moved: Callable[[], None],
        on_broken: Callable[[], None],
        on_overtaken: Callable[[int], None] | None = None,
        fill_bytes: int = pipes.CHUNK_BYTES,
    ) -> None:
        """`on_moved` is called after bytes moved on the loop's own turn; `on_broken` once, when the sink takes no more for ever.

        `on_overtaken(to)` is for a reader that does not hold the ring back: it is told that it goes on at the offset `to`.
        """
        self.ring = ring
        self.position = position
        self.pipe = pipe
        self.sink = -1
        self.held = False
        """Nothing more is moved for now."""
        self._fill_bytes = fill_bytes
        self._on_moved = on_moved
        self._on_broken = on_broken
        self._on_overtaken = on_overtaken
        self._waiting = False
        self._loop = asyncio.get_running_loop()

    def recover(self) -> None:
        """Finds the position at which a killed daemon left it."""
        self.position.recover(pipes.unread(self.pipe[0]) if pipes.AVAILABLE else 0)

    @property
    def connected(self) -> bool:
        return self.sink >= 0

    @property
    def blocked(self) -> bool:
        """Whether bytes wait and the sink takes none now."""
        return self._waiting

    @property
    def waiting_bytes(self) -> int:
        """Bytes that the sink has not taken yet."""
        return self.ring.ring.end - self.position.position

    def connect(self, sink: int) -> None:
        """From now on bytes go to the descriptor `sink`, which stays its opener's to close."""
        self.sink = sink
        self.pump()

    def disconnect(self) -> None:
        """No byte goes anywhere any more; the sink may be closed."""
        if self._waiting:
            self._loop.remove_writer(self.sink)
            self._waiting = False
        self.sink = -1

    def pump(self, newest: bytes = b"") -> bool:
        """Moves what can be moved now; whether anything did. `newest`, what came into the ring last, need not be read from there."""
        moved = False
        if self.sink < 0 or self._waiting or self.held:
            return moved
        position, end = self.position, self.ring.ring.end
        try:
            for _ in range(MOVES_MOST):
                if position.position == end:
                    return moved
                self._move(end, newest)
                moved = True
            if position.position < end:
                self._wait()
        except BlockingIOError:
            self._wait()
        except OSError:  # EPIPE: the reader closed its end; EIO: the terminal is gone
            self.disconnect()
            self._on_broken()
        return moved

    def _move(self, end: int, newest: bytes) -> None:
        """One chunk, if there is as much before the offset `end`."""
        position = self.position
        if not position.in_pipe:
            if self._on_overtaken is not None and position.filled < self.ring.ring.retained_from:
                self._skip(self._on_overtaken)
            filled = position.filled
            size = min(self._fill_bytes, end - filled)
            data = newest if len(newest) == size == end - filled else self.ring.read(filled, size)
            if not pipes.AVAILABLE:
                position.seek(filled + os.write(self.sink, data))
                return
            position.promise(len(data))
            position.keep(os.write(self.pipe[1], data))
        position.in_pipe -= os.splice(self.pipe[0], self.sink, position.in_pipe)

    def _skip(self, on_overtaken: Callable[[int], None]) -> None:
        """Goes on half a ring behind the end, so that it is not overtaken again at once."""
        to = max(self.ring.ring.retained_from, self.ring.ring.end - self.ring.ring.capacity // 2)
        on_overtaken(to)
        self.position.seek(to)

    def _wait(self) -> None:
        self._waiting = True
        self._loop.add_writer(self.sink, self._on_writable)

    def _on_writable(self) -> None:
        self._loop.remove_writer(self.sink)
        self._waiting = False
        if self.pump():
            self._on_moved()
