"""The screen when something dies: its worker, of what is printed or for no reason, the daemon, the keeper."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.faulty import environment
from support.live import Live, RpcError, live, resident_bytes
from support.screens import VIM, bash, capture, kill_keeper, kill_worker, lines, shows, text, worker

OTHERS_WAIT_MOST_S = 4.0
"""For their screens, while output of another session ends the worker twice: two seconds on a machine that has nothing else to do."""


@pytest.fixture(scope="module")
def daemon() -> Iterator[Live]:
    with live() as started:
        yield started


@pytest.mark.parametrize("kill", [kill_worker, Live.kill, kill_keeper], ids=["worker", "daemon", "keeper"])
def test_a_running_vim_looks_the_same_after_a_kill(kill: Callable[[Live], None], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("".join(f"line {n} \u65e5\u672c\n" for n in range(1000)))
    with live() as daemon:
        session = bash(daemon)
        daemon.call("session.send_text", session=session, text=" ".join([*VIM, str(tmp_path / "file")]), enter=True)
        shows(daemon, session, "line 10")
        daemon.call("session.send_text", session=session, text="\x06\x06\x061GVjjd:vsplit|redraw|echo 'do'.'ne'\r")
        shows(daemon, session, "done")
        looks = {format: capture(daemon, session, format=format, scrollback=100) for format in ("text", "ansi", "json")}
        for _ in range(3):
            kill(daemon)
            assert {format: capture(daemon, session, format=format, scrollback=100) for format in looks} == looks
        daemon.call("session.send_text", session=session, text=":q\r:q!\r")
        daemon.await_(lambda: not capture(daemon, session)["alternate"])


def test_a_flood_is_drawn_to_its_end_though_the_worker_is_killed_again_and_again() -> None:
    with live() as daemon:
        session = daemon.create(shell="seq 1 3000000; exec sleep 60", log_bytes=1 << 20)
        for number in (200, 900, 1600):
            daemon.await_(lambda number=number: daemon.call("session.get", session=session)["output_offset"] > number * 10_000)
            kill_worker(daemon)
        seen = shows(daemon, session, "3000000")
        assert lines(text(daemon, session, scrollback=100)) == [str(n) for n in range(3000001 - 123, 3000001)]
        assert seen["cursor"] == {"row": 23, "column": 0, "visible": True}


def test_a_worker_that_is_stopped_costs_its_session_a_second_and_is_replaced(daemon: Live) -> None:
    session = daemon.create(shell="read x; seq 1 2000000; echo the end; exec sleep 60", log_bytes=1 << 20)
    text(daemon, session)
    os.kill(worker(daemon), signal.SIGSTOP)
    daemon.call("session.send_text", session=session, text="x", enter=True)
    assert daemon.client.event("screen.restarted")["why"] == "stalled"
    shows(daemon, session, "the end")
    daemon.call("session.close", session=session)


POISON = """
import os, sys, tty
tty.setraw(0)
for number in range(int(sys.argv[2])):
    os.write(1, b"before %d\\r\\n" % number)
    os.read(0, 1)
    os.write(1, b"x" * 5000 + b"\\r\\n" + sys.argv[1].encode() + b"\\r\\n" + b"y" * 100 + b"\\r\\nafter %d\\r\\n" % number)
os.read(0, 1)
"""


@pytest.mark.parametrize("poison", ["KILL", "HANG"])
def test_output_that_ends_the_worker_costs_others_a_moment_and_is_passed_over(poison: str) -> None:
    with live(environment()) as daemon:
        innocent, poisonous = bash(daemon), daemon.create("python3", "-c", POISON, f"POISON-{poison}", "1")
        looks = capture(daemon, innocent)
        shows(daemon, poisonous, "before 0")
        begun = time.monotonic()
        daemon.call("session.send_text", session=poisonous, text="x")
        for _ in range(2):
            event = daemon.client.event("screen.restarted", session=poisonous)
            assert event["why"] == {"KILL": "died", "HANG": "stalled"}[poison]
        assert capture(daemon, innocent) == looks
        assert time.monotonic() - begun < OTHERS_WAIT_MOST_S
        seen = shows(daemon, poisonous, "after 0")
        assert "POISON" not in seen["data"] and "xxx" in seen["data"] and "yyy" in seen["data"]
        daemon.call("session.send_text", session=innocent, text="echo to''gether", enter=True)
        shows(daemon, innocent, "together")


def test_a_session_that_ends_the_worker_again_and_again_has_no_screen_for_a_while_and_runs_on() -> None:
    with live(environment()) as daemon:
        innocent, poisonous = bash(daemon), daemon.create("python3", "-c", POISON, "POISON-KILL", "9")
        for number in range(9):
            daemon.output(poisonous, f"before {number}".encode())
            daemon.call("session.send_text", session=poisonous, text="x")
            if number < 2:
                for _ in range(2):
                    daemon.client.event("screen.restarted", session=poisonous)
        daemon.output(poisonous, b"after 8")
        daemon.await_(lambda: daemon.call("daemon.info")["screen_pid"])
        pid = worker(daemon)
        with pytest.raises(RpcError) as error:
            capture(daemon, poisonous)
        assert error.value.code == "screen_unavailable"
        daemon.call("session.send_text", session=innocent, text="echo to''gether", enter=True)
        shows(daemon, innocent, "together")
        assert worker(daemon) == pid


def test_a_session_waits_for_a_screen_that_hangs_for_a_second_and_not_longer() -> None:
    with live(environment(), screens_live_most=4) as daemon:
        poisonous = daemon.create(shell="read x; echo POISON-HANG; seq 1 1000000; echo the end; exec sleep 60", log_bytes=1 << 16)
        text(daemon, poisonous)
        begun = time.monotonic()
        daemon.call("session.send_text", session=poisonous, text="x", enter=True)
        shows(daemon, poisonous, "the end")
        assert time.monotonic() - begun < 15


def test_memory_for_two_hundred_screens_is_bounded() -> None:
    with live() as daemon:
        sessions = [daemon.create(shell="seq 1 20000; exec cat") for _ in range(200)]
        for session in sessions:
            shows(daemon, session, "20000")
        assert resident_bytes(worker(daemon)) < 300 << 20
        live_fds = len(os.listdir(f"/proc/{worker(daemon)}/fd"))
        assert live_fds < 32 + 20
        assert lines(text(daemon, sessions[0]))[-1] == "20000"
