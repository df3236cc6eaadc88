"""The screens of all sessions: one worker draws them, and is watched, ended when it hangs, and started again when it has died.

What a session prints can end the worker, or keep it busy for ever. That costs screens a moment and nothing else: sessions run on, and the next worker
has every screen again, from its checkpoint and the output since. So many terminals are kept in the worker at a time; the others wait in
checkpoints until there is something to show or somebody asks.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections import deque
from typing import TYPE_CHECKING

from coprocd.platform import memory
from coprocd.runtime.screen_worker import ScreenWorker
from coprocd.runtime.tasks import Tasks
from coprocd.screen import wire

if TYPE_CHECKING:
    from coprocd.runtime.context import Context
    from coprocd.runtime.screen import Screen

log = logging.getLogger("coprocd.screens")

FIRST_S = 0.2
"""A daemon has so long before it starts a worker that nobody has asked for: those who wait for the daemon come first."""

TICK_S = 0.1
"""How often the watchdog looks, while there is something to watch."""

STALL_TICKS = 8
"""A worker that has not moved at so many looks hangs. Looks, not seconds: a daemon that was stopped itself must not take it for the worker's fault."""

SUSPECT_TICKS = 3
"""… and at so many, in a small piece of what has hung it before."""

START_MOST_TICKS = 100
"""A worker that does not begin within so many looks is started again."""

AGAIN_S = 0.4
AGAIN_MOST_S = 30.0
"""A worker that has not begun is started again after so long at first, then after twice as long each time, and after so long at most."""

BROKEN_STARTS = 2
"""After so many that have not begun nobody is held up by screens."""

RESTARTS_MOST = 10
RESTARTS_S = 60.0
"""More restarts in this time than so many, each for another session, wait as one that has not begun."""


class Screens:
    """One a daemon. Each `Screen` adds itself, and asks for room when it has something for a terminal."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._tasks = Tasks("screens")
        self._screens: dict[int, Screen] = {}
        self._live: dict[int, Screen] = {}
        """By the number of their terminal, from its opening on."""
        self._terminals_made = 0
        self._waiting: deque[Screen] = deque()
        self._worker: ScreenWorker | None = None
        self._start_due: asyncio.TimerHandle | None = None
        self._begun: deque[float] = deque()
        """When workers were started lately."""
        self._not_begun = 0
        self._watch_due: asyncio.TimerHandle | None = None
        self._moves = 0
        self._still_ticks = 0
        self._why = ""
        self._closed = False
        self.ready = False
        """Whether there is a worker that takes messages."""

    @property
    def pid(self) -> int | None:
        """The worker's, once it has begun."""
        return self._worker.pid if self._worker is not None and self.ready else None

    @property
    def broken(self) -> bool:
        """Whether no worker comes to life."""
        return self._not_begun >= BROKEN_STARTS

    # -- the screens -----------------------------------------------------------------------------------------------------

    def add(self, screen: Screen) -> None:
        """A session has begun, or was taken over; with the first the worker is started, in a moment."""
        self._screens[id(screen)] = screen
        if self._worker is None and self._start_due is None and not self._closed:
            self._start_due = self._loop.call_later(FIRST_S, self._start)

    def hurry(self) -> None:
        """Somebody asks for a screen: the first worker is started at once."""
        if self._start_due is not None and not self._begun:
            self._start_due.cancel()
            self._start()

    def remove(self, screen: Screen) -> None:
        """The session is gone, or its screen is to have no terminal any more."""
        del self._screens[id(screen)]
        if screen in self._waiting:
            self._waiting.remove(screen)
        if screen.terminal:
            self.let_go(screen)

    def admit(self, screen: Screen) -> None:
        """`screen` needs a terminal: it is opened when there is room."""
        if screen in self._waiting:
            return
        if len(self._live) < self._context.settings.screens_live_most:
            self._open(screen)
            return
        self._waiting.append(screen)
        screen.waits()
        idle = [other for other in self._live.values() if other.at_rest and other.has_had_its_turn]
        if idle:
            min(idle, key=lambda other: other.used_at).leave()
        self._watch()

    def on_moved(self, screen: Screen) -> None:
        """A terminal has done what it was told: it may be its turn to make room."""
        if self._waiting and screen.terminal and screen.has_had_its_turn:
            screen.leave()

    def let_go(self, screen: Screen) -> None:
        """Its terminal ends, and another may have the room."""
        self.tell(wire.Close(screen.terminal))
        del self._live[screen.terminal]
        screen.terminal = 0
        self._admit_waiting()

    def _admit_waiting(self) -> None:
        while self._waiting and len(self._live) < self._context.settings.screens_live_most:
            screen = self._waiting.popleft()
            if screen.wanted:
                self._open(screen)

    def _open(self, screen: Screen) -> None:
        self._terminals_made += 1
        self._live[self._terminals_made] = screen
        screen.open(self._terminals_made)

    # -- the worker ------------------------------------------------------------------------------------------------------

    def tell(self, message: wire.ToWorker, fd: int | None = None) -> None:
        """Tells the worker, which is `ready`."""
        if self._worker is not None and self.ready:
            self._worker.send(message, fd)
            self._watch()

    def _start(self) -> None:
        self._start_due = None
        now = self._loop.time()
        self._begun.append(now)
        while self._begun[0] <= now - RESTARTS_S:
            self._begun.popleft()
        try:
            self._worker = ScreenWorker(self._on_message, self._on_end)
        except (OSError, memory.NoMemory) as error:
            log.error("the screen worker could not be started: %s", error)
            self._worker = None
            self._start_later()
            return
        self._why = ""
        self._still_ticks = 0
        self._watch()

    def _start_later(self) -> None:
        """A worker has not begun, or there were many."""
        self._start_due = self._loop.call_later(min(AGAIN_S * 2 ** min(self._not_begun, 16), AGAIN_MOST_S), self._start)
        self._not_begun += 1
        if self.broken:
            for screen in list(self._screens.values()):
                screen.let_run()

    def _on_message(self, message: wire.FromWorker) -> None:
        if isinstance(message, wire.Ready):
            self.ready = True
            self._not_begun = 0
            # What has killed the worker before comes last, so that all others are there when it does so again.
            for screen in sorted(self._screens.values(), key=lambda screen: screen.suspected):
                screen.go_on()
        elif (live := self._live.get(message.terminal)) is not None:
            live.on_message(message)

    def _on_end(self) -> None:
        """It has died, and said all that it could."""
        worker, ready = self._worker, self.ready
        assert worker is not None
        self._worker, self.ready = None, False
        work = worker.work if ready else None
        culprit = self._live.get(work.terminal) if work is not None else None
        live, self._live = self._live, {}
        self._waiting.clear()
        self._tasks.start(self._bury(worker, self._why))
        self._context.events.append("screen.restarted", culprit.session_id if culprit is not None else None, why=self._why or "died")
        for screen in live.values():
            screen.on_lost(work if screen is culprit else None)
        for screen in self._screens.values():
            screen.waits()
        if not ready or len(self._begun) > RESTARTS_MOST:
            self._start_later()
        else:
            self._start()

    async def _bury(self, worker: ScreenWorker, why: str) -> None:
        status = await worker.close()
        how = f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
        log.error("the screen worker (pid %d) has ended %s%s", worker.pid, how, f": {why}" if why else "")

    async def close(self) -> None:
        """The daemon ends: so does the worker."""
        self._closed = True
        for due in (self._start_due, self._watch_due):
            if due is not None:
                due.cancel()
        worker, self._worker, self.ready = self._worker, None, False
        if worker is not None:
            await worker.close()
        await self._tasks.all_done()

    # -- the watchdog ------------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        if self._watch_due is None and not self._closed:
            self._still_ticks = 0
            self._watch_due = self._loop.call_later(TICK_S, self._look)

    def _look(self) -> None:
        """Whether the worker has moved; screens that have not let their sessions run."""
        self._watch_due = None
        now = self._loop.time()
        for screen in list(self._screens.values()):
            screen.check(now)
        worker = self._worker
        if worker is not None:
            busy = not self.ready or any(screen.busy for screen in self._live.values())
            if worker.moves != self._moves or not busy:
                self._moves, self._still_ticks = worker.moves, 0
            else:
                self._still_ticks += 1
            if self._still_ticks >= self._patience(worker):
                self._why = "stalled"
                self._still_ticks = 0
                worker.kill()
            if busy or self._waiting:
                still = self._still_ticks
                self._watch()
                self._still_ticks = still
        elif self._start_due is not None and not self.broken:
            self._watch()

    def _patience(self, worker: ScreenWorker) -> int:
        """At how many looks it may be still."""
        if not self.ready:
            return START_MOST_TICKS
        work = worker.work
        screen = self._live.get(work.terminal) if work is not None else None
        suspect = screen is not None and work is not None and screen.suspects(work)
        return SUSPECT_TICKS if suspect else STALL_TICKS
