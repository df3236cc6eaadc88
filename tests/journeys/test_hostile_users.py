"""What clumsy and hostile users do to a daemon by hand: nothing hangs, nothing is lost, nobody else pays.

Each test tells the fault it was written for; all were seen to fail.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.live import Client, Live, RpcError, descriptors, live, lives, slow_keeper

DEAF = "trap '' TERM; echo deaf >&2; while :; do sleep 0.05; done"


@pytest.fixture
def daemon() -> Iterator[Live]:
    """One for each test, which ends in any case: a daemon that hangs must not fail the next test, nor stay."""
    started = Live()
    pids = started.pids()
    try:
        yield started
        started.close()
    finally:
        for pid in pids:
            if lives(pid):
                os.kill(pid, signal.SIGKILL)


def deaf(daemon: Live, session: str) -> None:
    """A coprocess that ignores SIGTERM, and by now does."""
    daemon.call("coprocess.run", session=session, command=DEAF)
    while not daemon.call("coprocess.get", session=session)["stderr"]:
        pass


def test_a_second_stop_with_a_shorter_grace_is_not_held_up_by_the_first(daemon: Live) -> None:
    """A stop with a grace of 1,000 s held up every later stop, the close of its session, and `daemon stop --all`."""
    session = daemon.create("cat")
    deaf(daemon, session)
    patient = Client(daemon.socket)
    number = patient.send("coprocess.stop", session=session, grace_s=1000)
    patient.call("daemon.info")  # calls begin in the order of their lines
    assert daemon.call("coprocess.stop", session=session, grace_s=0.1) == {"stopped": True}
    assert patient.answer(number) == {"stopped": True}
    patient.close()
    daemon.call("session.close", session=session)


def test_a_close_is_not_held_up_by_a_patient_stop(daemon: Live) -> None:
    session = daemon.create("cat")
    deaf(daemon, session)
    patient = Client(daemon.socket)
    patient.send("coprocess.stop", session=session, grace_s=1000)
    patient.call("daemon.info")  # calls begin in the order of their lines
    assert daemon.call("session.close", session=session, grace_s=0.1)["state"] == "exited"
    patient.close()


def test_a_second_close_with_a_shorter_grace_is_not_held_up_by_the_first(daemon: Live) -> None:
    """Both ended at once, and one of the two described a session that the other had dropped: an internal error."""
    session = daemon.create(shell="trap '' HUP TERM; echo deaf; while :; do sleep 0.05; done")
    daemon.output(session, b"deaf")
    patient = Client(daemon.socket)
    number = patient.send("session.close", session=session, grace_s=1000)
    patient.call("daemon.info")  # calls begin in the order of their lines
    assert daemon.call("session.close", session=session, grace_s=0.1)["signal"] == "SIGKILL"
    assert patient.answer(number)["signal"] == "SIGKILL"
    patient.close()


def test_the_last_one_that_typed_is_known_however_many_observers_ended_since(daemon: Live) -> None:
    """Eight observers that ended pushed it out, and `coprocess.get` answered null."""
    session = daemon.create("cat")
    daemon.call("coprocess.run", session=session, command="exit 7")
    daemon.ended(session)
    for _ in range(12):
        daemon.call("coprocess.run", session=session, command="true", input=False)
        daemon.ended(session)
    assert daemon.call("coprocess.get", session=session)["exit_status"] == 7
    daemon.call("session.close", session=session)


def test_a_job_that_closes_its_terminal_and_opens_it_again_is_read_on(daemon: Live, tmp_path: Path) -> None:
    """The first end of file ended the reading for ever; the job then hung in its write once the terminal was full."""
    shell = f"stty raw -echo; echo first; tty=$(tty); exec </dev/null >/dev/null 2>&1; sleep 0.3; head -c 300000 /dev/zero >$tty; echo end >{tmp_path}/end"
    session = daemon.create(shell=shell)
    assert daemon.output(session) == b"first\n" + bytes(300_000)
    assert (tmp_path / "end").exists()


def test_of_several_that_never_read_each_is_ended_and_the_session_goes_on() -> None:
    """Only the slowest was ended: the next one had no room to resume, and was never looked at again; `paused` named the one that had ended."""
    with live(not_reading_s=0.5, close_grace_s=0.3) as daemon:
        session = daemon.create("yes", log_bytes=1 << 20)
        for _ in range(4):
            daemon.call("coprocess.run", session=session, command="exec sleep 1000", input=False)
        assert [daemon.ended(session)["end_reason"] for _ in range(4)] == ["not_reading"] * 4
        offset = daemon.call("session.get", session=session)["output_offset"]
        assert daemon.call("session.read", session=session, from_offset=offset, wait_s=10)["next_offset"] > offset


def test_a_key_whose_caller_hung_up_makes_a_session_again_after_that_one_was_closed(daemon: Live) -> None:
    """The key stood for the closed session, and the answer was an internal error."""
    quiet = daemon.create("cat")
    with slow_keeper(daemon):
        caller = Client(daemon.socket)
        caller.send("session.create", argv=["cat"], key="hasty", name="hasty")
        caller.close()
        # On the daemon's clock: longer than the calls of a peer that has hung up may run.
        assert daemon.call("session.read", session=quiet, wait_s=1.5)["next_offset"] == 0
    while not (made := [s for s in daemon.call("session.list") if s["name"] == "hasty" and s["pid"]]):
        pass
    daemon.call("session.close", session=made[0]["id"])
    again = daemon.call("session.create", argv=["cat"], key="hasty")
    assert again["id"] != made[0]["id"] and again["state"] == "running"
    for each in (quiet, again["id"]):
        daemon.call("session.close", session=each)


def test_of_two_that_are_started_at_once_exactly_one_types(daemon: Live) -> None:
    session = daemon.create("cat")
    for _ in range(5):
        clients = [Client(daemon.socket) for _ in range(2)]
        numbers = [client.send("coprocess.run", session=session, command="exec sleep 1000") for client in clients]
        outcomes = []
        for client, number in zip(clients, numbers, strict=True):
            try:
                outcomes.append(client.answer(number)["state"])
            except RpcError as error:
                outcomes.append(error.code)
            client.close()
        assert sorted(outcomes) == ["coprocess_already_running", "running"]
        daemon.call("coprocess.stop", session=session)
    daemon.call("session.close", session=session)


def test_200_sessions_at_once_leave_no_descriptor_no_process_and_no_zombie(daemon: Live) -> None:
    pids = daemon.pids()
    daemon.call("session.close", session=daemon.create("true", coprocess={"command": "cat >/dev/null"}))
    before = daemon.descriptors()
    spawned = []
    # Half of them leave a grandchild behind that holds their pipes.
    commands = ("cat >/dev/null", "sleep 1000 & cat >/dev/null")
    numbers = [
        daemon.client.send("session.create", argv=["cat"], coprocess={"command": commands[n % 2], "silent": True}) for n in range(200)
    ]
    for session in [daemon.client.answer(number) for number in numbers]:
        spawned += [session["pid"], session["coprocess"]["pid"]]
    numbers = [daemon.client.send("session.close", session=s["id"], grace_s=0.2) for s in daemon.call("session.list")]
    for number in numbers:
        daemon.client.answer(number)
    # Before, a connection of an earlier test may still have been on its way out.
    assert all(descriptors(pid) <= count for pid, count in zip(pids, before, strict=True))
    assert not any(os.path.exists(f"/proc/{pid}") for pid in spawned)


def test_stopped_processes_are_ended_too(daemon: Live) -> None:
    session = daemon.create("sleep", "1000")
    coprocess = daemon.call("coprocess.run", session=session, command=DEAF)
    os.kill(coprocess["pid"], signal.SIGSTOP)
    daemon.call("session.signal", session=session, signal="STOP")
    assert daemon.call("coprocess.stop", session=session, grace_s=0.1) == {"stopped": True}
    pid = daemon.call("session.get", session=session)["pid"]
    daemon.call("session.close", session=session, grace_s=0.1)
    assert not lives(pid) and not lives(coprocess["pid"])


def test_the_input_of_a_peer_that_sends_a_lone_surrogate_is_a_parse_error(daemon: Live) -> None:
    client = Client(daemon.socket)
    client._socket.sendall(b'{"jsonrpc":"2.0","id":1,"method":"session.create","params":{"argv":["\\ud800"]}}\n')
    assert b'"code":-32700' in client._file.readline()
    client.close()


def test_a_session_that_was_stopped_by_xoff_says_so_and_no_call_hangs(daemon: Live) -> None:
    """It looked as if it ran and awaited input."""
    session = daemon.create(shell="echo before; read line; echo after; read line")
    daemon.output(session, b"before")
    daemon.call("session.send_keys", session=session, keys=["C-s"])
    while daemon.call("session.get", session=session)["paused"] is None:
        pass
    daemon.call("session.send_keys", session=session, keys=["Enter"])
    described = daemon.call("session.get", session=session)
    assert (described["paused"], described["activity"]) == ({"why": "stopped", "by": None}, "running")
    daemon.call("session.send_keys", session=session, keys=["C-q"])
    daemon.output(session, b"after")
    assert daemon.call("session.get", session=session)["paused"] is None
    daemon.call("session.send_keys", session=session, keys=["C-s"])
    assert daemon.call("session.close", session=session)["state"] == "exited"
