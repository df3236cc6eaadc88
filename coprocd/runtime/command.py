"""A command: a job that a trigger started. It has nothing to read, its output is kept, and its failure is told.

It belongs to no session: it lives on when the one whose trigger it was ends. `Commands` makes it, says when it may start,
and keeps it when it has ended; no output of a session ever passes here.

    waiting ──turn──► starting ──spawned──► running ──exit, time over, stopped──► ended ──nobody left of its group──► buried
        └─stopped─┐        └──spawn failed───────────────────────────────────────►  ▲
                  └─────────────────────────────────────────────────────────────────┘

Its process's exit is its end, and is told at once. What it left in the background goes on in its place among those that run,
as long as the command itself might have, and is then ended too: whoever starts programs by trigger must not fill the machine.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import signal
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from coprocd.keeper.client import Belonging
from coprocd.platform import memory, pipes, processes
from coprocd.protocol.errors import CoprocdError
from coprocd.protocol.objects import Command as CommandObject
from coprocd.protocol.objects import CommandFailure
from coprocd.runtime import launch, reserve
from coprocd.runtime.command_state import CommandRecord, CommandState
from coprocd.runtime.coprocess import KILL_PATIENCE_S
from coprocd.runtime.partner import LABEL_MOST
from coprocd.runtime.pump import MEMORY_AGAIN_S

if TYPE_CHECKING:
    from coprocd.runtime.context import Context

log = logging.getLogger("coprocd.command")

TOLD_CHARACTERS = 1000
"""Of its output, the last: what the event of a failure carries, and a list."""

GROUP_POLL_S = 0.05
GROUP_POLL_MOST_S = 2.0
"""How often it is looked whether the rest of its group has ended: each time half as often, as one that stays a while may stay for long."""


def as_text(text: str) -> str:
    """What records and events can hold: a path may have bytes that are no UTF-8."""
    return text.encode(errors="replace").decode()


class Command:
    """One command. `start` when its turn has come, or `resume` after a restart; `buried` is done when nothing is left of it."""

    def __init__(self, context: Context, record: CommandRecord, own: Callable[[Coroutine[Any, Any, None]], object]) -> None:
        """`own(work)` runs work in a task of whoever made this."""
        self.record = record
        self._context = context
        self._own = own
        self._loop = asyncio.get_running_loop()
        self._state: CommandState | None = None
        self._output = ""
        self._left_out_bytes = 0
        self._fds: dict[str, int] = {}
        self._early_status: dict[str, Any] | None = None
        self._exited: asyncio.Future[None] = self._loop.create_future()
        self._told_to_end: asyncio.Future[None] = self._loop.create_future()
        self._reaped = False
        self._grace_s = context.settings.close_grace_s
        self._over = math.inf
        """When it has had its time, and what it left in the background too, on the monotonic clock."""
        self.begun: asyncio.Future[None] = self._loop.create_future()
        """Done when its process runs, or never will: from then on it is known to the next daemon, or told."""
        self.ended: asyncio.Future[None] = self._loop.create_future()
        self.buried: asyncio.Future[None] = self._loop.create_future()

    # -- making and taking over -------------------------------------------------------------------------------------

    @classmethod
    def recover(cls, context: Context, held: dict[str, int], own: Callable[[Coroutine[Any, Any, None]], object]) -> Command | None:
        """The command whose descriptors an earlier daemon left under these names; None when it had not begun to exist."""
        state = CommandState.open(held)
        streams = {name: fd for name, fd in held.items() if name in ("stdin", "stdout", "stderr")}
        if state.record is None:
            for fd in streams.values():
                os.close(fd)
            state.close()
            return None
        command = cls(context, state.record, own)
        command._state = state
        command._fds = streams
        return command

    def resume(self, job: dict[str, Any]) -> None:
        """Goes on where the earlier daemon stopped: `job` is what the keeper knows of its process."""
        self.record.pid, self._reaped = job["pid"], job["reaped"]
        if self.record.ended_at is not None:
            self.ended.set_result(None)
        if job["pid"] is None:
            if not self.ended.done():
                self._finish("spawn_failed", "the daemon was killed while it started this command")
            self._own(self._forget())
            return
        if self.record.stopped:
            self.end(self._grace_s)
        self._connect(self._fds)
        if job["status"] is not None:
            self.on_exit(job["status"])
        self._own(self._live())

    async def start(self, argv: Sequence[str], env: dict[str, str], cwd: str) -> None:
        """Spawns its process, and sees it through to its end. Whatever prevents it is told as its failure."""
        record, keeper = self.record, self._context.keeper
        record.started_at, record.started_clock = time.time(), time.monotonic()
        try:
            reserve.require_descriptors("a command")
            resolved = await launch.resolve(list(argv), env, cwd)
            self._state = CommandState.create(record)
            self._state.save()
            record.pid, fds = await keeper.spawn(
                self.key,
                record.command[:LABEL_MOST],
                self._state.held(),
                kind="pipes",
                argv=resolved,
                env=env,
                cwd=cwd,
                stdout=True,
                joined=True,
            )
        except Exception as error:  # not at the daemon's end: then it is as if that had been killed
            known = isinstance(error, CoprocdError)
            self._finish("spawn_failed", str(error) if known else "a bug of coprocd's kept it from starting; the log has it")
            await self._forget()
            if not known:
                raise
            return
        self._save()
        self._begin()
        self._connect(fds)
        self._context.events.append("command.started", record.session, **self._named(), pid=record.pid)
        if self._early_status is not None:
            self.on_exit(self._early_status)
        await self._live()

    def _connect(self, fds: dict[str, int]) -> None:
        self._fds = dict(fds)
        self._over = self.record.started_clock + self._context.settings.command_timeout_s
        stdin = self._fds.pop("stdin", None)
        if stdin is not None:  # of a keeper that knows no `joined`
            os.close(stdin)
            self._own(self._context.keeper.drop(self.key, "stdin"))
        for name, fd in self._fds.items():
            os.set_blocking(fd, False)
            self._loop.add_reader(fd, self._on_output, name)

    # -- what others ask ----------------------------------------------------------------------------------------------

    @property
    def key(self) -> str:
        """The key of its holding."""
        return f"command/{self.record.session}/{self.record.id}"

    @property
    def state(self) -> CommandState | None:
        """What outlives the daemon of it, while it does."""
        return self._state

    def belonging(self) -> Belonging | None:
        """What the keeper is to hold of it; None when that is nothing."""
        return Belonging(self.key, self.record.command[:LABEL_MOST], self._state.held() | self._fds) if self._state is not None else None

    def describe(self, characters: int | None = None) -> CommandObject:
        """How it is now; with `characters`, with so much of the end of its output."""
        record = self.record
        output, left_out = self._told_output()
        shown = output if characters is None else output[-characters:]
        return CommandObject(
            command_id=record.id,
            session=record.session,
            started_by=record.trigger,
            command=record.command,
            pid=record.pid,
            state="completed" if self.ended.done() else "running",
            waiting=record.started_at is None and not self.ended.done(),
            exit_status=record.exit_status,
            signal=record.signal,
            status_source="job",
            failure=record.failure,
            output=shown,
            truncated=bool(left_out) or len(shown) < len(output),
            left_out_bytes=left_out,
            cwd=record.cwd,
            created_at=record.created_at,
            duration_s=self._duration_s(),
            offset_start=None,
            offset_end=None,
        )

    def _duration_s(self) -> float:
        """How long it has run, or ran."""
        started, ended = self.record.started_at, self.record.ended_at
        return max(0.0, (ended if ended is not None else time.time()) - started) if started is not None else 0.0

    # -- its output -----------------------------------------------------------------------------------------------------

    def _told_output(self) -> tuple[str, int]:
        """What is kept of its output, or why there is none; and how many bytes of it were left out."""
        if self._state is None or self._output:
            return self._output, self._left_out_bytes
        return self._state.output(), self._state.left_out_bytes

    def _on_output(self, name: str) -> int:
        """Takes a chunk; 0 when there is nothing more now."""
        if name not in self._fds or self._state is None:
            return 0
        try:
            size = self._state.take(self._context.intake, self._fds[name])
        except BlockingIOError:
            return 0
        except memory.NoMemory:
            self._loop.remove_reader(self._fds[name])
            self._loop.call_later(MEMORY_AGAIN_S, self._read_again, name)
            return 0
        if size == 0:
            self._loop.remove_reader(self._fds[name])
        return size

    def _read_again(self, name: str) -> None:
        if name in self._fds:
            self._loop.add_reader(self._fds[name], self._on_output, name)

    def _take_the_rest(self) -> None:
        """Takes what stands in its pipes now; no more than that, for what it left in the background might print for ever."""
        for name, fd in list(self._fds.items()):
            left = pipes.unread(fd)
            while left > 0 and (size := self._on_output(name)):
                left -= size

    # -- its end --------------------------------------------------------------------------------------------------------

    def on_exit(self, status: dict[str, Any]) -> None:
        """The keeper has seen its process end, perhaps before we knew that it began."""
        if self.record.pid is None:
            self._early_status = status
        elif not self._exited.done():
            self.record.exit_status, self.record.signal = status["exit_status"], status["signal"]
            self._exited.set_result(None)

    def cancel(self, failure: CommandFailure, why: str) -> None:
        """The end of one that has not started, and now will not."""
        self._finish(failure, why)
        self.buried.set_result(None)

    def end(self, grace_s: float) -> None:
        """Has it ended, and all it left in the background; `buried` tells when that is done. One that starts is ended once it runs."""
        self._grace_s = min(self._grace_s, grace_s)
        self.record.stopped = self.record.ended_at is None
        if not self._told_to_end.done():
            self._told_to_end.set_result(None)

    async def _live(self) -> None:
        """From its start, or its taking over, to the end of the last of its group."""
        if not self.ended.done():
            await asyncio.wait([self._exited, self._told_to_end], timeout=self._seconds_left(), return_when=asyncio.FIRST_COMPLETED)
            if not self._exited.done():
                self.record.timed_out = not self._told_to_end.done()
                self._save()
                await self._end_process()
            self._take_the_rest()
            self._finish(self._failure())
        if not self._reaped:  # by the daemon before: the number of its group may be another's
            await self._outlive_group()
        await self._forget()

    def _seconds_left(self) -> float:
        return 0.0 if self._told_to_end.done() else max(0.0, self._over - time.monotonic())

    async def _end_process(self) -> None:
        """SIGTERM to its group, and SIGKILL after the grace; returns when its process has ended, or cannot be killed."""
        keeper = self._context.keeper
        await keeper.signal(self.key, signal.SIGTERM)
        await asyncio.wait([self._exited], timeout=self._grace_s)
        if not self._exited.done():
            await keeper.signal(self.key, signal.SIGKILL)
            await asyncio.wait([self._exited], timeout=KILL_PATIENCE_S)

    async def _outlive_group(self) -> None:
        """Returns when nobody of its group is left. Its process is not reaped before, so the group's number stays its own."""
        keeper = self._context.keeper
        if await self._group_ends(self._seconds_left):
            return
        await keeper.signal(self.key, signal.SIGTERM)
        over = time.monotonic() + self._grace_s
        if not await self._group_ends(lambda: over - time.monotonic()):
            await keeper.signal(self.key, signal.SIGKILL)

    async def _group_ends(self, seconds_left: Callable[[], float]) -> bool:
        """Whether its group has ended before no seconds are left; nothing tells when it does."""
        assert self.record.pid is not None
        poll_s = GROUP_POLL_S
        while await asyncio.to_thread(processes.group_lives, self.record.pid):
            if (left := seconds_left()) <= 0:
                return False
            if self._told_to_end.done():
                await asyncio.sleep(min(GROUP_POLL_S, left))
            else:
                await asyncio.wait([self._told_to_end], timeout=min(poll_s, left))
                poll_s = min(poll_s * 1.5, GROUP_POLL_MOST_S)
        return True

    def _failure(self) -> CommandFailure | None:
        if self.record.timed_out or self.record.stopped:
            return "timed_out" if self.record.timed_out else "stopped"
        if self.record.signal is not None:
            return "signal"
        return None if self.record.exit_status in (0, None) else "exit_status"  # null: nobody was told, which is no failure

    def _finish(self, failure: CommandFailure | None, why: str = "") -> None:
        """It has ended: that is told, and then recorded, so that a daemon killed in between has the next one tell it."""
        record, events = self.record, self._context.events
        record.failure = failure
        record.ended_at = time.time()
        self._output = as_text(why)
        told = {**self._named(), "exit_status": record.exit_status, "signal": record.signal}
        if record.pid is not None:
            events.append("command.ended", record.session, **told, failure=failure, duration_s=self._duration_s())
        if failure not in (None, "stopped"):
            output = self._told_output()[0][-TOLD_CHARACTERS:]
            events.append("trigger.failed", record.session, **told, reason=failure, output=output)
        self._save()
        self._begin()
        if not self.ended.done():
            self.ended.set_result(None)

    def _begin(self) -> None:
        if not self.begun.done():
            self.begun.set_result(None)

    def _named(self) -> dict[str, str]:
        return {"command_id": self.record.id, "trigger": self.record.trigger, "command": self.record.command}

    def _save(self) -> None:
        """Stores its record, where that can be: there is nobody to refuse, and what happens must not stop at it."""
        try:
            if self._state is not None:
                self._state.save()
        except CoprocdError as error:
            log.error("command %s: %s", self.record.id, error)

    async def _forget(self) -> None:
        """Keeps its output here, lets go of all descriptors, and has the keeper do so too."""
        self._take_the_rest()
        if self._state is not None:
            self._output, self._left_out_bytes = self._told_output()
            self._state.close()
            self._state = None
        for fd in self._fds.values():
            self._loop.remove_reader(fd)
            os.close(fd)
        self._fds.clear()
        await self._context.keeper.reap(self.key)
        await self._context.keeper.drop(self.key)
        self.buried.set_result(None)
