"""The three pipes of a coprocess: its stdin is fed from the output log, its stdout typed, its stderr kept.

Named from the child's side. It moves bytes and sees where each stream ends; why a coprocess ends is `Coprocess`'s to know.
"""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from coprocd.platform import memory, pipes
from coprocd.runtime.feed import Feed
from coprocd.runtime.pump import MEMORY_AGAIN_S

if TYPE_CHECKING:
    from coprocd.runtime.coprocess_state import CoprocessState
    from coprocd.runtime.session import Session


LAST_WORDS_S = 0.5
ANSWER_QUIET_S = 0.06
ANSWER_MOST_S = 0.25
"""What it typed so long before its end are its last words; their answer is complete when the session was quiet for so long, or after so long."""

READ_POLL_S = 0.005
"""How often it is looked whether the rest in a pipe was read: nothing tells."""


class Streams:
    """The pipes of one coprocess of `session`."""

    def __init__(
        self,
        session: Session,
        state: CoprocessState,
        on_fed: Callable[[], None],
        on_overtaken: Callable[[int], None],
        on_cut: Callable[[int], None],
    ) -> None:
        """`on_fed` is called when stdin took bytes, or will take none any more; `on_overtaken(to)` before a gap is skipped.

        `on_cut(size)` is called when the terminal drops some of what was typed, since its line is too long.
        """
        self.feed = Feed(session.log, state.position, state.pipe, self._on_fed, self._on_fed, on_overtaken=on_overtaken)
        self.stdout_ended: asyncio.Event = asyncio.Event()
        self._session = session
        self._state = state
        self._told = on_fed
        self._on_cut = on_cut
        self._loop = asyncio.get_running_loop()
        self._fds: dict[str, int] = {}
        self._reading: set[str] = set()
        self._discard = False
        self._typed_clock = -math.inf
        self._fed = asyncio.Event()

    def connect(self, fds: dict[str, int]) -> None:
        """Begins to move bytes through `stdin`, `stderr` and, unless it only observes, `stdout`; owns them from here on."""
        self._fds = fds
        for fd in fds.values():
            os.set_blocking(fd, False)
        if "stderr" in fds:
            self._watch("stderr", self._on_stderr)
        self.read_stdout()
        if "stdin" in fds:
            self.feed.connect(fds["stdin"])

    def held(self) -> dict[str, int]:
        """What is open of its process's pipes."""
        return dict(self._fds)

    # -- stdin ----------------------------------------------------------------------------------------------------------

    @property
    def consumed_offset(self) -> int:
        """Up to where its process has read the output."""
        stdin = self._fds.get("stdin")
        return self.feed.position.position - (pipes.unread(stdin) if stdin is not None else 0)

    async def deliver(self, patience_s: float) -> None:
        """Feeds it all that the log still has for it, for as long as it takes some of it within `patience_s`."""
        while self.feed.connected and self.feed.waiting_bytes:
            self._fed.clear()
            try:
                async with asyncio.timeout(patience_s):
                    await self._fed.wait()
            except TimeoutError:
                return

    async def read_up(self, patience_s: float, ended: Callable[[], bool]) -> None:
        """Returns when its process has read all that it was fed, has ended, or has read nothing within `patience_s`."""
        consumed, over = self.consumed_offset, self._loop.time() + patience_s
        while consumed < self.feed.position.position and not ended() and self._loop.time() < over:
            await asyncio.sleep(READ_POLL_S)
            if self.consumed_offset != consumed:
                consumed, over = self.consumed_offset, self._loop.time() + patience_s

    def close_stdin(self) -> None:
        """End of file for it, once the keeper's duplicate is closed too."""
        self.feed.disconnect()
        if "stdin" in self._fds:
            os.close(self._fds.pop("stdin"))

    def _on_fed(self) -> None:
        self._fed.set()
        self._told()

    # -- stdout ---------------------------------------------------------------------------------------------------------

    def read_stdout(self) -> None:
        """Goes on reading stdout, if there is room for what it types."""
        if "stdout" in self._fds and not self.stdout_ended.is_set() and (self._discard or self._room() > 0):
            self._watch("stdout", self._on_stdout)

    def discard_stdout(self) -> None:
        """What it prints from now on goes nowhere, so that it can neither type nor hang."""
        self._discard = True
        self.read_stdout()

    async def type_rest(self, patience_s: float) -> None:
        """Types what is in its stdout now, for as long as the job takes some of it within `patience_s`.

        No more than that: whoever else has its stdout open, a grandchild, might print for ever.
        """
        queue = self._session.input
        left = pipes.unread(self._fds["stdout"]) if "stdout" in self._fds else 0
        while left > 0 and not self.stdout_ended.is_set() and not self._discard:
            size = self._on_stdout(left)
            left -= size
            if size:
                continue
            if self._room() > 0:
                return
            taken = queue.feed.position.position
            await self._session.input_moved(patience_s)
            if queue.feed.position.position == taken:
                return

    def _room(self) -> int:
        queue = self._session.input
        return min(queue.room, self._session.context.settings.coprocess_typing_bytes - queue.waiting_bytes)

    def _on_stdout(self, most: int = pipes.CHUNK_BYTES) -> int:
        """Types one chunk; 0 when there is nothing more now, or no room."""
        most = most if self._discard else min(most, self._room())
        if most <= 0:
            self._unwatch("stdout")
            return 0
        try:
            size = len(os.read(self._fds["stdout"], most)) if self._discard else self._type(most)
        except BlockingIOError:
            return 0
        except memory.NoMemory:
            self._watch_later("stdout", self._on_stdout)
            return 0
        if size == 0:
            self._unwatch("stdout")
            self.stdout_ended.set()
        elif not self._discard:
            self._on_typed(size)
        return size

    async def answered(self) -> int | None:
        """Where the line begins that the session has answered its last words with, and not ended: the next prompt. None: there is none.

        Scripts end with a newline to get a prompt; what else comes then is the rest of what they were silent for.
        """
        log, loop, typed_at = self._session.log, self._loop, self._session.state.typed_at
        if loop.time() > self._typed_clock + LAST_WORDS_S:
            return None
        over, end, moved = loop.time() + ANSWER_MOST_S, log.end, loop.time()
        while loop.time() < min(over, moved + ANSWER_QUIET_S):
            await log.wait(min(over, moved + ANSWER_QUIET_S) - loop.time())
            if log.end != end:
                end, moved = log.end, loop.time()
        line = log.line_start()
        return line if typed_at < line else None

    def _on_typed(self, size: int) -> None:
        self._typed_clock = self._loop.time()
        self._session.on_typed(f"coprocess {self._state.record.id if self._state.record else ''}", size)
        self._session.input.feed.pump()
        cut = min(self._session.input.count(), size)
        if cut:
            self._state.add_cut(cut)
            self._on_cut(cut)

    def _type(self, most: int) -> int:
        """Moves a chunk into the input queue, counted though the daemon be killed on the way; its size."""
        queue, size = self._session.input, 0
        self._state.begin_typing(queue.ring.end)
        try:
            size = self._session.context.intake.move(self._fds["stdout"], queue, most)
        finally:
            self._state.count_typed(size)
        return size

    # -- stderr ---------------------------------------------------------------------------------------------------------

    def _on_stderr(self) -> bool:
        stderr = self._state.stderr
        try:
            size = self._session.context.intake.move(self._fds["stderr"], stderr, stderr.ring.capacity)
        except BlockingIOError:
            return False
        except memory.NoMemory:
            self._watch_later("stderr", self._on_stderr)
            return False
        if size == 0:
            self._unwatch("stderr")
        return size > 0

    # -- all three ------------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Takes the stderr that is there, and closes what is open here; the keeper's duplicates stay."""
        for _ in range(self._state.stderr.ring.capacity // pipes.CHUNK_BYTES + 1):
            if "stderr" not in self._reading or not self._on_stderr():
                break
        self.feed.disconnect()
        self.stdout_ended.set()
        for name in list(self._reading):
            self._unwatch(name)
        for fd in self._fds.values():
            os.close(fd)
        self._fds.clear()
        self._state.close_pipe()

    def _watch(self, name: str, callback: Callable[[], object]) -> None:
        if name not in self._reading:
            self._reading.add(name)
            self._loop.add_reader(self._fds[name], callback)

    def _watch_later(self, name: str, callback: Callable[[], object]) -> None:
        """There is no memory for what it has written: it waits, and nothing is lost."""
        self._unwatch(name)
        self._loop.call_later(MEMORY_AGAIN_S, self._watch_if_open, name, callback)

    def _watch_if_open(self, name: str, callback: Callable[[], object]) -> None:
        if name in self._fds:
            self._watch(name, callback)

    def _unwatch(self, name: str) -> None:
        if name in self._reading:
            self._reading.remove(name)
            self._loop.remove_reader(self._fds[name])
