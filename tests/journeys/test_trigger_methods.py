"""`trigger.*` on a real daemon: where triggers live, how they are named, changed, imported, and what is refused before anything happens."""

from __future__ import annotations

import base64
import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.live import Live, RpcError, live


@pytest.fixture(scope="module")
def shared() -> Iterator[Live]:
    with live() as daemon:
        yield daemon


@pytest.fixture
def daemon(shared: Live) -> Iterator[Live]:
    """A daemon whose config.toml is not there."""
    yield shared
    config(shared).unlink(missing_ok=True)
    shared.call("daemon.reload")


def config(daemon: Live) -> Path:
    return Path(daemon.directory) / "c" / "coprocd" / "config.toml"


def write(daemon: Live, text: str) -> None:
    config(daemon).parent.mkdir(parents=True, exist_ok=True)
    config(daemon).write_text(text)


def refused(daemon: Live, code: str, method: str, **params: Any) -> str:
    with pytest.raises(RpcError) as error:
        daemon.call(method, **params)
    assert error.value.code == code, error.value
    return str(error.value)


def test_a_trigger_of_a_session_is_its_own(daemon: Live) -> None:
    session = daemon.create("cat")
    first = daemon.call("trigger.add", session=session, regex="a", action="bell", name="mine")
    second = daemon.call("trigger.add", session=session, regex="b", action="BellTrigger", position=0)
    assert (first["session"], first["profile"], second["position"], second["action"]) == (session, None, 0, "bell")
    assert [trigger["id"] for trigger in daemon.call("trigger.list", session=session)] == [second["id"], first["id"]]
    assert daemon.call("trigger.list") == []
    assert daemon.call("trigger.get", trigger="mine")["id"] == first["id"]
    assert daemon.call("trigger.disable", trigger="mine")["enabled"] is False
    assert daemon.call("trigger.enable", trigger=first["id"])["enabled"] is True
    changed = daemon.call("trigger.update", trigger="mine", regex="c", position=0, cooldown_s=1.5)
    assert (changed["id"], changed["regex"], changed["action"], changed["name"], changed["position"]) == (
        first["id"],
        "c",
        "bell",
        "mine",
        0,
    )
    assert daemon.call("trigger.remove", trigger="mine")["id"] == first["id"]
    assert "there is no trigger 'mine'" in refused(daemon, "trigger_not_found", "trigger.get", trigger="mine")


def test_a_trigger_of_a_profile_stands_in_the_file_and_in_all_its_sessions(daemon: Live) -> None:
    session = daemon.create("cat")
    write(daemon, "# mine\n[limits]\nevents_most = 500\n")
    added = daemon.call("trigger.add", regex=r"\d", action="bell", name="digits")
    assert (added["session"], added["profile"], added["fired"]) == (None, "default", 0)
    assert config(daemon).read_text().startswith("# mine\n[limits]\nevents_most = 500\n\n[[profiles.default.triggers]]\n")
    assert [trigger["id"] for trigger in daemon.call("trigger.list", session=session)] == [added["id"]]
    assert daemon.call("trigger.list", profile="default") == [added]
    assert daemon.call("trigger.disable", trigger="digits")["enabled"] is False
    assert "enabled = false" in config(daemon).read_text()
    assert daemon.call("trigger.enable", trigger="digits")["enabled"] is True
    assert daemon.call("trigger.update", trigger="digits", name=None)["name"] is None
    assert daemon.call("trigger.remove", trigger=added["id"])["id"] == added["id"]
    assert config(daemon).read_text() == "# mine\n[limits]\nevents_most = 500\n" and daemon.call("trigger.list", session=session) == []


def test_a_session_has_the_profile_it_was_made_with_and_triggers_before_its_first_byte(daemon: Live) -> None:
    write(daemon, "[[profiles.work.triggers]]\nregex = 'w'\naction = 'bell'\n")
    daemon.call("daemon.reload")
    session = daemon.create(
        "echo", "first w", profile="work", triggers=[{"regex": "first", "action": "MuteCoprocessTrigger", "parameter": "cat"}]
    )
    own, of_profile = daemon.call("trigger.list", session=session)
    assert (own["action"], own["session"], of_profile["profile"]) == ("run_silent_coprocess", session, "work")
    said = refused(daemon, "invalid_params", "session.create", argv=["cat"], profile="wrok")
    assert "there is no profile 'wrok'" in said and "there are: default, work" in said
    before = len(daemon.call("session.list"))
    refused(daemon, "invalid_regex", "session.create", argv=["cat"], triggers=[{"regex": "(", "action": "bell"}])
    assert len(daemon.call("session.list")) == before


def test_profiles_hold_after_a_restart() -> None:
    with live() as daemon:
        write(daemon, "[[profiles.work.triggers]]\nregex = 'w'\naction = 'bell'\n")
        daemon.client.event("config.reloaded", profiles=["work"])
        session = daemon.create("cat", profile="work")
        own = daemon.call("trigger.add", session=session, regex="o", action="bell")
        listed = daemon.call("trigger.list", session=session)
        write(daemon, config(daemon).read_text() + "\n[[profiles.work.triggers]]\nregex = '('\naction = 'bell'\n")
        daemon.client.event("config.failed")
        daemon.restart()
        assert [trigger["id"] for trigger in daemon.call("trigger.list", session=session)] == [trigger["id"] for trigger in listed]
        assert listed[0]["id"] == own["id"]
        assert "profile 'work', trigger 2" in daemon.call("daemon.info")["config_fault"]
        assert "trigger 2" in daemon.log()


def test_a_broken_file_keeps_the_triggers_and_refuses_edits(daemon: Live) -> None:
    session = daemon.create("cat")
    daemon.call("trigger.add", regex="a", action="bell")
    good = config(daemon).read_text()
    write(daemon, good + "x\n")
    said = refused(daemon, "invalid_params", "daemon.reload")
    assert str(config(daemon)) in said and "line 5" in said
    assert said.startswith(daemon.call("daemon.info")["config_fault"])
    refused(daemon, "invalid_params", "trigger.add", regex="b", action="bell")
    assert config(daemon).read_text() == good + "x\n" and len(daemon.call("trigger.list", session=session)) == 1
    write(daemon, good)
    daemon.call("daemon.reload")
    assert daemon.call("daemon.info")["config_fault"] is None


@pytest.mark.parametrize(
    ("params", "code", "said"),
    [
        ({"action": "bell"}, "invalid_params", "needs a `regex`, or an `event`"),
        ({"regex": "(", "action": "bell"}, "invalid_regex", ""),
        ({"regex": "a", "action": "explode"}, "invalid_params", "there is no action 'explode'"),
        ({"regex": "a", "action": "run_command"}, "invalid_params", "parameter"),
        ({"regex": "a", "action": "bell", "parameter": "loud"}, "invalid_params", "the action bell takes no parameter: leave it out"),
        ({"regex": "a", "action": "highlight", "parameter": "loud"}, "invalid_params", "a colour is `#rrggbb`"),
        ({"regex": "a", "action": "bell", "session": "s", "profile": "p"}, "invalid_params", "give one of them"),
        ({"regex": "a", "action": "bell", "session": "nobody"}, "session_not_found", ""),
        ({"regex": "a", "action": "bell", "profile": "a/b"}, "invalid_params", "it may be: 1 to 100 letters"),
        ({"regex": "a", "action": "bell", "position": -1}, "invalid_params", "position"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(params: dict[str, Any], code: str, said: str, daemon: Live) -> None:
    assert said in refused(daemon, code, "trigger.add", **params)
    assert not config(daemon).exists()


def test_an_update_is_judged_as_a_whole(daemon: Live) -> None:
    trigger = daemon.call("trigger.add", regex="a", action="bell")["id"]
    refused(daemon, "invalid_params", "trigger.update", trigger=trigger, action="run_command")
    refused(daemon, "invalid_params", "trigger.update", trigger=trigger, regex="")
    assert daemon.call("trigger.update", trigger=trigger, action="run_command", parameter="true")["parameter"] == "true"


def test_a_name_that_several_have_is_refused_with_their_ids(daemon: Live) -> None:
    session = daemon.create("cat")
    ids = [daemon.call("trigger.add", regex="a", action="bell", name="twin", **where)["id"] for where in ({}, {"session": session})]
    said = refused(daemon, "trigger_not_found", "trigger.remove", trigger="twin")
    assert "2 triggers are named 'twin'" in said and all(id in said for id in ids)
    assert [daemon.call("trigger.remove", trigger=id)["id"] for id in ids] == ids


def test_a_session_that_has_exited_takes_no_more_triggers_but_those_it_had_are_listed_and_removed(daemon: Live) -> None:
    session = daemon.create("cat", name="over")
    first, second = (daemon.call("trigger.add", session=session, regex=regex, action="bell")["id"] for regex in "ab")
    daemon.call("session.send_bytes", session=session, data_b64=base64.b64encode(b"\x04").decode())
    daemon.client.event("session.exited", session=session)
    said = refused(daemon, "session_exited", "trigger.add", session=session, regex="c", action="bell")
    assert "session over has exited (exit status 0)" in said and "no trigger of it fires any more: give a session that runs" in said
    assert refused(daemon, "session_exited", "trigger.update", trigger=first, regex="c") == said
    assert refused(daemon, "session_exited", "trigger.import", session=session, document=EXPORTED) == said
    assert [trigger["regex"] for trigger in daemon.call("trigger.list", session=session)] == ["a", "b"]
    assert daemon.call("trigger.disable", trigger=second)["enabled"] is False
    assert daemon.call("trigger.remove", trigger=first)["id"] == first
    assert [trigger["id"] for trigger in daemon.call("trigger.list", session=session)] == [second]
    daemon.call("session.close", session=session)


EXPORTED = [
    {"action": "MuteCoprocessTrigger", "regex": r"\*\*B00000000000000", "parameter": "receive", "partial": True},
    {"action": "BellTrigger", "regex": "(?=look)", "parameter": ""},
    {"action": "BellTrigger", "regex": "off", "parameter": "", "disabled": 1},
    {"action": "NoSuchTrigger", "regex": "a", "parameter": ""},
]


@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize("in_session", [False, True])
def test_triggers_of_iterm2_are_imported_with_a_report_and_exported(daemon: Live, as_text: bool, in_session: bool) -> None:
    where = {"session": daemon.create("cat")} if in_session else {"profile": "imported"}
    report = daemon.call("trigger.import", document=json.dumps(EXPORTED) if as_text else EXPORTED, **where)
    assert report["added"][0]["action"] == "run_silent_coprocess" and report["added"][0]["regex"] == r"\*\*B00000000000000"
    assert 1 in [one["index"] for one in report["rejected"]]
    assert {one["id"] for one in report["disabled"]} <= {trigger["id"] for trigger in report["added"]}
    assert [trigger["id"] for trigger in daemon.call("trigger.list", **where)] == [trigger["id"] for trigger in report["added"]]
    exported = daemon.call("trigger.export", **where)
    assert exported[0]["action"] == "MuteCoprocessTrigger" and exported[0]["regex"] == EXPORTED[0]["regex"]
    if not in_session:
        assert len(tomllib.loads(config(daemon).read_text())["profiles"]["imported"]["triggers"]) == len(report["added"])


def test_what_is_no_document_is_refused(daemon: Live) -> None:
    for document in ("{", 5, None):
        refused(daemon, "invalid_params", "trigger.import", document=document)


def test_a_trigger_is_tried_on_a_text_and_nothing_is_run(daemon: Live) -> None:
    text = "é \x1b[1mf.c\x1b[0m:12: oops\r\nnothing\r\nf.c:3: last"
    result = daemon.call("trigger.test", regex=r"(\w+\.c):(\d+)", text=text, parameter=r"vim \1 +\2")
    first, second = result["matches"]
    assert (first["groups"], first["expanded"]) == (["f.c:12", "f.c", "12"], "vim f.c +12")
    assert text.encode()[first["start"] : first["end"]] == b"f.c\x1b[0m:12"
    assert second["groups"][0] == "f.c:3"
    assert daemon.call("trigger.test", regex="nowhere", text=text) == {"matches": []}
    (match,) = daemon.call("trigger.test", regex="(a+)", text="aa", parameter=["echo", r"x\1"], action="run_command")["matches"]
    assert (match["expanded"], match["refused"]) == (["echo", "xaa"], None)
    refused(daemon, "invalid_regex", "trigger.test", regex="(", text="")


@pytest.mark.parametrize("parameter", [r"ssh \1", ["ssh", r"\1"]])
def test_a_command_that_would_be_refused_when_it_is_to_run_is_told_apart(daemon: Live, parameter: Any) -> None:
    given = {"regex": "host (.+)", "text": "host here\nhost -v\n", "parameter": parameter}
    here, option = daemon.call("trigger.test", **given, action="run_command")["matches"]
    assert here["refused"] is None
    assert option["refused"].endswith(r"ssh would read it as an option: write -- before \1")
    if isinstance(parameter, str):  # for any other action it is text
        assert [match["refused"] for match in daemon.call("trigger.test", **given)["matches"]] == [None, None]
        assert [match["refused"] for match in daemon.call("trigger.test", **given, action="notify")["matches"]] == [None, None]


def test_marks_variables_and_injected_bytes(daemon: Live) -> None:
    session = daemon.create("sh", "-c", "echo one; echo two; exec cat")
    daemon.output(session, b"two\r\n")
    mark = daemon.call("session.annotate", session=session, offset=5, text="here")
    assert (mark["offset"], mark["kind"], mark["text"]) == (5, "annotation", "here")
    assert daemon.call("session.marks", session=session) == [mark]
    assert daemon.call("session.set_variable", session=session, name="colour", value="blue")["variables"] == {"colour": "blue"}
    assert daemon.call("session.inject", session=session, data_b64=base64.b64encode(b"hello").decode()) == {}
    assert daemon.call("session.get", session=session)["output_offset"] == len(b"one\r\ntwo\r\n")
    refused(daemon, "invalid_params", "session.inject", session=session, data_b64="!")
