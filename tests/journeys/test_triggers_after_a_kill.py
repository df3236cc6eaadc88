"""What triggers have done, and what they go on with, after a daemon was killed; `test_crash_points` has the instants."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.faulty import await_true, environment, give
from support.live import Live, live, lives


@pytest.fixture(scope="module")
def daemon() -> Iterator[Live]:
    with live(environment(), trigger_fires_per_s=10_000) as started:
        yield started


def marked(daemon: Live, session: str) -> list[tuple[str, int, str | None]]:
    return [(mark["id"], mark["offset"], mark["text"]) for mark in daemon.call("session.marks", session=session)]


def test_a_trigger_that_is_added_after_a_time_without_any_fires_on_what_comes_then(daemon: Live) -> None:
    session = daemon.raw_cat(triggers=[{"regex": "first", "action": "mark"}])
    daemon.call("session.send_text", session=session, text="first\n")
    fired = daemon.client.event("trigger.fired", session=session)
    daemon.call("trigger.remove", trigger=fired["trigger"])
    for _ in range(2):
        daemon.kill()
        daemon.call("session.send_text", session=session, text="line\n")
    before = len(daemon.output(session, b"line\nline\n"))
    daemon.call("trigger.add", session=session, regex="line", action="annotate", parameter="seen")
    daemon.call("session.send_text", session=session, text="line\n")
    daemon.client.event("trigger.fired", session=session)
    assert [offset for _, offset, text in marked(daemon, session) if text == "seen"] == [before]


def test_the_mark_on_the_last_line_of_a_session_stays_though_its_daemon_is_killed_right_behind_it(daemon: Live) -> None:
    session = daemon.create(shell="stty raw -echo; echo ready; read go; echo last", triggers=[{"regex": "last", "action": "mark"}])
    daemon.output(session, b"ready\n")
    pid = daemon.pids()[0]
    give(daemon, "daemon KILL coprocd.runtime.session:Session.hang_up after 1", pid)
    daemon.client.send("session.send_text", session=session, text="\n")
    await_true(lambda: not lives(pid), "the session does not end")
    daemon.client.close()
    daemon.subscribe()
    assert marked(daemon, session) == [("m1", 6, None)]


def test_marks_with_long_texts_are_kept_as_far_as_there_is_room_and_stand_after_a_kill(daemon: Live) -> None:
    session = daemon.raw_cat(triggers=[{"regex": "^(\\d+) .*", "action": "capture", "parameter": r"\0"}])
    for number in range(400):
        daemon.call("session.send_text", session=session, text=f"{number} {'ä' * 4000}\n")
    daemon.await_(lambda: daemon.call("trigger.list", session=session)[0]["fired"] == 400)
    before = marked(daemon, session)
    assert before[-1][0] == "m400" and len(before) > 50
    daemon.kill()
    assert marked(daemon, session) == before
    assert "could not be stored" not in daemon.log()


def test_a_command_that_waits_when_its_daemon_is_killed_is_told_of_and_one_that_runs_is_not(tmp_path: Path) -> None:
    with live(environment(), commands_most=1) as daemon:
        run = {
            "regex": r"^run (\d+)$",
            "action": "run_command",
            "parameter": ["/bin/sh", "-c", 'echo "$1" >> "$0"; sleep 1000', str(tmp_path / "ran"), r"\1"],
        }
        session = daemon.raw_cat(triggers=[run])
        daemon.call("session.send_text", session=session, text="run 1\nrun 2\n")
        daemon.client.event("command.started", session=session)
        await_true(lambda: (tmp_path / "ran").exists() and (tmp_path / "ran").read_text() == "1\n", "no command has run")
        daemon.kill()
        daemon.client.call("events.subscribe", since_seq=0)
        failed = daemon.client.event("trigger.failed", session=session)
        assert (failed["reason"], failed["offset"]) == ("crash", len(b"ready\nrun 1\n"))
        (command,) = daemon.call("command.list", session=session)
        assert command["state"] == "running"
        assert (tmp_path / "ran").read_text() == "1\n"
