"""A coprocess: a job tied to a session. All that the session prints is its stdin, byte for byte; its stdout is typed.

It owns its three pipes and its cursor in the output log, which holds the log, and so the session, back. It never decides
what is typed besides its own bytes. An observer (`input: false`) is one that types nothing. `Session` calls it.

    starting ──spawned──► running ──exit, stdout closed, stop, stall, not reading, session's end──► ending ──► ended
        └──────────spawn failed──────────────────────────────────────────────────────────────────────────────────┘

While it starts its cursor stands already, so no byte is lost to the spawn. The end is one path for all reasons: what can
still be delivered is, its group gets SIGTERM and after a grace SIGKILL, silence closes, and the outcome is recorded.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shlex
import signal
import time
from typing import TYPE_CHECKING, Any

import msgspec

from coprocd.core.ring import FeedPosition, Ring
from coprocd.core.stall import StillWatch
from coprocd.platform import pipes, processes
from coprocd.protocol.errors import CoprocdError
from coprocd.protocol.objects import Coprocess as CoprocessObject
from coprocd.protocol.objects import CoprocessSpec, CoprocessState, EndReason
from coprocd.runtime import launch
from coprocd.runtime.feed import Feed
from coprocd.runtime.record import Record
from coprocd.runtime.ring_file import RingFile
from coprocd.runtime.segment import PAGE, RESERVED_SLOTS, Segment

if TYPE_CHECKING:
    from coprocd.runtime.session import Session

SCHEMA = 1
_STDERR_ID = RESERVED_SLOTS
_STDERR = _STDERR_ID + 1
_FEED = _STDERR + Ring.SLOTS
_TYPED = _FEED + FeedPosition.SLOTS
_STDERR_SIZE = _TYPED + 1

RECORD_BYTES = 1 << 20
STDERR_CHARACTERS = 100_000
CHECK_S = 0.25
"""How often a coprocess that takes nothing is looked at."""

GROUP_POLL_S = 0.05
"""How often it is looked whether the rest of an ended coprocess's group has ended."""

LOST_MOST = 100
"""Gaps listed of an observer that drops; older ones are merged into the first."""


class CoprocessRecord(msgspec.Struct, kw_only=True):
    """What of a coprocess outlives the daemon, besides its cursor and its stderr."""

    id: str
    session: str
    name: str | None
    command: str
    silent: bool
    input: bool
    on_stall: str
    on_full: str
    started_by: str
    started_at: float
    started_offset: int
    silent_from: int | None = None
    silent_to: int | None = None
    state: CoprocessState = "starting"
    pid: int | None = None
    end_reason: EndReason | None = None
    exit_status: int | None = None
    signal: str | None = None
    ended_at: float | None = None
    consumed_offset: int = 0
    undelivered_bytes: int = 0
    stalled: bool = False
    lost: list[tuple[int, int]] = []


class Coprocess:
    """One coprocess of `session`. Made by `create` or, after a restart, by `recover`."""

    def __init__(self, session: Session, segment: Segment, pipe: tuple[int, int]) -> None:
        self.session = session
        self.segment = segment
        stderr_bytes = segment.slots[_STDERR_SIZE]
        self.stderr = RingFile(segment.fd, Ring(segment.slots, _STDERR, PAGE + 2 * RECORD_BYTES, stderr_bytes), segment.slots[_STDERR_ID])
        self._stored = Record(segment.fd, PAGE, RECORD_BYTES, CoprocessRecord)
        self.record: CoprocessRecord
        self.feed = Feed(
            session.log, FeedPosition(segment.slots, _FEED), pipe, self._on_fed, self._on_stdin_closed, on_overtaken=self._on_overtaken
        )
        self._loop = asyncio.get_running_loop()
        self._fds: dict[str, int] = {}
        self._reading: set[str] = set()
        self._discard = False
        self._fed = asyncio.Event()
        self._end_once_started: tuple[EndReason, float] | None = None
        self._early_status: dict[str, Any] | None = None
        self._exited: asyncio.Future[None] = self._loop.create_future()
        self._stdout_ended = False
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._ending: asyncio.Task[None] | None = None
        self._check_due: asyncio.TimerHandle | None = None
        self._ring_watch = StillWatch()
        self._reading_watch = StillWatch()

    # -- making and taking over -------------------------------------------------------------------------------------

    @classmethod
    def create(cls, session: Session, spec: CoprocessSpec, offset: int, started_by: str) -> Coprocess:
        """A coprocess whose cursor stands at `offset` from this instant; `start` must follow. `resource_exhausted` when there is no room."""
        settings = session.context.settings
        coprocess_id = "c" + secrets.token_hex(5)
        segment = Segment.create(f"coprocd-{coprocess_id}", PAGE, 2 * RECORD_BYTES + settings.stderr_bytes, SCHEMA)
        segment.slots[_STDERR_SIZE] = settings.stderr_bytes
        segment.slots[_STDERR_ID] = secrets.randbits(63) | 1
        try:
            pipe = pipes.create(pipes.CHUNK_BYTES)
        except OSError as error:
            segment.close()
            raise CoprocdError(
                "resource_exhausted", f"no pipe for a coprocess: {error.strerror}; stop others, or raise the limit of open files"
            ) from error
        self = cls(session, segment, pipe)
        self.feed.position.seek(offset)
        self.record = CoprocessRecord(
            id=coprocess_id,
            session=session.id,
            name=spec.name,
            command=spec.command if spec.command is not None else shlex.join(spec.argv or ()),
            silent=spec.silent,
            input=spec.input,
            on_stall=spec.on_stall,
            on_full=spec.on_full,
            started_by=started_by,
            started_at=time.time(),
            started_offset=offset,
        )
        return self

    @classmethod
    def recover(cls, session: Session, held: dict[str, int]) -> Coprocess | None:
        """The coprocess whose descriptors an earlier daemon left under these names; None when it had not begun to exist."""
        segment = Segment.open(held["state"], PAGE, SCHEMA)
        self = cls(session, segment, (held.get("pipe_read", -1), held.get("pipe_write", -1)))
        self._fds = {name: held[name] for name in ("stdin", "stdout", "stderr") if name in held}
        record = self._stored.read()
        if record is None:
            self.release()
            return None
        self.record = record
        if record.state == "ended":
            self._ended.set_result(None)
            self._close_fds()
        else:
            self.feed.recover()
        return self

    def resume(self, job: dict[str, Any]) -> None:
        """Goes on where the earlier daemon stopped: `job` is what the keeper knows of its process."""
        if self.record.state == "ended":
            if job["pid"] is not None and not job["reaped"]:
                self.session.own(self._loop.create_task(self._bury(self.session.context.settings.close_grace_s)))
            return
        if job["pid"] is None:
            self._finish("spawn_failed")
            return
        self.record.pid = job["pid"]
        self.record.state = "running"
        self._connect()
        if self.record.end_reason is not None:
            self.end(self.record.end_reason, self.session.context.settings.close_grace_s)
        if job["status"] is not None:
            self.on_exit(job["status"])

    async def start(self, spec: CoprocessSpec) -> None:
        """Spawns its process and connects it; `spawn_failed`, and then it has ended."""
        session, context = self.session, self.session.context
        try:
            env = launch.overlay(session.job_environment() | {"COPROCD_TTY": session.record.tty}, spec.env)
            argv = list(spec.argv) if spec.argv is not None else launch.in_shell(spec.command or "")
            cwd = spec.cwd or session.current_directory()
            argv = await launch.resolve(argv, env, cwd)
            self.save()
            held = {"state": self.segment.fd, "pipe_read": self.feed.pipe[0], "pipe_write": self.feed.pipe[1]}
            self.record.pid, self._fds = await context.keeper.spawn(
                self.key, held, kind="pipes", argv=argv, env=env, cwd=cwd, stdout=self.record.input
            )
        except CoprocdError:
            self._finish("spawn_failed")
            raise
        for fd in self._fds.values():
            os.set_blocking(fd, False)
        self.record.state = "running"
        self.save()
        self._connect()
        context.events.append("coprocess.started", session.id, coprocess=self.describe(stderr=False))
        if self._end_once_started is not None:
            self.end(*self._end_once_started)
        if self._early_status is not None:
            self.on_exit(self._early_status)

    @property
    def key(self) -> str:
        """The key of its holding."""
        return f"coprocess/{self.record.session}/{self.record.id}"

    def save(self) -> None:
        self._stored.write(self.record)

    # -- what others ask ----------------------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        return self.record.state != "ended"

    @property
    def hold(self) -> int | None:
        """The offset from which on it needs the log; None when it does not hold it back."""
        if self.record.state == "ended" or self.record.on_full == "drop" or (self.record.state == "running" and not self.feed.connected):
            return None
        return self.feed.position.filled

    @property
    def typed_bytes(self) -> int:
        return self.segment.slots[_TYPED]

    @property
    def consumed_offset(self) -> int:
        """Up to where its process has read the output."""
        if self.record.state == "ended":
            return self.record.consumed_offset
        stdin = self._fds.get("stdin", -1)
        return self.feed.position.position - (pipes.unread(stdin) if stdin >= 0 else 0)

    def stderr_text(self, most: int = STDERR_CHARACTERS) -> str:
        """The last of its stderr, at most `most` characters."""
        start = self.stderr.ring.retained_from
        return self.stderr.read(start, self.stderr.ring.end - start).decode(errors="replace")[-most:]

    def describe(self, stderr: bool = True) -> CoprocessObject:
        record = self.record
        consumed = self.consumed_offset
        return CoprocessObject(
            id=record.id,
            session=record.session,
            name=record.name,
            command=record.command,
            pid=record.pid,
            silent=record.silent,
            input=record.input,
            state=record.state,
            started_at=record.started_at,
            ended_at=record.ended_at,
            started_offset=record.started_offset,
            consumed_offset=consumed,
            typed_bytes=self.typed_bytes,
            undelivered_bytes=record.undelivered_bytes if record.state == "ended" else self.session.log.end - consumed,
            lost=record.lost,
            silent_from=record.silent_from,
            silent_to=record.silent_to,
            stalled=record.stalled,
            started_by=record.started_by,
            exit_status=record.exit_status,
            signal=record.signal,
            end_reason=record.end_reason if record.state == "ended" else None,
            stderr=self.stderr_text() if stderr else "",
        )

    # -- moving bytes -------------------------------------------------------------------------------------------------

    def pump(self) -> None:
        """Feeds it what the log has; called in the turn in which bytes came."""
        self.feed.pump()
        if self.feed.blocked and self._check_due is None:
            self._check_due = self._loop.call_later(CHECK_S, self._check)

    def read_stdout(self) -> None:
        """Goes on reading stdout, after what it typed has left the input queue."""
        if "stdout" in self._fds and not self._stdout_ended and "stdout" not in self._reading and self._typing_room() > 0:
            self._watch("stdout", self._on_stdout)

    def _connect(self) -> None:
        if "stderr" in self._fds:
            self._watch("stderr", self._on_stderr)
        self.read_stdout()
        if "stdin" in self._fds:
            self.feed.connect(self._fds["stdin"])
            self.pump()
        self.session.resume_if_room()

    def _watch(self, name: str, callback: Any) -> None:
        self._reading.add(name)
        self._loop.add_reader(self._fds[name], callback)

    def _unwatch(self, name: str) -> None:
        if name in self._reading:
            self._reading.remove(name)
            self._loop.remove_reader(self._fds[name])

    def _on_fed(self) -> None:
        self._fed.set()
        self.session.resume_if_room()
        if self.feed.blocked and self._check_due is None:
            self._check_due = self._loop.call_later(CHECK_S, self._check)

    def _on_stdin_closed(self) -> None:
        """It closed its stdin: nothing is fed any more, its stdout is still typed."""
        self._fed.set()
        self.session.resume_if_room()

    def _on_overtaken(self, to: int) -> None:
        lost = (self.feed.position.filled, to)
        gaps = self.record.lost
        if len(gaps) == LOST_MOST:
            gaps[:2] = [(gaps[0][0], gaps[1][1])]
        gaps.append(lost)
        self.save()
        self.session.context.events.append("lost", self.session.id, coprocess=self.record.id, **{"from": lost[0], "to": lost[1]})

    def _typing_room(self) -> int:
        queue = self.session.input
        return min(queue.room, self.session.context.settings.coprocess_typing_bytes - queue.waiting_bytes)

    def _on_stdout(self) -> bool:
        """Types what it printed; False when there is nothing more now, or no room."""
        if self._discard:
            return self._throw_away()
        room = self._typing_room()
        if room <= 0:
            self._unwatch("stdout")
            return False
        try:
            size = self.session.context.intake.move(self._fds["stdout"], self.session.input, room)
        except BlockingIOError:
            return False
        if size == 0:
            self._on_stdout_end()
            return False
        self.segment.slots[_TYPED] += size
        self.session.on_typed(f"coprocess {self.record.id}", size)
        return True

    def _throw_away(self) -> bool:
        try:
            if os.read(self._fds["stdout"], pipes.CHUNK_BYTES):
                return True
        except BlockingIOError:
            return False
        self._on_stdout_end()
        return False

    def _on_stdout_end(self) -> None:
        self._unwatch("stdout")
        self._stdout_ended = True
        if self._ending is None and not self._exited.done():
            self._loop.call_later(self.session.context.settings.stdout_settle_s, self._on_stdout_settled)

    def _on_stdout_settled(self) -> None:
        if not self._exited.done():
            self.end("stdout_closed", self.session.context.settings.close_grace_s)

    def _on_stderr(self) -> bool:
        try:
            size = self.session.context.intake.move(self._fds["stderr"], self.stderr, self.stderr.ring.capacity)
        except BlockingIOError:
            return False
        if size == 0:
            self._unwatch("stderr")
        return size > 0

    # -- seeing that it stalls ------------------------------------------------------------------------------------------

    def _check(self) -> None:
        """Looks whether it, or the ring that it makes with its session, stands still."""
        self._check_due = None
        if self.record.state != "running" or self._ending is not None:
            return
        session, settings, now = self.session, self.session.context.settings, self._loop.time()
        ring_full = self.feed.blocked and session.input.feed.blocked
        moved = (self.consumed_offset, session.log.end, session.input.feed.position.position, self.typed_bytes)
        if self._ring_watch.seconds(ring_full and self.record.input, moved, now) >= settings.stall_timeout_s:
            self._on_stalled()
        elif self.record.stalled and not ring_full:
            self.record.stalled = False
            self.save()
        patience = settings.not_reading_s if session.job_lives else settings.close_grace_s
        if self._reading_watch.seconds(session.paused_by is self, self.consumed_offset, now) >= patience:
            self.end("not_reading", settings.close_grace_s)
        if self.feed.blocked:
            self._check_due = self._loop.call_later(CHECK_S, self._check)

    def _on_stalled(self) -> None:
        if not self.record.stalled:
            self.record.stalled = True
            self.save()
            self.session.context.events.append("coprocess.stalled", self.session.id, coprocess=self.describe(stderr=False))
        if self.record.on_stall == "end":
            self.end("stalled", self.session.context.settings.close_grace_s)

    # -- its end --------------------------------------------------------------------------------------------------------

    def on_exit(self, status: dict[str, Any]) -> None:
        """The keeper has seen its process end, perhaps before we knew that it began."""
        if self.record.state == "starting":
            self._early_status = status
            return
        self.record.exit_status = status["exit_status"]
        self.record.signal = status["signal"]
        if not self._exited.done():
            self._exited.set_result(None)
        self.end("exited", self.session.context.settings.close_grace_s)

    def end(self, reason: EndReason, grace_s: float) -> None:
        """Begins its end, if it has not begun; `reason` is what is reported."""
        if self.record.state == "starting":
            self._end_once_started = (reason, grace_s)
        elif self._ending is None and self.record.state == "running":
            self.record.end_reason = reason
            self.save()
            self._ending = self._loop.create_task(self._end(reason, grace_s))
            self.session.own(self._ending)

    async def stop(self, grace_s: float) -> None:
        """Ends it as `stopped`; returns when it has ended."""
        self.end("stopped", grace_s)
        await self.wait_ended()

    async def wait_ended(self) -> None:
        await asyncio.shield(self._ended)

    async def _end(self, reason: EndReason, grace_s: float) -> None:
        keeper = self.session.context.keeper
        if reason in ("stopped", "stalled", "not_reading"):
            self.feed.disconnect()
            self._drop_stdout()
            self.session.resume_if_room()
        elif reason == "session_ended":
            self._discard = True
            await self._deliver(grace_s)
            await self._close_stdin()
            await self._exit_within(grace_s)
        else:
            await self._type_rest(grace_s)
        if not self._exited.done():
            await keeper.signal(self.key, signal.SIGTERM)
            await self._exit_within(grace_s)
        if not self._exited.done():
            await keeper.signal(self.key, signal.SIGKILL)
            await self._exited
        if reason == "stdout_closed":
            await self._type_rest(0)
        self._finish(reason)
        await self._bury(grace_s)

    async def _exit_within(self, seconds: float) -> None:
        await asyncio.wait([self._exited], timeout=seconds)

    async def _deliver(self, grace_s: float) -> None:
        """Feeds it the rest of a session that has ended, for as long as it takes some within the grace."""
        while self.feed.connected and self.feed.waiting_bytes and not self._exited.done():
            self._fed.clear()
            try:
                async with asyncio.timeout(grace_s):
                    await self._fed.wait()
            except TimeoutError:
                return

    async def _type_rest(self, grace_s: float) -> None:
        """Types what is left in its stdout, for as long as the job takes some within the grace."""
        while "stdout" in self._fds and not self._stdout_ended and not self._discard:
            if self._on_stdout():
                continue
            if self._typing_room() > 0:
                return
            taken = self.session.input.feed.position.position
            await self.session.input_moved(grace_s)
            if self.session.input.feed.position.position == taken:
                return

    def _drop_stdout(self) -> None:
        """What it prints from now on goes nowhere, so that it can neither type nor hang."""
        self._discard = True
        if "stdout" in self._fds and not self._stdout_ended and "stdout" not in self._reading:
            self._watch("stdout", self._on_stdout)

    async def _close_stdin(self) -> None:
        """Gives it end of file: the keeper's duplicate must go too."""
        self.feed.disconnect()
        stdin = self._fds.get("stdin")
        if stdin is not None:
            self._note_consumed()
            os.close(self._fds.pop("stdin"))
            await self.session.context.keeper.drop(self.key, "stdin")

    def _note_consumed(self) -> None:
        self.record.consumed_offset = self.consumed_offset
        self.record.undelivered_bytes = self.session.log.end - self.record.consumed_offset

    def _finish(self, reason: EndReason) -> None:
        """It has ended: the outcome is recorded, silence closes, and the log is its no more."""
        record = self.record
        if "stdin" in self._fds or reason == "spawn_failed":
            self._note_consumed()
        for _ in range(self.stderr.ring.capacity // pipes.CHUNK_BYTES + 1):
            if "stderr" not in self._reading or not self._on_stderr():
                break
        self.feed.disconnect()
        record.state = "ended"
        record.end_reason = reason
        record.ended_at = time.time()
        if record.silent and record.silent_from is not None:
            if reason == "spawn_failed":
                self.session.log.silence.lift()
            else:
                self.session.log.silence.close(self.session.log.end)
            record.silent_to = record.silent_from if reason == "spawn_failed" else self.session.log.end
        self.save()
        self._close_fds()
        if not self._ended.done():
            self._ended.set_result(None)
        self.session.on_coprocess_ended(self)

    async def _bury(self, grace_s: float) -> None:
        """Ends what is left of its group, and gives its pid back; its record and its stderr stay."""
        keeper = self.session.context.keeper
        await keeper.drop(self.key, "stdin", "stdout", "stderr", "pipe_read", "pipe_write")
        if await keeper.signal(self.key, signal.SIGTERM) and self.record.pid is not None:
            over = self._loop.time() + grace_s
            while await asyncio.to_thread(processes.group_lives, self.record.pid) is not False and self._loop.time() < over:  # noqa: ASYNC110 - nothing tells when a group has ended
                await asyncio.sleep(GROUP_POLL_S)
            await keeper.signal(self.key, signal.SIGKILL)
        await keeper.reap(self.key)

    def _close_fds(self) -> None:
        if self._check_due is not None:
            self._check_due.cancel()
            self._check_due = None
        for name in list(self._reading):
            self._unwatch(name)
        for fd in self._fds.values():
            os.close(fd)
        self._fds.clear()
        for fd in self.feed.pipe:
            pipes.close(fd)
        self.feed.pipe = (-1, -1)

    def release(self) -> None:
        """Closes all its descriptors here; the keeper's stay."""
        self._close_fds()
        self.segment.close()

    async def forget(self) -> None:
        """Drops it with its stderr."""
        self.release()
        await self.session.context.keeper.drop(self.key)
