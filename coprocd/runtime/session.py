"""A session: a job on a pty, its output log, what is typed into it, and its coprocesses.

The path of a byte that the job prints: master → `Pump` → `OutputLog`; in the same turn of the loop the coprocess and the
observers are fed from their cursors, the `Triggers` match it, and those who wait for output are woken. Nothing is awaited in between.
The way back: whatever is typed, by whomever, goes through the `InputQueue`, and its feed is the only writer to the master.

    running ──the keeper saw the job end──► draining (the rest of its output) ──► exited
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from coprocd.keeper.client import Belonging
from coprocd.platform import pipes, processes, terminal
from coprocd.protocol import objects
from coprocd.protocol.errors import CoprocdError
from coprocd.runtime import scope
from coprocd.runtime.answers import ORIGIN as SCREEN
from coprocd.runtime.attributes import Attributes
from coprocd.runtime.coprocess import Coprocess
from coprocd.runtime.coprocesses import Coprocesses
from coprocd.runtime.description import describe_session
from coprocd.runtime.display import Display
from coprocd.runtime.injections import Injections
from coprocd.runtime.job_end import end_job, is_anothers
from coprocd.runtime.marks import Marks
from coprocd.runtime.pump import Pump
from coprocd.runtime.ring_file import RingFile
from coprocd.runtime.screen import Screen
from coprocd.runtime.session_state import SessionState
from coprocd.runtime.tasks import Tasks
from coprocd.runtime.trigger_list import TriggerList
from coprocd.runtime.triggers import Triggers
from coprocd.runtime.typing import Typing
from coprocd.runtime.viewers import Viewers

if TYPE_CHECKING:
    from coprocd.runtime.context import Context

log = logging.getLogger("coprocd.session")

INPUT_EVENT_S = 0.1
"""What is typed within this time by one origin makes one event."""

EXITED_AFTER_S = 0.6
"""A session has exited so long after its job's end at the latest, even while a slow reader keeps the last output waiting."""


class Session:
    """One session. `Sessions` makes it, takes it over after a restart, and drops it."""

    def __init__(self, context: Context, state: SessionState) -> None:
        self.context = context
        self.state = state
        self.record = state.record
        self.log = state.log
        self.input = state.input_queue(self._on_input_moved)
        self.typing = Typing(self)
        self.pump = Pump(self)
        self.coprocesses = Coprocesses(self)
        self.attributes = Attributes(self)
        self.marks = Marks(self)
        self.injections = Injections(self)
        self.display = Display(self)
        self.trigger_list = TriggerList(self)
        self.triggers = Triggers(self)
        self.screen = Screen(self)
        self.viewers = Viewers(self)
        self.master = -1
        self.closing = False
        self._loop = asyncio.get_running_loop()
        self._tasks = Tasks(f"session {self.id}")
        self._started: asyncio.Future[None] = self._loop.create_future()
        self.job_ended: asyncio.Future[None] = self._loop.create_future()
        self._input_moved = asyncio.Event()
        self._typed: dict[str, int] = {}
        self._early_status: dict[str, Any] | None = None

    # -- making and taking over -------------------------------------------------------------------------------------

    @classmethod
    def recover(cls, context: Context, held: dict[str, int]) -> Session | None:
        """The session whose descriptors an earlier daemon left under these names; None when it had not begun to exist."""
        state = SessionState.open(held)
        if state is None:
            return None
        session = cls(context, state)
        session._started.set_result(None)
        session.master = held.get("master", -1)
        if session.master >= 0:
            session.input.feed.recover()
            session.input.feed.held = session.record.input_held
        return session

    def resume(self, job: dict[str, Any]) -> None:
        """Goes on where the earlier daemon stopped: `job` is what the keeper knows of its process."""
        if self.log.silence.opened_at is not None and not any(c.running and c.record.silent for c in self.coprocesses):
            self.log.silence.lift()
        self.record.pid = job["pid"]
        if self.record.drained:
            self.pump.end()
            self.hang_up()
            self.own(self._let_go())
            return
        self.typing.recover()
        if size := terminal.size(self.master):  # a daemon may be killed between the terminal's change and the record's
            self.record.rows, self.record.cols = size
        self._connect()
        if job["status"] is not None:
            self.on_exit(job["status"])

    def resume_triggers(self) -> None:
        """Matches what the earlier daemon did not get to match, once its coprocesses stand, and ends what it did not get to do."""
        self.triggers.resume()
        if self.record.drained:
            self.triggers.close()

    async def start(self, argv: list[str]) -> None:
        """Starts its job, `argv` with an absolute path first; `spawn_failed` says why not. A close waits until it has ended."""
        try:
            await self._spawn(argv)
        finally:
            self._started.set_result(None)
        if self._early_status is not None:
            self.on_exit(self._early_status)

    async def _spawn(self, argv: list[str]) -> None:
        record = self.record
        self.save()
        self.triggers.arrange()
        record.pid, fds = await self.context.keeper.spawn(
            self.key,
            record.name,
            self.state.held(),
            kind="pty",
            argv=scope.entering(self.context.settings.sessions, self.id, argv),
            env=self.job_environment(),
            cwd=record.cwd,
            rows=record.rows,
            cols=record.cols,
        )
        scope.look_later(self.context.settings.sessions, self.id, record.pid)
        self.master = fds["master"]
        os.set_blocking(self.master, False)
        record.tty = terminal.name(self.master)
        self._connect()
        self.save()

    def _connect(self) -> None:
        self.pump.start(self.master)
        self.input.feed.connect(self.master)
        self.input.count()

    def rings(self) -> list[RingFile]:
        """Every ring into which the intake may have been moving."""
        return [self.log, self.input, *(coprocess.stderr for coprocess in self.coprocesses)]

    def belongings(self) -> list[Belonging]:
        """What the keeper is to hold of it, and of its coprocesses."""
        own = Belonging(self.key, self.record.name, self.state.held() | {"master": self.master})
        return [own, *(coprocess.belonging() for coprocess in self.coprocesses)]

    # -- what it is -----------------------------------------------------------------------------------------------------

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
        return self.running and not self.pump.draining

    @property
    def finished(self) -> bool:
        """Whether no output will follow."""
        return self.record.drained

    @property
    def dropped(self) -> bool:
        """Whether its memory has been let go."""
        return self.log.segment.fd < 0

    def save(self) -> None:
        """Stores its record; `resource_exhausted` when that cannot be, and then the record before stands."""
        self.state.save()

    def save_if_possible(self) -> None:
        """Stores its record where there is nobody to refuse: what happens then must not stop at it."""
        try:
            self.save()
        except CoprocdError as error:
            log.error("session %s: %s", self.id, error)

    def own(self, work: Coroutine[Any, Any, None], told: bool = False) -> asyncio.Task[None]:
        """Runs `work` in a task of this session, which does not go before it is done; `told`: whoever asked is told how it ended."""
        return self._tasks.start(work, told)

    # -- what is typed --------------------------------------------------------------------------------------------------

    def on_typed(self, origin: str, size: int) -> None:
        """`size` bytes of `origin` are in the input queue."""
        if origin != SCREEN:
            self.state.typed_at = self.log.end
        if not self._typed:
            self._loop.call_later(INPUT_EVENT_S, self._tell_typed)
        self._typed[origin] = self._typed.get(origin, 0) + size

    def _tell_typed(self) -> None:
        if not self.dropped:
            self.input.catch_up()
        typed, self._typed = self._typed, {}
        for origin, size in typed.items():
            self.context.events.append("input", self.id, origin=origin, bytes=size)

    def _on_input_moved(self) -> None:
        self._input_moved.set()
        for coprocess in self.coprocesses:
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

    def on_coprocess_ended(self, coprocess: Coprocess) -> None:
        """It has ended: the session goes on without it."""
        self.pump.resume_if_room()
        self.context.events.append("coprocess.ended", self.id, coprocess=coprocess.describe())
        self.coprocesses.forget_oldest()

    # -- the job's end --------------------------------------------------------------------------------------------------

    def on_exit(self, status: dict[str, Any]) -> None:
        """The keeper has seen the job end, perhaps before we knew that it began."""
        if not self._started.done():
            self._early_status = status
        elif not self.job_ended.done() and not self.record.drained:
            self.job_ended.set_result(None)
            self.record.exit_status = status["exit_status"]
            self.record.signal = status["signal"]
            self.pump.drain()
            self.own(self._exit())

    async def _exit(self) -> None:
        """Exited is said when all output is there, at the latest after a moment: a slow reader must not hide it."""
        await asyncio.wait([self.pump.drained], timeout=EXITED_AFTER_S)
        self.record.state = "exited"
        self.record.ended_at = self.record.ended_at or time.time()
        self.record.ended_clock = time.monotonic()
        self.save_if_possible()
        self._tell_typed()
        self.context.events.append(
            "session.exited", self.id, exit_status=self.record.exit_status, signal=self.record.signal, output_offset=self.log.end
        )
        self.triggers.events.tell(
            "session_ended", str(self.record.exit_status if self.record.signal is None else self.record.signal).encode()
        )
        await self.pump.drained
        self.triggers.save()  # the next daemon does not match the output of one that is drained
        self.record.drained = True
        self.save_if_possible()
        self.log.wake()
        self.hang_up()
        await self._let_go()

    async def exited(self) -> None:
        """Returns when it has exited, its output is all there, and its coprocesses have ended."""
        await asyncio.shield(self.pump.drained)
        while await self._tasks.all_done():
            pass

    def hang_up(self) -> None:
        """Closes the master; once the keeper's duplicate is closed too, whoever is left on the terminal is hung up."""
        self.pump.end()
        self.input.feed.disconnect()
        pipes.close(self.master)
        self.master = -1
        self.state.close_pipe()

    async def _let_go(self) -> None:
        """Has the keeper close its duplicates too and give the pid back, and ends the coprocesses."""
        keeper = self.context.keeper
        await keeper.drop(self.key, "master", "pipe_read", "pipe_write")
        await keeper.reap(self.key)
        for coprocess in self.coprocesses:
            coprocess.end("session_ended", self.context.settings.close_grace_s)

    async def close(self, grace_s: float) -> None:
        """Hangs the job up, kills it after the grace, and waits for all that belongs to it to end; what is being started, is first."""
        self.closing = True
        await asyncio.wait([self._started])
        if self.master < 0 and self.running:
            self.record.state = "exited"  # it has not come to life
            self.record.ended_at = time.time()
        elif not self.pump.drained.done():
            await end_job(self, grace_s)
        while True:
            for coprocess in self.coprocesses:
                coprocess.end("session_ended", grace_s)
            if not await self._tasks.all_done():
                return

    async def kill_after(self, grace_s: float) -> None:
        """Kills its job and its coprocesses when they have not ended within `grace_s`."""
        await asyncio.wait([self.pump.drained], timeout=grace_s)
        if not self.pump.drained.done():
            await self.context.keeper.signal(self.key, signal.SIGKILL)
        for coprocess in self.coprocesses:
            coprocess.end("session_ended", 0)

    async def forget(self) -> None:
        """Drops it with its log; whoever still reads is woken. It must have been closed.

        The session goes first: a coprocess without one is dropped by the next daemon, should this one be killed in between.
        """
        await self.context.keeper.drop(self.key)
        await self.coprocesses.forget()
        self.triggers.close()
        self.screen.close()
        self.hang_up()
        self.state.close()

    # -- what others ask ------------------------------------------------------------------------------------------------

    def exited_error(self) -> CoprocdError:
        """Why nothing can be typed into it, or started in it."""
        if self.closing:
            return CoprocdError("session_exited", f"session {self.record.name} is being closed", session=self.id)
        if not self._started.done():
            return CoprocdError("session_busy", f"session {self.record.name} is being started; try again", session=self.id)
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
        if await self.context.keeper.signal(self.key, number):
            return
        if is_anothers(self):
            raise CoprocdError(
                "permission_denied",
                f"the job of session {self.record.name}, pid {self.record.pid}, has become another user's: that user or root can signal it",
                pid=self.record.pid,
            )
        raise self.exited_error()

    def resize(self, rows: int, cols: int) -> None:
        terminal.resize(self.master, rows, cols)
        self.record.rows, self.record.cols = rows, cols
        self.screen.resize(rows, cols)
        self.save()
        self.context.events.append("session.resized", self.id, rows=rows, cols=cols)

    def describe(self) -> objects.Session:
        """How it is now; `session_not_found` when it was dropped meanwhile."""
        return describe_session(self)
