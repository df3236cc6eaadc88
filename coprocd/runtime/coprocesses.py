"""The coprocesses of one session: the one that types, the observers, and the last that ended."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING

from coprocd.protocol.errors import CoprocdError
from coprocd.protocol.objects import CoprocessSpec
from coprocd.runtime import reserve
from coprocd.runtime.coprocess import Coprocess
from coprocd.runtime.partner import CONNECTION, Partner

if TYPE_CHECKING:
    from coprocd.runtime.session import Session


class Coprocesses:
    """In the order in which they were started."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._all: list[Coprocess] = []

    def __iter__(self) -> Iterator[Coprocess]:
        return iter(self._all)

    @property
    def typing(self) -> Coprocess | None:
        """The one that types and has not ended."""
        return next((c for c in self._all if c.running and c.record.input), None)

    @property
    def last_typing(self) -> Coprocess | None:
        """The one that types, else the last that did."""
        return self.typing or next((c for c in reversed(self._all) if c.record.input), None)

    def find(self, name: str | None) -> Coprocess | None:
        """The one that runs under this name or id; without, the one that types."""
        if name is None:
            return self.typing
        return next((c for c in self._all if c.running and name in (c.record.name, c.record.id)), None)

    def recover(self, held: dict[str, int]) -> bool:
        """Takes over one that an earlier daemon started; False when it had not begun to exist."""
        coprocess = Coprocess.recover(self._session, held)
        if coprocess is None:
            return False
        self._all = sorted([*self._all, coprocess], key=lambda c: c.record.started_at)
        return True

    async def run(self, spec: CoprocessSpec, started_by: str = "rpc", partner: Partner | None = None) -> Coprocess:
        """As `start`, for a caller who wants to be told when it was ended before it was started."""
        coprocess = await self.start(spec, started_by, partner)
        session = self._session
        if session.closing or coprocess.ended_while_starting == "session_ended":
            how = "was closed" if session.closing else "ended"
            raise CoprocdError("session_exited", f"session {session.record.name} {how} while its coprocess started", session=session.id)
        if coprocess.ended_while_starting == "stopped":
            raise CoprocdError(
                "no_coprocess", f"coprocess {coprocess.record.id} was stopped while it started", coprocess=coprocess.record.id
            )
        return coprocess

    async def start(self, spec: CoprocessSpec, started_by: str = "rpc", partner: Partner | None = None) -> Coprocess:
        """Starts a coprocess, its cursor set in this very turn; it returns once it is spawned. `partner` is for one that is no job."""
        coprocess = self.open(spec, started_by, partner=partner)
        await self.spawn(coprocess, spec)
        return coprocess

    def open(
        self,
        spec: CoprocessSpec,
        started_by: str,
        shown_to: int | None = None,
        known_as: str | None = None,
        partner: Partner | None = None,
    ) -> Coprocess:
        """A coprocess whose cursor and silence stand from this instant; `spawn` must follow.

        `shown_to`: what viewers were told of ends here, and silence begins no sooner. `known_as`: the id that it has been given already.
        """
        self._check(spec, started_by)
        reserve.require_descriptors("a coprocess")
        session = self._session
        log, now = session.log, session.log.end
        offset = self._start_offset(spec.from_)
        if not log.retained_from <= offset <= now:
            raise CoprocdError(
                "offset_lost" if offset < now else "invalid_params",
                f"session {session.record.name} holds its output from offset {log.retained_from} to {now}, and {offset} is not in it; "
                "give an offset in between, or `now`",
                retained_from=log.retained_from,
                output_offset=now,
            )
        coprocess = Coprocess.create(session, spec, offset, started_by, known_as, partner)
        if spec.silent:
            silent_from = now if shown_to is None else max(offset, shown_to)
            if not log.silence.open(silent_from, log.retained_from):
                coprocess.release()
                raise CoprocdError("resource_exhausted", "the log holds too many silent ranges; they go as it moves on")
            coprocess.record.silent_from = silent_from
        self._all.append(coprocess)
        return coprocess

    async def spawn(self, coprocess: Coprocess, spec: CoprocessSpec) -> None:
        """Starts the process of one that was opened."""
        # In a task of its own: a caller that goes away must not leave one half started.
        await asyncio.shield(self._session.own(coprocess.start(spec), told=True))

    def _check(self, spec: CoprocessSpec, started_by: str) -> None:
        session, running = self._session, self.typing
        if (spec.command is None) == (spec.argv is None):
            raise CoprocdError("invalid_params", "a coprocess takes `command` (run by /bin/sh) or `argv` (run as it is), one of the two")
        if spec.input and spec.on_full == "drop":
            raise CoprocdError(
                "invalid_params", "on_full `drop` is for observers (input: false): one that types sees an exact run of the output"
            )
        if spec.silent and not spec.input:
            raise CoprocdError("invalid_params", "an observer cannot be silent: it only looks on")
        if not session.connected or session.closing:
            raise session.exited_error()
        if spec.input and running is not None:
            what = "a connection" if running.record.started_by == CONNECTION else f"pid {running.record.pid}"
            session.context.events.append(
                "coprocess.refused", session.id, command=spec.command or "", running=running.record.id, started_by=started_by
            )
            raise CoprocdError(
                "coprocess_already_running",
                f"session {session.record.name} runs the coprocess {running.record.command!r} ({what}, {running.record.id}); "
                "stop it first (coprocctl stop-coprocess), or run an observer (--observe)",
                coprocess=running.record.id,
                command=running.record.command,
            )
        if spec.name is not None and self.find(spec.name) is not None:
            raise CoprocdError(
                "name_taken", f"a coprocess of session {session.record.name} is named {spec.name!r} and runs; give another name"
            )

    def _start_offset(self, start: str | int) -> int:
        """The offset that `from` names."""
        session = self._session
        if start == "line":
            return session.log.line_start()
        if start == "question":
            return session.log.last_line_start(session.state.typed_at) if session.typing.awaits_line() else session.log.end
        return start if isinstance(start, int) else session.log.end

    def forget_oldest(self) -> None:
        """Drops ended ones over the number that is kept."""
        most = self._session.context.settings.ended_coprocesses_most
        last = self.last_typing
        for old in [c for c in self._all if not c.running and c is not last][:-most]:
            self._all.remove(old)
            self._session.own(old.forget())

    async def forget(self) -> None:
        """Drops them all; they must have ended."""
        for coprocess in self._all:
            await coprocess.forget()
        self._all.clear()
