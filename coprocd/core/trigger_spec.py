"""What makes a trigger valid, wherever it comes from: a call, config.toml, an import.

`made` turns fields as they were written into a TriggerSpec, iTerm2's class names of actions included; `check` refuses what
could never work. Both before anything is changed: a trigger that is in a list is one that can fire.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import msgspec

from coprocd.core import iterm2, regex, substitution
from coprocd.protocol.errors import CoprocdError
from coprocd.protocol.objects import Action, TriggerEvent, TriggerSpec

NAME_MOST = 100
"""Characters of an action's name: more would only make its refusal long."""

FIELDS: tuple[str, ...] = (
    "name",
    "regex",
    "event",
    "event_params",
    "action",
    "parameter",
    "instant",
    "enabled",
    "once",
    "cooldown_s",
    "interactive_apps",
)
"""In the order in which they are written: what it waits for, what is done, how."""

DEFAULTS: dict[str, Any] = {name: value for name, value in msgspec.to_builtins(TriggerSpec(action="stop")).items() if name != "action"}
"""What a field means that is left out."""

_EVENTS: tuple[str, ...] = get_args(TriggerEvent)
_EVENT_PARAMS = {
    "idle": ("seconds",),
    "activity_after_idle": ("seconds",),
    "variable_changed": ("name",),
    "custom_escape_sequence": ("id",),
}
"""What `event_params` may hold."""


def made(fields: Mapping[str, Any]) -> TriggerSpec:
    """The valid trigger of `fields`; `invalid_params` or `invalid_regex` says what is wrong."""
    action, event = fields.get("action"), fields.get("event")
    if isinstance(event, str) and event not in _EVENTS:
        raise CoprocdError("invalid_params", f"there is no event {event[:NAME_MOST]!r}: the events are {', '.join(_EVENTS)}")
    try:
        spec = msgspec.convert({**fields, "action": action_of(action)} if isinstance(action, str) else dict(fields), TriggerSpec)
    except (msgspec.ValidationError, RecursionError) as error:
        said = str(error) if isinstance(error, msgspec.ValidationError) else "nested too deeply"
        raise CoprocdError("invalid_params", said.replace("`$.", "`")) from None
    check(spec)
    return spec


def check(spec: TriggerSpec) -> None:
    """Refuses a trigger that could never fire, or never do what it is to do."""
    if spec.event is None and not spec.regex:
        raise CoprocdError("invalid_params", "a trigger needs a `regex`, or an `event`")
    if spec.regex:
        regex.compile(spec.regex)
    _check_event(spec)
    substitution.check(spec.action, spec.parameter)


def action_of(name: str) -> Action:
    """Our name of an action that is named in either way; `invalid_params` says which may be meant."""
    return iterm2.action_named(name[:NAME_MOST])


def _check_event(spec: TriggerSpec) -> None:
    """`invalid_params` for an event that cannot come, and for params that it does not have."""
    if spec.event in ("command_finished", "long_running_command"):
        raise CoprocdError(
            "invalid_params", f"the event {spec.event} needs shell integration, which there is none of: use job_ended, or a regex"
        )
    known = _EVENT_PARAMS.get(spec.event or "", ())
    for name, value in spec.event_params.items():
        if name not in known:
            has = f"it has `{'`, `'.join(known)}`" if known else "it has none"
            raise CoprocdError("invalid_params", f"the event {spec.event} has no param {name!r}; {has}")
        if name == "seconds" and (isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 31_536_000):
            raise CoprocdError("invalid_params", f"`seconds` of the event {spec.event} is {value!r}; give a number over 0")
