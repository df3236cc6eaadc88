"""A coprocess: a job, or a connection, tied to a session. All that the session prints is its stdin, byte for byte; its stdout is typed.

Its cursor in the output log holds the log, and so the session, back. An observer (`input: false`) is one that types
nothing. `Coprocesses` makes it, `Pump` feeds it, and it tells its `Session` when it has ended.

    starting ──begun──► running ──exit, stdout closed, stop, stall, not reading, connection lost, session's end──► ended
        └──────────spawn failed──────────────────────────────────────────────────────────────────────────────────────┘

While it starts its cursor stands already, so no byte is lost to the spawn. The end is one path for all reasons: what can
still be delivered is, its partner (`coprocd.runtime.partner`) is asked to end and after a grace made to, silence closes, and the outcome is recorded.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from typing import TYPE_CHECKING, Any

from coprocd.core.stall import StillWatch
from coprocd.keeper.client import Belonging
from coprocd.platform import pipes
from coprocd.protocol.errors import CoprocdError
from coprocd.protocol.objects import Coprocess as CoprocessObject
from coprocd.protocol.objects import CoprocessSpec, EndReason
from coprocd.runtime.coprocess_state import STDERR_CHARACTERS, CoprocessRecord, CoprocessState
from coprocd.runtime.feed import Feed
from coprocd.runtime.partner import CONNECTION, LABEL_MOST, Job, Partner
from coprocd.runtime.ring_file import RingFile
from coprocd.runtime.streams import Streams

if TYPE_CHECKING:
    from coprocd.runtime.session import Session

log = logging.getLogger("coprocd.coprocess")

CHECK_S = 0.25
"""How often a coprocess that takes nothing is looked at."""

KILL_PATIENCE_S = 2.0
"""How long a killed process is waited for."""


class Coprocess:
    """One coprocess of `session`. Made by `create` or, after a restart, by `recover`."""

    def __init__(self, session: Session, state: CoprocessState, record: CoprocessRecord, partner: Partner | None = None) -> None:
        self.session = session
        self.record = record
        self._partner: Partner = partner or Job(self)
        self._state = state
        self._streams = Streams(session, state, self._on_fed, self._on_overtaken, self._on_cut)
        self._held: dict[str, int] = {}
        self._loop = asyncio.get_running_loop()
        self._exited: asyncio.Future[None] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._ending: asyncio.Task[None] | None = None
        self._grace_s = self._over = math.inf
        """The shortest grace that it was given, and when what is left of its group is killed, on the loop's clock."""
        self._end_once_started: tuple[EndReason, float] | None = None
        self._early_exit: tuple[dict[str, Any], EndReason] | None = None
        self._answer_from: int | None = None  # where the line begins that its last words led to: that is shown
        self._check_due: asyncio.TimerHandle | None = None
        self._ring_watch, self._reading_watch = StillWatch(), StillWatch()

    # -- making and taking over -------------------------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        session: Session,
        spec: CoprocessSpec,
        offset: int,
        started_by: str,
        known_as: str | None = None,
        partner: Partner | None = None,
    ) -> Coprocess:
        """A coprocess whose cursor stands at `offset` from this instant; `start` must follow. `resource_exhausted` when there is no room."""
        record = CoprocessRecord.of(session.id, spec, offset, started_by, known_as)
        return cls(session, CoprocessState.create(record, session.context.settings.stderr_bytes), record, partner)

    @classmethod
    def recover(cls, session: Session, held: dict[str, int]) -> Coprocess | None:
        """The coprocess whose descriptors an earlier daemon left under these names; None when it had not begun to exist."""
        state = CoprocessState.open(held)
        streams = {name: fd for name, fd in held.items() if name in ("stdin", "stdout", "stderr")}
        if state.record is None or state.record.state == "ended":
            for fd in streams.values():
                pipes.close(fd)
            state.close_pipe()
        if state.record is None:
            state.close()
            return None
        coprocess = cls(session, state, state.record)
        if coprocess.running:
            coprocess._held = streams
            coprocess.feed.recover()
        else:
            coprocess._ended.set_result(None)
        return coprocess

    def resume(self, job: dict[str, Any]) -> None:
        """Goes on where the earlier daemon stopped: `job` is what the keeper knows of its process."""
        grace_s = self.session.context.settings.close_grace_s
        self._state.recover_typed(self.session.input.ring.end)
        if not self.running:
            if job["pid"] is not None and not job["reaped"]:
                self._grace_s = grace_s
                self.session.own(self._bury())
        elif job["pid"] is None:
            connected = self.record.started_by == CONNECTION and self.record.state == "running"  # and has ended with that daemon
            self._finish((self.record.end_reason or "connection_lost") if connected else "spawn_failed")
            self.session.own(self._bury())
        else:
            self.record.pid = job["pid"]
            self.record.state = "running"
            self._connect(self._held)
            if self.record.end_reason is not None:
                self.end(self.record.end_reason, grace_s)
            if job["status"] is not None:
                self.on_exit(job["status"])

    async def start(self, spec: CoprocessSpec) -> None:
        """Begins its job or connection, and connects it; `spawn_failed`, and then it has ended. Its end may have begun when this returns."""
        session = self.session
        try:
            fds = await self._partner.start(self, spec)
        except BaseException:
            self._finish("spawn_failed")
            await session.context.keeper.drop(self.key)
            raise
        self.record.state = "running"
        self.save()
        self._connect(fds)
        session.context.events.append("coprocess.started", session.id, coprocess=self.describe(0))
        if self._end_once_started is not None:
            self.end(*self._end_once_started)
        if self._early_exit is not None:
            self.on_exit(*self._early_exit)

    def _connect(self, fds: dict[str, int]) -> None:
        self._streams.connect(fds)
        if self.record.input:
            self.session.own(self._end_with_stdout())
        self.pump()
        self.session.pump.resume_if_room()

    def belonging(self) -> Belonging:
        """What the keeper is to hold of it."""
        return Belonging(
            self.key, self.record.command[:LABEL_MOST], self.held() | (self._streams.held() if self._partner.outlives_daemon else {})
        )

    def held(self) -> dict[str, int]:
        """What the keeper is to hold beside the streams of its job."""
        return self._state.held()

    @property
    def layout(self) -> int:
        """The layout of what outlives the daemon of it."""
        return self._state.layout

    # -- what others ask ----------------------------------------------------------------------------------------------

    @property
    def key(self) -> str:
        """The key of its holding."""
        return f"coprocess/{self.record.session}/{self.record.id}"

    @property
    def running(self) -> bool:
        return self.record.state != "ended"

    @property
    def ended_while_starting(self) -> EndReason | None:
        """Why it was to end before it was started."""
        return self._end_once_started[0] if self._end_once_started is not None else None

    @property
    def feed(self) -> Feed:
        """Its cursor in the output log."""
        return self._streams.feed

    @property
    def stderr(self) -> RingFile:
        return self._state.stderr

    @property
    def hold(self) -> int | None:
        """The offset from which on it needs the log; None when it does not hold it back."""
        if not self.running or self.record.on_full == "drop" or (self.record.state == "running" and not self.feed.connected):
            return None
        return self.feed.position.filled

    @property
    def consumed_offset(self) -> int:
        """Up to where its process has read the output."""
        return self._streams.consumed_offset if self.running else self.record.consumed_offset

    def describe(self, stderr_characters: int = STDERR_CHARACTERS) -> CoprocessObject:
        consumed = self.consumed_offset
        undelivered = self.session.log.end - consumed if self.running else self.record.undelivered_bytes
        return self._state.describe(consumed, undelivered, stderr_characters)

    def store(self) -> None:
        """Stores its record; `resource_exhausted` when that cannot be."""
        self._state.save()

    def save(self) -> None:
        """Stores its record, where that can be: there is nobody to refuse, and what happens must not stop at it."""
        try:
            self._state.save()
        except CoprocdError as error:
            log.error("coprocess %s: %s", self.record.id, error)

    # -- moving bytes -------------------------------------------------------------------------------------------------

    def pump(self) -> None:
        """Feeds it what the log has; called in the turn in which bytes came."""
        self.feed.pump()
        self._watch_if_blocked()

    def read_stdout(self) -> None:
        """Goes on reading its stdout, after what was typed has left the input queue."""
        self._streams.read_stdout()

    def _on_fed(self) -> None:
        self.session.pump.resume_if_room()
        self._watch_if_blocked()

    def _on_overtaken(self, to: int) -> None:
        lost = (self.feed.position.filled, to)
        self.record.add_lost(lost)
        self.save()
        self.session.context.events.append("coprocess.lost", self.session.id, coprocess=self.record.id, **{"from": lost[0], "to": lost[1]})

    def _on_cut(self, cut: int) -> None:
        """The terminal drops what is past a line's limit: it is not ours to hold back, but it is to be known. One event, the count goes on."""
        if self._state.cut_bytes == cut:
            self.session.context.events.append("coprocess.line_cut", self.session.id, coprocess=self.record.id, bytes=cut)

    # -- seeing that it stalls ------------------------------------------------------------------------------------------

    def _watch_if_blocked(self) -> None:
        if self.feed.blocked and self._check_due is None and self._ending is None:
            self._check_due = self._loop.call_later(CHECK_S, self._check)

    def _check(self) -> None:
        """Looks whether it, or the ring that it makes with its session, stands still."""
        self._check_due = None
        if self.record.state != "running" or self._ending is not None:
            return
        session, settings, now = self.session, self.session.context.settings, self._loop.time()
        ring_full = self.record.input and self.feed.blocked and session.input.feed.blocked
        moved = (self.consumed_offset, session.log.end, session.input.feed.position.position, self._state.typed_bytes)
        if self._ring_watch.seconds(ring_full, moved, now) >= settings.stall_timeout_s:
            self._on_stalled()
        elif self.record.stalled and not ring_full:
            self.record.stalled = False
            self.save()
        patience_s = settings.not_reading_s if session.job_lives else settings.close_grace_s
        holds_up = session.pump.paused_by is self and not ring_full
        if self._reading_watch.seconds(holds_up, self.consumed_offset, now) >= patience_s:
            self.end("not_reading", settings.close_grace_s)
        self._watch_if_blocked()

    def _on_stalled(self) -> None:
        if not self.record.stalled:
            self.record.stalled = True
            self.save()
            self.session.context.events.append("coprocess.stalled", self.session.id, coprocess=self.describe(0))
        if self.record.on_stall == "end":
            self.end("stalled", self.session.context.settings.close_grace_s)

    # -- its end --------------------------------------------------------------------------------------------------------

    def on_exit(self, status: dict[str, Any], reason: EndReason = "exited") -> None:
        """Its job or connection has ended, perhaps before we knew that it began."""
        if self.record.state == "starting":
            self._early_exit = (status, reason)
            return
        self.record.exit_status = status["exit_status"]
        self.record.signal = status["signal"]
        if not self._exited.done():
            self._exited.set_result(None)
        if self._ending is None and self.running:
            self.end(reason, self.session.context.settings.close_grace_s)
        elif not self.running:  # one that could not be killed
            self.save()
            self.session.own(self.session.context.keeper.reap(self.key))

    def end(self, reason: EndReason, grace_s: float) -> None:
        """Begins its end, or shortens the grace of one that has begun; `reason` is what is reported."""
        self._grace_s = min(self._grace_s, grace_s)
        self._over = min(self._over, self._loop.time() + grace_s)
        if self.record.state == "starting":
            self._end_once_started = (reason, grace_s)
        elif self._ending is None and self.record.state == "running":
            self.record.end_reason = reason
            self.save()
            self._ending = self.session.own(self._end(reason, grace_s))
        elif self.running:
            self.session.own(self._kill_after(grace_s))

    async def _kill_after(self, grace_s: float) -> None:
        """Shortens the grace of an end that has begun."""
        await self._exit_within(grace_s)
        if not self._exited.done():
            await self._partner.kill()

    async def stop(self, grace_s: float) -> None:
        """Ends it as `stopped`; returns when it has ended."""
        self.end("stopped", grace_s)
        await asyncio.shield(self._ended)

    async def _end_with_stdout(self) -> None:
        """A coprocess that has closed its stdout is at its end, whether or not its process is."""
        await self._streams.stdout_ended.wait()
        await self._exit_within(self.session.context.settings.stdout_settle_s)
        if self._ending is None:
            self.end("stdout_closed", self.session.context.settings.close_grace_s)

    async def _end(self, reason: EndReason, grace_s: float) -> None:
        partner, streams = self._partner, self._streams
        if reason == "session_ended":
            streams.discard_stdout()
            await streams.deliver(grace_s)
            await streams.read_up(grace_s, self._exited.done)
            self._note_consumed()
            streams.close_stdin()
            await partner.finish_stdin(grace_s)
            await self._exit_within(grace_s)
        elif reason in ("stopped", "stalled", "not_reading"):
            streams.feed.disconnect()
            streams.discard_stdout()
            self.session.pump.resume_if_room()
        else:
            await streams.type_rest(grace_s)
        if not self._exited.done():
            await partner.terminate(reason)
            await self._exit_within(grace_s)
        if not self._exited.done():
            await partner.kill()
            await self._exit_within(KILL_PATIENCE_S)  # one that has become root cannot be killed
        if self.record.silent and reason in ("exited", "stdout_closed", "connection_lost"):
            self._answer_from = await streams.answered()
        self._finish(reason)
        await self._bury()

    async def _exit_within(self, seconds: float) -> None:
        await asyncio.wait([self._exited], timeout=seconds)

    def _note_consumed(self) -> None:
        self.record.consumed_offset = self._streams.consumed_offset
        self.record.undelivered_bytes = self.session.log.end - self.record.consumed_offset

    def _finish(self, reason: EndReason) -> None:
        """It has ended: the outcome is recorded, silence closes, and the log is its no more."""
        record, log = self.record, self.session.log
        if reason != "session_ended":
            self._note_consumed()
        self._streams.close()
        if self._check_due is not None:
            self._check_due.cancel()
            self._check_due = None
        if record.silent_from is not None:
            # Without length, as of one that could not be started, it is lifted.
            record.silent_to = record.silent_from if reason == "spawn_failed" else self._answer_from or log.end
            log.silence.close(record.silent_to)
        record.state = "ended"
        record.end_reason = reason
        record.ended_at = time.time()
        self.save()
        if not self._ended.done():
            self._ended.set_result(None)
        self.session.on_coprocess_ended(self)

    async def _bury(self) -> None:
        """Ends what is left of it; its record and its stderr stay. `end` can shorten the grace."""
        self._over = self._loop.time() + self._grace_s
        await self._partner.bury(lambda: self._over - self._loop.time())

    def release(self) -> None:
        """Lets go of all its descriptors and its memory here; the keeper's duplicates stay."""
        self._streams.close()
        self._state.close()

    async def forget(self) -> None:
        """Drops it with its stderr."""
        self.release()
        await self.session.context.keeper.drop(self.key)
