"""A trigger tried on a text, as if a session printed it: what would match, and what its action would be given. Nothing is run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from coprocd.core import regex, substitution
from coprocd.core.lines import Position
from coprocd.core.trigger_matcher import Match, Matcher, Rule
from coprocd.protocol.objects import Action, TriggerMatch

MATCHES_MOST = 1000
"""More than anybody reads."""


def matches(
    pattern: str, text: str, instant: bool, action: Action | None, parameter: Any, clock: Callable[[], float]
) -> list[TriggerMatch]:
    """The matches in order. A last line that is not ended is, once the text is over."""
    compiled = regex.compile(pattern)
    if action is not None:
        substitution.check(action, parameter)
    matcher = Matcher([Rule("trial", compiled, instant)], clock, Position(0))
    data = text.encode()
    found: list[TriggerMatch] = []
    for chunk, offset in ((data, 0), (b"\n", len(data))):
        if chunk == b"\n" and data.endswith((b"\r", b"\n")):
            break
        for match in matcher.feed(chunk, offset):
            if isinstance(match, Match):
                found.append(_described(match, action, parameter))
                if len(found) == MATCHES_MOST:
                    return found
    return found


def _described(match: Match, action: Action | None, parameter: Any) -> TriggerMatch:
    groups = [None if group is None else group.decode(errors="replace") for group in match.groups]
    refused = substitution.refusal(parameter, match.groups) if action in substitution.RUNS else None
    expanded = _expanded(action, parameter, match.groups)
    return TriggerMatch(start=match.start, end=match.end, groups=groups, expanded=expanded, refused=refused)


def _expanded(action: Action | None, parameter: Any, groups: substitution.Groups) -> Any:
    """The parameter with the captures in it, as the action gets it; a command has them in its environment."""
    if parameter is None:
        return None
    if action == "set_variable":
        name, value = substitution.variable(parameter, groups)
        return {"name": name, "value": value}
    if isinstance(parameter, list):
        return substitution.argv(parameter, groups)
    if isinstance(parameter, dict):
        return {name: substitution.text(value, groups) if isinstance(value, str) else value for name, value in parameter.items()}
    if action in substitution.RUNS:
        return substitution.command(parameter, groups)
    if action == "send_text":
        return substitution.typed(parameter, groups).decode(errors="replace")
    if action == "inject":
        return substitution.data(parameter, groups).decode(errors="replace")
    return substitution.text(parameter, groups)
