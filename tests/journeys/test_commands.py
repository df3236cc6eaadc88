"""The commands of triggers: jobs apart from their session, bounded in number, time and output, that outlive it and the daemon."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.faulty import await_remains, await_true, environment, remains
from support.live import Live, RpcError, live, lives


@pytest.fixture(scope="module")
def shared() -> Iterator[Live]:
    with live(environment(), commands_most=2, commands_waiting_most=3, command_timeout_s=600, close_grace_s=0.3) as started:
        yield started
        log = started.log()
    assert "Traceback" not in log and "never retrieved" not in log, log


@pytest.fixture
def daemon(shared: Live) -> Iterator[Live]:
    """One that holds, once its commands have ended, what it held before."""
    shared.client.close()
    shared.subscribe()
    shared.loaded()
    before = remains(shared)
    yield shared
    for session in shared.call("session.list"):
        shared.call("session.close", session=session["id"], grace_s=0)
    shared.client.close()
    shared.subscribe()
    shared.loaded()
    await_remains(shared, before)


@pytest.fixture
def session(daemon: Live) -> str:
    return daemon.create("cat")


def run(daemon: Live, session: str, *argv: str, trigger: str = "t1", **more: Any) -> str:
    """Has a command run as by a trigger; its id."""
    return str(daemon.call("test.run_command", session=session, trigger=trigger, argv=list(argv), **more)["command_id"])


def shell(daemon: Live, session: str, text: str) -> str:
    return run(daemon, session, "/bin/sh", "-c", text)


def completed(daemon: Live, command: str) -> dict[str, Any]:
    found: dict[str, Any] = daemon.call("command.wait", command_id=command)
    assert found["state"] == "completed"
    return found


def event(daemon: Live, type: str, command: str) -> dict[str, Any]:
    return daemon.client.event(type, command_id=command)


def kill_daemon(daemon: Live) -> None:
    pid = daemon.pids()[0]
    daemon.client.close()
    os.kill(pid, signal.SIGKILL)
    await_true(lambda: not lives(pid), "the daemon's end")
    daemon.subscribe()
    assert daemon.pids()[0] != pid


def test_its_output_and_its_end_are_kept_and_told(daemon: Live, session: str) -> None:
    command = run(
        daemon, session, "sh", "-c", 'echo "$1 $WORD $PWD"; echo err >&2; cat; echo done', "sh", "a b", env={"WORD": "w"}, cwd="/usr"
    )
    started, ended = event(daemon, "command.started", command), event(daemon, "command.ended", command)
    assert (started["session"], started["trigger"], ended["exit_status"], ended["failure"]) == (session, "t1", 0, None)
    found = completed(daemon, command)
    assert found["output"] == "a b w /usr\nerr\ndone\n"
    assert (found["exit_status"], found["signal"], found["failure"], found["truncated"]) == (0, None, None, False)
    assert (found["pid"], found["cwd"], found["session"], found["started_by"]) == (started["pid"], "/usr", session, "t1")
    assert 0 <= found["duration_s"] == ended["duration_s"]
    assert command in [one["command_id"] for one in daemon.call("command.list", session=session)]


def test_it_leads_a_group_of_its_own_without_a_terminal(daemon: Live, session: str) -> None:
    script = "import os; print(os.getpid() == os.getpgrp() == os.getsid(0)); open('/dev/tty')"
    found = completed(daemon, run(daemon, session, sys.executable, "-c", script))
    assert found["output"].startswith("True\n") and "No such device" in found["output"]


def test_of_much_output_the_beginning_and_the_end_are_kept(daemon: Live, session: str) -> None:
    script = "import sys; [print(f'{n:07}') for n in range(100_000)]"
    found = completed(daemon, run(daemon, session, sys.executable, "-c", script))
    head, left_out, tail = found["output"].partition(f"\n[{800_000 - (64 << 10)} bytes left out]\n")
    assert left_out and found["truncated"] and found["left_out_bytes"] == 800_000 - (64 << 10)
    assert head == "".join(f"{n:07}\n" for n in range(2048)) and tail == "".join(f"{n:07}\n" for n in range(100_000 - 6144, 100_000))
    listed = next(one for one in daemon.call("command.list") if one["command_id"] == found["command_id"])
    assert listed["truncated"] and listed["output"] == tail[-1000:]


def test_output_that_is_just_what_is_kept_is_whole(daemon: Live, session: str) -> None:
    found = completed(daemon, shell(daemon, session, "head -c 65536 /dev/zero | tr '\\0' x"))
    assert (found["output"], found["truncated"], found["left_out_bytes"]) == ("x" * 65536, False, 0)


@pytest.mark.parametrize(
    ("text", "reason", "status", "signal"),
    [("echo no; exit 3", "exit_status", 3, None), ("echo no; kill -9 $$", "signal", None, "SIGKILL")],
)
def test_its_failure_is_told(daemon: Live, session: str, text: str, reason: str, status: int | None, signal: str | None) -> None:
    command = shell(daemon, session, text)
    failed = event(daemon, "trigger.failed", command)
    assert (failed["trigger"], failed["reason"], failed["exit_status"], failed["signal"]) == ("t1", reason, status, signal)
    assert failed["output"] == "no\n" and completed(daemon, command)["failure"] == reason


def test_one_that_cannot_be_started_says_why(daemon: Live, session: str, tmp_path: Path) -> None:
    program = tmp_path / "no-program"
    program.write_bytes(b"\x7fELF\0\0")
    program.chmod(0o755)
    for argv, cwd, why in (
        (["no-such-program"], "/", "is not found"),
        (["true"], "/nowhere", "does not exist"),
        ([str(program)], "/", "Exec format"),
    ):
        command = run(daemon, session, *argv, cwd=cwd)
        failed = event(daemon, "trigger.failed", command)
        assert failed["reason"] == "spawn_failed" and why in failed["output"]
        found = completed(daemon, command)
        assert (found["pid"], found["failure"], found["waiting"]) == (None, "spawn_failed", False) and why in found["output"]


def test_in_a_directory_whose_name_is_no_text_it_runs_and_its_failure_is_told(daemon: Live, tmp_path: Path) -> None:
    """It did not run, and its place was never given back: neither record nor event can hold such a name."""
    odd = os.fsencode(tmp_path) + b"/\xff"
    os.mkdir(odd)
    session = daemon.create(shell=f"cd {tmp_path}/*; echo there; cat")
    daemon.output(session, b"there")
    command = shell(daemon, session, "pwd | tail -c 2 | od -An -tx1; exit 1")
    assert event(daemon, "trigger.failed", command)["output"] == " ff 0a\n"
    assert completed(daemon, command)["cwd"] == f"{tmp_path}/?"
    failed = event(daemon, "trigger.failed", run(daemon, session, "./none"))
    assert failed["reason"] == "spawn_failed" and "?)" in failed["output"]


def test_so_many_run_others_wait_in_order_and_more_are_refused(daemon: Live, session: str, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    commands = [shell(daemon, session, f"read line <{gate}; echo {n} >>{tmp_path}/order") for n in range(2)]
    commands += [shell(daemon, session, f"echo {n} >>{tmp_path}/order") for n in range(2, 5)]
    refused = daemon.call("test.run_command", session=session, trigger="t2", argv=["true"])
    assert (refused["state"], refused["failure"]) == ("completed", "too_many_commands")
    failed = event(daemon, "trigger.failed", refused["command_id"])
    assert failed["reason"] == "too_many_commands" and "2 commands run and 3 wait" in failed["output"]
    waiting = [daemon.call("command.get", command_id=command) for command in commands]
    assert [(one["waiting"], one["state"], one["pid"] is None) for one in waiting[2:]] == [(True, "running", True)] * 3
    assert daemon.call("command.wait", command_id=commands[4], timeout_s=0.01)["state"] == "running"
    with gate.open("w") as pipe:
        pipe.write("a\n")  # for one of the two: its place is the only one, so they run one after the other
        pipe.flush()
        for command in commands[2:]:
            assert completed(daemon, command)["failure"] is None
    order = (tmp_path / "order").read_text().split()
    assert [n for n in order if n in "234"] == ["2", "3", "4"]
    for command in commands[:2]:
        completed(daemon, command)


def test_it_outlives_its_session(daemon: Live, session: str, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    command = shell(daemon, session, f"read line <{gate}; echo $line")
    event(daemon, "command.started", command)
    daemon.call("session.close", session=session, grace_s=0)
    gate.write_text("still here\n")
    found = completed(daemon, command)
    assert (found["output"], found["session"]) == ("still here\n", session)


def test_one_that_is_not_known_is_told_so(daemon: Live) -> None:
    for method in ("command.get", "command.wait"):
        with pytest.raises(RpcError) as refused:
            daemon.call(method, command_id="x0")
        assert refused.value.code == "command_not_found"


def test_what_it_leaves_in_the_background_runs_on_in_its_place(daemon: Live, session: str, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    left = [shell(daemon, session, f"(read line <{gate}; echo late >{tmp_path}/late{n}) & echo $!") for n in range(2)]
    children = [int(completed(daemon, command)["output"]) for command in left]
    third = shell(daemon, session, "true")
    assert all(map(lives, children)) and daemon.call("command.get", command_id=third)["waiting"]
    with gate.open("w") as pipe:
        pipe.write("g\ng\n")
        pipe.flush()
        completed(daemon, third)
    await_true(lambda: (tmp_path / "late0").exists() and (tmp_path / "late1").exists(), "they did not go on")


def test_the_last_hundred_are_remembered(daemon: Live, session: str) -> None:
    first = shell(daemon, session, "true")
    completed(daemon, first)
    for _ in range(100):
        last = shell(daemon, session, "true")
        completed(daemon, last)
    await_true(lambda: len(daemon.call("command.list")) == 100, "as many are kept as were run")
    with pytest.raises(RpcError) as refused:
        daemon.call("command.get", command_id=first)
    assert refused.value.code == "command_not_found"


def test_one_that_runs_is_taken_over_after_a_kill_and_its_output_is_whole(daemon: Live, session: str, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    command = shell(daemon, session, f"echo before; read line <{gate}; echo after; exit 4")
    await_true(lambda: daemon.call("command.get", command_id=command)["output"] == "before\n", "no output")
    pid = daemon.call("command.get", command_id=command)["pid"]
    for _ in range(2):
        kill_daemon(daemon)
    found = daemon.call("command.get", command_id=command)
    assert (found["state"], found["pid"], found["session"], found["started_by"]) == ("running", pid, session, "t1")
    gate.write_text("go\n")
    failed = event(daemon, "trigger.failed", command)
    assert (failed["reason"], failed["exit_status"], failed["output"]) == ("exit_status", 4, "before\nafter\n")
    assert completed(daemon, command)["output"] == "before\nafter\n"


def test_one_that_ended_while_there_was_no_daemon_is_told_by_the_next(daemon: Live, session: str, tmp_path: Path) -> None:
    gate, told = tmp_path / "gate", tmp_path / "told"
    os.mkfifo(gate)
    command = shell(daemon, session, f"read line <{gate}; seq 5000; echo >{told}; exit 5")
    pid = event(daemon, "command.started", command)["pid"]
    daemon.client.close()
    daemon.command("daemon", "stop")
    gate.write_text("go\n")
    await_true(told.exists, "it did not go on")
    daemon.command("daemon", "start")
    daemon.subscribe()
    found = completed(daemon, command)
    assert (found["exit_status"], found["failure"], found["pid"]) == (5, "exit_status", pid)
    assert found["output"].startswith("1\n2\n") and found["output"].endswith("4999\n5000\n")


def test_it_outlives_the_keeper_and_ends_with_everything(tmp_path: Path) -> None:
    with live(environment(), close_grace_s=0.3) as daemon:
        session, gate = daemon.create("cat"), tmp_path / "gate"
        os.mkfifo(gate)
        command = shell(daemon, session, f"read line <{gate}; echo $line")
        event(daemon, "command.started", command)
        keeper = daemon.pids()[1]
        os.kill(keeper, signal.SIGKILL)
        await_true(lambda: daemon.pids()[1] != keeper, "no other keeper has come")
        gate.write_text("on\n")
        assert completed(daemon, command)["output"] == "on\n"
        shell(daemon, session, "trap '' TERM; sleep 1000 & echo $$ $!; wait")
        await_true(lambda: " " in (output := daemon.call("command.list")[-1]["output"]) and output.endswith("\n"), "it does not run")
        pids = [int(pid) for pid in daemon.call("command.list")[-1]["output"].split()]
        assert all(map(lives, pids))
    assert not any(map(lives, pids))


def test_one_that_takes_too_long_is_ended_with_its_group(tmp_path: Path) -> None:
    with live(environment(), command_timeout_s=0.4, close_grace_s=0.2) as daemon:
        session = daemon.create("cat")
        slow = shell(daemon, session, "trap '' TERM; sleep 1000 & echo $!; wait; wait")
        failed = event(daemon, "trigger.failed", slow)
        assert (failed["reason"], failed["signal"]) == ("timed_out", "SIGKILL")
        polite = shell(daemon, session, "trap 'echo bye; exit 0' TERM; sleep 1000 & wait; wait")
        failed = event(daemon, "trigger.failed", polite)
        assert (failed["reason"], failed["exit_status"], failed["output"]) == ("timed_out", 0, "bye\n")
        behind = shell(daemon, session, "trap '' TERM; sleep 1000 & echo $!")
        assert completed(daemon, behind)["failure"] is None
        for command in (slow, behind):
            child = int(daemon.call("command.get", command_id=command)["output"])
            await_true(lambda child=child: not lives(child), "its child lives")


def test_the_time_that_one_has_goes_on_over_a_kill(tmp_path: Path) -> None:
    with live(environment(), command_timeout_s=1.5, close_grace_s=0.2) as daemon:
        session = daemon.create("cat")
        command = shell(daemon, session, "exec sleep 1000")
        event(daemon, "command.started", command)
        kill_daemon(daemon)
        found = completed(daemon, command)
        assert (found["failure"], found["signal"]) == ("timed_out", "SIGTERM") and found["duration_s"] >= 1.5
