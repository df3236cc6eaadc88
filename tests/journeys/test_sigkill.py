"""SIGKILL of the daemon, at any instant and under load: nothing is lost, nothing comes twice, and nobody is turned away."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.faulty import await_remains, await_true, environment, give, remains
from support.live import Live, live, lives
from support.ordeal import Ordeal, children, is_daemon, seed
from support.ordeal_attached import Drawn, Watched
from support.ordeal_parts import Flood, Still, Triggered, Typed
from support.stubborn import Stubborn

KILLS = int(os.environ.get("COPROCD_KILLS", "300"))


@pytest.fixture
def daemon() -> Iterator[Live]:
    with live(environment(), ended_sessions_most=1000, **Triggered.LIMITS) as started:
        yield started


def kill(daemon: Live) -> None:
    os.kill(daemon.pids()[0], signal.SIGKILL)
    daemon.client.close()


@pytest.mark.timeout(600)
def test_nothing_is_lost_and_nothing_comes_twice_though_the_daemon_is_killed_300_times(daemon: Live) -> None:
    """The same loads, where bytes pass through the daemon's memory (`pipes.AVAILABLE` off: read, then store), lose and repeat:

    python tests/bench/kill_loop.py --kills 60 --seed 7 --naive
    output log                  10,960,908 bytes      49,140 lost           0 repeated
    read                        10,977,288 bytes      49,140 lost      16,380 repeated  NOT EXACT
    observed                    10,981,383 bytes      49,140 lost      20,475 repeated  NOT EXACT
    typed by the coprocess      32,296,960 bytes      46,592 lost      38,400 repeated  NOT EXACT
    typed by the client            190,732 bytes           0 lost           0 repeated
    stderr                         100,000 bytes           0 lost           0 repeated  NOT EXACT
    """
    begun = seed()
    print(f"COPROCD_SEED={begun} repeats these instants")
    daemon.loaded()
    nothing = remains(daemon)
    triggered, watched = Triggered(), Watched()
    tallies = Ordeal(daemon, KILLS, begun, [Flood(), Typed(), Still(), triggered, watched, Drawn()]).run()
    print(f"{len(triggered.not_run)} commands were not run; snapshots passed over {watched.passed_over:,} bytes")
    assert all(tally.whole for tally in tallies), tallies
    assert all(tally.bytes for tally in tallies)
    for session in daemon.call("session.list"):
        daemon.call("session.close", session=session["id"], grace_s=0)
    await_remains(daemon, nothing)


def test_100_sessions_are_there_again_with_all_they_had(daemon: Live) -> None:
    daemon.create("cat", key="first")
    for number in range(99):
        daemon.create("cat", labels={"n": str(number)}, **({"coprocess": {"command": "cat >/dev/null"}} if number % 10 == 0 else {}))
    fixed = ("id", "name", "pid", "state", "labels", "epoch", "tty", "coprocess")
    before = [{name: session[name] for name in fixed} for session in daemon.call("session.list")]
    for _ in range(3):
        kill(daemon)
        daemon.subscribe()
        assert [{name: session[name] for name in fixed} for session in daemon.call("session.list")] == before
    for session in before:
        daemon.call("session.send_text", session=session["id"], text="here\n")
    for session in before:
        daemon.output(session["id"], b"here\r\nhere\r\n")


def test_of_a_thousand_connections_during_kills_and_restarts_none_is_refused_and_all_are_answered(daemon: Live) -> None:
    daemon.create("cat")
    for number in range(10):
        if number % 2:
            kill(daemon)
        else:
            daemon.call("daemon.restart")
            daemon.client.close()
        # Each connects while the daemon ends, none runs, or the next one starts; those that the old one took come again.
        clients = [Stubborn(daemon.socket) for _ in range(100)]
        calls = [client.begin("session.list") for client in clients]
        assert [len(client.finish(call)) for client, call in zip(clients, calls, strict=True)] == [1] * 100
        for client in clients:
            client.close()
        daemon.subscribe()


def jobs(daemon: Live, number: int) -> tuple[Path, dict[str, tuple[int | None, str | None]]]:
    """A gate, and `number` sessions whose jobs end when it is opened, with the status and signal that each must be said to have had."""
    gate = Path(daemon.directory, "gate")
    os.mkfifo(gate)
    signals = [signal.SIGTERM, signal.SIGKILL, signal.SIGUSR1, signal.SIGSEGV]
    expected: dict[str, tuple[int | None, str | None]] = {}
    numbers = {}
    for n in range(number):
        by = signals[n // 2 % len(signals)] if n % 2 else None
        end = f"kill -{by.value} $$" if by else f"exit {n % 256}"
        # Their ends are spread over two seconds.
        call = daemon.client.send("session.create", shell=f"ulimit -c 0; exec 3<{gate}; sleep {n * 2 / number:.2f}; {end}")
        numbers[call] = (None, by.name) if by else (n % 256, None)
    for call, status in numbers.items():
        expected[daemon.client.answer(call)["id"]] = status
    return gate, expected


def statuses(daemon: Live) -> dict[str, tuple[int | None, str | None]]:
    """Of every session, once all have exited."""
    while daemon.call("session.list", state="running"):
        pass
    return {session["id"]: (session["exit_status"], session["signal"]) for session in daemon.call("session.list")}


def test_200_jobs_that_end_while_no_daemon_runs_have_their_statuses(daemon: Live) -> None:
    gate, expected = jobs(daemon, 200)
    pids = [session["pid"] for session in daemon.call("session.list")]
    daemon.command("daemon", "stop")
    daemon.client.close()
    gate.write_text("")
    await_true(lambda: not any(lives(pid) for pid in pids), "jobs do not end")
    daemon.command("daemon", "start")
    daemon.subscribe()
    assert statuses(daemon) == expected


def test_200_jobs_that_end_while_daemons_are_killed_have_their_statuses(daemon: Live) -> None:
    gate, expected = jobs(daemon, 200)
    pids = [session["pid"] for session in daemon.call("session.list")]
    gate.write_text("")
    while any(lives(pid) for pid in pids):
        kill(daemon)
        daemon.subscribe()
    assert statuses(daemon) == expected


def test_a_job_that_ends_while_the_next_daemon_takes_over_has_its_status(daemon: Live) -> None:
    pid = daemon.call("session.create", argv=["sleep", "1000"], name="ends")["pid"]
    before, keeper = daemon.pids()
    give(daemon, "daemon STOP coprocd.api.claim:claim_socket before 1")
    kill(daemon)
    stopped: list[int] = []

    def is_stopped() -> bool:
        stopped[:] = [child for child in children(keeper) if child != before and is_daemon(child) and state(child) == "T"]
        return bool(stopped)

    await_true(is_stopped, "no daemon has stopped")
    os.kill(pid, signal.SIGTERM)
    await_true(lambda: not lives(pid), "the job does not end")
    os.kill(stopped[0], signal.SIGCONT)
    daemon.subscribe()
    assert list(statuses(daemon).values()) == [(None, "SIGTERM")]


def state(pid: int) -> str:
    """The process's state, as proc(5) has it; empty when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""
