"""The screen of one session, as far as the daemon has one: what its terminal in the worker is told, and what is asked of it.

One message is under way at a time; what it led to counts once it is answered, and then the next is sent (`Way` knows which). A worker that dies
is no more than a way back, to the last checkpoint: from there everything is told again.

    nothing ──admitted──► opening ──Opened──► at rest ⇄ stepping, replying        any ──the worker is gone──► nothing
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from coprocd.core.poison import Poison
from coprocd.core.timeline import Place
from coprocd.runtime.answers import Answers, Title
from coprocd.runtime.screen_requests import Reply, Request, Requests
from coprocd.runtime.screen_way import STEPS_BYTES, Stepping, Way
from coprocd.screen import wire
from coprocd.screen.emulator import Capture, Format
from coprocd.screen.page import Kind, Work

if TYPE_CHECKING:
    from coprocd.runtime.session import Session

log = logging.getLogger("coprocd.screens")

GATHER_S = 0.01
GATHER_BYTES = STEPS_BYTES
SMALL_BYTES = 1 << 10
"""During a flood so much output is gathered, or for so long: each message costs as much as a chunk. What is small, as an echo or a query, is not."""

ECHO_S = 0.02
"""What is small and asks the terminal nothing waits so long for more: what a person types is drawn fifty times a second."""

SAVE_SOON_S = 0.5
"""What is to be in a checkpoint soon is after so long."""

TURN_BYTES = 256 << 10
"""A terminal that others wait for is let go after so much output."""

HOLD_MOST_S = 1.0
"""The screen holds its session up for so long without moving on."""

TRIES_MOST = 2
"""So often a worker may die of the same that is no output."""


class Snapshot(NamedTuple):
    """What makes a terminal of this size look like the session's at this place of its display."""

    place: Place
    rows: int
    cols: int
    data: bytes


class Opening(NamedTuple):
    """The terminal is being made."""


class Screen:
    """That of one session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._screens = session.context.screens
        self._loop = asyncio.get_running_loop()
        self._answers = Answers(session)
        self._title = Title(session)
        self._poison = Poison()
        self._way = Way(session, self._answers, self._poison)
        self._trouble = 0
        """How often the worker has died of this terminal at something else than output."""
        self.terminal = 0
        """The number of the worker's terminal; 0 while it has none."""
        self._under_way: Opening | Stepping | Request | None = None
        self._requests = Requests(session)
        self._save_now = False
        self._save_due: asyncio.TimerHandle | None = None
        self._leaving = False
        self._turn_from = 0
        self._not_before = 0.0
        """Until when output is gathered, after much of it was told of."""
        self._gather_due: asyncio.TimerHandle | None = None
        self._pump_due = False
        self._moved_at = self.used_at = self._loop.time()
        self._holding = not self._screens.broken
        self._screens.add(self)

    # -- what the pump and others tell it -------------------------------------------------------------------------------------

    def pump_soon(self, size: int) -> None:
        """`size` bytes more are to be shown; not in this turn, so that the viewers, behind whom somebody waits, are sent them first."""
        if self._under_way is not None or self._pump_due:
            return
        if self.terminal and size <= SMALL_BYTES and not self._asks(self._session.log.end - size, size):
            self._gather_for(ECHO_S)
        elif self._gather_due is None or not self._gathers():
            self._pump_due = True
            self._loop.call_soon(self._on_pump_due)

    def _on_pump_due(self) -> None:
        self._pump_due = False
        if not self._session.dropped:
            self.pump()

    def pump(self) -> None:
        """There may be more to show."""
        if self._under_way is not None:
            return
        if not self._requests and self.terminal:
            if self._gathers():
                self._gather_for(self._not_before - self._loop.time())
                return
            at = self._way.place.offset
            behind = self._session.log.end - at
            if 0 < behind <= SMALL_BYTES and not self._asks(at, behind):
                self._gather_for(ECHO_S)
                return
        self.go_on()

    def _gathers(self) -> bool:
        """Whether what has come waits for more, since much of it has just been told of."""
        log = self._session.log
        much = min(GATHER_BYTES, log.ring.capacity // 8)
        return self._loop.time() < self._not_before and log.end - self._way.place.offset < much

    def _asks(self, start: int, size: int) -> bool:
        """Whether what was printed there may have a question to the terminal, which ESC or ENQ begins. Read as the viewers do: they have mostly just read it."""
        output = self._session.viewers.read(start, start + size)
        return b"\x1b" in output or b"\x05" in output

    def _gather_for(self, wait_s: float) -> None:
        if self._gather_due is None:
            self._gather_due = self._loop.call_later(wait_s, self._on_gathered)

    def _on_gathered(self) -> None:
        self._gather_due = None
        self.go_on()

    @property
    def hold(self) -> int | None:
        """The offset from which on it needs the log; None when it does not hold it back.

        Once silence is open nothing that comes is shown before that ends, and what was before is in a checkpoint.
        """
        if not self._holding:
            return None
        floor, ring = self._way.floor, self._session.log.ring
        if ring.room(floor) > ring.capacity // 2:
            return floor  # it does not matter yet
        opened_at = self._session.log.silence.opened_at
        return None if opened_at is not None and floor >= opened_at else floor

    def resize(self, rows: int, cols: int) -> None:
        """The terminal of the session has this size from now on."""
        self._way.resize(rows, cols)
        self.pump()

    async def snapshot(self) -> Snapshot:
        """What redraws the screen as it is now, all that has been printed shown; `screen_unavailable` when there is none."""
        place, reply = await self._ask(wire.Redraw)
        assert isinstance(reply, wire.Redrawn)
        return Snapshot(place, reply.rows, reply.cols, reply.data)

    async def capture(self, format: Format, scrollback: int) -> tuple[Place, Capture]:
        """The screen as a value, and its place."""
        place, reply = await self._ask(lambda terminal: wire.Capture(terminal, format, scrollback))
        assert isinstance(reply, wire.Captured)
        return place, reply.capture

    async def _ask(self, message: Callable[[int], wire.Request]) -> tuple[Place, Reply]:
        if self._is_off():
            raise self._requests.unavailable()
        self._screens.hurry()
        return await self._requests.ask(message, self.pump)

    def close(self) -> None:
        """The session is dropped: whoever waits is told, and the worker lets go of the log."""
        self._requests.refuse(self._requests.closed, self._asked)
        for due in (self._save_due, self._gather_due):
            if due is not None:
                due.cancel()
        self._title.close()
        self._screens.remove(self)

    # -- what comes next ----------------------------------------------------------------------------------------------------------

    @property
    def suspected(self) -> bool:
        """Whether its output has killed a worker, and is to be fed again."""
        return self._poison.suspected

    def suspects(self, work: Work) -> bool:
        """Whether the worker is at something that has killed it before."""
        return work.kind == Kind.FEED and self._poison.suspects(work.start, work.stop)

    @property
    def session_id(self) -> str:
        return self._session.id

    @property
    def busy(self) -> bool:
        """Whether the worker has something of it to do."""
        return self._under_way is not None

    @property
    def wanted(self) -> bool:
        """Whether there is something to show or to answer that its terminal, if it has one, has not."""
        return bool(self._requests) or self._way.behind(self.terminal)

    @property
    def at_rest(self) -> bool:
        """Whether it does nothing, and has nothing to do."""
        return self._under_way is None and not self.wanted

    @property
    def has_had_its_turn(self) -> bool:
        """Whether its terminal may be let go for another."""
        return not self._leaving and (self.at_rest or self._way.place.offset - self._turn_from >= TURN_BYTES)

    def go_on(self) -> None:
        """Tells the worker what comes next, if nothing is under way."""
        if self._under_way is not None or not self._screens.ready or self._is_off():
            return
        if not self.terminal:
            if self.wanted:
                self._screens.admit(self)
        elif self._leaving and not self._requests:
            self._leave()
        elif (target := self._requests.target) is not None and self._way.place >= min(target, self._way.end):
            self._under_way = request = self._requests.take()
            self._tell(request.message(self.terminal))
        elif (stepping := self._way.next(target, self._save_now)) is not None:
            self._step(stepping)
        else:
            self._save_now = False
            if target is not None:  # what led there had not to be told
                self.go_on()

    def _step(self, stepping: Stepping) -> None:
        at = self._way.place.offset
        self._not_before = self._loop.time() + GATHER_S if stepping.place.offset - at > SMALL_BYTES else 0.0
        self._save_now = self._save_now and not stepping.saves
        self._under_way = stepping
        self._tell(
            wire.Steps(
                terminal=self.terminal,
                steps=stepping.steps,
                muted=stepping.muted,
                piece_bytes=self._poison.limit(at, stepping.place.offset)[1],
                save=stepping.place if stepping.saves else None,
            )
        )

    def _tell(self, message: wire.ToWorker) -> None:
        self._moved_at = self.used_at = self._loop.time()
        self._screens.tell(message)

    # -- its terminal in the worker --------------------------------------------------------------------------------------------

    def open(self, terminal: int) -> None:
        """There is room for a terminal of its own, of this number."""
        log = self._session.log
        self.terminal, self._leaving, self._under_way = terminal, False, Opening()
        self._turn_from = self._answers.to
        message = wire.Open(
            terminal=terminal,
            ring_at=log.ring.base,
            ring_bytes=log.ring.capacity,
            checkpoints_at=log.checkpoints.base,
            rows=self._way.size[0],
            cols=self._way.size[1],
            scrollback_bytes=self._session.context.settings.scrollback_bytes,
            fresh=self._way.fresh,
        )
        self._moved_at = self.used_at = self._loop.time()
        self._screens.tell(message, log.fd)

    def waits(self) -> None:
        """There is no room for its terminal yet."""
        self._moved_at = self._loop.time()

    def leave(self) -> None:
        """Others need the room: its terminal is let go once it is in a checkpoint."""
        self._leaving = True
        self.go_on()

    def _leave(self) -> None:
        """Lets its terminal go, or has a checkpoint made before."""
        if not self._way.is_saved:
            stepping = self._way.next(self._way.place, save=True)
            if stepping is not None and stepping.saves:
                self._step(stepping)
                return
            if not self._way.can_return:  # there is no room for a checkpoint, and the log has moved on since the last: it has to stay
                self._leaving = False
                return
        self._way.go_back()
        self._leaving = False
        self._screens.let_go(self)

    def on_message(self, message: wire.FromWorker) -> None:
        """What the worker says of its terminal."""
        under_way = self._under_way
        if isinstance(message, wire.Answer):
            self._answers.type(message.offset, message.data)
            return
        if isinstance(message, wire.Failed):
            log.error("session %s: its screen has failed: %s", self._session.id, message.why)
            self._screens.let_go(self)
            self.on_lost(Work(message.terminal, Kind(message.kind), message.start, message.stop))
            self.go_on()
            return
        self._under_way = None
        if isinstance(message, wire.Opened):
            self._way.begin(message)
            self._title.is_now(message.title, new=False)
        elif isinstance(message, wire.Done) and isinstance(under_way, Stepping):
            self._on_done(message, under_way)
        elif isinstance(message, wire.Redrawn | wire.Captured) and isinstance(under_way, Request) and not under_way.reply.done():
            under_way.reply.set_result((self._way.place, message))
        self._moved_at, self._holding = self._loop.time(), True
        self._session.pump.resume_if_room()
        self.pump()
        self._screens.on_moved(self)

    def _on_done(self, done: wire.Done, stepping: Stepping) -> None:
        self._title.is_now(done.title, new=not stepping.muted)
        self._way.reach(stepping, self._loop.time() - self._moved_at, bool(done.saved))
        if done.saved:
            self._trouble = 0
        if self._save_due is None and self._way.unsaved:
            self._save_due = self._loop.call_later(SAVE_SOON_S, self._on_save_due)

    def _on_save_due(self) -> None:
        self._save_due = None
        if self.terminal and not self._way.is_saved:
            self._save_now = True
            self.go_on()

    # -- when the worker dies ----------------------------------------------------------------------------------------------------

    def on_lost(self, work: Work | None) -> None:
        """Its terminal is gone, if it had one. `work`: what the worker died of, if it was at this terminal."""
        under_way, self._under_way = self._under_way, None
        self.terminal = 0
        self._way.go_back()
        self._save_now = self._leaving = False
        self._moved_at, self._holding = self._loop.time(), True
        if isinstance(under_way, Request):
            self._requests.lost(under_way, work is not None)
        if work is not None:
            self._blame(work)

    def _blame(self, work: Work) -> None:
        self._poison.fault(self._loop.time(), (work.start, work.stop) if work.kind == Kind.FEED else None)
        if work.kind in (Kind.LOAD, Kind.SAVE, Kind.SHOW, Kind.RESIZE):
            self._trouble += 1
            if self._trouble >= TRIES_MOST:
                self._trouble = 0  # it dies of what it is, not of what comes
                self._way.start_over()
        if self._is_off():
            off_s = self._poison.off_until - self._loop.time()
            log.error(
                "session %s: its screen is switched off for %.0f s: what it prints has ended it several times", self._session.id, off_s
            )
            self._requests.refuse(self._requests.unavailable, self._asked)
            self.let_run()
            self._loop.call_later(off_s, self._on_again)

    def _on_again(self) -> None:
        if not self._session.dropped:
            self.go_on()

    def check(self, now: float) -> None:
        """Lets the session run where its screen has not moved on for long enough."""
        if self._holding and now - self._moved_at > HOLD_MOST_S and not self.at_rest:
            self.let_run()

    def let_run(self) -> None:
        """Holds the session up no longer."""
        self._holding = False
        self._session.pump.resume_if_room()

    def _is_off(self) -> bool:
        return self._loop.time() < self._poison.off_until

    @property
    def _asked(self) -> Request | None:
        """What the worker is asked now."""
        return self._under_way if isinstance(self._under_way, Request) else None
