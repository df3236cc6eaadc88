"""iTerm2's JSON, read and written: what is known is kept, what is not is reported, and a broken document says where."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coprocd.core import iterm2, substitution
from coprocd.protocol.errors import CoprocdError
from coprocd.protocol.objects import Action, TriggerEvent, TriggerSpec

ZMODEM = {
    "action": "MuteCoprocessTrigger",
    "regex": r"rz waiting to receive.\*\*B0100",
    "parameter": "iterm2-send-zmodem.sh",
    "partial": True,
    "disabled": False,
    "matchType": 0,
}
TABLE = {
    "CoprocessTrigger": "run_coprocess", "MuteCoprocessTrigger": "run_silent_coprocess", "ScriptTrigger": "run_command",
    "SendTextTrigger": "send_text", "iTermInjectTrigger": "inject", "StopTrigger": "stop", "iTermUserNotificationTrigger": "notify",
    "AlertTrigger": "alert", "BellTrigger": "bell", "iTermSetTitleTrigger": "set_title", "iTermSetUserVariableTrigger": "set_variable",
    "SetDirectoryTrigger": "set_directory", "SetHostnameTrigger": "set_host", "iTermShellPromptTrigger": "prompt", "MarkTrigger": "mark",
    "iTermSetNamedMarkTrigger": "named_mark", "AnnotateTrigger": "annotate", "CaptureTrigger": "capture", "HighlightTrigger": "highlight",
    "iTermHighlightLineTrigger": "highlight_line", "iTermSGRTrigger": "sgr", "iTermHyperlinkTrigger": "hyperlink", "iTermRPCTrigger": "call",
    "iTermBufferInputTrigger": "buffer_input", "PasswordTrigger": "password",
}  # fmt: skip

PARAMETERS: dict[str, Any] = {
    "set_variable": "name\x01value", "buffer_input": 0, "sgr": "1;38:2:1:255:0:9", "highlight": "{#ff0000,}",
    "highlight_line": "{p3#ffff0000ffff,#00ff00}", "stop": "", "prompt": "", "mark": 1, "bell": 0,
}  # fmt: skip


def no_look_around(regex: str) -> None:
    if "(?=" in regex:
        raise CoprocdError("invalid_regex", "no look-ahead")


def read(document: Any) -> iterm2.Imported:
    return iterm2.read(document, no_look_around)


def only(trigger: dict[str, Any], profile: dict[str, Any] | None = None) -> tuple[TriggerSpec, str | None]:
    imported = read({**(profile or {}), "Triggers": [trigger]})
    assert imported.rejected == []
    ((index, spec, why),) = imported.specs
    assert index == 0
    return spec, why


def reason(trigger: Any) -> str:
    imported = read([trigger])
    assert imported.specs == []
    ((index, why),) = imported.rejected
    assert index == 0
    return why


# -- documents ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "document",
    [
        ZMODEM,
        [ZMODEM],
        {"Name": "Default", "Guid": "x", "Triggers": [ZMODEM]},
        {"Profiles": [{"Name": "a"}, {"Name": "b", "Triggers": []}, {"Name": "c", "Triggers": [ZMODEM]}]},
    ],
)
def test_every_form_of_document_is_read_as_text_and_as_json(document: Any) -> None:
    expected = TriggerSpec(action="run_silent_coprocess", regex=ZMODEM["regex"], parameter=ZMODEM["parameter"], instant=True)  # type: ignore[arg-type]
    for given_as in (document, json.dumps(document), "\ufeff" + json.dumps(document)):
        assert read(given_as).specs == [(0, expected, None)]


def test_the_index_counts_over_all_profiles_and_one_that_does_not_fit_leaves_the_others() -> None:
    imported = read({"Profiles": [{"Triggers": [ZMODEM, 5]}, {"Triggers": [{"action": "NoTrigger", "regex": "x"}, ZMODEM]}]})
    assert [index for index, _, _ in imported.specs] == [0, 3]
    assert [index for index, _ in imported.rejected] == [1, 2]


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ('[{"action": ]', "line 1, column 13"),
        ("", "line 1, column 1"),
        ("[" * 200_000, "nested too deep"),
        ("[" + "9" * 5000 + "]", "too long"),
        ("5", "the document should be a list"),
        ("null", "and is null"),
        ({}, "the document should be"),
        ({"Triggers": {"a": 1}}, "Triggers should be a list, and is an object"),
        ({"Profiles": "x"}, "Profiles should be a list, and is text"),
        ({"Profiles": [{}, 3]}, r"Profiles\[1\] should be an object, and is a number"),
        ({"Profiles": [{}, {"Triggers": None}]}, r"Profiles\[1\].Triggers should be a list, and is null"),
        ([{}] * 10_001, "at most 10000"),
    ],
)
def test_a_broken_document_says_where(document: Any, place: str) -> None:
    with pytest.raises(CoprocdError, match=place) as caught:
        read(document)
    assert caught.value.code == "invalid_params"


# -- one trigger ----------------------------------------------------------------------------------------------------


def test_every_class_of_the_table_is_read_and_written() -> None:
    assert set(TABLE.values()) == set(get_args(Action))
    for name, action in TABLE.items():
        trigger = {**ZMODEM, "action": name, "parameter": PARAMETERS.get(action, "text")}
        spec, _ = only(trigger)
        assert spec.action == action
        assert iterm2.write([spec]) == [trigger]


def test_every_event_has_its_number() -> None:
    for number, event in enumerate(get_args(TriggerEvent), 100):
        trigger = {**ZMODEM, "regex": "", "matchType": number, "eventParams": {"timeout": 5, "directoryRegex": "/home"}}
        spec, _ = only(trigger)
        assert (spec.event, spec.event_params) == (event, trigger["eventParams"])
        assert iterm2.write([spec]) == [trigger]


def test_booleans_may_be_numbers_and_what_is_missing_has_its_default() -> None:
    spec, why = only({"action": "BellTrigger", "regex": "x", "partial": 1, "disabled": 1, "parameter": None, "eventParams": None})
    assert (spec.instant, spec.enabled, why, spec.name, spec.event) == (True, False, None, None, None)
    spec, _ = only({"action": "BellTrigger", "regex": "x", "partial": 0})
    assert (spec.instant, spec.enabled, spec.parameter) == (False, True, None)


@pytest.mark.parametrize(
    ("name", "number", "ours"),
    [
        ("iTermBufferInputTrigger", 0, "start"),
        ("iTermBufferInputTrigger", 1, "stop"),
        ("MarkTrigger", 1, "1"),
        ("BounceTrigger", 1, "bounce 1"),
        ("BounceTrigger", None, "bounce"),
    ],
)
def test_parameters_that_are_numbers_are_kept(name: str, number: int | None, ours: str) -> None:
    trigger = {**ZMODEM, "action": name, "parameter": number}
    if number is None:
        del trigger["parameter"]
    spec, _ = only(trigger)
    assert spec.parameter == ours
    assert iterm2.write([spec]) == [trigger]


@pytest.mark.parametrize("action", ["StopTrigger", "iTermShellPromptTrigger", "MarkTrigger", "BellTrigger", "BounceTrigger"])
@pytest.mark.parametrize("parameter", ["text", "3 times", {"a": 1}, -1, 1.5, float("nan"), float("inf")])
def test_a_parameter_that_an_action_does_not_take_is_dropped(action: str, parameter: Any) -> None:
    spec, why = only({**ZMODEM, "action": action, "parameter": parameter})
    assert (spec.parameter, why) == ("bounce" if action == "BounceTrigger" else None, None)


@pytest.mark.parametrize(
    ("number", "colours"),
    [(0, "{#ffff00,#000000}"), (7.0, "{#800080,#000000}"), (1000, "{#000000,}"), (1013, "{#996633,}"), (2005, "{,#ff0000}")],
)
def test_the_numbers_of_highlights_become_their_colours(number: float, colours: str) -> None:
    trigger = {**ZMODEM, "action": "HighlightTrigger", "parameter": number}
    spec, _ = only(trigger)
    assert spec.parameter == colours
    assert iterm2.write([spec]) == [{**trigger, "parameter": colours}]


@pytest.mark.parametrize(
    ("action", "ours", "theirs"),
    [
        ("highlight", "red", "{#cd0000,}"),
        ("highlight", "{bright_white,16}", "{#ffffff,#000000}"),
        ("highlight_line", {"background": "208"}, "{,#ff8700}"),
        ("highlight", "255", "{#eeeeee,}"),
        ("highlight", "", ""),
        ("sgr", "31", "31"),
        ("sgr", "#ff8000", "38:2:1:255:128:0"),
        ("sgr", {"foreground": "blue", "background": "p3#ffff00008000"}, "38:2:1:0:0:238;48:2:1:255:0:128"),
    ],
)
def test_colours_are_written_as_iterm2_has_them(action: Action, ours: Any, theirs: str) -> None:
    substitution.check(action, ours)
    (written,) = iterm2.write([TriggerSpec(action=action, regex="x", parameter=ours)])
    assert written["parameter"] == theirs
    assert only(written)[0].parameter == theirs


def test_a_name_that_cannot_be_ours_is_changed_and_the_trigger_kept() -> None:
    assert only({**ZMODEM, "name": "-@rz / sz\0"})[0].name == "rz _ sz"
    assert only({**ZMODEM, "name": "@"})[0].name is None
    assert only({**ZMODEM, "name": "é" * 400})[0].name == "é" * 255


def test_what_has_no_counterpart_is_imported_disabled_with_a_reason() -> None:
    spec, why = only({**ZMODEM, "job": "emacs"})
    assert not spec.enabled and why and "emacs" in why
    spec, why = only({**ZMODEM, "parameter": r"echo \(path)"}, {"Triggers Use Interpolated Strings": True})
    assert not spec.enabled and why and "expression" in why
    spec, why = only({**ZMODEM, "parameter": r"sed 's/\(x\)//'"}, {"Triggers Use Interpolated Strings": False})
    assert spec.enabled and why is None


def test_a_profile_says_whether_triggers_work_in_interactive_apps() -> None:
    assert only(ZMODEM, {"Enable Triggers in Interactive Apps": 0})[0].interactive_apps is False
    assert only(ZMODEM)[0].interactive_apps is True


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"action": "FancyTrigger"}, "FancyTrigger: no such class"),
        ({"action": "iTermFoldTrigger"}, "iTermFoldTrigger: a daemon has no window"),
        ({"action": "iTermSetTabStatusTrigger"}, "no tabs"),
        ({"action": "iTermEnterWorkgroupTrigger"}, "no workgroups"),
        ({"action": None}, "its action should be the name of a class, and is null"),
        ({"regex": "a(?=b)"}, "no look-ahead"),
        ({"regex": ""}, "no regular expression"),
        ({"regex": 5}, "regex should be text, and is a number"),
        ({"matchType": 105, "eventParams": {"userRegex": "(?=b)"}}, "no look-ahead"),
        ({"matchType": 1}, "pages in iTerm2's browser"),
        ({"matchType": 2}, "pages in iTerm2's browser"),
        ({"matchType": 3}, "not known here"),
        ({"matchType": 116}, "not known here"),
        ({"matchType": -1}, "not known here"),
        ({"matchType": "x"}, "matchType should be a whole number"),
        ({"partial": "yes"}, "partial should be true or false, and is text"),
        ({"eventParams": [1]}, "eventParams should be an object, and is a list"),
        ({"parameter": [1]}, "parameter should be text, and is a list"),
        ({"parameter": {"a": 1}}, "is text, not an object"),
        ({"action": "HighlightTrigger", "parameter": 8}, "no colours are known by the number 8"),
        ({"action": "HighlightTrigger", "parameter": "{#ff,}"}, "a colour is `#rrggbb`"),
        ({"action": "iTermSGRTrigger", "parameter": "bold"}, "give codes such as `1;31`"),
        ({"parameter": ""}, "needs a parameter"),
        ({"parameter": r"\1"}, "would be the program itself"),
        ({"parameter": "x" * 70_000}, "does not fit"),
        ({"regex": "x" * 20_000}, "does not fit"),
        ({"regex": "\ud800"}, "no Unicode"),
        ({"eventParams": {"timeout": float("nan")}}, "a number that is none"),
    ],
)
def test_what_cannot_be_said_here_is_rejected_with_its_reason(changed: dict[str, Any], why: str) -> None:
    assert why in reason({**ZMODEM, **changed})


@pytest.mark.parametrize("trigger", [None, 5, "x", [], True])
def test_what_is_no_trigger_is_rejected(trigger: Any) -> None:
    assert "a trigger is an object" in reason(trigger)


def test_the_coprocesses_that_people_run_are_read_as_they_are() -> None:
    commands = [
        "iterm2-recv-zmodem.sh", r"trzsz-iterm2 \1", r"echo vim \1; sleep 0.5; echo \2G", "sh -c 'sleep 1; echo'",
        r"/usr/local/bin/coprocess.py --file '\1'", r'notify-send "done" -- "\0"', r"open -a Finder -- \1 && echo",
    ]  # fmt: skip
    imported = read([{**ZMODEM, "parameter": command} for command in commands])
    assert imported.rejected == []
    assert [spec.parameter for _, spec, _ in imported.specs] == commands


# -- round trips ----------------------------------------------------------------------------------------------------

SOME_TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00\x01"), min_size=1, max_size=20)
TRIGGERS = st.fixed_dictionaries(
    {
        "action": st.sampled_from([name for name, action in TABLE.items() if action not in (*substitution.RUNS, *PARAMETERS)]),
        "regex": SOME_TEXT.filter(lambda text: "(?=" not in text),
        "partial": st.booleans(),
        "disabled": st.booleans(),
        "matchType": st.just(0) | st.integers(100, 115),
    },
    optional={
        "parameter": SOME_TEXT.filter(lambda text: not text.isdigit() and not text.startswith("bounce")),
        "name": st.from_regex(r"[A-Za-z][A-Za-z -]{0,20}", fullmatch=True),
        "eventParams": st.dictionaries(st.sampled_from(["timeout", "jobName", "exitCodeFilter"]), st.integers() | SOME_TEXT, min_size=1),
    },
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(list(TABLE)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*ZMODEM, "name", "eventParams", "Triggers", "Profiles", "job"]) | st.text(max_size=3), inner, max_size=6
        )
    ),
    max_leaves=12,
)


@given(st.lists(TRIGGERS, max_size=4))
def test_what_is_read_is_written_again(triggers: list[dict[str, Any]]) -> None:
    imported = read(json.dumps(triggers))
    rejected = dict(imported.rejected)
    assert all("needs a parameter" in why for why in rejected.values())
    kept = [trigger for index, trigger in enumerate(triggers) if index not in rejected]
    assert iterm2.write(spec for _, spec, _ in imported.specs) == kept


@given(ANYTHING)
def test_no_document_makes_another_error_than_ours(document: Any) -> None:
    try:
        imported = read(document)
    except CoprocdError as error:
        assert error.code == "invalid_params"
    else:
        assert read(iterm2.write(spec for _, spec, _ in imported.specs)).rejected == []


def test_an_argv_list_is_written_as_the_command_that_means_the_same() -> None:
    argv = ["printf", "%s", r"it's \\1 = \1", r"\n", "a b", r"\xff"]
    ((written),) = iterm2.write([TriggerSpec(action="run_command", regex="x", parameter=argv)])
    command = substitution.command(written["parameter"])
    assert command == "'printf' '%s' 'it'\\''s \\1 = '\"${COPROCD_MATCH_1}\"'' '\n' 'a b' '\udcff'"
    json.dumps(written, ensure_ascii=False).encode()


# -- names ----------------------------------------------------------------------------------------------------------


def test_an_action_is_named_our_way_or_theirs() -> None:
    for name, action in TABLE.items():
        assert iterm2.action_named(name) == iterm2.action_named(action) == action


@pytest.mark.parametrize(("name", "near"), [("run_comand", "run_command"), ("coprocesstrigger", "CoprocessTrigger"), ("Bell", "bell")])
def test_an_action_that_is_none_names_those_that_are_near(name: str, near: str) -> None:
    with pytest.raises(CoprocdError, match=near) as caught:
        iterm2.action_named(name)
    assert caught.value.code == "invalid_params"
    with pytest.raises(CoprocdError, match="the actions are run_coprocess"):
        iterm2.action_named("zzzzzz")
