"""What a caller is told of params that are not as they should be: in words, with the value, and never a regular expression."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import pytest
from support.live import RpcError, live

from coprocd.api.invalid_params import reason
from coprocd.protocol import objects

RULE = "1 to 255 characters, no `/`, no NUL, not beginning with `@` or `-`"


def told(raw: Any, params_type: type[msgspec.Struct]) -> str:
    with pytest.raises((msgspec.ValidationError, RecursionError)) as caught:
        msgspec.convert(raw, params_type)
    return reason(caught.value, raw, params_type)


@pytest.mark.parametrize("name", ["", "@a", "-a", "a/b", "a\0b", "/"])
def test_a_name_that_cannot_be_is_answered_with_what_a_name_may_be(name: str) -> None:
    """It was answered with "Expected `str` matching regex '^[^@/\\\\x00-][^/\\\\x00]*$'"."""
    assert told({"session": "s", "name": name}, objects.SessionRename) == f"`name` cannot be {name!r}; it may be: {RULE}"
    assert told({"name": name}, objects.SessionCreate).endswith(RULE)
    assert told({"session": "s", "name": name}, objects.CoprocessRun).endswith(RULE)
    assert told({"session": "s", "name": name}, objects.CoprocessStop).endswith(RULE)


def test_a_field_of_a_field_is_named_in_full() -> None:
    assert told({"coprocess": {"command": "cat", "name": "a/b"}}, objects.SessionCreate).startswith("`coprocess.name` cannot be 'a/b'")


def test_a_value_is_shown_escaped_and_cut() -> None:
    assert "'/\\x1b[31m\\u202eé'" in told({"session": "s", "name": "/\x1b[31m\u202eé"}, objects.SessionRename)
    long = told({"session": "s", "name": "x" * 100_000}, objects.SessionRename)
    assert f"'{'x' * 60}'… (100000 characters)" in long and len(long) < 200


def test_any_pattern_is_told_by_its_description() -> None:
    class Dated(msgspec.Struct):
        day: Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\d$", description="a day as 2024-02-29")] | None = None

    assert told({"day": "today"}, Dated) == "`day` cannot be 'today'; it may be: a day as 2024-02-29"


def test_where_one_of_a_few_words_is_wanted_all_of_them_are_told() -> None:
    """It was answered with "Invalid enum value 'bored' - at `$.event`"."""
    said = told({"regex": "", "action": "bell", "event": "bored"}, objects.TriggerAdd)
    assert said.startswith("`event` cannot be 'bored'; it may be: ") and "host_changed, idle, job_ended" in said


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"session": "s", "name": 5}, "Expected `str`, got `int` - at `$.name`"),
        ({"session": "s"}, "Object missing required field `name`"),
        ({"session": "", "name": "a"}, "Expected `str` of length >= 1 - at `$.session`"),
    ],
)
def test_all_else_is_told_as_msgspec_tells_it(raw: Any, expected: str) -> None:
    assert told(raw, objects.SessionRename) == expected


def test_every_pattern_of_the_methods_has_a_description() -> None:
    schemas = msgspec.json.schema_components([getattr(objects, name) for name in dir(objects) if name.startswith(("Session", "Coprocess"))])

    def patterns(schema: Any) -> Any:
        if isinstance(schema, dict):
            if "pattern" in schema:
                yield schema
            for value in schema.values():
                yield from patterns(value)
        elif isinstance(schema, list):
            for value in schema:
                yield from patterns(value)

    found = list(patterns(schemas[1]))
    assert found and all(schema.get("description") for schema in found)


def test_names_in_other_scripts_and_with_control_characters_are_taken_as_they_are() -> None:
    """What a name may hold is wide; who shows it escapes it (`coprocctl list`)."""
    with live() as daemon:
        for name in ("naïve 名前 🙂", "a\x1b[31mb\n", "\u202eevil", " "):
            session = daemon.create("cat", name=name)
            assert daemon.call("session.get", session=name)["id"] == session
        with pytest.raises(RpcError, match="cannot be 'a/b'"):
            daemon.create("cat", name="a/b")
