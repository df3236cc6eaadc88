"""The commands of sessions against a real daemon, as a user meets them. No mocks; all is awaited through the daemon's own answers."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from coprocctl_command import COPROCCTL, Beside, Command
from coprocctl_following import RAW, next_event, raw_reader, read_until

# -- sessions -----------------------------------------------------------------------------------------------------------------------


def test_new_starts_a_daemon_when_none_runs_and_prints_the_id(coprocctl: Command) -> None:
    try:
        session = coprocctl.text("new", "--name", "first", "--", "cat")
        assert [(found["id"], found["name"], found["argv"]) for found in coprocctl.json("list")] == [(session, "first", ["cat"])]
        assert oct(coprocctl.socket.stat().st_mode)[-3:] == "600"
        assert oct((coprocctl.root / "state" / "coprocd" / "coprocd.log").stat().st_mode)[-3:] == "600"
    finally:
        assert coprocctl.text("daemon", "stop", "--all") == "stopped, with 1 session"


def test_commands_that_start_at_once_share_one_daemon(coprocctl: Command) -> None:
    try:
        starts = [coprocctl.spawn("daemon", "start", "--json") for _ in range(4)]
        said = [start.communicate(timeout=60) for start in starts]
        assert [start.returncode for start in starts] == [0] * 4, said
        assert len({json.loads(out)["pid"] for out, _ in said}) == 1
    finally:
        coprocctl.text("daemon", "stop", "--all")


def test_a_session_has_the_environment_size_and_directory_it_was_given(daemon: Command) -> None:
    (daemon.root / "sub").mkdir()
    show = 'printf "%s|" "$MINE" "$EXTRA" "$TMUX" "$TERM" "${COPROCD_SESSION:+id}" "$COPROCD_SOCKET" "$(pwd)" "$(stty size)"'
    done = daemon(
        "new",
        "--name",
        "env",
        "--size",
        "30x99",
        "--cwd",
        "sub",
        "--env",
        "EXTRA=a=b",
        "--",
        "sh",
        "-c",
        show,
        MINE="yes",
        TMUX="outer",
        TERM="dumb",
    )
    assert done.returncode == 0
    printed = daemon.text("logs", "-f", "env")
    assert printed == f"yes|a=b||xterm-256color|id|{daemon.socket}|{daemon.root}/sub|30 99|"


def test_without_a_command_a_session_runs_the_users_shell(daemon: Command) -> None:
    daemon("new", "--name", "shell", SHELL="/bin/sh")
    assert daemon.json("list")[0]["argv"] == ["/bin/sh", "-l"]
    daemon.text("send", "shell", "echo $((6 * 7))", "--enter")
    read_until(daemon, "shell", b"\n42\r")


def test_the_same_key_gives_the_same_session(daemon: Command) -> None:
    assert daemon.text("new", "--key", "k", "--", "cat") == daemon.text("new", "--key", "k", "--", "cat")
    assert len(daemon.json("list")) == 1


def test_a_name_that_is_taken_is_refused_with_4(daemon: Command) -> None:
    daemon.text("new", "--name", "a", "--", "cat")
    daemon.text("new", "--name", "b", "--", "cat")
    assert daemon("new", "--name", "a", "--", "cat").returncode == 4
    assert daemon("rename", "b", "a").returncode == 4
    daemon.text("rename", "b", "c")
    assert daemon.text("list", "--names").split() == ["a", "c"]


def test_a_session_that_is_not_there_is_status_3_everywhere(daemon: Command) -> None:
    for line in (
        *("logs x", "send x hi", "send x -", "send-keys x Enter", "paste x hi", "resize x 24x80", "rename x y", "signal x INT", "close x"),
        *(
            "run-coprocess x cat",
            "run-coprocess x cat --wait",
            "stop-coprocess x",
            "coprocess x",
            "coprocess x --all",
            "events --session x",
        ),
    ):
        done = daemon(*line.split())
        assert (done.returncode, done.stdout) == (3, b""), line
        assert b"x" in done.stderr


def test_sessions_are_listed_by_label_and_state(daemon: Command) -> None:
    daemon.text("new", "--name", "a", "--label", "team=red", "--", "cat")
    daemon.text("new", "--name", "b", "--label", "team=blue", "--", "cat")
    daemon.text("new", "--name", "c", "--", "true")
    daemon.text("logs", "-f", "c")
    assert daemon.text("list", "--label", "team=red", "--names") == "a"
    assert daemon.text("list", "--state", "exited", "--names") == "c"
    assert "exited 0" in daemon.text("list")


def test_resize_signal_and_close_act_on_the_job(daemon: Command) -> None:
    job = 'trap "stty size" WINCH; trap "echo usr1" USR1; echo ready; while :; do read x; done'
    daemon.text("new", "--name", "j", "--", "sh", "-c", job)
    read_until(daemon, "j", b"ready")
    daemon.text("resize", "j", "33x111")
    read_until(daemon, "j", b"33 111")
    assert daemon.json("resize", "j", "40", "120")["cols"] == 120
    daemon.text("signal", "j", "usr1")
    read_until(daemon, "j", b"usr1")
    assert daemon("signal", "j", "NOSUCH").returncode == 2
    daemon.text("kill", "j", "--grace", "0.1")
    assert daemon.json("list") == []


def test_input_to_a_session_that_has_ended_is_refused_with_4(daemon: Command) -> None:
    daemon.text("new", "--name", "done", "--", "true")
    daemon.text("logs", "-f", "done")
    for line in ("send done hi", "send-keys done Enter", "paste done hi", "resize done 24x80", "signal done INT", "run-coprocess done cat"):
        assert daemon(*line.split()).returncode == 4, line


def test_at_means_the_session_the_command_runs_in(daemon: Command) -> None:
    rename = " ".join([*COPROCCTL, "rename", "@", "renamed"])
    daemon.text("new", "--name", "here", "--", "sh", "-c", f"{rename}; echo status $?; cat")
    with daemon.spawn("events", "--since", "0", "--types", "session.renamed", "--json") as following:
        assert next_event(following, "session.renamed")["name"] == "renamed"


# -- typing -------------------------------------------------------------------------------------------------------------------------


def test_text_keys_and_pastes_are_typed(daemon: Command) -> None:
    daemon.text(
        "new", "--name", "t", "--", sys.executable, "-c", RAW + "print('typed:', sys.stdin.buffer.read(18).hex(), 'end', flush=True)"
    )
    read_until(daemon, "t", b"ready")
    assert daemon.json("send", "t", "a", "b", "--enter")["accepted_bytes"] == 4
    daemon.text("send-keys", "t", "C-c", "Up", "x")
    daemon.text("paste", "t", "p\x1bq")
    daemon.text("send", "t", "--", "--enter")
    shown = read_until(daemon, "t", b" end")
    assert bytes.fromhex(shown.split()[-2].decode()) == b"a b\r\x03\x1b[Axpq--enter"


def test_a_key_that_is_not_known_fails_and_types_nothing(daemon: Command) -> None:
    daemon.text("new", "--name", "k", "--", "cat")
    done = daemon("send-keys", "k", "a", "NoSuchKey")
    assert done.returncode == 2 and b"NoSuchKey" in done.stderr
    assert daemon.json("rpc", "session.get", '["k"]')["input_bytes"] == 0
    assert daemon.text("logs", "k") == ""


def test_eight_megabytes_of_standard_input_are_typed_without_loss_or_repetition(daemon: Command) -> None:
    """More than the session's input holds, so that it is refused as full again and again."""
    data = os.urandom(1 << 20) * 8
    raw_reader(daemon, "big", len(data))
    assert daemon.json("send", "big", "-", stdin=data)["accepted_bytes"] == len(data)
    read_until(daemon, "big", b"digest " + hashlib.sha256(data).hexdigest().encode())


@contextmanager
def sending_to_a_job_that_never_reads(command: Command, *options: str) -> Iterator[Beside]:
    """`send SESSION -` with more than the session's input holds, up to the moment at which it says that it waits."""
    command.text("new", "--name", "deaf", "--", "sh", "-c", "stty raw -echo; echo ready; exec sleep 1000")
    read_until(command, "deaf", b"ready")
    with open(command.root / "much", "w+b") as much:
        much.write(b"x" * (3 << 20))
        much.seek(0)
        with Beside(
            [*COPROCCTL, "send", "deaf", "-", *options], stdin=much, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=command.env
        ) as sending:
            yield sending


def typed_bytes(command: Command, session: str) -> int:
    """What the daemon says was typed into a session, in all."""
    total = 0
    command.text("rename", session, "counted")
    with command.spawn("events", "--since", "0", "--session", "counted", "--types", "input,session.renamed", "--json") as following:
        assert following.stdout
        for line in following.stdout:
            event = json.loads(line)
            if event["type"] == "session.renamed":
                return total
            total += event["bytes"]
    raise AssertionError("the session was not renamed")


def test_a_person_who_waits_for_a_job_to_read_is_told_so_and_can_stop(daemon: Command) -> None:
    """It waited for ever, without a word, and ^C did not say what had been typed."""
    with sending_to_a_job_that_never_reads(daemon) as sending:
        assert sending.stderr
        notice = sending.stderr.readline().decode()
        waiting = daemon.json("rpc", "session.get", '["deaf"]')["input_bytes"]
        assert f"the input of session deaf is full: {waiting} bytes wait" in notice and "^C" in notice
        sending.send_signal(signal.SIGINT)
        assert sending.wait(60) == 130
        assert sending.stderr.read().decode() == f"coprocctl: interrupted; {typed_bytes(daemon, 'deaf')} bytes were typed\n"


def test_who_waits_for_a_job_to_read_is_told_when_it_ends(daemon: Command) -> None:
    with sending_to_a_job_that_never_reads(daemon) as sending:
        assert sending.stderr and b"is full" in sending.stderr.readline()
        daemon.text("signal", "deaf", "KILL")
        assert sending.wait(60) == 4
        typed, error = sending.stderr.read().decode().splitlines()
        assert typed == f"coprocctl: {typed_bytes(daemon, 'deaf')} bytes were typed before this:"
        assert "deaf" in error and "exited" in error


def test_who_waits_for_a_job_to_read_waits_no_longer_than_was_said(daemon: Command) -> None:
    with sending_to_a_job_that_never_reads(daemon, "--timeout", "0.1", "--json") as sending:
        assert sending.wait(60) == 124
        assert sending.stderr
        error = json.loads(sending.stderr.read())["error"]
        assert error["code"] == "timed_out" and "the input of session deaf is full" in error["message"]
        assert error["data"] == {"accepted_bytes": typed_bytes(daemon, "deaf")}


def test_a_line_that_the_terminal_would_cut_is_refused_with_4(daemon: Command) -> None:
    daemon.text("new", "--name", "cooked", "--", "cat")
    assert daemon("send", "cooked", "x" * 5000, "--enter").returncode == 4


# -- output -------------------------------------------------------------------------------------------------------------------------


def test_logs_are_the_bytes_as_they_were_printed(daemon: Command) -> None:
    code = RAW.replace("print('ready', flush=True); ", "") + "sys.stdout.buffer.write(bytes(range(256)) * 4000)"
    daemon.text("new", "--name", "raw", "--", sys.executable, "-c", code)
    assert daemon("logs", "-f", "raw").stdout == bytes(range(256)) * 4000
    assert daemon("tail", "raw", "--from", "1023990").stdout == bytes(range(246, 256))
    assert daemon("logs", "raw", "--from", "end").stdout == b""
    for follow in ([], ["-f"]):  # without -f it printed nothing and succeeded
        done = daemon("logs", "raw", "--from", "1024001", *follow)
        assert done.returncode == 2 and b"1024000" in done.stderr


def test_tail_shows_the_last_lines(daemon: Command) -> None:
    daemon.text("new", "--name", "n", "--", "seq", "1", "50000")
    daemon.text("logs", "-f", "n")
    assert daemon.text("logs", "n", "--tail", "2").split() == ["49999", "50000"]
    assert daemon.text("tail", "n", "-n", "30000").split()[0] == "20001"


def test_following_ends_when_the_session_does(daemon: Command) -> None:
    daemon.text("new", "--name", "f", "--", "sh", "-c", "echo one; read x; echo two")
    with daemon.spawn("logs", "-f", "f") as following:
        assert following.stdout
        assert following.stdout.readline() == b"one\r\n"
        daemon.text("send", "f", "--enter")
        assert following.stdout.read().splitlines()[-1] == b"two"
        assert following.wait(60) == 0


def test_following_ends_when_the_session_is_closed(daemon: Command) -> None:
    daemon.text("new", "--name", "f", "--", "sh", "-c", "echo one; cat")
    with daemon.spawn("logs", "-f", "f") as following:
        assert following.stdout
        assert following.stdout.readline() == b"one\r\n"
        daemon.text("close", "f")
        assert following.wait(60) == 0


def test_following_goes_on_over_a_restart_without_loss_or_repetition(daemon: Command) -> None:
    daemon.text("new", "--name", "r", "--", "sh", "-c", "echo one; read x; echo two; read x; echo three")
    with daemon.spawn("logs", "-f", "r") as following:
        assert following.stdout and following.stderr
        assert following.stdout.readline() == b"one\r\n"
        assert "1 session kept" in daemon.text("daemon", "restart")
        daemon.text("send", "r", "--enter")
        assert [following.stdout.readline() for _ in range(2)] == [b"\r\n", b"two\r\n"]
        daemon.text("daemon", "restart")
        daemon.text("send", "r", "--enter")
        assert following.stdout.read() == b"\r\nthree\r\n"
        assert following.wait(60) == 0
        assert following.stderr.read() == b""


def test_a_range_that_is_no_longer_retained_is_said_on_stderr(daemon: Command) -> None:
    daemon.text("new", "--name", "small", "--log-bytes", "64K", "--", "seq", "1", "50000")
    daemon.text("logs", "-f", "small", "--from", "end")
    done = daemon("logs", "small", "--from", "0")
    assert done.returncode == 0
    assert b"are no longer retained" in done.stderr
    assert done.stdout.split()[-1] == b"50000"
    assert daemon("logs", "small").stderr == b""
