"""The commands of triggers, each with a real daemon, and what they ask of a peer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, get_args

import pytest
from coprocctl.triggers import ACTIONS, EVENTS
from coprocctl_command import Command, Peer, Script

from coprocd.protocol import objects


@pytest.fixture
def daemon(coprocctl: Command) -> Iterator[Command]:
    coprocctl.text("daemon", "start")
    yield coprocctl
    coprocctl.text("daemon", "stop", "--all")


def test_completion_knows_the_actions_and_events_that_there_are() -> None:
    assert tuple(ACTIONS) == get_args(objects.Action) and tuple(EVENTS) == get_args(objects.TriggerEvent)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["a", "bell"], {"regex": "a", "action": "bell"}),
        (["a", "send_text", "x y"], {"regex": "a", "action": "send_text", "parameter": "x y"}),
        (["--", "-a", "run_command", "echo", "-n", r"\1"], {"regex": "-a", "action": "run_command", "parameter": ["echo", "-n", r"\1"]}),
        (["a", "bell", "--profile", "work", "--position", "0"], {"regex": "a", "action": "bell", "profile": "work", "position": 0}),
        (
            [
                "a",
                "bell",
                "--session",
                "s",
                "--name",
                "n",
                "--instant",
                "--once",
                "--cooldown",
                "1.5",
                "--disabled",
                "--no-interactive-apps",
            ],
            {"regex": "a", "action": "bell", "session": "s", "name": "n", "instant": True, "once": True, "cooldown_s": 1.5}
            | {"enabled": False, "interactive_apps": False},
        ),
        (
            ["", "notify", "quiet", "--event", "idle", "--event-param", "seconds=30", "--event-param", "of=all"],
            {"regex": "", "action": "notify", "parameter": "quiet", "event": "idle", "event_params": {"seconds": 30, "of": "all"}},
        ),
    ],
)
def test_add_asks_for_what_is_written(
    words: list[str], expected: dict[str, Any], peer: Callable[[Script], Peer], coprocctl: Command
) -> None:
    daemon = peer(lambda request: {"result": {"id": "t1"}})
    assert coprocctl.text("trigger", "add", *words) == "t1"
    assert daemon.requests[0]["params"] == expected


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["add", "a", "bell", "--session", "s", "--profile", "p"], "--session or --profile, not both"),
        (["add", "a", "bell", "--event-param", "a=b"], "needs --event"),
        (["add", "a"], "ACTION"),
        (["add", "a", "run_command", "echo", "-n"], "put -- before words that begin with -"),
        (["remove"], "TRIGGER"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(words: list[str], said: str, coprocctl: Command) -> None:
    done = coprocctl("trigger", *words)
    assert done.returncode == 2 and said in done.stderr.decode()


def test_the_group_alone_lists_its_commands(coprocctl: Command) -> None:
    done = coprocctl("trigger")
    assert done.returncode == 2 and b"trigger import" in done.stderr and b"daemon start" not in done.stderr


def test_triggers_are_added_listed_switched_and_removed(daemon: Command) -> None:
    session = daemon.text("new", "-d", "--name", "chat", "--", "cat")
    own = daemon.text("trigger", "add", "o\\dn", "bell", "--session", "chat", "--name", "mine")
    common = daemon.text("trigger", "add", "c", "run_command", "echo", "two words")
    heading, first, second = daemon.text("trigger", "list", "--session", "chat").splitlines()
    assert heading.split() == ["ID", "NAME", "STATE", "OF", "ACTION", "FIRED", "REGEX", "PARAMETER"]
    assert first.split() == [own, "mine", "on", session, "bell", "0", "o\\dn", "-"]
    assert second.split(maxsplit=7) == [common, "-", "on", "default", "run_command", "0", "c", "echo 'two words'"]
    event = daemon.text("trigger", "add", "", "bell", "--event", "idle", "--event-param", "seconds=30")
    assert "(idle seconds=30)" in daemon.text("trigger", "list")
    daemon.text("trigger", "remove", event)
    daemon.text("trigger", "disable", "mine", common)
    assert [trigger["enabled"] for trigger in daemon.json("trigger", "list", "--session", "chat")] == [False, False]
    daemon.text("trigger", "enable", "mine")
    assert daemon.text("trigger", "list", "--names").splitlines() == [common, "mine"]
    done = daemon("trigger", "remove", "mine", "nobody")
    assert done.returncode == 1 and b"there is no trigger 'nobody'" in done.stderr
    daemon.text("trigger", "remove", "mine", common)
    assert daemon.text("trigger", "list", "--names") == ""
    assert b"no triggers" in daemon("trigger", "list").stderr


def test_one_that_has_fired_once_is_shown_as_off_until_it_is_enabled_again(daemon: Command) -> None:
    session = daemon.text("new", "-d", "--", "cat")
    daemon.text("trigger", "add", "go", "bell", "--session", session, "--once", "--name", "first")
    daemon.text("send", session, "--enter", "go")
    with daemon.spawn("events", "--since", "0", "--types", "trigger.fired") as events:
        assert events.stdout and events.stdout.readline()
    assert "off (once)" in daemon.text("trigger", "list", "--session", session)
    daemon.text("trigger", "enable", "first")
    assert " on " in daemon.text("trigger", "list", "--session", session)


def test_a_session_is_made_with_a_profile(daemon: Command) -> None:
    daemon.text("trigger", "add", "w", "bell", "--profile", "work")
    daemon.text("new", "-d", "--name", "chat", "--profile", "work", "--", "cat")
    assert [trigger["profile"] for trigger in daemon.json("trigger", "list", "--session", "chat")] == ["work"]
    done = daemon("new", "-d", "--profile", "wrok", "--", "cat")
    assert done.returncode == 2 and b"there are: default, work" in done.stderr


def test_a_regex_is_tried_on_a_text_and_on_standard_input(daemon: Command) -> None:
    shown = daemon.text("trigger", "test", r"(\w+):(\d+)", "--text", "main:12 x", "--parameter", r"vim +\2 \1")
    heading, row = shown.splitlines()
    assert heading.split() == ["START", "END", r"\0", r"\1", r"\2", "PARAMETER"]
    assert row.split(maxsplit=5) == ["0", "7", "main:12", "main", "12", "vim +12 main"]
    assert daemon.json("trigger", "test", "b+", stdin=b"a\xff\nabb\n")["matches"][0]["groups"] == ["bb"]
    assert daemon("trigger", "test", "nowhere", "--text", "x").returncode == 1
    words = ("trigger", "test", "host (.+)", "--text", "host -v\nhost a\nhost -x", "--parameter", r"ssh \1")
    assert len(daemon.text(*words).splitlines()) == 4
    *rows, refused = daemon.text(*words, "--action", "run_command").splitlines()
    assert len(rows) == 4 and refused.startswith(r"refused at 0, 15: what \1 captured begins with `-`")


def test_triggers_of_iterm2_are_imported_with_a_report(daemon: Command) -> None:
    document = [
        {"action": "MuteCoprocessTrigger", "regex": "rz", "parameter": "receive", "partial": True},
        {"action": "BellTrigger", "regex": "(?=a)", "parameter": ""},
        {"action": "BellTrigger", "regex": "off", "parameter": "", "disabled": True},
    ]
    (daemon.root / "mine.it2triggers").write_text(json.dumps(document))
    done = daemon("trigger", "import", "mine.it2triggers", "--profile", "work")
    lines = done.stdout.decode().splitlines()
    assert done.returncode == 0 and lines[0].split() == ["ID", "STATE", "REGEX", "WHY"]
    assert any("rejected" in line and "number 2" in line for line in lines[1:])
    assert json.loads(daemon.text("trigger", "export", "--profile", "work"))[0]["regex"] == "rz"
    assert daemon.json("trigger", "import", "-", stdin=json.dumps(document[:1]).encode())["added"][0]["profile"] == "default"
    assert daemon("trigger", "import", "-", stdin=json.dumps(document[1:2]).encode()).returncode == 1
    assert daemon("trigger", "import", "nofile").returncode == 1


def test_marks_are_listed_with_their_places(daemon: Command) -> None:
    session = daemon.text("new", "-d", "--name", "chat", "--", "cat")
    assert b"no marks" in daemon("marks", "chat").stderr
    daemon.text("rpc", "session.annotate", json.dumps({"session": session, "offset": 0, "text": "the\x1bstart"}))
    heading, row = daemon.text("marks", "chat").splitlines()
    assert heading.split() == ["OFFSET", "KIND", "NAME", "TEXT"] and row.split(maxsplit=3) == ["0", "annotation", "-", "the\\estart"]


def test_a_fault_in_the_file_is_in_the_status_and_in_the_doctors_report(daemon: Command) -> None:
    path = daemon.root / "config" / "coprocd" / "config.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("[[profiles.default.triggers]]\nregex = '('\naction = 'bell'\n")
    assert daemon("rpc", "daemon.reload").returncode == 2
    assert "profile 'default', trigger 1" in daemon.text("daemon", "status")
    done = daemon("doctor")
    assert b"profile 'default', trigger 1" in done.stdout and b"left out" in done.stdout
