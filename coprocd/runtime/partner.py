"""Who reads and types as a coprocess: a job that the keeper starts, or a connection that somebody made.

`Coprocess` says when it begins and why it is to end; a partner does it, and tells `Coprocess.on_exit` of its end. To streams, silence,
stalls and limits the two are the same: pipes. What differs is what they outlive: a job goes on without the daemon, a connection ends with it.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from coprocd.platform import pipes, processes
from coprocd.protocol.errors import CoprocdError
from coprocd.protocol.objects import CoprocessSpec, EndReason
from coprocd.runtime import launch, scope

if TYPE_CHECKING:
    from coprocd.runtime.coprocess import Coprocess

GROUP_POLL_S = 0.05
"""How often it is looked whether the rest of an ended coprocess's group has ended."""

TAKEN_POLL_S = 0.005
"""How often it is looked what a connection has taken: nothing tells."""

CONNECTION = "connection"
"""What `started_by` says of a coprocess that is one."""

LABEL_MOST = 200
"""Characters of its command by which the keeper's register knows it."""


class Partner(Protocol):
    """The other end of a coprocess's streams."""

    outlives_daemon: bool
    """Whether its streams are held by the keeper too."""

    async def start(self, coprocess: Coprocess, spec: CoprocessSpec) -> dict[str, int]:
        """Begins it: our descriptors of its streams, by their names. Its record has been stored."""

    async def finish_stdin(self, patience_s: float) -> None:
        """Our end of its stdin is closed, and nobody else is to have it open; waits while it still takes what it was given."""

    async def terminate(self, reason: EndReason) -> None:
        """Asks it to end."""

    async def kill(self) -> None:
        """Ends it."""

    async def bury(self, grace_left_s: Callable[[], float]) -> None:
        """It has ended: what is left of it goes too, asked at first and killed when no grace is left."""


class Job:
    """A job: a process with its group, the keeper's child."""

    outlives_daemon = True

    def __init__(self, coprocess: Coprocess) -> None:
        self._coprocess = coprocess
        self._keeper = coprocess.session.context.keeper

    async def start(self, coprocess: Coprocess, spec: CoprocessSpec) -> dict[str, int]:
        session, record = coprocess.session, coprocess.record
        env = launch.overlay(session.job_environment() | {"COPROCD_TTY": session.record.tty}, spec.env)
        argv = list(spec.argv) if spec.argv is not None else launch.in_shell(spec.command or "")
        cwd = spec.cwd or session.current_directory()
        argv = scope.entering(session.context.settings.sessions, session.id, await launch.resolve(argv, env, cwd), join=True)
        coprocess.store()
        record.pid, fds = await self._keeper.spawn(
            coprocess.key,
            record.command[:LABEL_MOST],
            coprocess.held(),
            kind="pipes",
            argv=argv,
            env=env,
            cwd=cwd,
            stdout=record.input,
        )
        return fds

    async def finish_stdin(self, patience_s: float) -> None:
        await self._keeper.drop(self._coprocess.key, "stdin")

    async def terminate(self, reason: EndReason) -> None:
        await self._keeper.signal(self._coprocess.key, signal.SIGTERM)

    async def kill(self) -> None:
        await self._keeper.signal(self._coprocess.key, signal.SIGKILL)

    async def bury(self, grace_left_s: Callable[[], float]) -> None:
        """Ends what is left of its group, and gives its pid back; its record and its stderr stay."""
        key, pid = self._coprocess.key, self._coprocess.record.pid
        await self._keeper.drop(key, "stdin", "stdout", "stderr", "pipe_read", "pipe_write")
        if await self._keeper.signal(key, signal.SIGTERM) and pid is not None:
            while (  # noqa: ASYNC110 - nothing tells when a group has ended
                grace_left_s() > 0 and await asyncio.to_thread(processes.group_lives, pid) is not False
            ):
                await asyncio.sleep(GROUP_POLL_S)
            await self._keeper.signal(key, signal.SIGKILL)
        await self._keeper.reap(key)


class Bridge(Protocol):
    """Whoever serves the connection (`coprocd.api.coprocess_socket`): it moves bytes between the connection and two pipes."""

    def begin(self, stdin: int, stdout: int) -> None:
        """The far ends of the pipes, the bridge's to close from now on: what is read from `stdin` is for the connection; `stdout` is −1 for an observer."""

    def close(self, reason: EndReason) -> None:
        """Asks whoever is connected to end, and says why; nothing more of stdin is sent."""

    def abort(self) -> None:
        """Hangs up."""

    @property
    def untaken(self) -> int:
        """How much whoever is connected has still to take; 0 when nothing is on its way. Only a measure: it falls when some is taken."""


class Remote:
    """A connection. Its bridge tells `ended`."""

    outlives_daemon = False

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._coprocess: Coprocess | None = None
        self._gone = False

    async def start(self, coprocess: Coprocess, spec: CoprocessSpec) -> dict[str, int]:
        self._coprocess = coprocess
        coprocess.store()
        await coprocess.session.context.keeper.hold(coprocess.key, coprocess.held())
        ours: dict[str, int] = {}
        far_stdin = far_stdout = -1
        try:
            far_stdin, ours["stdin"] = pipes.create(pipes.CHUNK_BYTES)
            if coprocess.record.input:
                ours["stdout"], far_stdout = pipes.create(pipes.CHUNK_BYTES)
        except OSError as error:
            for fd in (far_stdin, *ours.values()):
                pipes.close(fd)
            raise CoprocdError(
                "resource_exhausted", f"no pipe for a coprocess: {error.strerror}; stop others, or raise the limit of open files"
            ) from error
        self._bridge.begin(far_stdin, far_stdout)
        return ours

    def ended(self, reason: EndReason) -> None:
        """The connection is no more: `exited` when it was closed, `connection_lost` when it was not. Once more, it does nothing."""
        if not self._gone:
            self._gone = True
            if self._coprocess is not None:
                self._coprocess.on_exit({"exit_status": None, "signal": None}, reason)

    async def finish_stdin(self, patience_s: float) -> None:
        loop = asyncio.get_running_loop()
        untaken, over = self._bridge.untaken, loop.time() + patience_s
        while untaken and not self._gone and loop.time() < over:
            await asyncio.sleep(TAKEN_POLL_S)
            if self._bridge.untaken < untaken:
                over = loop.time() + patience_s
            untaken = self._bridge.untaken

    async def terminate(self, reason: EndReason) -> None:
        self._bridge.close(reason)

    async def kill(self) -> None:
        self._bridge.abort()
        self.ended("connection_lost")

    async def bury(self, grace_left_s: Callable[[], float]) -> None:
        assert self._coprocess is not None
        await self._coprocess.session.context.keeper.drop(self._coprocess.key, "pipe_read", "pipe_write")
