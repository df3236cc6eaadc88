"""A session: a job on a pty, its output log, what is typed into it, and its coprocesses. The pump is here.

The path of a byte that the job prints: master → `Intake.move` → `OutputLog`; in the same turn of the loop the coprocess
and the observers are fed from their cursors, and those who wait for output are woken. Nothing is awaited in between.
The way back: whatever is typed, by whomever, goes through the `InputQueue`, and its feed is the only writer to the master.

    running ──the keeper saw the job end──► draining (the rest of its output) ──► exited
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from coprocd.platform import pipes, processes, terminal
from coprocd.protocol import objects
from coprocd.protocol.errors import CoprocdError
from coprocd.runtime.coprocess import Coprocess
from coprocd.runtime.input_queue import SLOTS as INPUT_SLOTS
from coprocd.runtime.input_queue import InputQueue
from coprocd.runtime.output_log import OutputLog
from coprocd.runtime.record import Record
from coprocd.runtime.segment import PAGE, RESERVED_SLOTS, Segment
from coprocd.runtime.typing import Typing

if TYPE_CHECKING:
    from coprocd.runtime.context import Context

SCHEMA = 1
RECORD_BYTES = 4 << 20
_INPUT = RESERVED_SLOTS
_INPUT_SIZE = _INPUT + INPUT_SLOTS
_TYPED_AT = _INPUT_SIZE + 1

PAUSED_EVENT_S = 1.0
"""A pause is an event once it has lasted so long: short ones are how a slow reader and a fast writer go along."""

INPUT_EVENT_S = 0.1
"""What is typed within this time by one origin makes one event."""

SUMMARY_STDERR = 1000
"""Characters of a coprocess's stderr shown with its session; `coprocess.get` has all of it."""


class SessionRecord(msgspec.Struct, kw_only=True):
    """What of a session outlives the daemon, besides its log and its input."""

    id: str
    name: str
    argv: list[str]
    env: dict[str, str]
    cwd: str
    rows: int
    cols: int
    created_at: float
    log_bytes: int
    labels: dict[str, str]
    key: str | None
    lease_s: float | None
    renewed_at: float
    remove: bool
    variables: dict[str, str] = {}
    pid: int | None = None
    tty: str = ""
    state: Literal["running", "exited"] = "running"
    drained: bool = False
    exit_status: int | None = None
    signal: str | None = None
    ended_at: float | None = None
    ended_clock: float = 0.0
    typed_keys: list[tuple[str, int, int, int]] = []


class Session:
    """One session. `Sessions` makes it, takes it over after a restart, and drops it."""

    def __init__(self, context: Context, record: SessionRecord, log: OutputLog, segment: Segment, pipe: tuple[int, int]) -> None:
        self.context = context
        self.record = record
        self.log = log
        self.segment = segment
        self.input = InputQueue(segment, _INPUT, PAGE + 2 * RECORD_BYTES, segment.slots[_INPUT_SIZE], pipe, self._on_input_moved)
        self.typing = Typing(self)
        self.master = -1
        self.coprocesses: list[Coprocess] = []
        self.paused_by: Coprocess | None = None
        self._stored = self._record_in(segment)
        self._loop = asyncio.get_running_loop()
        self._reading = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._input_moved = asyncio.Event()
        self._typed: dict[str, int] = {}
        self._pause_due: asyncio.TimerHandle | None = None
        self._pause_told = False
        self._drained: asyncio.Future[None] = self._loop.create_future()
        self._drain_due: asyncio.TimerHandle | None = None
        self._drain_left: int | None = None
        self._hung_up = False
        self._early_status: dict[str, Any] | None = None

    # -- making and taking over -------------------------------------------------------------------------------------

    @staticmethod
    def _record_in(segment: Segment) -> Record[SessionRecord]:
        return Record(segment.fd, PAGE, RECORD_BYTES, SessionRecord)

    @classmethod
    def create(cls, context: Context, record: SessionRecord) -> Session:
        """A session without a job yet; `resource_exhausted` when there is no memory or descriptor for it."""
        log = OutputLog.create(record.id, record.log_bytes)
        try:
            size = context.settings.input_queue_bytes
            segment = Segment.create(f"coprocd-session-{record.id}", PAGE, 2 * RECORD_BYTES + size, SCHEMA)
        except CoprocdError:
            log.close()
            raise
        segment.slots[_INPUT_SIZE] = size
        try:
            pipe = pipes.create(4096)
        except OSError as error:
            log.close()
            segment.close()
            raise CoprocdError(
                "resource_exhausted", f"no pipe for a session: {error.strerror}; close sessions, or raise the limit of open files"
            ) from error
        return cls(context, record, log, segment, pipe)

    @classmethod
    def recover(cls, context: Context, held: dict[str, int]) -> Session | None:
        """The session whose descriptors an earlier daemon left under these names; None when it had not begun to exist."""
        segment = Segment.open(held["state"], PAGE, SCHEMA)
        record = cls._record_in(segment).read()
        if record is None or ("master" not in held and record.state == "running"):
            segment.close()
            for name in held.keys() - {"state"}:
                os.close(held[name])
            return None
        log = OutputLog.open(held["log"])
        session = cls(context, record, log, segment, (held.get("pipe_read", -1), held.get("pipe_write", -1)))
        session._stored = cls._record_in(segment)
        session._stored.read()
        session.master = held.get("master", -1)
        if session.master >= 0:
            session.input.feed.recover()
        return session

    def resume(self, job: dict[str, Any]) -> None:
        """Goes on where the earlier daemon stopped: `job` is what the keeper knows of its process."""
        if self.log.silence.opened_at is not None and not any(c.running and c.record.silent for c in self.coprocesses):
            self.log.silence.lift()
        self.record.pid = job["pid"]
        if self.record.drained:
            self._drained.set_result(None)
            self._hang_up()
            self.own(self._loop.create_task(self._let_go()))
            return
        self.typing.recover()
        self._connect()
        if job["status"] is not None:
            self.on_exit(job["status"])

    def rings(self) -> list[Any]:
        """Every ring into which the intake may have been moving."""
        return [self.log, self.input, *(coprocess.stderr for coprocess in self.coprocesses)]

    async def start(self, argv: list[str]) -> None:
        """Starts its job, `argv` with an absolute path first; `spawn_failed` says why not."""
        record = self.record
        self.save()
        held = {"log": self.log.fd, "state": self.segment.fd, "pipe_read": self.input.feed.pipe[0], "pipe_write": self.input.feed.pipe[1]}
        record.pid, fds = await self.context.keeper.spawn(
            self.key, held, kind="pty", argv=argv, env=self.job_environment(), cwd=record.cwd, rows=record.rows, cols=record.cols
        )
        self.master = fds["master"]
        os.set_blocking(self.master, False)
        record.tty = terminal.name(self.master)
        self.save()
        self._connect()
        if self._early_status is not None:
            self.on_exit(self._early_status)

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def key(self) -> str:
        """The key of its holding."""
        return f"session/{self.record.id}"

    @property
    def running(self) -> bool:
        return self.record.state == "running"

    @property
    def connected(self) -> bool:
        """Whether there is a terminal to type into."""
        return self.running and self.master >= 0

    @property
    def job_lives(self) -> bool:
        """Whether the job has not been seen to end."""
        return self.running and self._drain_left is None

    @property
    def finished(self) -> bool:
        """Whether no output will follow."""
        return self.record.drained

    def save(self) -> None:
        self._stored.write(self.record)

    def own(self, task: asyncio.Task[None]) -> None:
        """Keeps a task of this session until it is done."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- the pump -----------------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        self._read()
        self.input.feed.connect(self.master)

    def _read(self) -> None:
        if self.master >= 0 and not self._reading:
            self._reading = True
            self._loop.add_reader(self.master, self._on_readable)

    def _stop_reading(self) -> None:
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self.master)

    def _on_readable(self) -> None:
        """One chunk, from the job to everybody."""
        room = self._room()
        if room <= 0:
            self._pause()
            return
        try:
            size = self.context.intake.move(self.master, self.log, room)
        except BlockingIOError:
            return
        except OSError:  # EIO: the terminal has no other end, and all that was written to it has been read
            size = 0
        if size == 0:
            self._on_hangup()
            return
        for coprocess in self.coprocesses:
            coprocess.pump()
        self.log.scan_if_due()
        self.log.wake()
        if self._drain_left is not None:
            self._drain_left -= size
            self._await_quiet()

    def _room(self) -> int:
        """How many bytes may come without overwriting what a lossless reader still needs."""
        holds = [hold for coprocess in self.coprocesses if (hold := coprocess.hold) is not None]
        return self.log.ring.room(min(holds) if holds else None)

    def _pause(self) -> None:
        """The log is full of what somebody still needs: the job waits until that is read."""
        slowest = min((c for c in self.coprocesses if c.hold is not None), key=lambda c: c.feed.position.filled)
        self._stop_reading()
        self.paused_by = slowest
        if slowest.record.on_full == "end":
            slowest.end("not_reading", self.context.settings.close_grace_s)
        elif self._pause_due is None:
            self._pause_due = self._loop.call_later(PAUSED_EVENT_S, self._tell_pause)

    def _tell_pause(self) -> None:
        self._pause_due = None
        if self.paused_by is not None:
            self._pause_told = True
            self.context.events.append("session.paused", self.id, why="coprocess", by=self.paused_by.record.id)

    def resume_if_room(self) -> None:
        """A reader has moved on, or gone: the job may print again when there is room worth a turn."""
        if self.paused_by is None or self._room() < min(pipes.CHUNK_BYTES, self.log.ring.capacity // 4):
            return
        self.paused_by = None
        if self._pause_due is not None:
            self._pause_due.cancel()
            self._pause_due = None
        if self._pause_told:
            self._pause_told = False
            self.context.events.append("session.resumed", self.id)
        self._read()
        if self._drain_left is not None:
            self._await_quiet()

    # -- what is typed --------------------------------------------------------------------------------------------------

    def on_typed(self, origin: str, size: int) -> None:
        """`size` bytes of `origin` are in the input queue."""
        self.segment.slots[_TYPED_AT] = self.log.end
        self.input.feed.pump()
        if not self._typed:
            self._loop.call_later(INPUT_EVENT_S, self._tell_typed)
        self._typed[origin] = self._typed.get(origin, 0) + size

    def _tell_typed(self) -> None:
        typed, self._typed = self._typed, {}
        for origin, size in typed.items():
            self.context.events.append("input", self.id, origin=origin, bytes=size)

    def _on_input_moved(self) -> None:
        self._input_moved.set()
        for coprocess in self.coprocesses:
            if coprocess.running:
                coprocess.read_stdout()

    async def input_moved(self, timeout_s: float) -> None:
        """Returns when the job has taken input, or after `timeout_s`."""
        self._input_moved.clear()
        try:
            async with asyncio.timeout(timeout_s):
                await self._input_moved.wait()
        except TimeoutError:
            pass

    # -- coprocesses ----------------------------------------------------------------------------------------------------

    @property
    def coprocess(self) -> Coprocess | None:
        """The one that types and has not ended."""
        return next((c for c in self.coprocesses if c.running and c.record.input), None)

    async def run_coprocess(self, spec: objects.CoprocessSpec, started_by: str = "rpc") -> Coprocess:
        """Starts a coprocess, its cursor set in this very turn; it returns once it is spawned."""
        self._check_spec(spec)
        current = self.coprocess
        if spec.input and current is not None:
            self.context.events.append("coprocess.refused", self.id, command=spec.command or "", running=current.record.id)
            raise CoprocdError(
                "coprocess_already_running",
                f"session {self.record.name} runs the coprocess {current.record.command!r} (pid {current.record.pid}, {current.record.id}); "
                "stop it first (coprocctl stop-coprocess), or run an observer (--observe)",
                coprocess=current.record.id,
                command=current.record.command,
            )
        if not self.running:
            raise self.exited_error()
        now = self.log.end
        offset = self._offset(spec.from_)
        if not self.log.retained_from <= offset <= now:
            raise CoprocdError(
                "offset_lost" if offset < now else "invalid_params",
                f"session {self.record.name} holds its output from offset {self.log.retained_from} to {now}, and {offset} is not in it; "
                "give an offset in between, or `now`",
                retained_from=self.log.retained_from,
                output_offset=now,
            )
        coprocess = Coprocess.create(self, spec, offset, started_by)
        if spec.silent:
            if not self.log.silence.open(now, self.log.retained_from):
                await coprocess.forget()
                raise CoprocdError("resource_exhausted", "too many silent ranges are in the log; they go as it moves on")
            coprocess.record.silent_from = now
        self.coprocesses.append(coprocess)
        # In a task of its own: a caller that goes away must not leave one half started.
        task = self._loop.create_task(coprocess.start(spec))
        self.own(task)
        await asyncio.shield(task)
        return coprocess

    def _offset(self, start: str | int) -> int:
        if start == "line":
            return self.log.line_start()
        if start == "question":
            return self.log.last_line_start(self.segment.slots[_TYPED_AT]) if self.typing.awaits_line() else self.log.end
        return start if isinstance(start, int) else self.log.end

    def _check_spec(self, spec: objects.CoprocessSpec) -> None:
        if (spec.command is None) == (spec.argv is None):
            raise CoprocdError("invalid_params", "a coprocess takes `command` (run by /bin/sh) or `argv` (run as it is), one of the two")
        if spec.input and spec.on_full == "drop":
            raise CoprocdError(
                "invalid_params", "on_full `drop` is for observers (input: false): one that types sees an exact run of the output"
            )
        if spec.silent and not spec.input:
            raise CoprocdError("invalid_params", "an observer cannot be silent: it only looks on")
        if spec.name is not None and any(c.running and c.record.name == spec.name for c in self.coprocesses):
            raise CoprocdError(
                "name_taken", f"a coprocess of session {self.record.name} is named {spec.name!r} and runs; give another name"
            )

    def on_coprocess_ended(self, coprocess: Coprocess) -> None:
        """It has ended: the session goes on without it."""
        self.resume_if_room()
        self.context.events.append("coprocess.ended", self.id, coprocess=coprocess.describe())
        ended = [c for c in self.coprocesses if not c.running]
        for old in ended[: -self.context.settings.ended_coprocesses_most]:
            self.coprocesses.remove(old)
            self.own(self._loop.create_task(old.forget()))

    # -- the job's end --------------------------------------------------------------------------------------------------

    def on_exit(self, status: dict[str, Any]) -> None:
        """The keeper has seen the job end: what it has printed by now is taken, then the session has exited."""
        if self.master < 0:
            self._early_status = status
            return
        if self._drain_left is not None or self.record.drained:
            return
        self.record.exit_status = status["exit_status"]
        self.record.signal = status["signal"]
        self._drain_left = self.context.settings.drain_most_bytes
        self.own(self._loop.create_task(self._exit()))
        if self._hung_up:
            self._end_of_output()
        else:
            self._await_quiet()

    def _on_hangup(self) -> None:
        """The last descriptor of the terminal's other end was closed; the job itself may run on."""
        self._stop_reading()
        self._hung_up = True
        if self._drain_left is not None:
            self._end_of_output()

    def _await_quiet(self) -> None:
        """Output ends when nothing has come for a while, or too much has."""
        if self._drain_due is not None:
            self._drain_due.cancel()
            self._drain_due = None
        if self._drain_left is not None and self._drain_left <= 0:
            self._end_of_output()
        elif self.paused_by is None:
            self._drain_due = self._loop.call_later(self.context.settings.drain_quiet_s, self._end_of_output)

    def _end_of_output(self) -> None:
        if self._drain_due is not None:
            self._drain_due.cancel()
            self._drain_due = None
        self._stop_reading()
        if not self._drained.done():
            self._drained.set_result(None)

    async def _exit(self) -> None:
        """Exited is said when all output is there, at the latest after a moment: a slow reader must not hide it."""
        await asyncio.wait([self._drained], timeout=self.context.settings.drain_quiet_s * 3)
        self.record.state = "exited"
        self.record.ended_at = self.record.ended_at or time.time()
        self.record.ended_clock = time.monotonic()
        self.save()
        self.context.events.append(
            "session.exited", self.id, exit_status=self.record.exit_status, signal=self.record.signal, output_offset=self.log.end
        )
        await self._drained
        self.record.drained = True
        self.save()
        self.log.wake()
        self._hang_up()
        await self._let_go()

    async def _let_go(self) -> None:
        """Has the keeper close its duplicates too and give the pid back, and ends the coprocesses."""
        keeper = self.context.keeper
        await keeper.drop(self.key, "master", "pipe_read", "pipe_write")
        await keeper.reap(self.key)
        for coprocess in list(self.coprocesses):
            coprocess.end("session_ended", self.context.settings.close_grace_s)

    async def exited(self) -> None:
        """Returns when it has exited, its output is all there, and its coprocesses have ended."""
        await asyncio.shield(self._drained)
        while self._tasks:
            await asyncio.wait(list(self._tasks))

    def _hang_up(self) -> None:
        """Closes the master; once the keeper's duplicate is closed too, whoever is left on the terminal is hung up."""
        self._stop_reading()
        if self.master >= 0:
            self.input.feed.disconnect()
            for fd in (self.master, *self.input.feed.pipe):
                pipes.close(fd)
            self.master = -1
            self.input.feed.pipe = (-1, -1)

    async def close(self, grace_s: float) -> None:
        """Hangs the job up, kills it after the grace, and waits for all that belongs to it to end."""
        keeper = self.context.keeper
        if self.running:
            foreground = terminal.foreground(self.master)
            await keeper.signal(self.key, signal.SIGHUP)
            await keeper.signal(self.key, signal.SIGCONT)
            if foreground is not None and foreground != self.record.pid:
                _signal_group(foreground, signal.SIGHUP)
            await asyncio.wait([self._drained], timeout=grace_s)
            while not self._drained.done():
                await keeper.signal(self.key, signal.SIGKILL)
                if self._drain_left is not None:
                    self._end_of_output()
                await asyncio.wait([self._drained], timeout=0.5)
        while self._tasks:
            for coprocess in self.coprocesses:
                coprocess.end("session_ended", grace_s)
            await asyncio.wait(list(self._tasks))

    async def forget(self) -> None:
        """Drops it with its log; whoever still reads is woken. It must have been closed."""
        for coprocess in self.coprocesses:
            await coprocess.forget()
        self.coprocesses.clear()
        self._hang_up()
        self.log.close()
        self.segment.close()
        await self.context.keeper.drop(self.key)

    # -- what others ask ------------------------------------------------------------------------------------------------

    def exited_error(self) -> CoprocdError:
        how = f"signal {self.record.signal}" if self.record.signal else f"exit status {self.record.exit_status}"
        return CoprocdError(
            "session_exited", f"session {self.record.name} has exited ({how}); its output can still be read", session=self.id
        )

    def job_environment(self) -> dict[str, str]:
        """The environment of its job, and the base of its coprocesses'."""
        return self.record.env | {"COPROCD_SESSION": self.id, "COPROCD_SOCKET": self.context.socket_path}

    def current_directory(self) -> str:
        """The directory of the job in front as the system tells it, else the one it was started in."""
        foreground = terminal.foreground(self.master) if self.master >= 0 else None
        for pid in (foreground, self.record.pid if self.running else None):
            path = processes.cwd(pid) if pid is not None else None
            if path is not None:
                return path
        return self.record.cwd

    async def signal(self, number: int) -> None:
        """Signals the process group of the job."""
        if not await self.context.keeper.signal(self.key, number):
            raise self.exited_error()

    def resize(self, rows: int, cols: int) -> None:
        terminal.resize(self.master, rows, cols)
        self.record.rows, self.record.cols = rows, cols
        self.save()
        self.context.events.append("session.resized", self.id, rows=rows, cols=cols)

    def describe(self) -> objects.Session:
        record = self.record
        paused, current, front = self.paused_by, self.coprocess, self.typing.foreground()
        summary = current.describe(stderr=False) if current else None
        if current is not None and summary is not None:
            summary.stderr = current.stderr_text(SUMMARY_STDERR)
        return objects.Session(
            id=record.id,
            name=record.name,
            argv=record.argv,
            pid=record.pid,
            state=record.state,
            exit_status=record.exit_status if not self.running else None,
            signal=record.signal if not self.running else None,
            rows=record.rows,
            cols=record.cols,
            cwd=self.current_directory(),
            title="",
            tty=record.tty,
            created_at=record.created_at,
            ended_at=record.ended_at,
            epoch=self.log.epoch,
            output_offset=self.log.end,
            retained_from=self.log.retained_from,
            log_bytes=record.log_bytes,
            input_bytes=self.input.waiting_bytes if self.running else 0,
            clients=[],
            paused=objects.Paused("coprocess", paused.record.id) if paused is not None else None,
            coprocess=summary,
            observers=sum(c.running and not c.record.input for c in self.coprocesses),
            variables=record.variables,
            labels=record.labels,
            foreground=front,
            activity=self.typing.activity(front),
        )


def _signal_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        pass
