"""Edits of a config.toml: what was meant is what the file then says, and whoever wrote it finds it as it was."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coprocd.core import config_text
from coprocd.protocol.errors import CoprocdError

WRITTEN = """\
# limits of mine
[limits]
stall_timeout_s = 10 # ten

# about triggers in general

# zmodem, downwards
[[profiles.default.triggers]]
regex = '\\*\\*B00'   # what sz prints
action = "MuteCoprocessTrigger"
parameter = '''
receive'''
# to be tried

# errors
[[profiles.default.triggers]]
regex = "error"
action = "bell"
[profiles.default.triggers.event_params]
x = 1

[sessions]
scope = "never"
# the end
"""
BELL = {"regex": r"\d", "action": "bell"}


def triggers(text: str, profile: str = "default") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tomllib.loads(text)["profiles"][profile]["triggers"]
    return found


def test_a_trigger_is_added_after_the_last_of_its_profile() -> None:
    expected = WRITTEN.replace("x = 1\n", "x = 1\n\n[[profiles.default.triggers]]\nregex = '\\d'\naction = \"bell\"\n")
    assert config_text.add(WRITTEN, "default", None, [BELL]) == expected


def test_a_trigger_is_added_before_another_and_its_comment() -> None:
    expected = WRITTEN.replace("# to be tried\n", "# to be tried\n\n[[profiles.default.triggers]]\nregex = '\\d'\naction = \"bell\"\n")
    assert config_text.add(WRITTEN, "default", 1, [BELL]) == expected


def test_the_first_trigger_of_a_file_and_of_a_profile_gets_a_header_of_its_own() -> None:
    assert config_text.add("", "default", 3, [BELL]) == "[[profiles.default.triggers]]\nregex = '\\d'\naction = \"bell\"\n"
    assert config_text.add("[limits]", "a b", None, [BELL]).startswith('[limits]\n\n[[profiles."a b".triggers]]\n')
    assert config_text.add(WRITTEN, "x", None, [BELL]).startswith(WRITTEN + "\n[[profiles.x.triggers]]\n")


def test_a_field_is_changed_and_another_added_where_they_belong() -> None:
    expected = WRITTEN.replace("'\\*\\*B00' ", "'\\*\\*B01' ").replace("# to be tried\n", '# to be tried\nid = "t1"\n')
    assert config_text.update(WRITTEN, "default", 0, {"regex": r"\*\*B01", "id": "t1"}) == expected


def test_a_table_of_a_trigger_is_changed_and_taken_out() -> None:
    assert triggers(config_text.update(WRITTEN, "default", 1, {"event_params": {"y": 2}, "id": "t"}))[1] == {
        "regex": "error",
        "action": "bell",
        "id": "t",
        "event_params": {"y": 2},
    }
    assert triggers(config_text.update(WRITTEN, "default", 1, {"event_params": None}))[1] == {"regex": "error", "action": "bell"}


def test_a_trigger_is_moved_with_its_comment() -> None:
    text = config_text.update(WRITTEN, "default", 1, {}, position=0)
    assert [trigger["action"] for trigger in triggers(text)] == ["bell", "MuteCoprocessTrigger"]
    assert text.index("# errors") < text.index('"error"') < text.index("# zmodem") < text.index("receive")
    assert triggers(config_text.update(text, "default", 0, {}, position=9)) == triggers(WRITTEN)


def test_a_trigger_goes_with_the_comment_above_it_and_no_other() -> None:
    text = config_text.remove(WRITTEN, "default", 0)
    assert "zmodem" not in text and "# about triggers in general\n\n# errors\n[[" in text
    text = config_text.remove(text, "default", 0)
    assert (
        text
        == '# limits of mine\n[limits]\nstall_timeout_s = 10 # ten\n\n# about triggers in general\n\n[sessions]\nscope = "never"\n# the end\n'
    )


@pytest.mark.parametrize(
    "text",
    [
        '[profiles.default]\ntriggers = [{regex = "a", action = "stop"}, {regex = "b", action = "bell"}] # all\n',
        'profiles.default.triggers = [\n  # first\n  {regex = "a", action = "stop"},\n  {regex = "b", action = "bell"}, # second\n]\n',
        '[profiles]\ndefault = {triggers = [{regex = "a", action = "stop"}, {regex = "b", action = "bell"}]}\n',
    ],
)
def test_triggers_in_an_array_are_edited_there_or_not_at_all(text: str) -> None:
    for edit, meant in (
        (lambda: config_text.add(text, "default", 1, [BELL]), ["a", r"\d", "b"]),
        (lambda: config_text.update(text, "default", 0, {"regex": "c", "name": "n"}), ["c", "b"]),
        (lambda: config_text.update(text, "default", 0, {}, 1), ["b", "a"]),
        (lambda: config_text.remove(text, "default", 0), ["b"]),
    ):
        try:
            assert [trigger["regex"] for trigger in triggers(edit())] == meant
        except CoprocdError as error:
            assert "by hand" in error.message


def test_what_would_lose_a_part_of_a_table_elsewhere_is_refused() -> None:
    text = '[[profiles.a.triggers]]\nregex = "a"\n[limits]\nx = 1\n[profiles.a.triggers.event_params]\ny = 2\n'
    with pytest.raises(CoprocdError, match="cannot be edited without harm"):
        config_text.remove(text, "a", 0)


values = st.text(st.characters(blacklist_categories=("Cs",)), max_size=12)
tables = st.fixed_dictionaries(
    {"regex": values, "action": st.sampled_from(["bell", "stop"])},
    optional={"parameter": values | st.lists(values, min_size=1, max_size=3), "once": st.booleans(), "event_params": st.dictionaries(values, values | st.integers(-9, 9), max_size=2)},
)  # fmt: skip
edits = st.lists(
    st.tuples(st.sampled_from(["add", "update", "move", "remove"]), st.sampled_from(["default", "a b", "x"]), st.integers(0, 5), tables),
    max_size=8,
)


@settings(max_examples=150, deadline=None)
@given(edits, st.booleans())
def test_many_edits_leave_what_a_list_would_hold(edits: list[tuple[str, str, int, dict[str, Any]]], crlf: bool) -> None:
    text = WRITTEN.replace("\n", "\r\n") if crlf else WRITTEN
    model: dict[str, list[dict[str, Any]]] = {"default": triggers(text), "a b": [], "x": []}
    for kind, profile, index, table in edits:
        held = model[profile]
        if kind == "add":
            text = config_text.add(text, profile, index, [table])
            held.insert(index, table)
        elif held:
            index %= len(held)
            if kind == "remove":
                text = config_text.remove(text, profile, index)
                del held[index]
            else:
                position = len(held) - 1 if kind == "move" else None
                text = config_text.update(text, profile, index, table, position)
                changed = {**held.pop(index), **table}
                held.insert(len(held) if kind == "move" else index, changed)
        found = tomllib.loads(text)
        assert {name: found.get("profiles", {}).get(name, {}).get("triggers", []) for name in model} == model
        assert found["limits"] == {"stall_timeout_s": 10} and "# the end" in text and "# about triggers in general" in text
