"""Triggers on what happens to a session, in place of a line that it prints: idle, a bell, the job in front, its end.

It owns the clocks and looks that these need, and only while there is a trigger that needs them. A trigger's regex, where it has one,
is tried on what the event is about: the job's name, the variable, the text of a notification.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from coprocd.core.definition import Definition
from coprocd.core.lines import Signal
from coprocd.protocol.objects import TriggerSpec
from coprocd.runtime.actions import Fire

if TYPE_CHECKING:
    from coprocd.runtime.session import Session
    from coprocd.runtime.triggers import Triggers

JOB_LOOK_S = 0.25
"""How often the job in front is looked at, while a trigger wants to know: nothing tells when it changes."""

IDLE_DEFAULT_S = 60.0

SIGNALS_MOST = 100
"""So many of what a job signals wait to fire: more than may fire at once. Of a flood the rest is counted and nothing else."""

_SIGNALLED = ("bell", "notification_posted", "progress", "custom_escape_sequence")


class EventTriggers:
    """Those of one session."""

    def __init__(self, session: Session, triggers: Triggers) -> None:
        self._session = session
        self._triggers = triggers
        self._definitions: list[Definition] = []
        self._wanted: set[str] = set()
        self._loop = asyncio.get_running_loop()
        self._idle_due: dict[str, asyncio.TimerHandle] = {}
        self._idle_told: dict[str, float] = {}
        """When the idleness began for which each has fired."""
        self._moved_at = self._loop.time()
        self._job_due: asyncio.TimerHandle | None = None
        self._job: tuple[int, str] | None = None
        self._signals_waiting = 0
        self._signals_over: dict[str, int] = {}

    @property
    def want_signals(self) -> bool:
        """Whether the output is to be looked through for what is no line."""
        return any(event in self._wanted for event in _SIGNALLED)

    def arrange(self, definitions: Iterable[Definition]) -> None:
        """From now on it is these."""
        self._definitions = [definition for definition in definitions if definition.spec.event is not None]
        self._wanted = {definition.spec.event or "" for definition in self._definitions}
        self._watch_idle()
        if self._wanted & {"job_started", "job_ended"} and self._job_due is None:
            self._job = self._front()
            self._job_due = self._loop.call_later(JOB_LOOK_S, self._look_at_job)

    def close(self) -> None:
        """Looks at nothing any more."""
        self._definitions, self._wanted = [], set()
        for timer in self._idle_due.values():
            timer.cancel()
        self._idle_due.clear()
        if self._job_due is not None:
            self._job_due.cancel()
            self._job_due = None

    def tell(self, event: str, about: bytes, **params: Any) -> None:
        """Something has happened: what wants to know fires, in a turn of its own, so that one event never leads to another without end in one."""
        if event in self._wanted:
            self._loop.call_soon(self._fire, event, about, params)

    def _fire(self, event: str, about: bytes, params: dict[str, Any]) -> None:
        end = self._session.log.end if not self._session.dropped else 0
        about = about.decode(errors="replace").encode()  # what a job sends may be any bytes, and a regex and a record take text alone
        for definition in list(self._definitions):
            spec = definition.spec
            if spec.event != event or any(spec.event_params.get(name, value) != value for name, value in params.items()):
                continue
            found = definition.pattern.search(about) if spec.regex else None
            if spec.regex and found is None:
                continue
            groups = (about,) if found is None else found.groups
            self._triggers.fire(definition, Fire(groups, about, end, end, end))

    # -- output -----------------------------------------------------------------------------------------------------------

    def on_signal(self, signal: Signal) -> None:
        """What the output holds beside lines."""
        if signal.kind == "bell":
            self._signalled("bell", b"")
            return
        number, _, rest = signal.payload.partition(b";")
        if number == b"9" and rest.startswith(b"4;"):
            self._signalled("progress", rest[2:])
        elif number in (b"9", b"777"):
            self._signalled("notification_posted", rest.removeprefix(b"notify;"))
        elif number == b"1337" and rest.startswith(b"Custom="):
            self._signalled("custom_escape_sequence", rest.removeprefix(b"Custom="))

    def _signalled(self, event: str, about: bytes) -> None:
        if event not in self._wanted:
            return
        if self._signals_waiting >= SIGNALS_MOST:
            self._signals_over[event] = self._signals_over.get(event, 0) + 1
            return
        self._signals_waiting += 1
        self._loop.call_soon(self._fire_signal, event, about)

    def _fire_signal(self, event: str, about: bytes) -> None:
        self._signals_waiting -= 1
        self._fire(event, about, {})
        if not self._signals_waiting and self._signals_over:
            over, self._signals_over = self._signals_over, {}
            for definition in self._definitions:
                self._triggers.suppress(definition, over.get(definition.spec.event or "", 0))

    def on_output(self) -> None:
        """Output has come; called once a turn."""
        if not self._wanted:
            return
        now, before = self._loop.time(), self._moved_at
        self._moved_at = now
        if "activity_after_idle" in self._wanted:
            for definition in self._definitions:
                if definition.spec.event == "activity_after_idle" and now - before >= _seconds(definition.spec):
                    self._loop.call_soon(self._fire_one, definition)
        if "idle" in self._wanted and len(self._idle_due) < len(self._definitions):
            self._watch_idle()

    def _fire_one(self, definition: Definition) -> None:
        if definition in self._definitions and self._session.running:
            end = self._session.log.end
            self._triggers.fire(definition, Fire((b"",), b"", end, end, end))

    def _watch_idle(self) -> None:
        """A timer for each that waits for idleness and has not fired since the last output."""
        idle = {definition.id: definition for definition in self._definitions if definition.spec.event == "idle"}
        for gone in self._idle_due.keys() - idle.keys():
            self._idle_due.pop(gone).cancel()
        for definition in idle.values():
            if definition.id not in self._idle_due and self._idle_told.get(definition.id) != self._moved_at and self._session.running:
                self._await_idle(definition)

    def _await_idle(self, definition: Definition) -> None:
        due = self._moved_at + _seconds(definition.spec)
        self._idle_due[definition.id] = self._loop.call_at(due, self._on_idle, definition.id, self._moved_at)

    def _on_idle(self, trigger: str, since: float) -> None:
        del self._idle_due[trigger]
        definition = next(definition for definition in self._definitions if definition.id == trigger)
        if self._moved_at == since:
            self._idle_told[trigger] = since
            self._fire_one(definition)
        else:  # output has come meanwhile
            self._await_idle(definition)

    # -- the job in front -------------------------------------------------------------------------------------------------

    def _front(self) -> tuple[int, str] | None:
        """The process group in front and its name, where it is not the session's own job (a shell at its prompt)."""
        front = self._session.typing.foreground()
        if front is None or front.pid == self._session.record.pid or not front.argv:
            return None
        return front.pid, os.path.basename(front.argv[0])

    def _look_at_job(self) -> None:
        self._job_due = None
        if not self._wanted & {"job_started", "job_ended"} or not self._session.connected:
            return
        before, self._job = self._job, self._front()
        if (before and before[0]) != (self._job and self._job[0]):
            if before is not None:
                self.tell("job_ended", before[1].encode())
            if self._job is not None:
                self.tell("job_started", self._job[1].encode())
        self._job_due = self._loop.call_later(JOB_LOOK_S, self._look_at_job)


def _seconds(spec: TriggerSpec) -> float:
    return float(spec.event_params.get("seconds", IDLE_DEFAULT_S))
