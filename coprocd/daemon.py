"""The daemon: composition root. It puts the parts together, serves, and ends; all state is in segments that the keeper holds.

Start: claim the socket → connect to the keeper → take over the intake and every session → serve → tell that it is ready.
End (SIGTERM, `daemon.restart`, `daemon.shutdown`): accept no more → answer what is in progress → go. There is nothing to
save: an end on purpose leaves just what SIGKILL leaves, and the next daemon takes it over in the same way.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import platform
import secrets
import signal
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

from coprocd import __version__
from coprocd.api.claim import Claim, claim_socket
from coprocd.api.limits import ApiLimits
from coprocd.api.listener import Listener
from coprocd.api.methods import handlers
from coprocd.api.rpc import Dispatcher
from coprocd.core.event_log import EventLog
from coprocd.installed import version
from coprocd.keeper import wire
from coprocd.keeper.client import Belonging, KeeperClient
from coprocd.keeper.link import Holdings
from coprocd.platform import memory, peer, pipes, processes, service
from coprocd.protocol import objects, places
from coprocd.runtime import reserve
from coprocd.runtime.context import Context
from coprocd.runtime.intake import Intake
from coprocd.runtime.profiles import Profiles
from coprocd.runtime.sessions import Sessions
from coprocd.settings import Settings

log = logging.getLogger("coprocd.daemon")

PROTOCOL = objects.ProtocolRange(1, 1)
KEY = wire.DAEMON_KEY
GARBAGE_EVERY = 10_000
"""Cycles are looked for after so many new objects: a flood that triggers match makes and forgets them by the thousand, without cycles."""
GARBAGE_OLDER_EVERY = (2, 2)
"""… among older ones each time that so many times have passed: cycles of sessions and connections that have ended wait for no more than some ten megabytes."""

LOST_MOST = 100
"""Names of lost sessions that are told; all are in the log."""


class Daemon:
    """One daemon at `socket_path`. `serve` runs it; the rest is what its methods call."""

    def __init__(self, settings: Settings, socket_path: str) -> None:
        self.settings = settings
        self.socket_path = socket_path
        self.sessions: Sessions
        self.events: EventLog
        self.profiles: Profiles
        self._keeper: KeeperClient
        self._own: dict[str, int] = {}
        self._unclaimed: list[Belonging] | None = None
        self._lost: list[str] = []
        self._exited_early: list[tuple[str, dict[str, Any]]] | None = []
        """Ends of jobs that the keeper told of before the sessions were taken over; None once they are."""
        self._started = time.monotonic()
        self._ended = asyncio.Event()
        self._unlink = False
        self._socket_is_given = False

    async def serve(self, on_ready: Callable[[], None]) -> None:
        """Serves until told to end; `on_ready` is called once calls are answered."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.end)
        self.events = EventLog(
            epoch=secrets.token_hex(8),
            clock=time.time,
            max_events=self.settings.events_most,
            max_bytes=self.settings.events_bytes,
            on_listener_error=lambda error: log.error("a listener to events failed", exc_info=error),
        )
        self._keeper = KeeperClient(self.socket_path, self._belongings, self._on_exited, self._on_jobs_lost)
        holdings, jobs = await self._keeper.connect()
        own = self._own = holdings.pop(KEY, {})
        self._unclaimed = [Belonging(key, None, fds) for key, fds in holdings.items()]
        handed = own.pop("socket", None)
        given = service.listening()
        claim = claim_socket(self.socket_path, *given, socket.socket(fileno=handed) if handed is not None else None)
        self._socket_is_given = claim.socket in given
        await self._hold({"socket": claim.socket.fileno()})
        self.profiles = Profiles(places.config_path(), self.events, lambda names: self.sessions.on_profiles_changed(names))
        await self.profiles.load()
        context = Context(self.settings, self._keeper, await self._intake(own), self.events, self.socket_path, self.profiles)
        self.sessions = Sessions(context)
        await self._take_over(holdings, jobs)
        self.profiles.watch()
        limits = ApiLimits(connections=reserve.most_connections(ApiLimits().connections))
        listener = Listener(claim.socket, self, Dispatcher(handlers(), limits=limits))
        await listener.start()
        if not len(self.sessions):  # else jobs that wait to print come first (docs/decisions/0008)
            await listener.loaded()
        gc.freeze()  # what has been imported stays
        gc.set_threshold(GARBAGE_EVERY, *GARBAGE_OLDER_EVERY)
        log.info("coprocd %s serves %s with %d sessions", __version__, self.socket_path, len(self.sessions))
        on_ready()
        service.notify("READY=1", f"STATUS=Serves {self.socket_path}; took over {len(self.sessions)} sessions")
        service.keep_alive(loop)
        await self._ended.wait()
        await self._stop(listener, claim)

    async def _take_over(self, holdings: Holdings, jobs: list[dict[str, Any]]) -> None:
        """Makes what the daemon before left this one's: its sessions, and the ends of jobs that were told meanwhile."""
        unborn = self.sessions.recover(holdings, jobs)
        self._unclaimed = None  # in the same turn: from now on these descriptors are the sessions' to close
        early, self._exited_early = self._exited_early or [], None
        for key, job in early:
            self._on_exited(key, job)
        await self.sessions.drop_unborn(unborn)
        await self._keeper.settle()

    @property
    def retired(self) -> bool:
        """Whether it has ended, or is about to, and is not to be started again."""
        return self._unlink

    def end(self) -> None:
        """Ends this daemon soon; sessions live on with the keeper."""
        self._ended.set()

    async def make_way(self, keeper: bool) -> None:
        """Prepares an end that the installed version follows; with `keeper`, or where its version is another, the keeper is renewed.

        `version_mismatch` when that version cannot take over: nothing has happened then.
        """
        installed = await version(self.sessions.layouts())
        if keeper or installed != self._keeper.version:
            await self._keeper.renew()

    async def retire(self, sessions: bool) -> int:
        """Prepares an end that no other daemon follows; with `sessions` all of them end first. How many there are."""
        count = await self.sessions.close_all(self.settings.close_grace_s) if sessions else len(self.sessions)
        self._unlink = True
        if sessions:
            await self.sessions.commands.close(self.settings.close_grace_s)
            self.sessions.agents.remove()
        self._own.pop("socket", None)
        await self._keeper.drop(KEY, "socket")
        await self._keeper.retire(end=sessions)
        return count

    def describe(self) -> objects.DaemonInfo:
        return objects.DaemonInfo(
            pid=os.getpid(),
            keeper_pid=self._keeper.pid,
            screen_pid=self.sessions.screens.pid,
            supervisor="systemd" if service.managed() else "keeper",
            version=__version__,
            python=platform.python_version(),
            protocol=PROTOCOL,
            uptime_s=time.monotonic() - self._started,
            socket=self.socket_path,
            log=places.log_path(),
            sessions=len(self.sessions),
            coprocesses=sum(c.running for session in self.sessions for c in session.coprocesses),
            lost=self._lost,
            profiles=self.profiles.names(),
            config_fault=self.profiles.fault,
            limits=self.settings.limits(),
            platform={"memfd": memory.AVAILABLE, "splice": pipes.AVAILABLE, "peer_uid": peer.AVAILABLE, "proc": processes.AVAILABLE},
        )

    async def _intake(self, own: dict[str, int]) -> Intake:
        if "intake" in own:
            return Intake.open(own["intake"], (own["intake_read"], own["intake_write"]))
        intake = Intake.create()
        await self._hold({"intake": intake.segment.fd, "intake_read": intake.pipe[0], "intake_write": intake.pipe[1]})
        return intake

    async def _hold(self, fds: dict[str, int]) -> None:
        """Has descriptors of the daemon itself held, by this keeper and the next."""
        self._own |= fds
        await self._keeper.hold(KEY, fds)

    def _belongings(self) -> Iterator[Belonging]:
        """All that a keeper is to hold for this daemon; until sessions have been taken over, what the keeper before held of them."""
        yield Belonging(KEY, None, self._own)
        if self._unclaimed is not None:
            yield from self._unclaimed
        else:
            for session in self.sessions:
                yield from session.belongings()
            yield from self.sessions.commands.belongings()

    async def _stop(self, listener: Listener, claim: Claim) -> None:
        log.info("ending with %d sessions", len(self.sessions))
        service.notify("STOPPING=1")
        await listener.close()
        await self.sessions.screens.close()
        await self._keeper.has_everything()
        self._keeper.close()
        claim.release(unlink=self._unlink and not self._socket_is_given)

    def _on_exited(self, key: str, job: dict[str, Any]) -> None:
        if self._exited_early is not None:
            self._exited_early.append((key, job))
        else:
            self.sessions.on_exited(key, job)

    def _on_jobs_lost(self, lost: list[dict[str, Any]]) -> None:
        """An earlier daemon and its keeper were killed together: the sessions they had are gone, and that is said."""
        for job in lost:
            kind, _, session = job["key"].partition("/")
            if kind == "session":
                log.error("session %s (%s) was lost: keeper and daemon were killed together", session, job["label"])
                self.events.append("session.lost", session, name=job["label"], pid=job["pid"])
                if len(self._lost) < LOST_MOST:
                    self._lost.append(job["label"])
            elif kind == "command":
                log.error(
                    "a command of session %s (%s) was lost: keeper and daemon were killed together", session.partition("/")[0], job["label"]
                )
