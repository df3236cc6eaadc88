"""Triggers against what a hostile job prints, and against what goes wrong while they act: the session goes on, and so do the others."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.live import Live, RpcError, live
from support.reader import prints, reader


@pytest.mark.parametrize("action", ["run_coprocess", "run_command"])
def test_a_notification_of_bytes_that_are_no_text_is_one_like_any_other(daemon: Live, tmp_path: Path, action: str) -> None:
    """The record of the action could not be written: no output of the session was read any more, and the daemon could not be stopped."""
    command = rf"printf %s \0 > {tmp_path}/new; mv {tmp_path}/new {tmp_path}/told"
    session = reader(daemon, {"event": "notification_posted", "action": action, "parameter": command})
    prints(daemon, session, r"\033]9;a\377b\007")
    daemon.await_((tmp_path / "told").exists)
    assert (tmp_path / "told").read_text() == "a\ufffdb"
    prints(daemon, session, "after")
    daemon.output(session, b"after\r\n")
    daemon.call("session.close", session=session, grace_s=0)


def test_a_coprocess_that_cannot_be_started_costs_no_trigger_the_line_that_is_being_printed(daemon: Live) -> None:
    session = reader(
        daemon,
        {"regex": "go", "action": "run_coprocess", "parameter": ["/does/not/exist"]},
        {"regex": "^Password:", "action": "mark"},
    )
    prints(daemon, session, r"go\nPassw\c")
    daemon.client.event("trigger.failed", session=session)
    prints(daemon, session, "ord:")
    daemon.client.event("trigger.fired", session=session, action="mark")


def test_a_silent_coprocess_that_cannot_be_started_fires_once_and_hides_nothing(daemon: Live) -> None:
    session = reader(daemon, {"regex": "hide", "action": "run_silent_coprocess", "parameter": ["/does/not/exist"]})
    prints(daemon, session, "hide this")
    daemon.client.event("trigger.failed", session=session)
    prints(daemon, session, "after")
    daemon.output(session, b"after\r\n")
    assert "hide this" in daemon.call("session.read", session=session, from_offset=0, max_bytes=4096, format="text")["text"]
    assert daemon.call("trigger.list", session=session)[0]["fired"] == 1


def test_enabling_a_profiles_trigger_lets_one_that_was_used_up_fire_again(daemon: Live) -> None:
    added = daemon.call("trigger.add", profile="again", regex="now", action="mark", once=True)
    session = reader(daemon, profile="again")
    for _ in range(2):
        prints(daemon, session, "now now")
        daemon.client.event("trigger.fired", session=session)
        assert daemon.call("trigger.enable", trigger=added["id"])["fired"] == 0
    assert len(daemon.call("session.marks", session=session)) == 2


def test_what_triggers_type_pushes_no_callers_key_out() -> None:
    with live(idempotency_keys_most=4) as daemon:
        session = reader(daemon, {"regex": "say", "action": "send_text", "parameter": r"said\n"})
        daemon.call("session.send_text", session=session, text="mine\n", key="k")
        prints(daemon, session, "say" * 10)
        daemon.output(session, lambda data: data.count(b"said") == 10)
        daemon.call("session.send_text", session=session, text="mine\n", key="k")
        prints(daemon, session, "after")
        assert daemon.output(session, b"after\r\n").count(b"mine") == 1


def test_marks_that_say_much_push_older_ones_out_and_outlive_the_daemon() -> None:
    with live(trigger_fires_per_s=1000) as daemon:
        text = "x" * 5000
        session = daemon.create(
            argv=["/bin/sh", "-c", "i=0; while [ $i -lt 400 ]; do echo mark; i=$((i+1)); done; echo end; exec cat"],
            triggers=[{"regex": "mark", "action": "annotate", "parameter": text}, {"regex": "end", "action": "bell"}],
        )
        daemon.client.event("bell", session=session)
        marks = daemon.call("session.marks", session=session)
        assert 200 < len(marks) < 300 and marks[-1]["id"] == "m400"
        daemon.call("session.annotate", session=session, offset=0, text="last")
        marks = daemon.call("session.marks", session=session)
        daemon.kill()
        assert daemon.call("session.marks", session=session) == marks
        assert "could not be stored" not in daemon.log()


def test_more_than_can_be_stored_is_not_begun_and_that_is_told(daemon: Live) -> None:
    session = daemon.create(
        argv=["/bin/sh", "-c", "head -c 60000 /dev/zero | tr '\\0' a; echo; echo end; stty raw -echo; exec cat >/dev/null"],
        triggers=[{"regex": "a+", "action": "send_text", "parameter": r"\0"} for _ in range(20)] + [{"regex": "end", "action": "bell"}],
    )
    failed = daemon.client.event("trigger.failed", session=session, reason="resource_exhausted")
    assert "match less text" in failed["message"]
    daemon.client.event("bell", session=session)
    assert daemon.call("session.get", session=session)["state"] == "running"


def test_idleness_ends_with_the_job(daemon: Live) -> None:
    session = daemon.create(
        argv=["true"], triggers=[{"event": "idle", "event_params": {"seconds": 0.3}, "action": "notify", "parameter": "idle"}]
    )
    daemon.output(session)
    witness = reader(daemon, {"event": "idle", "event_params": {"seconds": 0.6}, "action": "bell"})
    daemon.client.event("bell", session=witness)
    assert daemon.call("trigger.list", session=session)[0]["fired"] == 0


def test_a_title_and_a_variable_that_are_cut_change_once(daemon: Live) -> None:
    session = reader(
        daemon, {"regex": "go", "action": "set_title", "parameter": "t" * 5000}, {"event": "variable_changed", "action": "mark"}
    )
    prints(daemon, session, "go go")
    for _ in range(2):
        daemon.client.event("trigger.fired", session=session, action="set_title")
        daemon.call("session.set_variable", session=session, name="v", value="v" * 5000)
    daemon.call("session.rename", session=session, name="cut")
    told = [daemon.client.next_event()]
    while told[-1]["type"] != "session.renamed":
        told.append(daemon.client.next_event())
    assert "session.title" not in [event["type"] for event in told]
    assert daemon.call("trigger.list", session=session)[1]["fired"] == 1


def test_injecting_nothing_is_nothing(daemon: Live) -> None:
    session = reader(daemon)
    daemon.call("session.inject", session=session, data_b64="")
    daemon.call("session.inject", session=session, data_b64="eA==")
    assert daemon.client.event("session.injected", session=session)["bytes"] == 1


def test_input_that_is_held_for_ever_is_refused_when_it_is_full_and_the_session_can_be_closed(daemon: Live) -> None:
    session = daemon.create(
        shell="stty raw -echo; echo hold; exec cat", triggers=[{"regex": "hold", "action": "buffer_input", "parameter": "start"}]
    )
    daemon.client.event("trigger.fired", session=session)
    with pytest.raises(RpcError) as refused:
        for _ in range(100):
            daemon.call("session.send_text", session=session, text="x" * (64 << 10))
    assert refused.value.code == "input_full" and "buffer_input" in str(refused.value)
    assert daemon.call("coprocess.run", session=session, command="yes")["state"] == "running"
    daemon.call("session.close", session=session, grace_s=0)


def test_a_flood_of_bells_is_counted_and_the_session_stays_whole(daemon: Live) -> None:
    session = daemon.create(
        shell="stty raw -echo; head -c 50000 /dev/zero | tr '\\0' '\\7'; echo end; exec cat", triggers=[{"event": "bell", "action": "mark"}]
    )
    daemon.output(session, b"end\n")

    def each_is_counted() -> bool:
        (trigger,) = daemon.call("trigger.list", session=session)
        return bool(trigger["fired"] + trigger["suppressed"] == 50_000)

    daemon.await_(each_is_counted)
    assert "ERROR Exception" not in daemon.log()
