"""All sessions of a daemon: made, found, taken over from the keeper, and dropped when their time has come."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import secrets
import time
from typing import Any

from coprocd.core import trigger_spec
from coprocd.core.definition import Definition
from coprocd.protocol import objects, places
from coprocd.protocol.errors import CoprocdError
from coprocd.runtime import launch, reserve
from coprocd.runtime.agent_link import AgentLink
from coprocd.runtime.commands import Commands
from coprocd.runtime.context import Context
from coprocd.runtime.screens import Screens
from coprocd.runtime.session import Session
from coprocd.runtime.session_state import SessionRecord, SessionState
from coprocd.runtime.tasks import Tasks

log = logging.getLogger("coprocd.sessions")


class Sessions:
    """The sessions by id. Every way to a session is `resolve`."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.agents = AgentLink(places.agent_path(context.socket_path))
        self.commands = context.commands = Commands(context)
        self.screens = context.screens = Screens(context)
        self._sessions: dict[str, Session] = {}
        self._creating: dict[str, asyncio.Task[Session]] = {}
        self._closing: dict[str, asyncio.Task[objects.Session]] = {}
        self._tasks = Tasks("sessions")
        self._loop = asyncio.get_running_loop()
        self._prune_due: asyncio.TimerHandle | None = None

    def __iter__(self) -> Any:
        return iter(list(self._sessions.values()))

    def __len__(self) -> int:
        return len(self._sessions)

    # -- finding ------------------------------------------------------------------------------------------------------

    def resolve(self, ref: str) -> Session:
        """The session with this id, this name (a running one first), or an id that alone begins so."""
        session = self._sessions.get(ref)
        if session is not None:
            return session
        named = [s for s in self._sessions.values() if s.record.name == ref]
        if named:
            return next((s for s in named if s.running), named[-1])
        prefixed = [s for s in self._sessions.values() if s.id.startswith(ref)]
        if len(prefixed) == 1:
            return prefixed[0]
        if prefixed:
            raise CoprocdError(
                "session_ambiguous",
                f"{len(prefixed)} sessions have ids that begin with {ref!r}: {', '.join(s.id for s in prefixed[:5])}; give more of it",
                sessions=[s.id for s in prefixed[:20]],
            )
        raise CoprocdError("session_not_found", f"there is no session {ref!r}; coprocctl list shows those there are", session=ref)

    def select(self, labels: dict[str, str] | None, state: str | None) -> list[Session]:
        """Those that have all of `labels`, and the state."""
        return [
            s
            for s in self._sessions.values()
            if (state is None or s.record.state == state) and all(s.record.labels.get(k) == v for k, v in (labels or {}).items())
        ]

    # -- making -------------------------------------------------------------------------------------------------------

    async def create(self, params: objects.SessionCreate) -> Session:
        """Starts a session; with a `key` seen before it is the session that the key made. It is made even if the caller goes away."""
        if params.key is not None:
            for session in self._sessions.values():
                if session.record.key == params.key and params.key not in self._creating and session.id not in self._closing:
                    return session
        task = self._creating.get(params.key) if params.key is not None else None
        if task is None:
            task = self._tasks.start(self._create(params), told=True)
            if params.key is not None:
                key = params.key
                self._creating[key] = task
                task.add_done_callback(lambda _: self._creating.pop(key, None))
        return await asyncio.shield(task)

    async def _create(self, params: objects.SessionCreate) -> Session:
        if params.argv is not None and params.shell is not None:
            raise CoprocdError("invalid_params", "a session takes `argv` (run as it is) or `shell` (run by /bin/sh), not both")
        if params.coprocess is not None and isinstance(params.coprocess.from_, int) and params.coprocess.from_ > 0:
            raise CoprocdError("invalid_params", "a coprocess that starts with its session sees it from byte 0; leave its `from` out")
        self.context.profiles.require(params.profile)
        triggers = [trigger_spec.made({name: getattr(given, name) for name in trigger_spec.FIELDS}) for given in params.triggers]
        base = {} if params.clear_env else launch.base_environment()
        env = {"TERM": launch.DEFAULT_TERM} | launch.overlay(base, params.env)
        if self.context.settings.sessions.ssh_auth_link:
            env = await self.agents.choose(env, params.env.get("SSH_AUTH_SOCK"))
        argv = params.argv or (launch.in_shell(params.shell) if params.shell is not None else launch.login_shell(env))
        cwd = params.cwd if params.cwd is not None else launch.home()
        if params.name is not None:
            self._require_free(params.name)
        resolved = await launch.resolve(argv, env, cwd)
        if params.name is not None:
            self._require_free(params.name)
        record = SessionRecord(
            id="s" + secrets.token_hex(5),
            name=params.name if params.name is not None else self._free_name(argv[0]),
            argv=argv,
            env=env,
            cwd=cwd,
            rows=params.rows,
            cols=params.cols,
            created_at=time.time(),
            log_bytes=params.log_bytes,
            labels=params.labels,
            profile=params.profile,
            triggers=[Definition("t" + secrets.token_hex(5), spec) for spec in triggers],
            key=params.key,
            lease_s=params.lease_s,
            renewed_clock=time.monotonic(),
            remove=params.remove,
            made=False,
            drawn=True,
        )
        reserve.require_descriptors("a session")
        session = Session(self.context, SessionState.create(record, self.context.settings.input_queue_bytes))
        self._sessions[session.id] = session
        try:
            session.trigger_list.set_profile(self.context.profiles.of(params.profile))
            await session.start(resolved)
            # In the same turn in which the pump was connected: its cursor stands before the first byte.
            self.context.events.append("session.created", session.id, name=record.name, argv=argv, pid=record.pid)
            self._require_open(session)
            if params.coprocess is not None:
                params.coprocess.from_ = 0
                await session.coprocesses.start(params.coprocess)
                self._require_open(session)
            record.made = True
            session.save()
        except BaseException:
            if session.id not in self._closing:
                await self.close(session, 0)
            raise
        self._watch_lease(session)
        log.info("session %s started: pid %s", session.id, record.pid)
        return session

    def _require_open(self, session: Session) -> None:
        """`session_exited` for one that somebody closes, or has closed, while it is made."""
        if session.id in self._closing or session.id not in self._sessions:
            raise CoprocdError("session_exited", f"session {session.record.name} was closed while it started", session=session.id)

    def _require_free(self, name: str) -> None:
        for session in self._sessions.values():
            if session.record.name == name and session.running:
                raise CoprocdError(
                    "name_taken", f"session {session.id} is named {name!r} and runs; give another name, or close it", session=session.id
                )

    def _free_name(self, command: str) -> str:
        """A name for a session that was given none: its command's, with a number where that is taken."""
        stem = re.sub(r"[/\x00-\x1f]", "", os.path.basename(command)).lstrip("@-")[:200] or "session"
        taken = {s.record.name for s in self._sessions.values() if s.running}
        return next(name for n in range(1, len(taken) + 2) if (name := stem if n == 1 else f"{stem}-{n}") not in taken)

    async def rename(self, session: Session, name: str) -> None:
        if name != session.record.name:
            self._require_free(name)
            old, session.record.name = session.record.name, name
            try:
                session.save()
            except CoprocdError:
                session.record.name = old
                raise
            await self.context.keeper.hold(session.key, {}, label=name)
            self.context.events.append("session.renamed", session.id, name=name, old_name=old)

    def renew(self, session: Session) -> None:
        """Begins its lease anew."""
        if not session.running:
            raise session.exited_error()
        session.record.renewed_clock = time.monotonic()
        session.save()

    # -- taking over --------------------------------------------------------------------------------------------------

    def recover(self, holdings: dict[str, dict[str, int]], jobs: list[dict[str, Any]]) -> list[str]:
        """Takes over all that an earlier daemon left with the keeper; the keys of what had not come to life, which `drop_unborn` takes."""
        by_key = {job["key"]: job for job in jobs}
        unborn = list(self.commands.recover(holdings))
        none = {"pid": None, "status": None, "reaped": True}
        for key, held in holdings.items():
            kind, _, session_id = key.partition("/")
            if kind == "session":
                session = Session.recover(self.context, held)
                if session is None:
                    unborn.append(key)
                else:
                    self._sessions[session_id] = session
        for key, held in holdings.items():
            if key.startswith("coprocess/"):
                session = self._sessions.get(key.split("/")[1])
                if session is None:
                    for fd in held.values():
                        os.close(fd)
                if session is None or not session.coprocesses.recover(held):
                    unborn.append(key)
        self.context.intake.recover([*self.commands.rings(), *(ring for session in self for ring in session.rings())])
        self.commands.resume(by_key)
        for session in self:
            session.resume(by_key.get(session.key, none))
            for coprocess in session.coprocesses:
                coprocess.resume(by_key.get(coprocess.key, none))
            session.trigger_list.set_profile(self.context.profiles.of(session.record.profile))
            session.resume_triggers()
            if not session.job_lives:
                self._tasks.start(self._after_exit(session))
            self._watch_lease(session)
        return unborn

    async def drop_unborn(self, keys: list[str]) -> None:
        """The end of taking over."""
        for key in keys:
            await self.context.keeper.drop(key)
        self.prune()

    def layouts(self) -> dict[str, set[int]]:
        """The layouts of all that another daemon would take over."""
        found: dict[str, set[int]] = {"intake": {self.context.intake.segment.layout}, "command": self.commands.layouts()}
        for session in self:
            for kind, number in session.state.layouts().items():
                found.setdefault(kind, set()).add(number)
            found.setdefault("coprocess", set()).update(coprocess.layout for coprocess in session.coprocesses)
        return found

    def on_profiles_changed(self, names: list[str]) -> None:
        """The triggers of these profiles are others now."""
        for session in self:
            if session.record.profile in names:
                session.trigger_list.set_profile(self.context.profiles.of(session.record.profile))

    def on_exited(self, key: str, job: dict[str, Any]) -> None:
        """The keeper has seen a job end."""
        kind, _, rest = key.partition("/")
        if kind == "command":
            self.commands.on_exited(key, job)
            return
        session = self._sessions.get(rest.partition("/")[0])
        if session is None:
            return
        if kind == "session":
            session.on_exit(job["status"])
            self._tasks.start(self._after_exit(session))
        else:
            for coprocess in session.coprocesses:
                if coprocess.key == key:
                    coprocess.on_exit(job["status"])

    # -- dropping -----------------------------------------------------------------------------------------------------

    async def close(self, session: Session, grace_s: float) -> objects.Session:
        """Ends it, and drops it with its log: how it was at its end. A second caller can only shorten the grace of the first."""
        task = self._closing.get(session.id)
        if task is None:
            task = self._closing[session.id] = self._tasks.start(self._close(session, grace_s))
            task.add_done_callback(lambda _: self._closing.pop(session.id, None))
        else:
            self._tasks.start(session.kill_after(grace_s))
        return await asyncio.shield(task)

    async def _close(self, session: Session, grace_s: float) -> objects.Session:
        await session.close(grace_s)
        result = session.describe()
        if self._sessions.pop(session.id, None) is not None:
            await session.forget()
            left = {"left_pid": session.record.pid} if session.running else {}
            self.context.events.append("session.closed", session.id, name=session.record.name, **left)
            log.info("session %s dropped", session.id)
        return result

    async def close_all(self, grace_s: float) -> int:
        """Closes every session; their number."""
        results = await asyncio.gather(*(self.close(session, grace_s) for session in self))
        return len(results)

    async def _after_exit(self, session: Session) -> None:
        await session.exited()
        if session.record.remove:
            await session.viewers.served()
            await self._drop(session, self.context.settings.close_grace_s)
        self.prune()

    def prune(self) -> None:
        """Drops ended sessions that are too many or too old, and comes back when the next one is."""
        settings, now = self.context.settings, time.monotonic()
        ended = sorted((s for s in self._sessions.values() if s.record.drained), key=lambda s: s.record.ended_clock)
        late = [s for s in ended if s.record.ended_clock + settings.ended_sessions_s <= now]
        surplus = ended[: max(0, len(ended) - settings.ended_sessions_most)]
        for session in {s.id: s for s in late + surplus}.values():
            self._tasks.start(self._drop(session, 0))
        if self._prune_due is not None:
            self._prune_due.cancel()
            self._prune_due = None
        left = [s for s in ended if s not in late]
        if left:
            self._prune_due = self._loop.call_later(max(0.1, left[0].record.ended_clock + settings.ended_sessions_s - now), self.prune)

    async def _drop(self, session: Session, grace_s: float) -> None:
        """Closes it, if nobody has meanwhile."""
        if session.id in self._sessions:
            await self.close(session, grace_s)

    def _watch_lease(self, session: Session) -> None:
        """Closes it when its lease was not renewed in time."""
        lease = session.record.lease_s
        if lease is None or not session.running or session.id not in self._sessions:
            return
        left = session.record.renewed_clock + lease - time.monotonic()
        if left > 0:
            self._loop.call_later(left, self._watch_lease, session)
        else:
            log.info("session %s: its lease of %g s was not renewed", session.id, lease)
            self._tasks.start(self._drop(session, self.context.settings.close_grace_s))
