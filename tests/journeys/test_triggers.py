"""Triggers of a session: what fires, what is done then, and what is told of it."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from support.live import Live, RpcError
from support.reader import prints, reader


def counts(daemon: Live, session: str) -> list[tuple[int, int, int]]:
    return [(t["fired"], t["suppressed"], t["refused"]) for t in daemon.call("trigger.list", session=session) if t["profile"] is None]


def text_of(daemon: Live, session: str) -> str:
    return str(daemon.call("session.read", session=session, from_offset=0, max_bytes=1 << 20, format="text")["text"])


def test_a_match_tells_where_it_is_and_what_it_captured(daemon: Live) -> None:
    session = reader(daemon, {"regex": r"(\w+):(\d+)", "action": "mark", "name": "place"})
    prints(daemon, session, r"see \033[31mfile\033[0m:12 there")
    fired = daemon.client.event("trigger.fired", session=session)
    printed = b"see \x1b[31mfile\x1b[0m:12 there\r\n"
    assert printed[fired["offset"] : fired["end"]] == b"file\x1b[0m:12"
    assert (fired["groups"], fired["line"], fired["line_offset"]) == (["file:12", "file", "12"], "see file:12 there", 0)
    assert (fired["name"], fired["action"]) == ("place", "mark")
    (mark,) = daemon.call("session.marks", session=session)
    assert (mark["kind"], mark["offset"], mark["end"], mark["line_offset"]) == ("mark", fired["offset"], fired["end"], 0)


def test_a_coprocess_reads_from_the_first_byte_of_the_match_and_has_the_captures_in_its_environment(daemon: Live, tmp_path: Path) -> None:
    command = rf"head -c 18 > {tmp_path}/read; printf %s '\1' \2 > {tmp_path}/told; printf %s \"$COPROCD_LINE\" > {tmp_path}/line"
    session = reader(daemon, {"regex": "(be)gin (.*)", "action": "run_coprocess", "parameter": command.replace('\\"', '"')})
    prints(daemon, session, "before begin it's; $(here)")
    prints(daemon, session, "more")
    end = daemon.ended(session)
    assert (end["started_offset"], end["exit_status"]) == (len("before "), 0), end
    assert (tmp_path / "read").read_text() == "begin it's; $(here"
    assert (tmp_path / "told").read_text() == "beit's; $(here)"
    assert (tmp_path / "line").read_text() == "before begin it's; $(here)"
    (trigger,) = daemon.call("trigger.list", session=session)
    assert end["started_by"] == trigger["id"]


def test_silence_begins_with_the_turn_that_matched_and_its_trigger_sees_nothing_of_it(daemon: Live) -> None:
    session = reader(
        daemon,
        {"regex": "hide", "action": "run_silent_coprocess", "parameter": "grep -m1 secret"},
        {"regex": "secret|after", "action": "mark"},
    )
    prints(daemon, session, "shown")
    daemon.output(session, b"shown\r\n")
    prints(daemon, session, "now hide")
    started = daemon.client.event("coprocess.started", session=session)["coprocess"]
    assert started["silent_from"] == started["started_offset"] == len(b"shown\r\nnow ")
    prints(daemon, session, "secret")
    end = daemon.ended(session)
    prints(daemon, session, "after")
    daemon.client.event("trigger.fired", session=session, action="mark")
    assert [mark["offset"] >= end["silent_to"] for mark in daemon.call("session.marks", session=session)] == [True]


def test_a_coprocess_that_runs_refuses_another_and_it_is_counted_and_told(daemon: Live) -> None:
    session = reader(daemon, {"regex": "go", "action": "run_coprocess", "parameter": "sleep 1000"})
    prints(daemon, session, "go")
    started = daemon.client.event("coprocess.started", session=session)["coprocess"]
    prints(daemon, session, "go again")
    refused = daemon.client.event("coprocess.refused", session=session)
    assert refused["running"] == started["id"] and counts(daemon, session) == [(1, 0, 1)]
    daemon.call("coprocess.stop", session=session)


def test_sent_text_has_no_control_character_that_was_captured(daemon: Live) -> None:
    session = reader(daemon, {"regex": "say (.*)", "action": "send_text", "parameter": r"said \1\n", "once": True})
    prints(daemon, session, r"say a\tb\001c \\\\n \\\\1")
    daemon.output(session, b"said ab")
    output = text_of(daemon, session)
    assert "said ab" in output and "\x01" not in output.split("said")[1]


@pytest.mark.parametrize(
    ("action", "parameter", "kind", "said"),
    [
        ("mark", None, "mark", {"text": None, "name": None}),
        ("mark", "1", "mark", {"text": None, "name": None}),
        ("named_mark", r"at \1", "named_mark", {"name": "at x"}),
        ("annotate", r"see \1", "annotation", {"text": "see x"}),
        ("prompt", None, "prompt", {"text": None}),
        ("capture", r"vim \1", "capture", {"text": "error x", "name": "vim x"}),
        ("highlight", "#ff0000", "highlight", {"text": "#ff0000"}),
        ("highlight", "", "highlight", {"text": None}),
        ("sgr", {"foreground": "red"}, "sgr", {"text": '{"foreground":"red"}'}),
        ("hyperlink", r"https://example.org/\1", "hyperlink", {"text": "https://example.org/x"}),
    ],
)
def test_what_marks_a_place(daemon: Live, action: str, parameter: Any, kind: str, said: dict[str, Any]) -> None:
    session = reader(daemon, {"regex": "error (.*)", "action": action, "parameter": parameter})
    prints(daemon, session, "error x")
    daemon.client.event("trigger.fired", session=session)
    (mark,) = daemon.call("session.marks", session=session)
    assert mark["kind"] == kind and {name: mark[name] for name in said} == said


def test_what_is_kept_of_the_session(daemon: Live) -> None:
    session = reader(
        daemon,
        {"regex": "title (.*)", "action": "set_title", "parameter": r"T: \1"},
        {"regex": "title (.*)", "action": "set_variable", "parameter": r"seen=\1"},
        {"regex": "in (/.*) as (.*)", "action": "set_directory", "parameter": r"\1"},
        {"regex": "in (/.*) as (.*)", "action": "set_host", "parameter": r"\2"},
    )
    prints(daemon, session, "title one")
    prints(daemon, session, "in /far/away as me@there")
    for action in ("set_title", "set_variable", "set_directory", "set_host"):
        daemon.client.event("trigger.fired", session=session, action=action)
    shown = daemon.call("session.get", session=session)
    assert (shown["title"], shown["variables"]) == ("T: one", {"seen": "one"})
    assert (shown["cwd"], shown["user"], shown["host"]) == ("/far/away", "me", "there")


def test_what_others_act_on_is_an_event(daemon: Live) -> None:
    actions = {"notify": "notification", "alert": "notification", "bell": "bell", "call": "call", "password": "password"}
    session = reader(
        daemon, *({"regex": "it is (.*)", "action": action, "parameter": r"p \1" if action != "bell" else None} for action in actions)
    )
    prints(daemon, session, "it is done")
    told = [daemon.client.event(type, session=session) for type in actions.values()]
    assert [(event.get("text"), event.get("alert")) for event in told[:2]] == [("p done", False), ("p done", True)]
    assert told[3]["call"] == "p done" and told[3]["groups"] == ["it is done", "done"] and told[4]["account"] == "p done"


def test_stop_ends_the_list_for_that_line_and_all_matches_of_a_line_fire(daemon: Live) -> None:
    session = reader(
        daemon,
        {"regex": "a", "action": "mark"},
        {"regex": "stop", "action": "stop"},
        {"regex": "b", "action": "mark"},
        {"regex": "^$", "action": "mark"},
    )
    prints(daemon, session, "a a stop b")
    prints(daemon, session, "b b b")
    prints(daemon, session, "")
    prints(daemon, session, "a")
    daemon.await_(lambda: counts(daemon, session)[0][0] == 3)
    assert [fired for fired, _, _ in counts(daemon, session)] == [3, 1, 3, 1]


def test_an_instant_trigger_fires_at_once_and_once_a_line(daemon: Live) -> None:
    session = daemon.create(
        shell="stty -echo; printf 'Password: '; read a; echo; printf 'Password: again'; read b",
        triggers=[{"regex": "^Password: ", "action": "send_text", "parameter": r"secret\n", "instant": True}],
    )
    daemon.output(session)
    assert counts(daemon, session) == [(2, 0, 0)]


def test_once_cooldown_and_a_disabled_one(daemon: Live) -> None:
    session = reader(
        daemon,
        {"regex": "x", "action": "mark", "once": True},
        {"regex": "x", "action": "mark", "cooldown_s": 1000},
        {"regex": "x", "action": "mark", "enabled": False},
        {"regex": "x", "action": "mark"},
    )
    prints(daemon, session, "x x x")
    daemon.await_(lambda: counts(daemon, session)[3][0] == 3)
    assert counts(daemon, session) == [(1, 0, 0), (1, 2, 0), (0, 0, 0), (3, 0, 0)]
    first = daemon.call("trigger.list", session=session)[0]
    daemon.call("trigger.enable", trigger=first["id"])
    prints(daemon, session, "x")
    daemon.await_(lambda: counts(daemon, session)[3][0] == 4)
    assert counts(daemon, session)[0] == (1, 0, 0)


def test_one_that_fires_on_what_it_types_is_throttled_and_that_is_told_once(daemon: Live) -> None:
    session = reader(daemon, {"regex": "loop", "action": "send_text", "parameter": r"loop\nloop\n"})
    prints(daemon, session, "loop")
    throttled = daemon.client.event("trigger.throttled", session=session)
    (trigger,) = daemon.call("trigger.list", session=session)
    assert throttled["trigger"] == trigger["id"]

    def fired_or_suppressed_for_every_line() -> bool:
        fired, suppressed, _ = counts(daemon, session)[0]
        return bool(suppressed == fired + 1)  # each that fired has typed two lines, and the first was ours

    daemon.await_(fired_or_suppressed_for_every_line)
    assert counts(daemon, session)[0][0] >= 50
    daemon.call("session.rename", session=session, name="quiet")
    told = [daemon.client.next_event()]
    while told[-1]["type"] != "session.renamed":
        told.append(daemon.client.next_event())
    assert "trigger.throttled" not in [event["type"] for event in told]


def test_in_interactive_apps_only_those_fire_that_may(daemon: Live) -> None:
    session = reader(daemon, {"regex": "word", "action": "mark", "interactive_apps": False}, {"regex": "word", "action": "bell"})
    prints(daemon, session, r"\033[?1049hword")
    prints(daemon, session, r"\033[?1049lword")
    daemon.await_(lambda: counts(daemon, session)[1][0] == 2)
    assert counts(daemon, session)[0][0] == 1


def test_a_progress_bar_is_checked_at_every_return_and_a_long_line_is_one(daemon: Live) -> None:
    session = reader(daemon, {"regex": r"(\d+)%", "action": "mark"}, {"regex": "^start.*end$", "action": "bell"})
    prints(daemon, session, r"10%\r20%\r30%")
    prints(daemon, session, "start" + "." * 500 + "end")
    daemon.await_(lambda: counts(daemon, session)[1][0] == 1)
    assert counts(daemon, session)[0][0] == 3


def test_input_is_held_between_two_triggers(daemon: Live) -> None:
    session = reader(
        daemon,
        {"regex": "hold", "action": "buffer_input", "parameter": "start"},
        {"regex": "quiet", "event": "idle", "event_params": {"seconds": 0.3}, "action": "buffer_input", "parameter": "stop"},
    )
    daemon.call("trigger.update", trigger=daemon.call("trigger.list", session=session)[1]["id"], regex="")
    prints(daemon, session, "hold")
    daemon.client.event("trigger.fired", session=session, action="buffer_input")
    prints(daemon, session, "typed meanwhile")
    assert daemon.call("session.get", session=session)["input_held"]
    daemon.output(session, b"typed meanwhile")
    assert not daemon.call("session.get", session=session)["input_held"]


def test_input_that_is_held_goes_on_when_nothing_is_left_to_let_it_go(daemon: Live) -> None:
    session = reader(daemon, {"regex": "hold", "action": "buffer_input", "parameter": "start"})
    prints(daemon, session, "hold")
    daemon.client.event("trigger.fired", session=session, action="buffer_input")
    prints(daemon, session, "typed meanwhile")
    daemon.call("trigger.disable", trigger=daemon.call("trigger.list", session=session)[0]["id"])
    daemon.output(session, b"typed meanwhile")


def test_injected_bytes_are_in_no_log_and_wait_for_a_sequence_to_end(daemon: Live) -> None:
    session = reader(daemon, {"regex": "add", "action": "inject", "parameter": r"\e[1madded\e[0m"})
    prints(daemon, session, r"add this")
    injected = daemon.client.event("session.injected", session=session)
    assert injected["bytes"] == len(b"\x1b[1madded\x1b[0m") and b"added" not in daemon.output(session, b"add this")
    prints(daemon, session, r"a\033[3\c")
    daemon.output(session, b"a\x1b[3")
    daemon.call("session.inject", session=session, data_b64=base64.b64encode(b"later").decode())
    prints(daemon, session, "1m")
    later = daemon.client.event("session.injected", session=session)
    assert later["offset"] > injected["offset"] and later["offset"] >= text_of(daemon, session).encode().index(b"1m") + 2


def test_a_place_can_be_annotated_while_it_is_in_the_log(daemon: Live) -> None:
    session = reader(daemon)
    prints(daemon, session, "one")
    daemon.output(session, b"one\r\n")
    mark = daemon.call("session.annotate", session=session, offset=2, text="here")
    assert daemon.call("session.marks", session=session) == [mark] and (mark["kind"], mark["text"]) == ("annotation", "here")
    with pytest.raises(RpcError, match="holds its output from offset"):
        daemon.call("session.annotate", session=session, offset=1000, text="there")


def test_an_action_that_fails_is_told_and_the_session_goes_on(daemon: Live) -> None:
    session = reader(
        daemon,
        {"regex": "go (.*)", "action": "run_coprocess", "parameter": ["/does/not/exist"]},
        {"regex": r"opt (.*)", "action": "run_coprocess", "parameter": r"cat \1"},
        {"regex": "long", "action": "send_text", "parameter": "x" * 5000},
    )
    prints(daemon, session, "go on")
    failed = daemon.client.event("trigger.failed", session=session)
    assert failed["reason"] == "spawn_failed" and "/does/not/exist" in failed["message"]
    prints(daemon, session, "opt -n")
    failed = daemon.client.event("trigger.failed", session=session)
    assert failed["reason"] == "invalid_params" and "--" in failed["message"]
    prints(daemon, session, "long")
    assert daemon.client.event("trigger.failed", session=session)["reason"] == "line_too_long"
    prints(daemon, session, "after")
    daemon.output(session, b"after\r\n")
    assert daemon.call("session.get", session=session)["coprocess"] is None
