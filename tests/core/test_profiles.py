"""What config.toml says of profiles: what is valid is taken, and each fault is named with its place."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coprocd.core.profiles import PROFILES_MOST, TRIGGERS_MOST, read

GOOD = {"regex": "a", "action": "bell"}


def faults(*triggers: Any, **more: Any) -> list[str]:
    found, said = read({"profiles": {"default": {"triggers": list(triggers), **more}}})
    assert len(found["default"]) + len(said) >= len(triggers)
    return said


def test_the_default_profile_is_there_without_a_file() -> None:
    assert read({}) == ({"default": []}, [])
    assert read({"profiles": {"x": {}}}) == ({"default": [], "x": []}, [])


def test_triggers_are_read_in_order_with_either_name_of_an_action() -> None:
    text = """
    [[profiles.default.triggers]]
    regex = 'B0100'
    action = "MuteCoprocessTrigger"
    parameter = "receive"
    instant = true
    [[profiles.default.triggers]]
    id = "mine"
    event = "idle"
    event_params = {seconds = 3}
    action = "notify"
    parameter = "idle"
    """
    found, said = read(tomllib.loads(text))
    assert said == []
    first, second = found["default"]
    assert (first.spec.action, first.spec.instant) == ("run_silent_coprocess", True)
    assert (second.id, second.spec.event, second.spec.event_params) == ("mine", "idle", {"seconds": 3})


@pytest.mark.parametrize(
    ("trigger", "expected"),
    [
        ({"action": "bell"}, "profile 'default', trigger 1: a trigger needs a `regex`, or an `event`"),
        ({**GOOD, "name": "n", "regex": "("}, "profile 'default', trigger 1 ('n'): "),
        ({**GOOD, "action": "ring"}, "there is no action 'ring'"),
        ({**GOOD, "action": "bel"}, "there is no action 'bel': did you mean bell"),
        ({"regex": "a"}, "missing required field `action`"),
        ({**GOOD, "instnt": True}, "a trigger has no field 'instnt'"),
        ({**GOOD, "once": "yes"}, "Expected `bool`, got `str` - at `once`"),
        ({**GOOD, "cooldown_s": -1}, "at `cooldown_s`"),
        ({**GOOD, "id": "a/b"}, "`id` cannot be 'a/b'"),
        ({**GOOD, "id": 5}, "`id` cannot be '5'"),
        ({**GOOD, "event": "never"}, "there is no event 'never': the events are prompt, "),
        (5, "profile 'default', trigger 1: it is no table"),
    ],
)
def test_a_fault_is_named_with_its_profile_its_number_and_its_name(trigger: Any, expected: str) -> None:
    (said,) = faults(trigger)
    assert expected in said


def test_one_bad_trigger_takes_no_other_along() -> None:
    found, said = read({"profiles": {"default": {"triggers": [GOOD, {"regex": "a"}, {**GOOD, "regex": "b"}]}}})
    assert [definition.spec.regex for definition in found["default"]] == ["a", "b"] and len(said) == 1


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"profiles": 5}, "`profiles` is no table"),
        ({"profiles": {"default": 5}}, "profile 'default' is no table"),
        ({"profiles": {"default": {"triggers": {}}}}, "`triggers` is no list"),
        ({"profiles": {"default": {"trigger": []}}}, "profile 'default' has no setting 'trigger'"),
        ({"profiles": {"a/b": {}}}, "a profile cannot be named 'a/b'"),
        ({"profiles": {"": {}}}, "a profile cannot be named ''"),
    ],
)
def test_what_is_no_profile_is_said_to_be_none(document: dict[str, Any], expected: str) -> None:
    found, (said,) = read(document)
    assert expected in said and found["default"] == []


def test_profiles_and_their_triggers_are_bounded() -> None:
    (said,) = faults(*[{"event": "bell", "action": "stop"}] * (TRIGGERS_MOST + 1))
    assert "has 2,001 triggers, and 2,000 at most may be" in said
    found, said_of_profiles = read({"profiles": {f"p{number}": {} for number in range(PROFILES_MOST + 1)}})
    assert "there are 101 profiles, and 100 at most may be" in said_of_profiles[0] and len(found) <= PROFILES_MOST + 1


def ids(*triggers: dict[str, Any]) -> list[str]:
    return [definition.id for definition in read({"profiles": {"default": {"triggers": list(triggers)}}})[0]["default"]]


def test_a_trigger_keeps_its_id_when_it_is_moved_and_when_it_is_only_tuned() -> None:
    other = {**GOOD, "regex": "b"}
    first, second = ids(GOOD, other)
    assert ids(other, GOOD) == [second, first] and first != second
    assert ids({**GOOD, "name": "n", "cooldown_s": 5, "enabled": False}, other) == [first, second]
    assert ids({**GOOD, "action": "BellTrigger"}, other) == [first, second]


def test_triggers_that_say_the_same_have_different_ids() -> None:
    assert len(set(ids(GOOD, GOOD, GOOD))) == 3
    found, _ = read({"profiles": {"a": {"triggers": [GOOD]}, "b": {"triggers": [GOOD]}}})
    assert found["a"][0].id != found["b"][0].id


def test_an_id_that_is_written_belongs_to_one_trigger() -> None:
    derived = ids(GOOD)[0]
    assert ids({**GOOD, "regex": "b", "id": derived}, GOOD)[0] == derived
    assert len(set(ids({**GOOD, "regex": "b", "id": derived}, GOOD))) == 2
    _, (said,) = read({"profiles": {"a": {"triggers": [{**GOOD, "id": "x"}]}, "b": {"triggers": [{**GOOD, "id": "x"}]}}})
    assert "profile 'b', trigger 1: its id 'x' is taken by profile 'a', trigger 1" in said


def test_an_id_is_the_same_in_every_daemon() -> None:
    """Sessions keep what a trigger has done under its id, and outlive this version of the code."""
    assert ids(GOOD) == ["t6274226b2d"]


values = st.recursive(
    st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
triggers = st.fixed_dictionaries(
    {},
    optional={
        "id": st.sampled_from(["a", "b"]) | values,
        "regex": st.sampled_from(["a", "("]) | values,
        "action": st.sampled_from(["bell", "BellTrigger"]) | values,
        "event": st.just("idle") | values,
        "event_params": st.dictionaries(st.text(max_size=3), values, max_size=2) | values,
        "parameter": values,
        "else": values,
    },
)


@given(st.dictionaries(st.sampled_from(["default", "a", "a/b"]), st.fixed_dictionaries({"triggers": st.lists(triggers | values, max_size=4)}) | values) | values)  # fmt: skip
def test_whatever_stands_there_is_read_or_told_of(content: Any) -> None:
    found, said = read({"profiles": content})
    ids = [definition.id for definitions in found.values() for definition in definitions]
    assert len(set(ids)) == len(ids) and "default" in found and all(isinstance(fault, str) for fault in said)


def test_the_regexes_of_all_that_is_read_stay_compiled() -> None:
    triggers = [{"regex": f"number {number}", "action": "bell"} for number in range(500)]
    found, _ = read({"profiles": {"default": {"triggers": triggers}}})
    assert [vars(definition)["pattern"].text for definition in found["default"]] == [trigger["regex"] for trigger in triggers]
