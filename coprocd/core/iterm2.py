"""Triggers as iTerm2 keeps them (JSON), to and from ours: what can be said here is kept, the rest is reported with its reason.

A document is one profile with its `Triggers`, a bare array of triggers (`.it2triggers`), dynamic profiles (`{"Profiles": […]}`) or one
trigger. A trigger that does not fit is `rejected`, and the others are read; only a document of another shape is an error. Called by
import and export, and `action_named` wherever an action is given by name. Knows no regex engine: the caller gives the check.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, cast, get_args

from msgspec import ValidationError, convert

from coprocd.core import colour, substitution
from coprocd.core.parameter import pieces
from coprocd.protocol.errors import CoprocdError
from coprocd.protocol.objects import Action, TriggerEvent, TriggerSpec

TRIGGERS_MOST = 10_000
"""Of one document: far past any profile, and little enough to hold."""

# iTerm2's class: our action. The first class of an action is the one that is written.
_ACTIONS: dict[str, Action] = {
    "CoprocessTrigger": "run_coprocess",
    "MuteCoprocessTrigger": "run_silent_coprocess",
    "ScriptTrigger": "run_command",
    "SendTextTrigger": "send_text",
    "iTermInjectTrigger": "inject",
    "StopTrigger": "stop",
    "iTermUserNotificationTrigger": "notify",
    "GrowlTrigger": "notify",
    "AlertTrigger": "alert",
    "BellTrigger": "bell",
    "BounceTrigger": "bell",
    "iTermSetTitleTrigger": "set_title",
    "iTermSetUserVariableTrigger": "set_variable",
    "SetDirectoryTrigger": "set_directory",
    "SetHostnameTrigger": "set_host",
    "iTermShellPromptTrigger": "prompt",
    "MarkTrigger": "mark",
    "iTermSetNamedMarkTrigger": "named_mark",
    "AnnotateTrigger": "annotate",
    "CaptureTrigger": "capture",
    "HighlightTrigger": "highlight",
    "iTermHighlightLineTrigger": "highlight_line",
    "iTermSGRTrigger": "sgr",
    "iTermHyperlinkTrigger": "hyperlink",
    "iTermRPCTrigger": "call",
    "iTermBufferInputTrigger": "buffer_input",
    "PasswordTrigger": "password",
}
_CLASSES: dict[Action, str] = {action: name for name, action in reversed(_ACTIONS.items())}
_BOUNCE = "BounceTrigger"

# Known, and without a counterpart.
_MEANINGLESS = {
    "iTermFoldTrigger": "a daemon has no window in which to fold lines",
    "iTermSetTabStatusTrigger": "a daemon has no tabs",
    "iTermEnterWorkgroupTrigger": "a daemon has no workgroups",
    "iTermExitWorkgroupTrigger": "a daemon has no workgroups",
    "iTermSetProfileBooleanTrigger": "a daemon has no iTerm2 profile whose settings change",
}

_FIRST_EVENT = 100
_EVENTS: tuple[TriggerEvent, ...] = get_args(TriggerEvent)  # in the order of iTerm2's numbers
_PAGES = (1, 2)  # match types of its browser
_FLAGS = ("partial", "disabled")
_NUMBERED = frozenset(("bell", "mark"))  # their parameter is a number of iTerm2's, here its digits
_BUFFERING = ("start", "stop")
# What a highlight's number means: pairs of colours from 0, colours of the text from 1000, and of its background from 2000.
_COLOURS = {
    **{"black": "#000000", "dark grey": "#555555", "light grey": "#aaaaaa", "white": "#ffffff", "grey": "#808080", "red": "#ff0000"},
    **{"green": "#00ff00", "blue": "#0000ff", "cyan": "#00ffff", "yellow": "#ffff00", "magenta": "#ff00ff", "orange": "#ff8000"},
    **{"purple": "#800080", "brown": "#996633"},
}
_PAIRS = (
    *(("yellow", "black"), ("black", "yellow"), ("white", "red"), ("red", "white")),
    *(("black", "orange"), ("orange", "black"), ("black", "purple"), ("purple", "black")),
)
_HIGHLIGHTS: dict[float, str] = {
    **{number: f"{{{_COLOURS[text]},{_COLOURS[background]}}}" for number, (text, background) in enumerate(_PAIRS)},
    **{number: f"{{{text},}}" for number, text in enumerate(_COLOURS.values(), 1000)},
    **{number: f"{{,{background}}}" for number, background in enumerate(_COLOURS.values(), 2000)},
}
_INTERACTIVE, _INTERPOLATED = "Enable Triggers in Interactive Apps", "Triggers Use Interpolated Strings"


@dataclass(slots=True)
class Imported:
    """Each with its index among all triggers of the document; a reason beside a spec says why it was disabled here."""

    specs: list[tuple[int, TriggerSpec, str | None]] = field(default_factory=list)
    rejected: list[tuple[int, str]] = field(default_factory=list)


class _Rejected(Exception):
    """The reason."""


def action_named(name: str) -> Action:
    """Our action for our name or iTerm2's class; `invalid_params` with names that are near."""
    if name in _CLASSES:
        return name
    if name in _ACTIONS:
        return _ACTIONS[name]
    names = {each.lower(): each for each in (*_CLASSES, *_ACTIONS)}
    near = [names[each] for each in difflib.get_close_matches(name.lower(), names, 3)]
    hint = f"did you mean {' or '.join(near)}?" if near else f"the actions are {', '.join(get_args(Action))}"
    raise CoprocdError("invalid_params", f"there is no action {name!r}: {_MEANINGLESS.get(name) or hint}", near=near)


# -- reading --------------------------------------------------------------------------------------------------------


def read(document: str | Any, check_regex: Callable[[str], None]) -> Imported:
    """The triggers of a document: JSON text, or what it holds. `check_regex` raises CoprocdError for what cannot be matched here.

    `invalid_params` says where a document is broken.
    """
    imported = Imported()
    for index, (trigger, profile) in enumerate(_triggers(_parsed(document) if isinstance(document, str) else document)):
        try:
            imported.specs.append((index, *_read(trigger, profile, check_regex)))
        except _Rejected as reason:
            imported.rejected.append((index, str(reason)))
    return imported


def _parsed(text: str) -> Any:
    try:
        return json.loads(text.removeprefix("\ufeff"))
    except json.JSONDecodeError as error:
        raise CoprocdError("invalid_params", f"not JSON: line {error.lineno}, column {error.colno}: {error.msg}") from None
    except (RecursionError, ValueError):
        raise CoprocdError("invalid_params", "not JSON of triggers: it is nested too deep, or has a number too long to read") from None


def _triggers(document: Any) -> list[tuple[Any, dict[str, Any]]]:
    """Each trigger with its profile."""
    if isinstance(document, list):
        found = [(trigger, cast("dict[str, Any]", {})) for trigger in document]
    elif isinstance(document, dict) and "Profiles" in document:
        profiles = document["Profiles"]
        if not isinstance(profiles, list):
            raise _broken("Profiles", "a list", profiles)
        found = []
        for index, profile in enumerate(profiles):
            if not isinstance(profile, dict):
                raise _broken(f"Profiles[{index}]", "an object", profile)
            found += _of_profile(profile, f"Profiles[{index}].Triggers")
    elif isinstance(document, dict) and "Triggers" in document:
        found = _of_profile(document, "Triggers")
    elif isinstance(document, dict) and "action" in document:
        found = [(document, {})]
    else:
        raise _broken("the document", "a list of triggers, or an object with `Triggers`, `Profiles` or `action`", document)
    if len(found) > TRIGGERS_MOST:
        raise CoprocdError("invalid_params", f"the document has {len(found)} triggers, and at most {TRIGGERS_MOST} are read")
    return found


def _of_profile(profile: dict[str, Any], place: str) -> list[tuple[Any, dict[str, Any]]]:
    triggers = profile.get("Triggers", [])
    if not isinstance(triggers, list):
        raise _broken(place, "a list", triggers)
    return [(trigger, profile) for trigger in triggers]


def _broken(place: str, wanted: str, found: Any) -> CoprocdError:
    return CoprocdError("invalid_params", f"no triggers were read: {place} should be {wanted}, and is {_kind(found)}")


def _kind(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


def _read(trigger: Any, profile: dict[str, Any], check_regex: Callable[[str], None]) -> tuple[TriggerSpec, str | None]:
    if not isinstance(trigger, dict):
        raise _Rejected(f"a trigger is an object, and this is {_kind(trigger)}")
    action = _action(trigger)
    event = _event(trigger)
    regex, params = _text(trigger, "regex"), trigger.get("eventParams") or {}
    if not isinstance(params, dict):
        raise _Rejected(f"eventParams should be an object, and is {_kind(params)}")
    if event is None and not regex:
        raise _Rejected("it has no regular expression, which would match every line")
    parameter = _parameter(action, trigger)
    try:
        for pattern in (regex, *(value for key, value in params.items() if key.endswith("Regex"))):
            if isinstance(pattern, str) and pattern:
                check_regex(pattern)
        substitution.check(action, parameter)
        instant, disabled = (_flag(trigger, name) for name in _FLAGS)
        why = _disabled(trigger, profile, parameter)
        fields = {
            "action": action,
            "regex": regex,
            "parameter": parameter,
            "name": _name(_text(trigger, "name")),
            "instant": instant,
            "enabled": not disabled and why is None,
            "interactive_apps": _flag(profile, _INTERACTIVE, True),
            "event": event,
            "event_params": params,
        }
        json.dumps(fields, ensure_ascii=False, allow_nan=False).encode()
        return convert(fields, TriggerSpec), why
    except CoprocdError as error:
        raise _Rejected(error.message) from None
    except ValidationError as error:
        raise _Rejected(f"it does not fit: {error}") from None
    except (ValueError, RecursionError):
        raise _Rejected("it has text that is no Unicode, or a number that is none") from None


def _action(trigger: dict[str, Any]) -> Action:
    name = trigger.get("action")
    if not isinstance(name, str):
        raise _Rejected(f"its action should be the name of a class, and is {_kind(name)}")
    if name in _ACTIONS:
        return _ACTIONS[name]
    raise _Rejected(f"{name}: {_MEANINGLESS.get(name, 'no such class of triggers is known here')}")


def _event(trigger: dict[str, Any]) -> TriggerEvent | None:
    number = trigger.get("matchType") or 0
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if not isinstance(number, int):
        raise _Rejected(f"matchType should be a whole number, and is {_kind(number)}")
    if number == 0:
        return None
    if number in _PAGES:
        raise _Rejected(f"matchType {number} is for pages in iTerm2's browser, which a session does not show")
    if 0 <= number - _FIRST_EVENT < len(_EVENTS):
        return _EVENTS[number - _FIRST_EVENT]
    raise _Rejected(f"matchType {number} is not known here: 0 is a regular expression, and events are 100 to {99 + len(_EVENTS)}")


def _text(trigger: dict[str, Any], key: str) -> str:
    value = trigger.get(key)
    if value is not None and not isinstance(value, str):
        raise _Rejected(f"{key} should be text, and is {_kind(value)}")
    return value or ""


def _flag(table: dict[str, Any], key: str, default: bool = False) -> bool:
    value = table.get(key)
    if value is None:
        return default
    if value not in (0, 1):
        raise _Rejected(f"{key} should be true or false, and is {_kind(value)}")
    return bool(value)


def _parameter(action: Action, trigger: dict[str, Any]) -> str | dict[str, Any] | None:
    given = trigger.get("parameter")
    if action in substitution.BARE:
        return _bare(action, trigger["action"] == _BOUNCE, given)
    if isinstance(given, (bool, int, float)):
        if action == "buffer_input":
            return _BUFFERING[given == 1]
        if action == "highlight":
            if given not in _HIGHLIGHTS:
                raise _Rejected(f"no colours are known by the number {given}")
            return _HIGHLIGHTS[given]
        return str(int(given)) if given == given // 1 else str(given)
    if action == "buffer_input" and not given:
        return _BUFFERING[0]
    if action == "set_variable" and isinstance(given, str) and "\x01" in given:
        name, _, value = given.partition("\x01")
        return {"name": name, "value": value}
    if given is None or isinstance(given, (str, dict)):
        return given
    raise _Rejected(f"its parameter should be text, and is {_kind(given)}")


def _bare(action: Action, bounces: bool, given: Any) -> str | None:
    """The number that iTerm2 keeps of an action without a parameter; anything else is dropped."""
    counted = isinstance(given, (bool, int, float)) and given >= 0 and given == given // 1
    number = str(int(given)) if counted and action in _NUMBERED else ""
    if bounces:
        return f"bounce {number}".rstrip()
    return number or ("" if given == "" else None)


def _name(name: str) -> str | None:
    return name.replace("/", "_").replace("\0", "").lstrip("@-")[:255] or None


def _disabled(trigger: dict[str, Any], profile: dict[str, Any], parameter: object) -> str | None:
    if job := trigger.get("job"):
        return f"it is only for the job {job!r}, and a trigger here is for all jobs of a session"
    if _flag(profile, _INTERPOLATED) and isinstance(parameter, str) and "\\(" in parameter:
        return "its parameter has an expression, \\(…), and these are not evaluated here"
    return None


# -- writing --------------------------------------------------------------------------------------------------------


def write(specs: Iterable[TriggerSpec]) -> list[dict[str, Any]]:
    """The same as iTerm2's array. What it has no words for (`once`, `cooldown_s`, `interactive_apps`) is left out."""
    return [_written(spec) for spec in specs]


def _written(spec: TriggerSpec) -> dict[str, Any]:
    name, parameter = _class_and_parameter(spec)
    trigger: dict[str, Any] = {"action": name, "regex": spec.regex}
    if parameter is not None:
        trigger["parameter"] = parameter
    trigger["partial"] = spec.instant
    trigger["disabled"] = not spec.enabled
    trigger["matchType"] = 0 if spec.event is None else _FIRST_EVENT + _EVENTS.index(spec.event)
    if spec.name is not None:
        trigger["name"] = spec.name
    if spec.event_params:
        trigger["eventParams"] = spec.event_params
    return trigger


def _class_and_parameter(spec: TriggerSpec) -> tuple[str, Any]:
    name, given = _CLASSES[spec.action], spec.parameter
    if isinstance(given, list):
        return name, " ".join(_quoted(element) for element in given)
    if spec.action == "set_variable" and given is not None:
        variable, value = substitution.name_and_value(given)
        return name, f"{variable}\x01{value}"
    if spec.action in colour.ACTIONS and given:
        return name, colour.as_codes(given) if spec.action == "sgr" else colour.as_pair(given)
    if isinstance(given, str):
        if spec.action == "buffer_input" and given in _BUFFERING:
            return name, _BUFFERING.index(given)
        if spec.action == "bell" and (given == "bounce" or given.startswith("bounce ")):
            name, given = _BOUNCE, given[7:]
        if spec.action in _NUMBERED and given.isascii() and given.isdigit():
            return name, int(given)
        if name == _BOUNCE:
            return name, None
    return name, given


def _quoted(element: str) -> str:
    """One word for /bin/sh, in which a capture still is one."""
    words = []
    for piece, _ in pieces(element):
        if isinstance(piece, int):
            words.append(f"\\{piece}")
        else:
            literal = piece.replace("\\", "\\\\").replace("'", "'\\''")
            words.append("".join(f"\\x{ord(char) & 0xFF:02x}" if "\udc80" <= char <= "\udcff" else char for char in literal))
    return f"'{''.join(words)}'"
