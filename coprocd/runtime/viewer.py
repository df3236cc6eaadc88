"""One who is attached to a session: how far it was shown the output, and what it is to be told besides.

Sans transport: `take` says what is to be sent next, and whoever sends calls it again when that has left; `pass_on` has an echo sent at once.
Nothing is kept for one that does not read: its place in the log costs nothing, messages of a kind replace each other, and once the log has
moved past its place it is to be sent a new picture of the screen (`behind`, `resync`). It holds nobody up.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from coprocd.core.timeline import Injection, Output, Place, after
from coprocd.protocol.attach import ACK_WINDOW_BYTES, FRAME_BYTES
from coprocd.protocol.objects import Client
from coprocd.runtime.screen import Snapshot

if TYPE_CHECKING:
    from coprocd.runtime.viewers import Viewers

Message: TypeAlias = dict[str, Any]
Size: TypeAlias = tuple[int, int]
"""Rows and columns."""
Reason: TypeAlias = Literal["attach", "lag"]

MESSAGES_MOST = 256
"""Messages that wait for one viewer; of more, the oldest that is not the state of something is forgotten."""


class Waiting(NamedTuple):
    """A message, and the offset that is shown before it."""

    offset: int
    message: Message


class Viewer:
    """One of the `Viewers` of a session."""

    def __init__(
        self, viewers: Viewers, id: str, pid: int | None, mode: Literal["rw", "ro"], size: Size | None, lag_bytes: int | None
    ) -> None:
        self.id = id
        self.mode: Literal["rw", "ro"] = mode
        self.size = size
        """Rows and columns of its terminal, where it has told them."""
        self.pid = pid
        self.attached_at = time.time()
        self.leaving = False
        """Whether it is to go."""
        self.leaves_for: str | None = None
        """Who has asked for that: `client`, `request` or `daemon`; None where its session is no more."""
        self.on_leave: Callable[[], object] = lambda: None
        self.can_send_now: Callable[[], bool] = lambda: False
        self.send_now: Callable[[bytes], object] = lambda output: None
        """Sends output in this turn of the loop, where that can be; called only while its sender is in `wait`."""
        self._viewers = viewers
        self._session = viewers.session
        self._lag_bytes = lag_bytes
        self._place: Place | None = None
        self._wants_redraw = False
        self._told = 0
        """The offset at which its next binary frame belongs, as far as it knows."""
        self._waiting: dict[object, Waiting] = {}
        self._acked: int | None = None
        self._jumps: deque[tuple[int, int]] = deque()
        """Where it was led over output that it was not sent, since what it has acked: the offset behind, and how much."""
        self._awoken: asyncio.Future[None] | None = None
        self._is_news = False
        """Whether it was woken since it last took all that there was."""

    # -- where it is -------------------------------------------------------------------------------------------------------

    @property
    def offset(self) -> int:
        """Up to where it was sent the output."""
        return self._place.offset if self._place is not None else self._session.display.end

    def describe(self) -> Client:
        rows, cols = self.size or (None, None)
        return Client(
            id=self.id,
            mode=self.mode,
            rows=rows,
            cols=cols,
            pid=self.pid,
            attached_at=self.attached_at,
            offset=self.offset,
            acked_offset=self._acked,
            lag_bytes=max(0, self._session.display.end - self.offset),
        )

    @property
    def has_place(self) -> bool:
        """False until it has been sent a snapshot, or has said where it was."""
        return self._place is not None

    def resume(self, place: Place) -> None:
        """It has all before `place`."""
        self._place = place
        self._told = place.offset

    def redraw(self) -> None:
        """It is to be sent the whole screen again."""
        self._wants_redraw = True
        self.wake()

    def leave(self, by: str | None) -> None:
        """It is to go; the first who says so counts."""
        if not self.leaving:
            self.leaving, self.leaves_for = True, by
            self.on_leave()
            self.wake()

    def attached(self, protocol: Any) -> Message:
        """The first message."""
        place = self._place or self._session.display.place_at_end()
        return {
            "type": "attached",
            "session": self._session.describe(),
            "client": self.id,
            "protocol": protocol,
            "epoch": self._session.log.epoch,
            "offset": place.offset,
            "injected": place.injected,
        }

    # -- snapshots ---------------------------------------------------------------------------------------------------------

    def behind(self) -> Reason | None:
        """Why it needs a snapshot before anything else, if it does. One that has to ack first does not yet."""
        if self._place is None or self._wants_redraw:
            return "attach"
        if self._acked is None and self._lag_bytes is None and self._is_retained(self._place):
            return None
        if self._window() <= 0:
            return None
        self._pass_silence()
        too_far = self._lag_bytes is not None and self._session.display.end - self._place.offset > self._lag_bytes
        return "lag" if too_far or not self._is_retained(self._place) else None

    def _is_retained(self, place: Place) -> bool:
        return place.offset >= self._session.log.retained_from and place.injected >= self._session.injections.kept_from

    def _pass_silence(self) -> None:
        """What the log has lost and would not have shown anyway is no loss."""
        log, place = self._session.log, self._place
        assert place is not None
        if place.offset < log.retained_from:
            at = place.offset
            for start, stop in log.silence.within(at, log.retained_from):
                at = stop if start == at else at
            if at == log.retained_from:
                self._jump(place.offset, at)
                self._place = place._replace(offset=at)

    def resync(self, redraw: Snapshot, reason: Reason) -> list[Message | bytes]:
        """It goes on from `redraw`."""
        place = redraw.place
        self._jump(self.offset, place.offset)
        self._wants_redraw = False
        self.resume(place)
        about = {"offset": place.offset, "reason": reason, "rows": redraw.rows, "cols": redraw.cols, "injected": place.injected}
        return [{"type": "snapshot"} | about, redraw.data]

    # -- acks --------------------------------------------------------------------------------------------------------------

    def ack(self, offset: int) -> None:
        """It has done with what was sent up to `offset`."""
        self._acked = max(self._acked or 0, min(offset, self.offset))
        while self._jumps and self._jumps[0][0] <= self._acked:
            self._jumps.popleft()
        self.wake()

    def _jump(self, start: int, stop: int) -> None:
        """What is between was not sent, and is not acked."""
        if self._acked is None:
            return
        length = stop - start
        if self._jumps and self._jumps[-1][0] == start:
            length += self._jumps.pop()[1]
        self._jumps.append((stop, length))

    def _window(self) -> int:
        """How many bytes it may be sent before it acks."""
        if self._acked is None:
            return ACK_WINDOW_BYTES
        return ACK_WINDOW_BYTES - (self.offset - self._acked - sum(length for _, length in self._jumps))

    # -- messages ----------------------------------------------------------------------------------------------------------

    def tell(self, message: Message, key: object = None) -> None:
        """Sends it a message once it was shown the output of before; one of a `key` takes the place of another that waits.

        One whose session has been let go is not told any more.
        """
        if self._session.dropped:
            return
        self._waiting.pop(key, None)
        if len(self._waiting) >= MESSAGES_MOST:
            del self._waiting[next((old for old in self._waiting if not isinstance(old, str)), next(iter(self._waiting)))]
        self._waiting[object() if key is None else key] = Waiting(self._session.display.end, message)
        self.wake()

    def greeting(self) -> list[Message]:
        """What it is told first: all that is set."""
        greeting = self._viewers.greeting()
        for key in greeting:
            self._waiting.pop(key, None)
        return list(greeting.values())

    def _due(self) -> list[Message]:
        """The messages that belong before what it is shown next."""
        due: list[Message] = []
        if not self._waiting:
            return due
        offset = self.offset
        at_end = offset >= self._session.display.end
        for key, waiting in list(self._waiting.items()):
            if waiting.offset > offset and not at_end:
                break
            due.append(self._waiting.pop(key).message)
        return due

    # -- what is sent ------------------------------------------------------------------------------------------------------

    def take(self) -> list[Message | bytes]:
        """What is to be sent next, with at most a frame of output, and moves past it; nothing when it has all, or must ack first."""
        assert self._place is not None
        self._is_news = False
        if self._is_plain(FRAME_BYTES):
            return [self._read_on()]
        taken: list[Message | bytes] = []
        before = None
        while not taken and self._place != before:
            before = self._place
            taken += self._due()
            self._show(taken)
            taken += self._due()
        if self._place.offset < self._session.display.end and self._window() > 0:
            self._is_news = True
        return taken

    def pass_on(self, most_bytes: int) -> None:
        """What is no more than `most_bytes`, an echo say, is sent at once if it can be; else it is woken."""
        is_waiting = self._awoken is not None and not self._wants_redraw and not self.leaving
        if is_waiting and self._is_plain(most_bytes) and self.can_send_now():
            self.send_now(self._read_on())
        else:
            self.wake()

    def _is_plain(self, most_bytes: int) -> bool:
        """Whether it is to be sent the rest of the output, which is no more than `most_bytes`, and nothing besides, as is usual."""
        place = self._place
        if place is None or self._waiting or self._told != place.offset or self._acked is not None or self._lag_bytes is not None:
            return False
        return self._session.display.is_plain(place, most_bytes)

    def _read_on(self) -> bytes:
        """The rest of the output, which is plain; moves past it."""
        start, end = self._told, self._session.log.end
        self._place, self._told = Place(end, self._session.injections.made), end
        return self._viewers.read(start, end)

    def _show(self, taken: list[Message | bytes]) -> None:
        """Adds to it what comes next of the output, up to where a message belongs."""
        place, log = self._place, self._session.log
        assert place is not None
        most = min(FRAME_BYTES, self._window())
        if most <= 0:
            return
        silent = log.silence.within(place.offset, self._session.display.end)
        if silent and silent[0][0] == place.offset:
            most = max(most, silent[0][1] - place.offset)
        if self._waiting:
            most = min(most, max(0, next(iter(self._waiting.values())).offset - place.offset))
        for step in self._session.display.steps(place, most):
            if isinstance(step, Injection):
                at = {"type": "offset", "offset": place.offset, "reason": "inject"}
                taken += [at | {"injected": place.injected}, step.data, at | {"injected": step.number + 1}]
                self._told = place.offset
            elif isinstance(step, Output):
                if self._told != step.start:
                    taken.append({"type": "offset", "offset": step.start, "reason": "silent", "injected": place.injected})
                taken.append(self._viewers.read(step.start, step.stop))
                self._told = step.stop
            else:
                self._jump(step.start, step.stop)
            place = self._place = after(place, step)

    @property
    def has_all(self) -> bool:
        """Whether it was sent all that there is and will be. Call it only while it is not `leaving`."""
        session = self._session
        silent = session.log.silence.opened_at is not None
        return session.finished and not silent and not self._waiting and self._place == session.display.place_at_end()

    # -- waking ------------------------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """There is something to look at."""
        self._is_news = True
        if self._awoken is not None and not self._awoken.done():
            self._awoken.set_result(None)
            self._awoken = None

    async def wait(self) -> None:
        """Returns at the next `wake`; at once where there was one, or more, after what was last taken."""
        if self._is_news:
            return
        self._awoken = asyncio.get_running_loop().create_future()
        try:
            await self._awoken
        finally:
            self._awoken = None
