"""The pump: one chunk after another from the master into the output log, and from there to everybody, in one turn of the loop.

It is the log's only writer. It stops while the log is full of what a lossless reader still needs, so that the job waits and
nothing is lost; and it finds the end of the output, which is not the job's end: a background child may hold the terminal.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from coprocd.platform import memory, pipes, terminal
from coprocd.protocol.objects import Paused

if TYPE_CHECKING:
    from coprocd.runtime.coprocess import Coprocess
    from coprocd.runtime.session import Session

log = logging.getLogger("coprocd.sessions")

REOPEN_S = 0.1
"""How often a terminal that nobody has open is looked at: a job may close it and open it again."""

MEMORY_AGAIN_S = 1.0
"""How often it is looked whether there is memory for the log again."""

PAUSED_EVENT_S = 1.0
"""A pause is an event once it has lasted so long: short ones are how a slow reader and a fast writer go along."""

STOPPED_S = 0.5
"""A terminal that takes no output while it is read, and from which none has come for so long, has been stopped."""

FULL_BYTES = 3840
"""A chunk of so much is all that a terminal hands over at once (4,096 at most): more waits behind it."""

TURN_BYTES = 32 << 10
"""No more is begun to be taken in a turn in which so much has come."""

TURN_MOST_S = 0.0005
"""A turn that takes longer is followed by a smaller one: other sessions wait for it."""


class Pump:
    """Pumps `session`'s output. `drained` is done when no more will come."""

    def __init__(self, session: Session) -> None:
        self.paused_by: Coprocess | None = None
        self._full = False
        """Whether nothing is read since the log is full: of what `paused_by` needs, else the screen, which is no pause worth a word."""
        self.out_of_memory = False
        self._session = session
        self._loop = asyncio.get_running_loop()
        self.drained: asyncio.Future[None] = self._loop.create_future()
        self._master = -1
        self._reading = False
        self._turn_bytes = FULL_BYTES
        self._moved_at = 0.0
        """When the last output came, on the loop's clock."""
        self._hung_up = False
        self._pause_due: asyncio.TimerHandle | None = None
        self._pause_told = False
        self._quiet_due: asyncio.TimerHandle | None = None
        self._left: int | None = None
        """Bytes still taken after the job's end; None while it lives."""
        self._over = 0.0
        """When no more is taken after the job's end, on the loop's clock."""

    @property
    def draining(self) -> bool:
        """Whether the job has been seen to end."""
        return self._left is not None

    def paused(self) -> Paused | None:
        """Why no output comes now, and by whom."""
        if self.out_of_memory:
            return Paused("memory", None)
        if self.paused_by is not None:
            return Paused("coprocess", self.paused_by.record.id)
        return Paused("stopped", None) if self._is_stopped() else None

    def lasting_pause(self) -> Paused | None:
        """The same, without a pause that is too short yet to be worth a word."""
        paused = self.paused()
        return None if paused is not None and paused.why == "coprocess" and not self._pause_told else paused

    def _is_stopped(self) -> bool:
        """Whether ^S, or the job, has stopped the terminal: it takes nothing though all that it took was read."""
        if not self._reading or self._loop.time() - self._moved_at < STOPPED_S:
            return False
        return terminal.takes_output(self._master) is False

    def start(self, master: int) -> None:
        self._master = master
        self._moved_at = self._loop.time()
        self._read()

    def stop(self) -> None:
        """Reads no more for now."""
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._master)

    def _read(self) -> None:
        if self._master >= 0 and not self._reading and not self._hung_up and not self.drained.done():
            self._reading = True
            self._loop.add_reader(self._master, self._on_readable)

    def _on_readable(self) -> None:
        """What there is, from the job to everybody: one chunk, or several where triggers make a turn cost more."""
        session = self._session
        room = self._room()
        if room <= 0:
            self._pause()
            return
        shown_to = session.log.end
        try:
            size = session.context.intake.move(self._master, session.log, room)
        except BlockingIOError:
            return
        except memory.NoMemory as error:
            self._await_memory(error)
            return
        except OSError:  # EIO: the terminal has no other end, and all that was written to it has been read
            size = 0
        if size == 0:
            self._on_hangup()
            return
        begun = self._moved_at = self._loop.time()
        if size >= FULL_BYTES and session.triggers.matching:
            size = self._read_on(size)
        for coprocess in session.coprocesses:
            coprocess.pump()
        session.triggers.pump(shown_to)
        session.injections.place()
        session.log.wake()
        session.triggers.events.on_output()
        session.log.scan_if_due()
        session.screen.pump_soon(size)
        if size >= FULL_BYTES:
            slow = self._loop.time() - begun > TURN_MOST_S
            self._turn_bytes = max(self._turn_bytes // 2, FULL_BYTES) if slow else min(self._turn_bytes * 2, TURN_BYTES)
        if self._left is not None:
            self._left -= size
            self._await_quiet()

    def _read_on(self, size: int) -> int:
        """After a full chunk, what has come behind it; how much it is in all. Whatever ends it is met again in the next turn."""
        session = self._session
        try:
            while size < self._turn_bytes and (room := self._room()) > 0:
                more = session.context.intake.move(self._master, session.log, room)
                size += more
                if more < FULL_BYTES:
                    break
        except (OSError, memory.NoMemory):
            pass
        return size

    # -- backpressure ---------------------------------------------------------------------------------------------------

    def _room(self) -> int:
        """How many bytes may come without overwriting what a lossless reader or the screen still needs."""
        session = self._session
        least = session.screen.hold
        for coprocess in session.coprocesses:
            hold = coprocess.hold
            if hold is not None and (least is None or hold < least):
                least = hold
        return session.log.ring.room(least)

    def _pause(self) -> None:
        """The log is full of what somebody still needs: the job waits until that is read."""
        session = self._session
        slowest = min((c for c in session.coprocesses if c.hold is not None), key=lambda c: c.feed.position.filled, default=None)
        screen = session.screen.hold
        if slowest is not None and screen is not None and screen < slowest.feed.position.filled:
            slowest = None
        self.stop()
        self._full, self.paused_by = True, slowest
        if slowest is None:
            return
        if slowest.record.on_full == "end":
            slowest.end("not_reading", session.context.settings.close_grace_s)
        elif self._pause_due is None:
            self._pause_due = self._loop.call_later(PAUSED_EVENT_S, self._tell_pause)

    def _await_memory(self, error: memory.NoMemory) -> None:
        """There is none for the log: the job waits, and nothing is lost."""
        self.stop()
        if not self.out_of_memory:
            self.out_of_memory = True
            log.error("session %s: no memory for its output: %s", self._session.id, error)
            self._session.context.events.append("session.paused", self._session.id, why="memory", by=None)
        self._loop.call_later(MEMORY_AGAIN_S, self._try_memory)

    def _try_memory(self) -> None:
        if not self.out_of_memory or self.drained.done():
            return
        try:
            self._session.log.reserve(1)
        except memory.NoMemory:
            self._loop.call_later(MEMORY_AGAIN_S, self._try_memory)
            return
        self.out_of_memory = False
        self._session.context.events.append("session.resumed", self._session.id)
        self._go_on()

    def _tell_pause(self) -> None:
        self._pause_due = None
        if self.paused_by is not None:
            self._pause_told = True
            self._session.context.events.append("session.paused", self._session.id, why="coprocess", by=self.paused_by.record.id)

    def resume_if_room(self) -> None:
        """A reader has moved on, or gone: the job may print again when there is room worth a turn."""
        if not self._full:
            return
        if self._room() < min(pipes.CHUNK_BYTES, self._session.log.ring.capacity // 4):
            if self.paused_by is None or self.paused_by.hold is None:
                self._pause()  # it has gone, and the next one holds the log
            return
        self._full, self.paused_by = False, None
        if self._pause_due is not None:
            self._pause_due.cancel()
            self._pause_due = None
        if self._pause_told:
            self._pause_told = False
            self._session.context.events.append("session.resumed", self._session.id)
        self._go_on()

    def _go_on(self) -> None:
        """Reads again; after the job's end, the time for its last output begins anew."""
        self._read()
        if self._left is not None:
            self._over = self._loop.time() + self._session.context.settings.drain_most_s
            self._await_quiet()

    # -- the end of the output --------------------------------------------------------------------------------------------

    def drain(self) -> None:
        """The job has ended: takes what it has printed, within the limits of time and size, and then `drained` is done."""
        settings = self._session.context.settings
        self._left = settings.drain_most_bytes
        self._over = self._loop.time() + settings.drain_most_s
        self._look_again()
        self._await_quiet()

    def _on_hangup(self) -> None:
        """Nobody has the terminal's other end open. While the job lives, it or another may open it again."""
        self.stop()
        self._hung_up = True
        if self._left is not None:
            self.end()
        else:
            self._loop.call_later(REOPEN_S, self._look_again)

    def _look_again(self) -> None:
        if self._hung_up:
            self._hung_up = False
            if not self._full and not self.out_of_memory:
                self._read()

    def _await_quiet(self) -> None:
        """Output ends when nothing has come for a while, or too much has, or for too long."""
        self._forget_quiet()
        if self._left is not None and self._left <= 0:
            self.end()
        elif not self._full and not self.out_of_memory:
            quiet = self._loop.time() + self._session.context.settings.drain_quiet_s
            self._quiet_due = self._loop.call_at(min(quiet, self._over), self.end)

    def end(self) -> None:
        """No more is taken."""
        self._forget_quiet()
        self.stop()
        if not self.drained.done():
            self.drained.set_result(None)

    def _forget_quiet(self) -> None:
        if self._quiet_due is not None:
            self._quiet_due.cancel()
            self._quiet_due = None
