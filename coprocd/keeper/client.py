"""The keeper as the daemon sees it: one that is always there, though the process may die and another take its place.

When the connection ends, the daemon connects again, to the same keeper, or to another that it starts (or, where one is in
charge, the service manager does). What it has of every session, its descriptors and pidfds, goes to the new keeper; then what
had not been answered is asked again. Only a start of a job is not: it may have happened, and whoever asked for it is told.
"""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from coprocd.keeper import wire
from coprocd.keeper.link import Holdings, Link, LinkLost
from coprocd.protocol import places
from coprocd.protocol.errors import CoprocdError

log = logging.getLogger("coprocd.keeper.client")

CONNECT_EVERY_S = 0.05
"""How often a keeper is looked for that is about to be there."""

START_AGAIN_S = 10.0
"""A keeper that was started and does not answer for so long is started again."""

END_PATIENCE_S = 10.0
"""For how long the daemon's end waits for a keeper that holds everything: without one, all sessions would end with the daemon."""

SPAWN_PATIENCE_S = 20.0
"""For how long a start waits for a keeper, when there is none."""


@dataclass
class Belonging:
    """What is to be held under one key: a session, a coprocess, or the daemon's own."""

    key: str
    label: str | None
    fds: dict[str, int]


@dataclass
class _Job:
    """What is known of the job under one key; `pidfd` is ours."""

    pid: int
    pidfd: int
    status: dict[str, Any] | None = None
    reaped: bool = False

    def close(self) -> None:
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1


class KeeperClient:
    """The daemon's keeper. `connect` first; every operation waits while there is none."""

    def __init__(
        self,
        socket_path: str,
        belongings: Callable[[], Iterable[Belonging]],
        on_exited: Callable[[str, dict[str, Any]], None],
        on_lost_jobs: Callable[[list[dict[str, Any]]], None],
    ) -> None:
        """`belongings()` is all that a new keeper is to hold; `on_exited(key, job)` is called once when a job has ended.

        `on_lost_jobs` is told what an earlier keeper held and no daemon had: {key, label, pid}.
        """
        self.pid = 0
        self.version = ""
        self._socket_path = socket_path
        self._path = places.keeper_socket_path(socket_path)
        self._belongings = belongings
        self._on_exited = on_exited
        self._on_lost_jobs = on_lost_jobs
        self._jobs: dict[str, _Job] = {}
        self._open_files: int | None = None
        self._managed = False
        self._link: Link | None = None
        self._linked = asyncio.Event()
        self._closed = False
        self._follows = False
        """Whether the keeper ends with this daemon."""
        self._settled = False
        self._succession: asyncio.Task[None] | None = None
        self._started: subprocess.Popen[bytes] | None = None

    async def connect(self) -> tuple[Holdings, list[dict[str, Any]]]:
        """The first connection, and all that the keeper holds, as descriptors of our own; and all jobs: {key, pid, status, reaped}."""
        holdings: Holdings = {}
        try:
            self._link = await Link.connect(self._path, self._on_event, self._on_link_lost)
            self._greet(self._link)
            self.pid = int(self._link.hello["pid"])
            message, _ = await self._link.request({"op": "holdings"}, holdings=holdings)
        except LinkLost as error:
            raise CoprocdError("internal", f"the keeper at {self._path} ended while it was asked what it holds; start again") from error
        except TimeoutError as error:
            raise CoprocdError("internal", f"the keeper at {self._path} is stopped, or very busy: it does not answer") from error
        except OSError as error:
            raise CoprocdError("internal", f"no keeper is at {self._path}: {error.strerror}; start with coprocctl daemon start") from error
        for job in message["jobs"]:
            pidfd = holdings.get(job["key"], {}).pop("pidfd", -1)
            if job["pid"] is not None:
                self._jobs[job["key"]] = _Job(job["pid"], pidfd, job["status"], job["reaped"])
        self._linked.set()
        return holdings, message["jobs"]

    async def settle(self) -> None:
        """Tells that all which lives has been claimed: the rest of what an earlier keeper knew is ended, and told of."""
        reply, _ = await self._request({"op": "settle"})
        self._settled = True
        if reply["lost"]:
            self._on_lost_jobs(reply["lost"])

    async def spawn(self, key: str, label: str, held: dict[str, int], **job: Any) -> tuple[int, dict[str, int]]:
        """Starts a job under `key`, with the descriptors `held` held beside it: its pid, and its own descriptors.

        `job` is kind `pty` (argv, env, cwd, rows, cols) or `pipes` (argv, env, cwd, stdout, joined?). `spawn_failed` says why not.
        """
        try:
            async with asyncio.timeout(SPAWN_PATIENCE_S):
                link = await self._any_link()
        except TimeoutError:
            raise CoprocdError("spawn_failed", "the keeper, which starts jobs, is gone and no other is there yet; try again") from None
        try:
            message, fds = await link.request({"op": "spawn", "key": key, "label": label, "names": list(held), **job}, list(held.values()))
        except LinkLost:
            raise CoprocdError("spawn_failed", "the keeper was killed while it started the job, which was ended; try again") from None
        own = dict(zip(message["names"], fds, strict=True))
        self._jobs[key] = _Job(int(message["pid"]), own.pop("pidfd", -1))
        return int(message["pid"]), own

    async def hold(self, key: str, held: dict[str, int], label: str | None = None) -> None:
        """Has descriptors held under `key`, beside what is there; with `label`, under another name."""
        await self._request(self._hold(key, held, label), list(held.values()))

    async def drop(self, key: str, *names: str) -> None:
        """Has descriptors under `key` closed; without names all of them, and what is left of the job killed."""
        if not names:
            job = self._jobs.pop(key, None)
            if job is not None:
                job.close()
        await self._request({"op": "drop", "key": key, **({"names": names} if names else {})})

    async def signal(self, key: str, number: int) -> bool:
        """Signals the process group of the job under `key`; whether there was one."""
        message, _ = await self._request({"op": "signal", "key": key, "signal": number})
        return bool(message["delivered"])

    async def reap(self, key: str) -> None:
        """Gives the pid of the ended job under `key` back to the system; its group can be signalled no more."""
        await self._request({"op": "reap", "key": key})
        job = self._jobs.get(key)
        if job is not None:
            job.reaped = True
            job.close()

    async def retire(self, end: bool) -> None:
        """Tells that this daemon ends on purpose; with `end` the keeper follows it."""
        self._follows = end
        await self._request({"op": "retire", "end": end})

    async def renew(self) -> None:
        """Has the keeper become the installed version of itself; `version_mismatch` when that one cannot take over."""
        reply, _ = await self._request({"op": "renew"})
        self.version = str(reply.get("software", self.version))

    async def has_everything(self) -> None:
        """Returns when a keeper holds all that is held, after a while even if none does: what asks is about to end."""
        try:
            async with asyncio.timeout(END_PATIENCE_S):
                await self._request({"op": "jobs"})
        except TimeoutError:
            log.error("no keeper has answered within %g s", END_PATIENCE_S)

    def close(self) -> None:
        """Ends the connection; once more does nothing. What is asked now waits for ever, as if the daemon had been killed: the next one sees to it."""
        self._closed = True
        self._linked.clear()
        if self._succession is not None:
            self._succession.cancel()
        if self._link is not None:
            self._link.close()
        for job in self._jobs.values():
            job.close()

    # -- requests -------------------------------------------------------------------------------------------------------

    async def _request(self, message: wire.Message, fds: Sequence[int] = ()) -> tuple[wire.Message, list[int]]:
        """Asks until it is answered: what is asked this way may be done twice."""
        while not self._follows or self._linked.is_set() or self._succession is not None:
            link = await self._any_link()
            try:
                return await link.request(message, fds)
            except LinkLost:
                pass
        return {"id": None, "delivered": False, "lost": []}, []  # it was the end, and the keeper's came first

    async def _any_link(self) -> Link:
        await self._linked.wait()
        assert self._link is not None
        return self._link

    def _hold(self, key: str, held: dict[str, int], label: str | None, job: _Job | None = None) -> wire.Message:
        message: wire.Message = {"op": "hold", "key": key, "names": list(held)}
        if label is not None:
            message["label"] = label
        if job is not None:
            message["job"] = {"pid": job.pid, "status": job.status, "reaped": job.reaped}
        return message

    def _greet(self, link: Link) -> None:
        self.version = str(link.hello["software"])
        self._open_files = int(link.hello["open_files"])
        self._managed = bool(link.hello["managed"])

    def _on_event(self, message: wire.Message) -> None:
        if message.get("event") == "exited":
            self._tell_exited(message["key"], message)

    def _tell_exited(self, key: str, told: dict[str, Any]) -> None:
        job = self._jobs.get(key)
        if job is None:
            self._on_exited(key, told)  # it has ended before its start was answered
        elif job.status is None:
            job.status = told["status"]
            self._on_exited(key, told)

    # -- succession -----------------------------------------------------------------------------------------------------

    def _on_link_lost(self) -> None:
        self._linked.clear()
        if self._succession is None and not self._closed and not self._follows:
            log.error("the keeper (pid %d) is gone, or has cut this daemon off", self.pid)
            self._succession = asyncio.get_running_loop().create_task(self._succeed())

    async def _succeed(self) -> None:
        """Finds another keeper, or the same again, and hands everything over."""
        try:
            while True:
                try:
                    await self._hand_over(await self._another_link())
                    return
                except (LinkLost, OSError, TimeoutError, CoprocdError) as error:
                    log.error("no keeper took over: %s", error)
                    await asyncio.sleep(CONNECT_EVERY_S * 10)
        finally:
            self._succession = None

    async def _another_link(self) -> Link:
        loop = asyncio.get_running_loop()
        start_at = loop.time() + CONNECT_EVERY_S  # the one that we know may be there, and only have cut us off
        while True:
            try:
                return await Link.connect(self._path, self._on_event, self._on_link_lost)
            except (OSError, LinkLost):
                pass
            if loop.time() >= start_at and not self._managed:
                self._start_another()
                start_at = loop.time() + START_AGAIN_S
            await asyncio.sleep(CONNECT_EVERY_S)

    def _start_another(self) -> None:
        if self._started is not None:
            self._started.poll()
        command = [sys.executable, "-P", "-m", "coprocd.keeper", "--socket", self._socket_path, "--successor"]
        command += ["--open-files", str(self._open_files)]
        self._started = subprocess.Popen(command, stdin=subprocess.DEVNULL, cwd="/", start_new_session=True)

    async def _hand_over(self, link: Link) -> None:
        """Has everything held, what has been lost ended, and the ends of jobs told that came meanwhile."""
        self._greet(link)
        answers = []
        for belonging in self._belongings():
            job = self._jobs.get(belonging.key)
            fds = {name: fd for name, fd in belonging.fds.items() if fd >= 0}
            if job is not None and job.pidfd >= 0:
                fds["pidfd"] = job.pidfd
            message = self._hold(belonging.key, fds, belonging.label, job)
            answers.append(asyncio.ensure_future(link.request(message, list(fds.values()))))
        await asyncio.gather(*answers)
        if self._settled:  # else this daemon has not yet said what it has: `settle` will be asked again
            reply, _ = await link.request({"op": "settle"})
            for cut in reply["lost"]:
                log.warning("%s (%s) was being started or dropped when the keeper was killed: it is ended", cut["key"], cut["label"])
        message, _ = await link.request({"op": "jobs"})
        for told in message["jobs"]:
            if told["status"] is not None and told["key"] in self._jobs:
                self._tell_exited(told["key"], told)
        if not link.alive:
            raise LinkLost("it took everything over, and was killed")
        self.pid = int(link.hello["pid"])
        log.warning("keeper %d holds everything now", self.pid)
        self._link = link
        self._linked.set()
