"""What a coprocess reads and types, byte for byte."""

from __future__ import annotations

import hashlib
import os
import signal
import sys
from pathlib import Path

import pytest
from support.live import EVERY_BYTE, Live, RpcError, lives


def test_it_answers_what_the_session_asks(daemon: Live) -> None:
    session = daemon.create(shell='while :; do echo "Are you there?"; read a; echo "got: $a"; sleep 1; done')
    daemon.output(session, b"there?")
    daemon.call("coprocess.run", session=session, command="while read -r q; do echo Yes; done", from_=0)
    daemon.output(session, b"got: Yes")
    daemon.call("session.close", session=session)


def test_it_and_an_observer_read_every_byte_value_from_byte_0(daemon: Live, tmp_path: Path) -> None:
    printed, read, observed = tmp_path / "printed", tmp_path / "read", tmp_path / "observed"
    job = [sys.executable, "-c", EVERY_BYTE, "24", str(printed)]
    session = daemon.create(*job, coprocess={"command": f"sha256sum > {read}"})
    daemon.call("coprocess.run", session=session, command=f"sha256sum > {observed}", from_=0, input=False)
    daemon.go(session)
    ends = [daemon.ended(session), daemon.ended(session)]
    assert {end["end_reason"] for end in ends} == {"session_ended"} and {end["exit_status"] for end in ends} == {0}
    assert {(end["consumed_offset"], end["undelivered_bytes"]) for end in ends} == {(24 << 20, 0)}
    assert read.read_text().split()[0] == observed.read_text().split()[0] == printed.read_text()


def test_it_gets_the_last_byte_of_a_job_that_ends_at_once_then_end_of_file(daemon: Live, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.write_bytes(os.urandom(300_000))
    session = daemon.create(shell=f"stty raw -echo; cat {data}", coprocess={"command": f"cat > {tmp_path}/copy; echo whole >&2"})
    assert daemon.ended(session)["stderr"] == "whole\n"
    assert (tmp_path / "copy").read_bytes() == data.read_bytes()


@pytest.mark.parametrize(
    ("start", "seen"), [("now", b"new\n"), ("line", b"half new\n"), (0, b"one\ntwo\nhalf new\n"), (4, b"two\nhalf new\n")]
)
def test_it_begins_where_it_was_told(daemon: Live, tmp_path: Path, start: str | int, seen: bytes) -> None:
    session = daemon.create(shell="stty raw -echo; printf 'one\\ntwo\\nhalf '; read a; printf 'new\\n'")
    daemon.output(session, b"half ")
    started = daemon.call("coprocess.run", session=session, command=f"cat > {tmp_path}/seen", from_=start)
    assert started["started_offset"] == len(b"one\ntwo\nhalf new\n") - len(seen)
    daemon.call("session.send_text", session=session, text="\n")
    daemon.ended(session)
    assert (tmp_path / "seen").read_bytes() == seen


def test_question_begins_with_the_line_that_waits_for_an_answer(daemon: Live) -> None:
    session = daemon.create(shell='echo welcome; echo "Sure?"; read a; echo "got $a"; sleep 100')
    daemon.output(session, b"Sure?\r\n")
    while daemon.call("session.get", session=session)["activity"] != "awaiting_input":
        pass
    daemon.call("coprocess.run", session=session, command='read q; echo "to $q"', from_="question")
    assert b"got to Sure?" in daemon.output(session, b"got ")
    assert daemon.call("coprocess.get", session=session)["started_offset"] == len("welcome\r\n")
    daemon.call("session.close", session=session)


def test_an_offset_that_is_no_longer_held_is_refused_with_what_is(daemon: Live) -> None:
    session = daemon.create(shell="stty raw -echo; head -c 200000 /dev/zero; echo end; sleep 100", log_bytes=65536)
    while daemon.call("session.get", session=session)["output_offset"] < 200_004:
        pass
    with pytest.raises(RpcError) as refused:
        daemon.call("coprocess.run", session=session, command="cat", from_=10)
    assert refused.value.code == "offset_lost" and refused.value.data["retained_from"] == 200_004 - 65536
    daemon.call("session.close", session=session)


def test_what_it_prints_is_typed_raw_and_its_stderr_is_kept_and_not_typed(daemon: Live) -> None:
    session = daemon.raw_cat()
    daemon.call("coprocess.run", session=session, command="printf 'a\\000\\377\\033[0m\\nb'; echo oops >&2; exit 3")
    end = daemon.ended(session)
    assert (end["exit_status"], end["end_reason"], end["typed_bytes"], end["stderr"]) == (3, "exited", 9, "oops\n")
    assert daemon.output(session, b"\nb").endswith(b"ready\na\0\xff\x1b[0m\nb")
    daemon.call("session.close", session=session)


def test_all_that_it_printed_before_its_end_is_typed(daemon: Live) -> None:
    session = daemon.create(shell="stty raw -echo; echo ready; head -c 300000 | sha256sum")
    daemon.output(session, b"ready\n")
    daemon.call("coprocess.run", session=session, command="head -c 300000 /dev/zero | tr '\\0' 'x'")
    assert hashlib.sha256(b"x" * 300_000).hexdigest().encode() in daemon.output(session)


def test_of_a_flood_of_stderr_the_last_100000_characters_are_kept(daemon: Live) -> None:
    session = daemon.create("cat")
    daemon.call("coprocess.run", session=session, command="head -c 900000 /dev/zero | tr '\\0' e >&2; echo last >&2")
    stderr = daemon.ended(session)["stderr"]
    assert len(stderr) == 100_000 and stderr.endswith("elast\n")
    daemon.call("session.close", session=session)


def test_it_runs_in_the_directory_and_environment_of_its_session_and_in_its_own_group(daemon: Live, tmp_path: Path) -> None:
    session = daemon.create(shell=f"cd {tmp_path}; exec sleep 100", env={"FLAVOUR": "mint"})
    while daemon.call("session.get", session=session)["cwd"] != str(tmp_path):
        pass
    shown = daemon.call("session.get", session=session)
    command = 'echo "$FLAVOUR|$EXTRA|$COPROCD_SESSION|$COPROCD_SOCKET|$COPROCD_TTY|$PWD|$(ps -o pgid= -p $$ | tr -d " ")|$$" >&2'
    daemon.call("coprocess.run", session=session, command=command, env={"EXTRA": "more"})
    *told, group, pid = daemon.ended(session)["stderr"].strip().split("|")
    assert told == ["mint", "more", session, daemon.socket, shown["tty"], str(tmp_path)] and group == pid
    daemon.call("session.close", session=session)


def test_one_types_and_observers_have_no_limit(daemon: Live) -> None:
    session = daemon.create("cat")
    racing = [daemon.client.send("coprocess.run", session=session, command="sleep 100") for _ in range(2)]
    winner = daemon.client.answer(racing[0])
    with pytest.raises(RpcError) as refused:
        daemon.client.answer(racing[1])
    assert refused.value.code == "coprocess_already_running" and refused.value.data["coprocess"] == winner["id"]
    for _ in range(20):
        daemon.call("coprocess.run", session=session, command="cat", input=False)
    shown = daemon.call("session.get", session=session)
    assert shown["observers"] == 20 and shown["coprocess"]["id"] == winner["id"]
    assert daemon.call("session.read", session=session)["next_offset"] == 0
    daemon.call("session.close", session=session)


def test_one_that_closed_its_stdin_is_still_typed(daemon: Live) -> None:
    session = daemon.raw_cat()
    daemon.call(
        "coprocess.run",
        session=session,
        command="exec <&-; while [ ! -e go$COPROCD_SESSION ]; do sleep 0.05; done; echo still",
        cwd=daemon.directory,
    )
    daemon.call("session.send_text", session=session, text="unread")
    daemon.output(session, b"unread")
    Path(daemon.directory, f"go{session}").touch()
    daemon.output(session, b"still")
    daemon.call("session.close", session=session)


def test_stop_ends_its_whole_group_and_kills_what_ignores_sigterm(daemon: Live) -> None:
    session = daemon.create("cat")
    command = "trap '' TERM; sh -c 'trap \"\" TERM; while :; do sleep 0.1; done' & echo $! >&2; while :; do sleep 0.1; done"
    started = daemon.call("coprocess.run", session=session, command=command)
    while not (told := daemon.call("coprocess.get", session=session)["stderr"]):
        pass
    assert daemon.call("coprocess.stop", session=session, grace_s=0.2) == {"stopped": True}
    end = daemon.call("coprocess.get", session=session)
    assert (end["end_reason"], end["signal"]) == ("stopped", "SIGKILL")
    assert not lives(started["pid"])
    while lives(int(told)):
        pass
    with pytest.raises(RpcError) as refused:
        daemon.call("coprocess.stop", session=session)
    assert refused.value.code == "no_coprocess"
    daemon.call("session.close", session=session)


def test_one_that_closes_its_stdout_is_at_its_end(daemon: Live) -> None:
    session = daemon.create("cat")
    daemon.call("coprocess.run", session=session, command="echo bye; exec >&-; exec sleep 100")
    end = daemon.ended(session)
    assert (end["end_reason"], end["signal"], end["typed_bytes"]) == ("stdout_closed", signal.SIGTERM.name, 4)
    daemon.call("session.close", session=session)


def test_one_whose_grandchild_holds_its_stdout_ends_with_its_process(daemon: Live) -> None:
    session = daemon.create("cat")
    daemon.call("coprocess.run", session=session, command="sleep 100 & echo $! >&2; exit 5")
    end = daemon.ended(session)
    assert (end["end_reason"], end["exit_status"]) == ("exited", 5)
    while lives(int(end["stderr"])):
        pass
    daemon.call("session.close", session=session)


def test_what_cannot_be_spawned_is_said_and_leaves_the_session_free(daemon: Live) -> None:
    session = daemon.create("cat")
    for what in ({"argv": ["/no/such/file"]}, {"command": "true", "cwd": "/no/such/dir"}, {"argv": ["/etc/passwd"]}):
        with pytest.raises(RpcError) as failed:
            daemon.call("coprocess.run", session=session, silent=True, **what)
        assert failed.value.code == "spawn_failed"
        assert daemon.call("coprocess.get", session=session)["end_reason"] == "spawn_failed"
    assert daemon.call("coprocess.run", session=session, command="cat >/dev/null")["state"] == "running"
    assert daemon.call("session.read", session=session)["silent"] == []
    daemon.call("session.close", session=session)


def test_silence_has_an_exact_boundary_and_the_log_keeps_the_bytes(daemon: Live) -> None:
    session = daemon.raw_cat()
    daemon.call("session.send_text", session=session, text="before")
    daemon.output(session, b"before")
    started = daemon.call("coprocess.run", session=session, command="head -c 6 >/dev/null", silent=True)
    daemon.call("session.send_text", session=session, text="hidden")
    end = daemon.ended(session)
    daemon.call("session.send_text", session=session, text="after")
    printed = daemon.output(session, b"after")
    assert started["silent_from"] == end["silent_from"] == len(b"ready\nbefore") and end["silent_to"] == len(b"ready\nbeforehidden")
    assert printed.endswith(b"ready\nbeforehiddenafter")
    assert daemon.call("session.read", session=session)["silent"] == [[end["silent_from"], end["silent_to"]]]
    daemon.call("session.close", session=session)


def test_what_a_coprocess_has_read_is_told_to_the_byte_also_when_it_is_slow_to_come_to_the_last(daemon: Live) -> None:
    """The bytes that stood in its pipe when the session ended were once told as undelivered, though it read them before its end of file."""
    session = daemon.create(shell="stty raw; head -c 30000 /dev/zero; read a")
    daemon.call("coprocess.run", session=session, command="sleep 0.4; wc -c >&2", from_=0)
    daemon.call("session.send_text", session=session, text="\n")
    ended = daemon.ended(session)
    printed = daemon.call("session.get", session=session)["output_offset"]
    assert int(ended["stderr"]) == printed >= 30_000
    assert (ended["consumed_offset"], ended["undelivered_bytes"], ended["end_reason"]) == (printed, 0, "session_ended")
    daemon.call("session.close", session=session)


def test_what_a_coprocess_has_not_read_at_its_end_is_told_too(daemon: Live) -> None:
    session = daemon.create(shell="stty raw; head -c 30000 /dev/zero; read a")
    daemon.call("coprocess.run", session=session, command="head -c 10 >/dev/null; exec sleep 0.5", from_=0)
    daemon.call("session.send_text", session=session, text="\n")
    ended = daemon.ended(session)
    assert ended["consumed_offset"] + ended["undelivered_bytes"] == daemon.call("session.get", session=session)["output_offset"]
    assert 0 < ended["consumed_offset"] < 30_000
    daemon.call("session.close", session=session)
