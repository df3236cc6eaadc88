"""Each command against a real daemon, as a user meets it. No mocks; everything is awaited through the daemon's own answers."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from coprocctl_command import COPROCCTL, Beside, Command

CHAT = 'while :; do echo "Are you there?"; read a || exit; echo "got: $a"; done'
ANSWERER = 'while read -r line; do case $line in "Are you there?"*) echo Yes; exit 7;; esac; done'
RAW = "import sys, tty; tty.setraw(0); print('ready', flush=True); "


@pytest.fixture
def daemon(coprocctl: Command) -> Iterator[Command]:
    """The command, with a daemon of its own, of which nothing is left afterwards."""
    limits = coprocctl.root / "config" / "coprocd" / "config.toml"
    limits.parent.mkdir(parents=True)
    limits.write_text("[limits]\nstall_timeout_s = 0.5\nnot_reading_s = 0.5\n")
    started = coprocctl("daemon", "start")
    try:
        assert started.returncode == 0, started.stderr.decode()
        yield coprocctl
    finally:
        stopped = coprocctl("daemon", "stop", "--all")
        log = (coprocctl.root / "state" / "coprocd" / "coprocd.log").read_text()
    assert stopped.returncode == 0, stopped.stderr.decode() + log
    assert "Traceback" not in log, log


def read_until(command: Command, session: str, wanted: bytes) -> bytes:
    """What a session printed, as `logs -f` shows it, up to `wanted`."""
    with command.spawn("logs", "-f", session) as following:
        assert following.stdout
        seen = b""
        while wanted not in seen:
            assert select.select([following.stdout], [], [], 30)[0], f"{wanted!r} did not come: {seen!r}"
            data = os.read(following.stdout.fileno(), 65536)
            assert data, f"{wanted!r} did not come: {seen!r}"
            seen += data
    return seen


def next_event(following: Beside, type_: str) -> dict[str, Any]:
    """The next event of that type that `events --json` prints."""
    assert following.stdout
    for line in following.stdout:
        event: dict[str, Any] = json.loads(line)
        if event["type"] == type_:
            return event
    raise AssertionError(f"no {type_}")


def ended(pid: int) -> bool:
    """Whether a process has ended; one that init has not reaped yet has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def raw_reader(command: Command, name: str, size: int) -> None:
    """A session that reads `size` bytes as they are typed, and then prints their digest."""
    code = RAW + f"import hashlib; h = hashlib.sha256(sys.stdin.buffer.read({size})).hexdigest(); print('digest', h, flush=True)"
    command.text("new", "-d", "--name", name, "--", sys.executable, "-c", code)
    read_until(command, name, b"ready")


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


# -- coprocesses --------------------------------------------------------------------------------------------------------------------


def test_a_coprocess_answers_its_session_and_its_status_is_passed_on(daemon: Command) -> None:
    daemon.text("new", "--name", "chat", "--", "sh", "-c", CHAT)
    assert daemon("run-coprocess", "chat", ANSWERER, "--from", "0", "--wait").returncode == 7
    assert b"got: Yes" in read_until(daemon, "chat", b"got: Yes")
    last = daemon.json("coprocess", "chat")
    assert (last["state"], last["exit_status"], last["end_reason"]) == ("ended", 7, "exited")
    assert "exited 7" in daemon.text("coprocess", "chat")


def test_a_coprocess_given_with_new_sees_the_first_byte(daemon: Command) -> None:
    daemon.text("new", "--name", "chat", "--coprocess", ANSWERER, "--", "sh", "-c", CHAT)
    read_until(daemon, "chat", b"got: Yes")


def test_a_second_coprocess_is_refused_with_4_and_an_observer_is_not(daemon: Command) -> None:
    daemon.text("new", "--name", "chat", "--", "cat")
    first = daemon.text("run-coprocess", "chat", "sleep 1000")
    done = daemon("run-coprocess", "chat", "cat")
    assert done.returncode == 4 and first.encode() in done.stderr
    observer = daemon.text("run-coprocess", "chat", "--observe", "--name", "eyes", "--", "sh", "-c", "cat >seen; exit 3")
    assert [found["id"] for found in daemon.json("coprocess", "chat", "--all")] == [first, observer]
    assert "sleep 1000, 1 observer" in daemon.text("list")
    assert {"observer", "types"} <= set(daemon.text("coprocess", "--all").split())
    assert daemon.json("stop-coprocess", "chat", "--name", "eyes") == {"stopped": True}
    daemon.text("stop-coprocess", "chat", "--grace", "0.1")
    assert daemon("stop-coprocess", "chat").returncode == 4
    assert daemon.json("coprocess", "chat")["end_reason"] == "stopped"


def test_waiting_ends_with_128_and_the_signal_that_ended_it(daemon: Command) -> None:
    daemon.text("new", "--name", "w", "--", "cat")
    assert daemon("run-coprocess", "w", "kill -9 $$", "--wait").returncode == 137


def test_waiting_passes_stderr_on_and_survives_a_restart(daemon: Command) -> None:
    daemon.text("new", "--name", "w", "--", "sh", "-c", "read x; echo go; cat")
    with (
        daemon.spawn("run-coprocess", "w", "--wait", "grep -m1 go >/dev/null; echo oops >&2; exit 9") as waiting,
        daemon.spawn("events", "--since", "0", "--json") as following,
    ):
        next_event(following, "coprocess.started")
        daemon.text("daemon", "restart")
        daemon.text("send", "w", "--enter")
        assert waiting.wait(60) == 9
        assert waiting.stderr and waiting.stderr.read() == b"oops\n"


def test_a_coprocess_that_we_had_to_end_is_125(daemon: Command) -> None:
    daemon.text("new", "--name", "y", "--", "yes")
    done = daemon("run-coprocess", "y", "--wait", "--", "sleep", "1000")
    assert done.returncode == 125 and b"not_reading" in done.stderr


def test_a_coprocess_that_cannot_be_started_is_125_with_wait_and_1_without(daemon: Command) -> None:
    daemon.text("new", "--name", "s", "--", "cat")
    assert daemon("run-coprocess", "s", "--", "/nowhere/nothing", "x").returncode == 1
    assert daemon("run-coprocess", "s", "--wait", "--", "/nowhere/nothing", "x").returncode == 125


def test_ctrl_c_while_waiting_is_130_and_leaves_the_coprocess(daemon: Command) -> None:
    daemon.text("new", "--name", "w", "--", "cat")
    with (
        daemon.spawn("run-coprocess", "w", "sleep 1000", "--wait") as waiting,
        daemon.spawn("events", "--since", "0", "--json") as following,
    ):
        next_event(following, "coprocess.started")
        waiting.send_signal(signal.SIGINT)
        assert waiting.wait(60) == 130
        assert waiting.stderr and waiting.stderr.read() == b""
    assert daemon.json("coprocess", "w")["state"] == "running"


def test_a_session_without_a_coprocess_says_so(daemon: Command) -> None:
    daemon.text("new", "--name", "n", "--", "cat")
    done = daemon("coprocess", "n")
    assert (done.returncode, done.stdout) == (0, b"") and b"no coprocess" in done.stderr
    assert daemon.json("coprocess", "n") is None
    assert daemon.json("coprocess", "--all") == []


# -- programs -----------------------------------------------------------------------------------------------------------------------


def test_events_come_as_lines_filtered_and_from_the_past(daemon: Command) -> None:
    daemon.text("new", "--name", "a", "--", "cat")
    daemon.text("new", "--name", "b", "--", "cat")
    with daemon.spawn("events", "--since", "0", "--types", "session.created, session.closed", "--session", "b", "--json") as following:
        assert next_event(following, "session.created")["name"] == "b"
        daemon.text("close", "a", "b", "--grace", "0")
        assert next_event(following, "session.closed")["seq"] > 2
        following.send_signal(signal.SIGINT)
        assert following.wait(60) == 130
        assert following.stderr and following.stderr.read() == b""
    with daemon.spawn("events", "--since", "0", "--types", "session.created") as following:
        assert following.stdout
        assert b"session.created" in following.stdout.readline()
        following.send_signal(signal.SIGINT)
    assert daemon("events", "--types", "no.such").returncode == 2


def test_events_go_on_after_a_restart_and_end_with_the_daemon(daemon: Command) -> None:
    with daemon.spawn("events", "--since", "0", "--json") as following:
        daemon.text("new", "--name", "a", "--", "cat")
        next_event(following, "session.created")
        daemon.text("daemon", "restart")
        daemon.text("new", "--name", "b", "--", "cat")
        assert next_event(following, "session.created")["name"] == "b"
        daemon.text("daemon", "stop", "--all")
        assert following.wait(60) == 5


def test_rpc_prints_the_bare_result_and_fails_with_the_codes_status(daemon: Command) -> None:
    session = daemon.text("new", "--name", "a", "--", "cat")
    assert json.loads(daemon.text("rpc", "session.get", '{"session": "a"}'))["id"] == session
    assert json.loads(daemon.text("rpc", "session.get", "-", stdin=b'["a"]'))["id"] == session
    assert daemon.text("rpc", "coprocess.get", '["a"]') == "null"
    assert daemon.json("rpc", "rpc.discover")["openrpc"]
    for method, params, status in [
        ("no.such", "[]", 2),
        ("session.get", '{"sessions": 1}', 2),
        ("session.get", '["zz"]', 3),
        ("coprocess.stop", '["a"]', 4),
    ]:
        done = daemon("--json", "rpc", method, params)
        assert (done.returncode, done.stdout) == (status, b"")
        assert json.loads(done.stderr)["error"]["code"]


def test_names_that_a_session_chose_are_listed_escaped(daemon: Command) -> None:
    name = "a\x1b[31m\u202e"
    daemon.text("new", "--name", name, "--", "cat")
    assert "a\\e[31m\\u202e" in daemon.text("list")
    daemon.text("run-coprocess", name, "--observe", "--name", "o\x1b[32m", "cat")
    assert "o\\e[32m" in daemon.text("coprocess", "--all")
    for line in (["new", "--name", name, "--", "cat"], ["stop-coprocess", name], ["rename", name, f"/{name}"], ["logs", f"{name}{name}"]):
        done = daemon(*line)
        assert done.returncode and b"[31m" in done.stderr, line
        assert b"\x1b" not in done.stderr and "\u202e" not in done.stderr.decode(), line
    daemon.text("rename", name, "b\x1b[33m")
    daemon.text("close", "b\x1b[33m")
    with daemon.spawn("events", "--since", "0") as following:
        assert following.stdout
        seen = []
        while not seen or b"session.closed" not in seen[-1]:
            seen.append(following.stdout.readline())
    assert not any(b"\x1b" in line for line in seen)


# -- the daemon ---------------------------------------------------------------------------------------------------------------------


def test_a_stopped_daemon_leaves_its_sessions_with_the_keeper(daemon: Command) -> None:
    session = daemon.json("new", "--name", "a", "--", "sh", "-c", "echo one; cat")
    read_until(daemon, "a", b"one")
    info = daemon.json("daemon", "status")
    assert daemon.text("daemon", "stop") == f"stopped; 1 session waits with the keeper (pid {info['keeper_pid']})"
    assert not daemon.socket.exists()
    assert daemon("list").returncode == 5
    assert "with the sessions" in daemon.text("daemon", "stop")
    assert "runs: pid" in daemon.text("daemon", "start")
    assert "runs already: pid" in daemon.text("daemon", "start")
    (found,) = daemon.json("list")
    assert (found["id"], found["pid"], found["state"]) == (session["id"], session["pid"], "running")
    assert daemon.text("logs", "a") == "one"


def runs(pid: int) -> bool:
    """Whether `pid` has not ended; it may be a zombie for as long as init takes to reap it."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_stop_all_ends_what_waits_with_the_keeper_too(daemon: Command) -> None:
    pid = daemon.json("new", "--name", "a", "--", "cat")["pid"]
    keeper = daemon.json("daemon", "status")["keeper_pid"]
    daemon.text("daemon", "stop")
    assert daemon.text("daemon", "stop", "--all") == "stopped, with 1 session"
    for gone in (pid, keeper):
        assert not runs(gone)
    assert daemon("daemon", "status").returncode == 5
    assert daemon.text("daemon", "stop", "--all") == "not running"


def test_restart_brings_another_daemon_and_keeps_sessions_and_coprocesses(daemon: Command) -> None:
    session = daemon.json("new", "--name", "a", "--", "cat")
    coprocess = daemon.json("run-coprocess", "a", "sleep 1000")
    before = daemon.json("daemon", "status")
    after = daemon.json("daemon", "restart")
    assert after["pid"] != before["pid"] and after["keeper_pid"] == before["keeper_pid"]
    assert after["sessions"] == after["coprocesses"] == 1
    assert daemon.json("list")[0]["pid"] == session["pid"]
    assert daemon.json("coprocess", "a")["pid"] == coprocess["pid"]


def test_restart_starts_what_does_not_run(coprocctl: Command) -> None:
    try:
        assert "was not running" in coprocctl.text("daemon", "restart")
    finally:
        coprocctl.text("daemon", "stop", "--all")


def test_status_doctor_and_logs_of_a_running_daemon(daemon: Command) -> None:
    info = daemon.json("daemon", "status")
    text = daemon.text("daemon", "status")
    assert str(info["pid"]) in text and info["socket"] == str(daemon.socket)
    done = daemon("doctor")
    assert done.returncode == 0, done.stdout.decode()
    assert f"pid {info['pid']}" in done.stdout.decode()
    assert str(daemon.socket) in daemon.text("daemon", "logs")


def test_a_start_that_fails_says_why(coprocctl: Command) -> None:
    config = coprocctl.root / "config" / "coprocd" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("[limits]\nstall_timeout_s = -1\n")
    try:
        done = coprocctl("new", "--", "cat")
        assert (done.returncode, done.stdout) == (1, b"")
        assert b"did not start" in done.stderr and b"coprocd.log" in done.stderr and b"config.toml" in done.stderr
    finally:
        config.unlink()
        coprocctl.text("daemon", "stop", "--all")


def test_two_daemons_with_two_sockets_know_nothing_of_each_other(daemon: Command) -> None:
    other = str(daemon.root / "other" / "s")
    Path(other).parent.mkdir(mode=0o700)
    daemon.text("new", "--name", "a", "--", "cat")
    try:
        daemon.text("--socket", other, "new", "--name", "b", "--", "cat")
        assert daemon.text("list", "--names", "--socket", other) == "b"
        assert daemon.text("list", "--names") == "a"
    finally:
        daemon.text("--socket", other, "daemon", "stop", "--all")


# -- the demonstration --------------------------------------------------------------------------------------------------------------


def test_the_demo_shows_an_answer_and_leaves_nothing_behind(coprocctl: Command) -> None:
    lines = coprocctl.text("demo").splitlines()
    assert lines[-1] == "demo: a coprocess answered the session"
    assert "  got: Yes" in lines
    assert coprocctl("daemon", "status").returncode == 5
    assert coprocctl.text("daemon", "stop", "--all") == "not running"


def test_the_demo_leaves_a_daemon_that_ran_before_it(daemon: Command) -> None:
    pid = daemon.json("daemon", "status")["pid"]
    daemon.text("demo")
    assert daemon.json("daemon", "status")["pid"] == pid
    assert daemon.json("list") == []


def test_on_a_terminal_tables_are_coloured_and_the_size_is_the_terminals(daemon: Command) -> None:
    daemon.text("new", "--name", "a", "--", "cat")
    for env, coloured in (({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
        master, slave = pty.openpty()
        with subprocess.Popen([*COPROCCTL, "list"], stdout=slave, env=daemon.env | env) as process:
            os.close(slave)
            seen = b""
            while data := _read(master):
                seen += data
        os.close(master)
        assert process.returncode == 0
        assert (b"\x1b[" in seen) == coloured


def _read(master: int) -> bytes:
    """What a terminal shows; nothing when its other end is closed (EIO, pty(7))."""
    try:
        return os.read(master, 4096)
    except OSError:
        return b""
