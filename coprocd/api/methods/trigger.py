"""`trigger.*`: regular expressions on what sessions print, and what is done then.

A trigger is a session's own (`session.trigger_list` has it) or stands in a profile (`daemon.profiles` has it, in config.toml). All is
valid before anything is changed.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from coprocd.api.call import Call
from coprocd.api.methods import session as sessions
from coprocd.core import iterm2, regex, trial, trigger_spec
from coprocd.core.definition import Definition
from coprocd.core.profiles import DEFAULT
from coprocd.protocol import objects
from coprocd.protocol.errors import CoprocdError

if TYPE_CHECKING:
    from coprocd.runtime.session import Session


async def add(call: Call, params: objects.TriggerAdd) -> objects.Trigger:
    spec = trigger_spec.made(_fields(params))
    session, profile = _place(call, params)
    if session is not None:
        return _that_runs(session).trigger_list.add(spec, params.position)
    (definition,) = await call.daemon.profiles.add(profile, [spec], params.position)
    return _of_profile_by_id(call, profile, definition.id)


async def list(call: Call, params: objects.TriggerList) -> Sequence[objects.Trigger]:
    session, profile = _place(call, params)
    if session is not None:
        return session.trigger_list.list()
    call.daemon.profiles.require(profile)
    return _of_profile(call, profile)


async def get(call: Call, params: objects.TriggerGet) -> objects.Trigger:
    return _found(call, params.trigger)


async def update(call: Call, params: objects.TriggerUpdate) -> objects.Trigger:
    given = {name: value for name, value in _fields(params).items() if value is not msgspec.UNSET}
    return await _update(call, _found(call, params.trigger), given, params.position)


async def remove(call: Call, params: objects.TriggerGet) -> objects.Trigger:
    trigger = _found(call, params.trigger)
    if trigger.session is not None:
        sessions.found(call, trigger.session).trigger_list.remove(trigger.id)
    else:
        await call.daemon.profiles.remove(trigger.id)
    return trigger


async def enable(call: Call, params: objects.TriggerGet) -> objects.Trigger:
    return await _switch(call, params.trigger, True)


async def disable(call: Call, params: objects.TriggerGet) -> objects.Trigger:
    return await _switch(call, params.trigger, False)


async def test(call: Call, params: objects.TriggerTest) -> objects.TriggerTestResult:
    action = trigger_spec.action_of(params.action) if params.action is not None else None
    given = (params.regex, params.text, params.instant, action, params.parameter, time.perf_counter)
    return objects.TriggerTestResult(await asyncio.to_thread(trial.matches, *given))


async def import_(call: Call, params: objects.TriggerImport) -> objects.TriggerImported:
    session, profile = _place(call, params)
    if session is not None:
        _that_runs(session)
    # In a thread: ten thousand regexes are not compiled between two echoes. They are held until the triggers hold them.
    held: set[regex.Pattern] = set()
    accepted, rejected = await asyncio.to_thread(_read, params.document, held)
    specs = [spec for _, spec, _ in accepted]
    if session is not None:
        added = _add_all(_that_runs(session), specs)
    else:
        definitions: Sequence[Definition] = await call.daemon.profiles.add(profile, specs) if specs else []
        ids = {definition.id for definition in definitions}
        added = [trigger for trigger in _of_profile(call, profile) if trigger.id in ids]
    disabled = [
        objects.ImportDisabled(index, trigger.id, reason)
        for (index, _, reason), trigger in zip(accepted, added, strict=True)
        if reason is not None
    ]
    return objects.TriggerImported([*added], disabled, [*rejected])


async def export(call: Call, params: objects.TriggerExport) -> Sequence[dict[str, Any]]:
    session, profile = _place(call, params)
    if session is None:
        call.daemon.profiles.require(profile)
        return iterm2.write([definition.spec for definition in call.daemon.profiles.of(profile)])
    return iterm2.write([definition.spec for definition in session.record.triggers])


# -- finding ----------------------------------------------------------------------------------------------------------


def _place(call: Call, params: Any) -> tuple[Session | None, str]:
    """The session that is meant, or else the profile."""
    if params.session is not None and params.profile is not None:
        raise CoprocdError("invalid_params", "a trigger belongs to a `session` or to a `profile`; give one of them")
    session = sessions.found(call, params.session) if params.session is not None else None
    return session, params.profile or DEFAULT


def _that_runs(session: Session) -> Session:
    """The session; `session_exited` where nothing would fire any more."""
    if not session.running:
        message = f"{session.exited_error().message}, and no trigger of it fires any more: give a session that runs, or a profile"
        raise CoprocdError("session_exited", message, session=session.id)
    return session


def _found(call: Call, ref: str) -> objects.Trigger:
    """The trigger that `ref` names, wherever it is; an id comes before names."""
    named = [
        trigger
        for session in call.daemon.sessions
        for trigger in session.trigger_list.own(lambda definition: ref in (definition.id, definition.spec.name))
    ]
    named += [_of_profile_by_id(call, profile, definition.id) for profile, definition in call.daemon.profiles.find(ref)]
    chosen = [trigger for trigger in named if trigger.id == ref] or named
    if len(chosen) == 1:
        only: objects.Trigger = chosen[0]
        return only
    if not chosen:
        raise CoprocdError(
            "trigger_not_found", f"there is no trigger {ref!r}; coprocctl trigger list [--session S | --profile P] shows those there are"
        )
    shown = ", ".join(f"{trigger.id} ({_whose(trigger)})" for trigger in itertools.islice(chosen, 5))
    raise CoprocdError(
        "trigger_not_found",
        f"{len(chosen)} triggers are named {ref!r}: {shown}; give an id",
        triggers=[trigger.id for trigger in chosen[:20]],
    )


def _whose(trigger: objects.Trigger) -> str:
    return f"session {trigger.session}" if trigger.session is not None else f"profile {trigger.profile}"


def _of_profile(call: Call, profile: str, id: str | None = None) -> Sequence[objects.Trigger]:
    """The triggers of a profile, or the one with this `id`, with what they did in all sessions that have it."""
    there: dict[str, Any] = {}
    for session in _with_profile(call, profile):
        for trigger in session.trigger_list.of_profile(lambda definition: id in (None, definition.id)):
            there.setdefault(trigger.id, []).append(trigger)
    return [
        _summed(profile, position, definition, there.get(definition.id, []))
        for position, definition in enumerate(call.daemon.profiles.of(profile))
        if id in (None, definition.id)
    ]


def _with_profile(call: Call, profile: str) -> Iterator[Session]:
    return (session for session in call.daemon.sessions if session.record.profile == profile)


def _of_profile_by_id(call: Call, profile: str, id: str) -> objects.Trigger:
    for trigger in _of_profile(call, profile, id):
        return trigger
    raise CoprocdError("trigger_not_found", f"trigger {id} was removed from profile {profile} meanwhile")


def _summed(profile: str, position: int, definition: Definition, there: Iterable[objects.Trigger]) -> objects.Trigger:
    """A trigger of a profile, from what each session says of it."""
    seen = [*there]
    return objects.Trigger(
        **msgspec.structs.asdict(definition.spec),
        id=definition.id,
        session=None,
        profile=profile,
        position=position,
        fired=sum(trigger.fired for trigger in seen),
        suppressed=sum(trigger.suppressed for trigger in seen),
        refused=sum(trigger.refused for trigger in seen),
        last_fired_at=max((trigger.last_fired_at for trigger in seen if trigger.last_fired_at is not None), default=None),
        disabled_why=next((trigger.disabled_why for trigger in seen if trigger.disabled_why is not None), None),
    )


# -- importing --------------------------------------------------------------------------------------------------------


def _read(
    document: Any, held: set[regex.Pattern]
) -> tuple[Sequence[tuple[int, objects.TriggerSpec, str | None]], Sequence[objects.ImportRejected]]:
    """The triggers of a document that can be had here, each with its index and, where it is off, the reason; and those that cannot.

    Their regexes are put into `held`.
    """
    imported = iterm2.read(document, lambda pattern: held.add(regex.compile(pattern)))
    rejected = [objects.ImportRejected(index, reason) for index, reason in imported.rejected]
    accepted = []
    for index, spec, reason in imported.specs:
        try:
            trigger_spec.check(spec)
            accepted.append((index, spec, reason))
        except CoprocdError as error:
            rejected.append(objects.ImportRejected(index, error.message))
    return accepted, sorted(rejected, key=lambda one: one.index)


# -- changing ---------------------------------------------------------------------------------------------------------


async def _switch(call: Call, ref: str, enabled: bool) -> objects.Trigger:
    trigger = _found(call, ref)
    if trigger.session is not None:
        return sessions.found(call, trigger.session).trigger_list.set_enabled(trigger.id, enabled)
    switched = await _update(call, trigger, {"enabled": enabled}, None)
    if not enabled or switched.profile is None:
        return switched
    for session in _with_profile(call, switched.profile):
        session.trigger_list.rearm(switched.id)
    return _of_profile_by_id(call, switched.profile, switched.id)


async def _update(call: Call, trigger: objects.Trigger, given: dict[str, Any], position: int | None) -> objects.Trigger:
    """Changes what is `given` of a trigger; the result as a whole must be valid."""
    spec = trigger_spec.made(_fields(trigger) | given)
    if trigger.session is not None:
        return _that_runs(sessions.found(call, trigger.session)).trigger_list.update(trigger.id, spec, position)
    profile, definition = await call.daemon.profiles.update(trigger.id, {name: getattr(spec, name) for name in given}, position)
    return _of_profile_by_id(call, profile, definition.id)


def _add_all(session: Session, specs: Iterable[objects.TriggerSpec]) -> Sequence[objects.Trigger]:
    """Adds triggers to a session, all or none."""
    ids = []
    try:
        for spec in specs:
            ids.append(session.trigger_list.add(spec, None).id)
    except CoprocdError:
        for id in ids:
            session.trigger_list.remove(id)
        raise
    added = frozenset(ids)
    return session.trigger_list.own(lambda definition: definition.id in added)


def _fields(params: Any) -> dict[str, Any]:
    """What makes a trigger one, of whatever has it."""
    return {name: getattr(params, name) for name in trigger_spec.FIELDS}
