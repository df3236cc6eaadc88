"""Triggers on what happens to a session, in place of a line."""

from __future__ import annotations

import pytest
from support.live import Live, RpcError


def on(event: str, **more: object) -> dict[str, object]:
    """A trigger that notifies of the event, and of what it is about."""
    return {"event": event, "action": "notify", "parameter": rf"{event} \0", **more}


def told(daemon: Live, session: str) -> str:
    return str(daemon.client.event("notification", session=session)["text"])


def test_idle_fires_once_a_time_and_activity_after_it(daemon: Live) -> None:
    triggers = [on("idle", event_params={"seconds": 0.4}), on("activity_after_idle", event_params={"seconds": 0.4})]
    session = daemon.create(shell="echo a; read x; echo b; sleep 100", triggers=triggers)
    assert told(daemon, session) == "idle "
    daemon.call("session.send_text", session=session, text="\n")
    assert [told(daemon, session), told(daemon, session)] == ["activity_after_idle ", "idle "]
    assert [trigger["fired"] for trigger in daemon.call("trigger.list", session=session)] == [2, 1]


def test_the_end_of_a_session_tells_its_status(daemon: Live) -> None:
    assert told(daemon, daemon.create(shell="exit 3", triggers=[on("session_ended")])) == "session_ended 3"
    assert told(daemon, daemon.create(shell="kill -KILL $$", triggers=[on("session_ended")])) == "session_ended SIGKILL"
    only = daemon.create(shell="exit 4", triggers=[on("session_ended", regex="^[1-9]")])
    assert told(daemon, only) == "session_ended 4"


def test_a_bell_but_not_the_end_of_a_title(daemon: Live) -> None:
    session = daemon.create(shell=r"printf '\033]0;title\007'; printf 'ding\007\n'; sleep 100", triggers=[on("bell")])
    assert told(daemon, session) == "bell "
    assert daemon.call("trigger.list", session=session)[0]["fired"] == 1


def test_what_programs_send_beside_text(daemon: Live) -> None:
    triggers = [on("notification_posted"), on("progress"), on("custom_escape_sequence")]
    shell = r"printf '\033]9;done now\007\033]777;notify;build;ok\007\033]9;4;1;50\007\033]1337;Custom=id=x:hello\007'; sleep 100"
    session = daemon.create(shell=shell, triggers=triggers)
    assert sorted(told(daemon, session) for _ in range(4)) == [
        "custom_escape_sequence id=x:hello",
        "notification_posted build;ok",
        "notification_posted done now",
        "progress 1;50",
    ]


def test_jobs_that_come_to_the_front_and_go(daemon: Live) -> None:
    session = daemon.create("bash", "--norc", "--noprofile", "-i", env={"PS1": "$ "}, triggers=[on("job_started"), on("job_ended")])
    daemon.output(session, b"$ ")
    daemon.call("session.send_text", session=session, text="sleep 1\n")
    assert [told(daemon, session), told(daemon, session)] == ["job_started sleep", "job_ended sleep"]


def test_a_variable_that_changes_and_one_trigger_that_leads_to_another(daemon: Live) -> None:
    triggers = [
        on("variable_changed", event_params={"name": "a"}),
        {"regex": "set (.*)", "action": "set_variable", "parameter": r"a=\1"},
        on("directory_changed"),
        {"event": "variable_changed", "action": "set_directory", "parameter": r"/\0"},
    ]
    session = daemon.create(shell="echo set one; sleep 100", triggers=triggers)
    assert [told(daemon, session), told(daemon, session)] == ["variable_changed one", "directory_changed /one"]
    daemon.call("session.set_variable", session=session, name="b", value="two")
    assert told(daemon, session) == "directory_changed /two"


def test_events_that_cannot_come_and_params_that_do_not_exist_are_refused(daemon: Live) -> None:
    for trigger, said in (
        (on("command_finished"), "shell integration"),
        (on("idle", event_params={"second": 1}), "no param 'second'"),
        (on("idle", event_params={"seconds": "5"}), "give a number"),
        (on("bell", event_params={"seconds": 5}), "it has none"),
    ):
        with pytest.raises(RpcError, match=said):
            daemon.create("true", triggers=[trigger])
