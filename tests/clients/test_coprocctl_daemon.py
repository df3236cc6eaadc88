"""The commands of the daemon against a real one, those that programs use, and the demonstration."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from pathlib import Path

from coprocctl_command import COPROCCTL, Command
from coprocctl_following import next_event, read_until

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
