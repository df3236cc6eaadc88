"""The commands of coprocesses against a real daemon, and how their status is passed on."""

from __future__ import annotations

import signal

from coprocctl_command import Command
from coprocctl_following import next_event, read_until

CHAT = 'while :; do echo "Are you there?"; read a || exit; echo "got: $a"; done'
ANSWERER = 'while read -r line; do case $line in "Are you there?"*) echo Yes; exit 7;; esac; done'


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
