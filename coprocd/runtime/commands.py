"""All commands of a daemon, those that triggers started: so many run at once, others wait for their turn, more are refused.

Those that run outlive the daemon, as sessions do. Those that wait are this daemon's alone, and so are the ended ones it remembers.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from coprocd.keeper.client import Belonging
from coprocd.protocol.errors import CoprocdError
from coprocd.runtime.command import Command, as_text
from coprocd.runtime.command_state import CommandRecord
from coprocd.runtime.ring_file import RingFile
from coprocd.runtime.tasks import Tasks

if TYPE_CHECKING:
    from coprocd.runtime.context import Context
    from coprocd.runtime.session import Session

PREFIX = "command/"
"""Of the keys of their holdings."""

ENDED_MOST = 100
"""Ended commands kept, with their output."""


class Commands:
    """In the order in which they were asked for. `run` starts one; nothing of a session depends on them."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._all: dict[str, Command] = {}
        self._waiting: deque[tuple[Command, Sequence[str], dict[str, str], str]] = deque()
        self._places: set[Command] = set()
        self._tasks = Tasks("commands")

    @property
    def running(self) -> int:
        """How many have a place among those that run: one that has ended keeps it until nobody of its group is left."""
        return len(self._places)

    def list(self, session_id: str | None = None) -> Sequence[Command]:
        """Those that run or wait, and the last that have ended; `session_id` for those of one session's triggers."""
        return [command for command in self._all.values() if session_id in (None, command.record.session)]

    def find(self, command_id: str) -> Command:
        """`command_not_found` when it has never been, or was too long ago."""
        command = self._all.get(command_id)
        if command is None:
            raise CoprocdError(
                "command_not_found",
                f"there is no command {command_id!r}; of those that have ended this daemon remembers {ENDED_MOST}, command.list shows them",
                command_id=command_id,
            )
        return command

    # -- making -------------------------------------------------------------------------------------------------------

    def new_id(self) -> str:
        """An id for one that is to be run: so it can be known before it is."""
        return "x" + secrets.token_hex(5)

    def run(
        self, session: Session, trigger_id: str, argv: Sequence[str], shown: str, env: dict[str, str], cwd: str, known_as: str | None = None
    ) -> Command:
        """Starts `argv`, as soon as there is a place for it. Never raises: what goes wrong is its failure, and an event."""
        record = CommandRecord(
            id=known_as or self.new_id(),
            session=session.id,
            trigger=trigger_id,
            command=as_text(shown),
            cwd=as_text(cwd),
            created_at=time.time(),
        )
        command, most = Command(self._context, record, self._tasks.start), self._context.settings.commands_waiting_most
        if self.running >= self._context.settings.commands_most and len(self._waiting) >= most:
            command.cancel("too_many_commands", f"{self.running} commands run and {most} wait for their turn: this one was not started")
            return command
        self._all[record.id] = command
        self._waiting.append((command, argv, env, cwd))
        self._start_waiting()
        return command

    def _start_waiting(self) -> None:
        while self._waiting and self.running < self._context.settings.commands_most:
            command, argv, env, cwd = self._waiting.popleft()
            self._place(command)
            self._tasks.start(command.start(argv, env, cwd))

    def _place(self, command: Command) -> None:
        self._places.add(command)
        command.buried.add_done_callback(lambda _: self._give_place_back(command))

    def _give_place_back(self, command: Command) -> None:
        self._places.discard(command)
        ended = [other for other in self._all.values() if other.buried.done()]
        for old in ended[:-ENDED_MOST]:
            del self._all[old.record.id]
        self._start_waiting()

    # -- taking over --------------------------------------------------------------------------------------------------

    def recover(self, holdings: dict[str, dict[str, int]]) -> Sequence[str]:
        """Takes over those that an earlier daemon left; the keys of what had not come to life. `resume` must follow, after the intake's own recovery."""
        unborn, found = [], []
        for key, held in holdings.items():
            if key.startswith(PREFIX):
                command = Command.recover(self._context, held, self._tasks.start)
                if command is None:
                    unborn.append(key)
                else:
                    found.append(command)
        for command in sorted(found, key=lambda command: command.record.created_at):
            self._all[command.record.id] = command
            self._place(command)
        return unborn

    def resume(self, jobs: dict[str, dict[str, Any]]) -> None:
        """Goes on with what was taken over; `jobs` is what the keeper knows of processes, by key."""
        for command in list(self._places):
            command.resume(jobs.get(command.key, {"pid": None, "status": None, "reaped": True}))

    def rings(self) -> Iterator[RingFile]:
        """Every ring into which the intake may have been moving."""
        for command in self._places:
            if command.state is not None:
                yield from command.state.rings()

    def layouts(self) -> set[int]:
        """The layouts of all that another daemon would take over."""
        return {command.state.layout for command in self._places if command.state is not None}

    def belongings(self) -> Iterator[Belonging]:
        """What a keeper is to hold of them."""
        for command in self._places:
            belonging = command.belonging()
            if belonging is not None:
                yield belonging

    def on_exited(self, key: str, job: dict[str, Any]) -> None:
        """The keeper has seen the job of one end."""
        command = self._all.get(key.rpartition("/")[2])
        if command is not None:
            command.on_exit(job["status"])

    # -- the end ------------------------------------------------------------------------------------------------------

    async def close(self, grace_s: float) -> None:
        """Ends all of them, and what they left in the background; those that wait are not started."""
        while self._waiting:
            self._waiting.popleft()[0].cancel("stopped", "the daemon ends with all that it runs: this command was not started")
        for command in self._places:
            command.end(grace_s)
        if self._places:
            await asyncio.wait([command.buried for command in self._places])
