"""SIGKILL of the keeper, under load: the daemon goes on, another keeper takes everything over, and nothing is lost.

And of both at once: the sessions hang up, what does not mind that is ended, and the next start says what was lost.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.keeper import KeeperUser
from support.live import RAW_CAT, Client, Live, RpcError, descriptors, live, lives

from test_restart import NUMBERED  # isort: skip

KILLS = 50


@pytest.fixture
def daemon() -> Iterator[Live]:
    with live() as started:
        yield started


def kill_keeper(daemon: Live) -> int:
    """Kills the keeper and waits until another holds everything; its pid."""
    _, keeper = daemon.pids()
    os.kill(keeper, signal.SIGKILL)
    while True:
        now = daemon.pids()[1]
        if now != keeper:
            return now


def exited(daemon: Live, session: str) -> dict[str, Any]:
    """The session, once its job has ended."""
    daemon.output(session)
    while (shown := daemon.call("session.get", session=session))["state"] != "exited":
        pass
    return dict(shown)


def test_nothing_is_lost_over_fifty_kills(daemon: Live, tmp_path: Path) -> None:
    job = [sys.executable, "-c", NUMBERED, str(tmp_path / "printed")]
    session = daemon.create(*job, coprocess={"command": f"sha256sum > {tmp_path}/read"})
    daemon.call("coprocess.run", session=session, command=f"sha256sum > {tmp_path}/observed", from_=0, input=False)
    echo = daemon.raw_cat()
    before, pid = daemon.call("session.get", session=session), daemon.pids()[0]
    counts = []
    for number in range(KILLS):
        keeper = kill_keeper(daemon)
        daemon.call("session.send_text", session=echo, text=f"<{number}>")
        if number in (5, KILLS - 1):
            daemon.output(daemon.create(shell=f"echo new; exit {number}"), b"new")
            counts.append((descriptors(pid), descriptors(keeper)))
    after = daemon.call("session.get", session=session)
    assert (after["pid"], after["epoch"], after["state"]) == (before["pid"], before["epoch"], "running")
    assert daemon.pids()[0] == pid, "the daemon has lived all the time"
    daemon.output(echo, "".join(f"<{number}>" for number in range(KILLS)).encode())
    daemon.go(session)
    assert daemon.client.event("session.exited", session=session)["exit_status"] == 0
    daemon.ended(session), daemon.ended(session)
    read, observed = ((tmp_path / name).read_text().split()[0] for name in ("read", "observed"))
    assert read == observed == (tmp_path / "printed").read_text()
    first, last = counts
    assert last[0] <= first[0] + 12 and last[1] <= first[1] + 12, "one more ended session, and nothing else"


def test_statuses_of_orphans_are_right_and_so_are_those_of_new_jobs(daemon: Live) -> None:
    jobs = {number: daemon.create(shell=f"read a; exit {number}") for number in range(20)}
    dying = daemon.create(shell="read a; kill -TERM $$")
    observer = daemon.call("coprocess.run", session=dying, command="trap 'exit 33' TERM; cat; exit 34", input=False)
    kill_keeper(daemon)
    for session in (*jobs.values(), dying):
        daemon.call("session.send_text", session=session, text="x", enter=True)
    for number, session in jobs.items():
        assert exited(daemon, session)["exit_status"] == number
    assert exited(daemon, dying)["signal"] == "SIGTERM"
    while (observed := daemon.call("coprocess.list", session=dying)[0])["state"] != "ended":
        pass
    assert (observed["id"], observed["exit_status"]) == (observer["id"], 34)
    new = daemon.create(shell="exit 77")
    assert daemon.client.event("session.exited", session=new)["exit_status"] == 77


def test_a_job_that_ends_while_there_is_no_keeper_has_its_status(daemon: Live) -> None:
    sessions = [daemon.create(shell=f"read a; exit {number}") for number in range(10)]
    _, keeper = daemon.pids()
    os.kill(keeper, signal.SIGKILL)
    for session in sessions:
        daemon.call("session.send_text", session=session, text="x", enter=True)
    for number, session in enumerate(sessions):
        assert exited(daemon, session)["exit_status"] == number


def test_an_orphans_coprocess_is_ended_with_its_whole_group(daemon: Live, tmp_path: Path) -> None:
    session = daemon.create(shell=RAW_CAT)
    run = daemon.call("coprocess.run", session=session, command=f"sleep 1000 & echo $! > {tmp_path}/child; trap '' TERM; cat >/dev/null")
    while not (tmp_path / "child").exists() or not (tmp_path / "child").read_text():
        pass
    kill_keeper(daemon)
    daemon.call("coprocess.stop", session=session, grace_s=0.2)
    child = int((tmp_path / "child").read_text())
    while lives(run["pid"]) or lives(child):
        pass
    daemon.call("session.close", session=session)


def test_a_start_that_the_keeper_took_with_it_fails_and_leaves_no_job(daemon: Live, tmp_path: Path) -> None:
    _, keeper = daemon.pids()
    os.kill(keeper, signal.SIGSTOP)
    other = Client(daemon.socket)
    number = other.send("session.create", shell=f"echo $$ > {tmp_path}/pid; trap '' HUP TERM; while :; do sleep 1; done", name="unborn")
    while not any(s["name"] == "unborn" for s in daemon.call("session.list")):
        pass
    os.kill(keeper, signal.SIGKILL)
    with pytest.raises(RpcError, match="keeper was killed while it started the job") as failed:
        other.answer(number)
    other.close()
    assert failed.value.code == "spawn_failed"
    assert daemon.create(shell="exit 0", name="unborn")
    if (tmp_path / "pid").exists():
        while lives(int((tmp_path / "pid").read_text())):
            pass


def test_the_daemon_comes_back_to_a_keeper_that_has_cut_it_off(daemon: Live) -> None:
    session = daemon.create(shell=RAW_CAT)
    _, keeper = daemon.pids()
    usurper = KeeperUser(f"{daemon.socket}.keeper")  # another who says that it is the daemon: the keeper believes the last
    usurper.close()
    daemon.call("session.send_text", session=session, text="hello")
    daemon.output(session, b"hello")
    new = daemon.create(shell="exit 5")
    assert daemon.client.event("session.exited", session=new)["exit_status"] == 5
    assert daemon.pids()[1] == keeper and daemon.call("session.get", session=session)["state"] == "running"


def test_the_next_daemon_is_started_by_the_next_keeper(daemon: Live) -> None:
    session = daemon.raw_cat()
    keeper = kill_keeper(daemon)
    pid = daemon.pids()[0]
    daemon.client.close()
    os.kill(pid, signal.SIGKILL)
    daemon.subscribe()
    daemon.call("session.send_text", session=session, text="hello")
    daemon.output(session, b"hello")
    assert daemon.pids()[0] != pid and daemon.pids()[1] == keeper


def test_of_both_killed_at_once_no_job_is_left_and_the_next_start_says_what_was_lost(daemon: Live, tmp_path: Path) -> None:
    stubborn = f"trap '' HUP TERM; echo $$ > {tmp_path}/pid; while :; do sleep 1; done"
    polite = daemon.create(shell="echo up; exec sleep 1000", name="polite")
    daemon.create(shell=stubborn, name="old name")
    daemon.call("session.rename", session="old name", name="stubborn")
    daemon.output(polite, b"up")
    watched = daemon.call("coprocess.run", session=polite, command="trap '' TERM; cat; sleep 1000", input=False)
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        pass
    jobs = [daemon.call("session.get", session=polite)["pid"], int((tmp_path / "pid").read_text()), watched["pid"]]
    pid, keeper = daemon.pids()
    daemon.client.close()
    for one in (keeper, pid):
        os.kill(one, signal.SIGKILL)
    while lives(pid) or lives(keeper):
        pass
    said = daemon.command("daemon", "start")
    daemon.client = Client(daemon.socket)
    daemon.call("events.subscribe", since_seq=0)
    names = {daemon.client.event("session.lost")["name"] for _ in range(2)}
    assert names == {"polite", "stubborn"} == set(daemon.call("daemon.info")["lost"])
    for shown in (said, daemon.command("daemon", "status")):
        assert "2 sessions lost when keeper and daemon were killed: polite, stubborn" in shown
    while any(lives(job) for job in jobs):
        pass
    assert daemon.call("session.list") == []


def test_clients_are_not_slowed_while_keepers_are_killed(daemon: Live) -> None:
    """A thread asks without pause; no call fails, and none is refused."""
    session = daemon.create(shell=RAW_CAT)
    done, failures, calls = threading.Event(), [], []

    def ask() -> None:
        try:
            client = Client(daemon.socket)
            while not done.is_set():
                calls.append(client.call("session.read", session=session)["offset"])
            client.close()
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    for _ in range(5):
        kill_keeper(daemon)
    done.set()
    thread.join()
    assert not failures and len(calls) > 20


def keeper_between(daemon: Live) -> int:
    """Kills the keeper, and returns as soon as the daemon has seen that, before there is another; its pid."""
    keeper = daemon.pids()[1]
    os.kill(keeper, signal.SIGKILL)
    while "is gone, or has cut this daemon off" not in daemon.log():
        pass
    return keeper


@pytest.mark.parametrize("how", ["SIGTERM", "stop", "restart"])
def test_a_daemon_that_is_to_end_while_there_is_no_keeper_first_hands_everything_over(daemon: Live, how: str) -> None:
    session = daemon.raw_cat()
    pid = daemon.pids()[0]
    keeper_between(daemon)
    if how == "SIGTERM":
        os.kill(pid, signal.SIGTERM)
    else:
        daemon.client.send({"stop": "daemon.shutdown", "restart": "daemon.restart"}[how])
    while lives(pid):
        pass
    daemon.client.close()
    daemon.command("daemon", "start")
    daemon.subscribe()
    daemon.call("session.send_text", session=session, text="hello")
    daemon.output(session, b"hello")
    assert daemon.pids()[0] != pid


def test_what_was_being_started_or_closed_when_the_keeper_was_killed_is_not_told_as_lost(daemon: Live) -> None:
    session = daemon.create(shell="trap '' HUP; cat")
    keeper = daemon.pids()[1]
    os.kill(keeper, signal.SIGSTOP)
    other = Client(daemon.socket)
    closing = other.send("session.close", session=session, grace_s=0)
    starting = other.send("session.create", shell="cat", name="unborn")
    while not any(s["name"] == "unborn" for s in daemon.call("session.list")):
        pass
    os.kill(keeper, signal.SIGKILL)
    with pytest.raises(RpcError, match="keeper was killed while it started the job"):
        other.answer(starting)
    other.answer(closing)
    other.close()
    daemon.client.event("session.closed", session=session)
    exited(daemon, daemon.create(shell="exit 0"))
    assert daemon.call("daemon.info")["lost"] == []
    assert "session.lost" not in {event["type"] for event in daemon.client._events}


def test_two_who_stop_everything_at_once_are_both_told_that_it_is_done(daemon: Live) -> None:
    daemon.create(shell="trap '' HUP; cat")
    others = [Client(daemon.socket) for _ in range(3)]
    pid, keeper = daemon.pids()
    calls = [other.send("daemon.shutdown", sessions=True) for other in others]
    for other, number in zip(others, calls, strict=True):
        assert other.answer(number)["sessions"] <= 1
        other.close()
    while lives(pid) or lives(keeper):
        pass
    daemon.client.close()
    daemon.command("daemon", "start")
    daemon.subscribe()


def test_a_keeper_that_is_killed_while_the_first_daemon_starts_is_followed_by_another(tmp_path: Path) -> None:
    """The daemon has nothing yet that another keeper could hold: it waited for it for ever."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "import os, sys\n"
        f"if sys.argv[:1] == ['-m'] and 'coprocd' in sys.orig_argv and not os.path.exists({str(tmp_path / 'there')!r}):\n"
        "    import asyncio, coprocd.daemon\n"
        "    from coprocd.daemon import Daemon\n"
        "    real = Daemon._hold\n"
        "    async def slow(self, fds):\n"
        "        Daemon._hold = real\n"
        f"        open({str(tmp_path / 'there')!r}, 'w').write(str(self._keeper.pid))\n"
        f"        while not os.path.exists({str(tmp_path / 'go')!r}):\n"
        "            await asyncio.sleep(0.01)\n"
        "        await real(self, fds)\n"
        "    Daemon._hold = slow\n"
    )
    thread = threading.Thread(target=_kill_at, args=(tmp_path,))
    thread.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep))
        with live() as daemon:
            thread.join()
            exited(daemon, daemon.create(shell="exit 0"))
            assert daemon.pids()[1] != int((tmp_path / "there").read_text())


def _kill_at(tmp_path: Path) -> None:
    """Kills the keeper at the instant that a starting daemon has marked."""
    while not (tmp_path / "there").exists() or not (tmp_path / "there").read_text():
        pass
    keeper = int((tmp_path / "there").read_text())
    os.kill(keeper, signal.SIGKILL)
    while lives(keeper):
        pass
    (tmp_path / "go").touch()


@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_a_keeper_whose_socket_was_removed_is_found_by_the_next_daemon(daemon: Live, how: str) -> None:
    session = daemon.raw_cat()
    pid, keeper = daemon.pids()
    os.unlink(f"{daemon.socket}.keeper")
    daemon.client.close()
    if how == "killed":
        os.kill(pid, signal.SIGKILL)
    else:
        daemon.command("daemon", "stop")
    daemon.command("daemon", "start")
    daemon.subscribe()
    daemon.call("session.send_text", session=session, text="hello")
    daemon.output(session, b"hello")
    assert daemon.pids()[1] == keeper
