"""Stub."""

from __future__ import annotations
import msgspec
from typing import Any, NamedTuple, Callable
from coprocd.protocol.objects import TriggerSpec, Action
from typing import get_args

C = {"MuteCoprocessTrigger": "run_silent_coprocess", "CoprocessTrigger": "run_coprocess", "BellTrigger": "bell"}


class Imported(NamedTuple):
    specs: list[tuple[int, TriggerSpec, str | None]]
    rejected: list[tuple[int, str]]


def action_named(name: str) -> str | None:
    return name if name in get_args(Action) else C.get(name)


def read(document: Any, check_regex: Callable[[str], Any]) -> Imported:
    if isinstance(document, str):
        document = msgspec.json.decode(document)
    specs = []
    rej = []
    for i, d in enumerate(document):
        a = C.get(d["action"])
        if a is None:
            rej.append((i, "unknown class"))
            continue
        try:
            check_regex(d["regex"])
        except Exception as e:
            rej.append((i, str(e)))
            continue
        specs.append(
            (
                i,
                TriggerSpec(action=a, regex=d["regex"], parameter=d.get("parameter") or None, enabled=not d.get("disabled")),
                "off" if d.get("disabled") else None,
            )
        )
    return Imported(specs, rej)


def write(specs: list[TriggerSpec]) -> list[dict[str, Any]]:
    return [
        {"action": {v: k for k, v in C.items()}.get(s.action, s.action), "regex": s.regex, "parameter": s.parameter or ""} for s in specs
    ]
