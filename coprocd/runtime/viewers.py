"""All who are attached to a session: they are woken when there is something to show, told what happens, and share what it costs.

The pump wakes them through the log. During a flood that is not once a chunk but once a frame or once a moment, whichever comes first, so that
many viewers cost little; what a key brings is passed on at once. They read the log themselves, each at its own pace, and hold nothing up.
`coprocd.api.attach` is their end towards the clients.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

from coprocd.core.event_log import Cursor
from coprocd.protocol.attach import FRAME_BYTES
from coprocd.protocol.errors import CoprocdError
from coprocd.runtime.screen import Snapshot
from coprocd.runtime.tasks import Tasks
from coprocd.runtime.viewer import Message, Size, Viewer
from coprocd.runtime.window_size import WindowSize

if TYPE_CHECKING:
    from coprocd.runtime.session import Session

log = logging.getLogger("coprocd.viewers")

GATHER_S = 0.001
"""Output that goes on is gathered for so long, or up to a frame."""

EACH_S = 50e-6
"""What is sent to one viewer costs about so much: having been woken, they are left so long each, or twice that while output is gathered."""

SMALL_BYTES = 256
"""What is no more than this, an echo say, is not gathered."""

SNAPSHOT_EVERY_S = 0.2
"""A session's viewers share one snapshot for so long: those that do not keep up get no more than five a second."""

COMING_S = 1.0
"""Who is on the way to a session that has just begun, or was just taken over, is there after so long."""

SERVED_MOST_S = 60.0
"""So long an ended session that is to be dropped waits for those who are still being sent its output."""

LOOK_EVERY_S = 1.0
"""How often it is looked what a coprocess has moved, and whether the terminal is stopped."""

PLAIN_BYTES = 64 << 10
"""Where there is no screen now, who comes is shown so much of the output, from the beginning of a line."""

_CLEAR = b"\x18\x1b[!p\x1b[?1049l\x1b[m\x1b[H\x1b[2J"
"""Ends a sequence in progress, resets the modes (DECSTR) and clears."""

_EVENTS = (
    *("session.resized", "session.title", "session.paused", "session.resumed", "session.injected", "notification"),
    *("coprocess.started", "coprocess.ended", "coprocess.stalled"),
)


class Viewers:
    """Those of one session."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.window_size = WindowSize(self)
        self._all: dict[str, Viewer] = {}
        self._none_left = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._begun_at = self._loop.time()
        self._standing: dict[str, Message] = {}
        self._events: Cursor | None = None
        self._woken_at = 0
        """Where the output ended when they were last woken."""
        self._not_before = 0.0
        self._due: asyncio.TimerHandle | None = None
        self._look_due: asyncio.TimerHandle | None = None
        self._last_read = (0, 0, b"")
        self._tasks = Tasks(f"viewers of {session.id}")
        self._snapshot: asyncio.Task[Snapshot | None] | None = None
        self._snapshot_at = 0.0
        self._shown: dict[str, Any] = {}
        """What they were last told of the coprocess and the pause."""

    def __iter__(self) -> Iterator[Viewer]:
        return iter(list(self._all.values()))

    # -- coming and going --------------------------------------------------------------------------------------------------

    def attach(self, pid: int | None, mode: Literal["rw", "ro"], size: Size | None, lag_bytes: int | None) -> Viewer:
        """A new viewer, which counts from now on."""
        session = self.session
        viewer = Viewer(self, "c" + secrets.token_hex(4), pid, mode, size, lag_bytes)
        if not self._all:
            self._begin()
        self._all[viewer.id] = viewer
        session.context.events.append("client.attached", session.id, client=viewer.id, mode=viewer.mode, pid=pid)
        self.window_size.on_active(viewer)
        return viewer

    def detach(self, viewer: Viewer) -> None:
        """It has gone."""
        session = self.session
        if self._all.pop(viewer.id, None) is None:
            return
        self.window_size.on_detached(viewer)
        session.context.events.append("client.detached", session.id, client=viewer.id, by=viewer.leaves_for)
        if not self._all:
            self._none_left.set()
            self._end()

    async def served(self) -> None:
        """Returns when all who were attached, or on their way, have been sent the output of a session that has ended; or after a while."""
        over = self._loop.time() + SERVED_MOST_S
        while (left_s := (over if self._all else self._begun_at + COMING_S) - self._loop.time()) > 0:
            self._none_left.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._none_left.wait(), left_s)

    def send_away(self, client: str | None) -> list[str]:
        """Asks the one with this id, or all, to go: their ids."""
        gone = [viewer for viewer in self if client in (None, viewer.id)]
        for viewer in gone:
            viewer.leave("request")
        return [viewer.id for viewer in gone]

    def _begin(self) -> None:
        events = self.session.context.events
        self._events = events.cursor(types=_EVENTS, session=self.session.id)
        events.listen(self._on_event)
        self.session.log.listen(self._on_output)
        self._shown = self._state()
        self._look_due = self._loop.call_later(LOOK_EVERY_S, self._look_again)

    def _end(self) -> None:
        self.session.context.events.unlisten(self._on_event)
        self.session.log.unlisten(self._on_output)
        self._events = None
        self._last_read = (0, 0, b"")
        self._snapshot = None
        self.window_size.close()
        for timer in (self._due, self._look_due):
            if timer is not None:
                timer.cancel()
        self._due = self._look_due = None

    # -- output ------------------------------------------------------------------------------------------------------------

    def _on_output(self) -> None:
        """Output has come or was injected, or none will come, or the log goes: called once a turn of the pump."""
        session = self.session
        if session.dropped:
            for viewer in self:
                viewer.leave(None)
            return
        if session.finished:
            self.wake()
            return
        end, now = session.log.end, self._loop.time()
        behind, each_s = end - self._woken_at, len(self._all) * EACH_S
        due = self._not_before + (each_s if behind <= SMALL_BYTES else GATHER_S + 2 * each_s)
        if now >= due and behind <= SMALL_BYTES:
            self._look_at(end, now)
            for viewer in self._all.values():
                viewer.pass_on(SMALL_BYTES)
        elif now >= due or behind >= FRAME_BYTES:
            self.wake()
        elif self._due is None:
            self._due = self._loop.call_at(due, self.wake)

    def wake(self) -> None:
        """All look whether there is something for them."""
        self._look_at(self.session.log.end, self._loop.time())
        for viewer in self._all.values():
            viewer.wake()

    def _look_at(self, end: int, now: float) -> None:
        """They are shown the output up to `end`."""
        if self._due is not None:
            self._due.cancel()
            self._due = None
        self._woken_at, self._not_before = end, now

    def read(self, start: int, stop: int) -> bytes:
        """Output from the log; those that are at the same place share it."""
        if self._last_read[:2] != (start, stop):
            self._last_read = (start, stop, self.session.log.read(start, stop - start))
        return self._last_read[2]

    # -- snapshots ---------------------------------------------------------------------------------------------------------

    async def snapshot(self, after: int) -> Snapshot | None:
        """The screen as it is now, or was a moment ago, at the offset `after` or behind it; None when the session is no more."""
        while not self.session.dropped:
            task = self._snapshot
            if task is None or (task.done() and not self._is_usable(task.result(), after)):
                task = self._snapshot = self._tasks.start(self._take_snapshot(), told=True)
            redraw = await asyncio.shield(task)
            if redraw is not None and redraw.place.offset >= after:
                return redraw
        return None

    def _is_usable(self, redraw: Snapshot | None, after: int) -> bool:
        if redraw is None:
            return False
        log = self.session.log
        old = self._loop.time() - self._snapshot_at >= SNAPSHOT_EVERY_S
        return not old and redraw.place.offset >= max(after, log.end - log.ring.capacity // 2)

    async def _take_snapshot(self) -> Snapshot | None:
        wait_s = self._snapshot_at + SNAPSHOT_EVERY_S - self._loop.time()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        self._snapshot_at = self._loop.time()
        if self.session.dropped:
            return None
        try:
            return await self.session.screen.snapshot()
        except CoprocdError as error:
            log.warning("session %s: its viewers are shown the last of its output in place of a screen: %s", self.session.id, error)
            return None if self.session.dropped else self._plain()

    def _plain(self) -> Snapshot:
        """In place of a snapshot: an empty screen, which the last of the output follows."""
        record, log, place = self.session.record, self.session.log, self.session.display.place_at_end()
        start = max(log.retained_from, place.offset - PLAIN_BYTES)
        line = log.read(start, place.offset - start).find(b"\n") + 1 if start else 0
        return Snapshot(place._replace(offset=start + line), record.rows, record.cols, _CLEAR)

    # -- messages ----------------------------------------------------------------------------------------------------------

    def tell(self, message: Message, key: str | None = None) -> None:
        """Sends all of them a message; one of a `key` takes the place of another that has not been sent yet."""
        for viewer in self._all.values():
            viewer.tell(message, key)

    def stand(self, key: str, message: Message) -> None:
        """Tells all, and whoever attaches, until it is withdrawn."""
        self._standing[key] = message
        self.tell(message, key)

    def withdraw(self, key: str, message: Message) -> None:
        """Who attaches is not told any more; those who are there are told `message`."""
        if self._standing.pop(key, None) is not None:
            self.tell(message, key)

    def greeting(self) -> dict[str, Message]:
        """What one who has just attached is told, by key: all that is set."""
        title = self.session.record.title
        told = {key: {"type": key, key: value} for key, value in ({"title": title or None} | self._state()).items() if value is not None}
        return told | self._standing

    def _on_event(self) -> None:
        assert self._events is not None
        for event in self._events.take():
            match event["type"]:
                case "session.resized":
                    self._snapshot = None
                    self.tell({"type": "resize", "rows": event["rows"], "cols": event["cols"]}, "resize")
                case "session.title":
                    self.tell({"type": "title", "title": event["title"]}, "title")
                case "notification":
                    self.tell({"type": "notification", "text": event["text"], "alert": event["alert"]})
                case "session.injected":
                    self._on_output()
                case "coprocess.ended":  # with it silence has ended
                    self._look()
                    self.wake()
                case _:
                    self._look()

    def _state(self) -> dict[str, Any]:
        coprocess = self.session.coprocesses.typing
        return {
            "coprocess": coprocess.describe(0) if coprocess is not None else None,
            "paused": self.session.pump.lasting_pause(),
        }

    def _look(self) -> None:
        """Tells of the coprocess and the pause where they are not as before."""
        before, self._shown = self._shown, self._state()
        for key, value in self._shown.items():
            if value != before[key]:
                self.tell({"type": key, key: value}, key)

    def _look_again(self) -> None:
        if not self.session.dropped:
            self._look()
            self._look_due = self._loop.call_later(LOOK_EVERY_S, self._look_again)
