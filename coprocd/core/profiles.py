"""Profiles: named lists of triggers, as `[[profiles.NAME.triggers]]` of config.toml has them.

Reads what a parsed file holds, and says of each fault where it stands. A trigger is known by its `id`; one that is written without
gets an id from what it says, so that its state stays with it when triggers are reordered. Knows nothing of files.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Container, Iterator, Mapping
from typing import Any

from coprocd.core import trigger_spec
from coprocd.core.definition import Definition
from coprocd.protocol.errors import CoprocdError
from coprocd.protocol.objects import PROFILE_NAME_PATTERN, TriggerSpec

DEFAULT = "default"
"""The profile of whoever names none; there always is one."""

TRIGGERS_MOST = 2_000
"""Triggers of a profile: each is matched against every line, and this many still keep up with a flood."""

PROFILES_MOST = 100

ID_MOST = 255
_ID = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]*\Z")


Profiles = dict[str, list[Definition]]


def read(document: Mapping[str, Any]) -> tuple[Profiles, list[str]]:
    """The valid triggers of all profiles in a parsed config.toml, and a sentence on every fault."""
    faults: list[str] = []
    table = document.get("profiles", {})
    if not isinstance(table, dict):
        return {DEFAULT: []}, ["`profiles` is no table; triggers stand in [[profiles.NAME.triggers]]"]
    if len(table) > PROFILES_MOST:
        faults.append(f"there are {len(table):,} profiles, and {PROFILES_MOST} at most may be")
        table = dict(list(table.items())[:PROFILES_MOST])
    found: dict[str, list[tuple[str | None, TriggerSpec]]] = {DEFAULT: []}
    taken: dict[str, str] = {}
    for profile, content in table.items():
        if not re.match(PROFILE_NAME_PATTERN, profile) or len(profile) > 100:
            faults.append(f"a profile cannot be named {profile[:60]!r}")
            continue
        found[profile] = []
        for where, fields in _entries(profile, content, faults):
            try:
                found[profile].append(_definition(where, fields, taken))
            except CoprocdError as error:
                faults.append(f"{where}: {error.message}")
    return {profile: _with_ids(profile, entries, taken) for profile, entries in found.items()}, faults


def derived_id(profile: str, spec: TriggerSpec, number: int) -> str:
    """The id of a trigger that has none of its own; `number` tells those apart that say the same."""
    says = [profile, spec.regex, spec.action, spec.parameter, spec.event, spec.event_params, number]
    return "t" + hashlib.sha256(json.dumps(says, sort_keys=True, default=str).encode()).hexdigest()[:10]


class FreshIds:
    """Derived ids that are not `taken`; whoever is given one takes it."""

    def __init__(self, profile: str, taken: Container[str]) -> None:
        self._profile = profile
        self._taken = taken
        self._numbers: dict[str, int] = {}

    def of(self, spec: TriggerSpec) -> str:
        first = derived_id(self._profile, spec, 0)
        number = self._numbers.get(first, 0)
        while (id := derived_id(self._profile, spec, number)) in self._taken:
            number += 1
        self._numbers[first] = number + 1
        return id


def _entries(profile: str, content: Any, faults: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The triggers of one profile as they are written, each with where it stands."""
    shown = f"profile {profile!r}"
    if not isinstance(content, dict):
        faults.append(f"{shown} is no table; its triggers stand in [[profiles.{profile}.triggers]]")
        return
    if unknown := sorted(content.keys() - {"triggers"}):
        faults.append(f"{shown} has no setting {unknown[0][:60]!r}, only triggers")
    entries = content.get("triggers", [])
    if not isinstance(entries, list):
        faults.append(f"{shown}: `triggers` is no list; each stands in a [[profiles.{profile}.triggers]]")
        return
    if len(entries) > TRIGGERS_MOST:
        faults.append(f"{shown} has {len(entries):,} triggers, and {TRIGGERS_MOST:,} at most may be")
    for number, fields in enumerate(entries[:TRIGGERS_MOST], 1):
        where = f"{shown}, trigger {number}"
        if not isinstance(fields, dict):
            faults.append(f"{where}: it is no table")
            continue
        name = fields.get("name")
        yield where + (f" ({name[:60]!r})" if isinstance(name, str) and name else ""), fields


def _definition(where: str, fields: dict[str, Any], taken: dict[str, str]) -> tuple[str | None, TriggerSpec]:
    """A trigger and the id that it was written with."""
    id = fields.get("id")
    if unknown := sorted(fields.keys() - {"id", *trigger_spec.FIELDS}):
        raise CoprocdError("invalid_params", f"a trigger has no field {unknown[0][:60]!r}")
    if id is not None and (not isinstance(id, str) or not _ID.match(id) or len(id) > ID_MOST):
        raise CoprocdError("invalid_params", f"`id` cannot be {str(id)[:60]!r}; it may be letters, digits, `_`, `.` and `-`")
    if id in taken:
        raise CoprocdError("invalid_params", f"its id {id!r} is taken by {taken[id]}")
    spec = trigger_spec.made({name: value for name, value in fields.items() if name != "id"})
    if id is not None:
        taken[id] = where
    return id, spec


def _with_ids(profile: str, entries: list[tuple[str | None, TriggerSpec]], taken: dict[str, str]) -> list[Definition]:
    """Gives an id to those without; all that were written are in `taken` by now. Their regexes are compiled, so that no session does it."""
    fresh = FreshIds(profile, taken)
    definitions = []
    for id, spec in entries:
        definitions.append(Definition(id if id is not None else fresh.of(spec), spec))
        _ = definitions[-1].pattern
        taken[definitions[-1].id] = f"profile {profile!r}"
    return definitions
