"""`coprocctl wait`: for a job's end, and for quiet."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from coprocctl_command import COPROCCTL, Beside
from support.live import Live, live


@pytest.fixture(scope="module")
def daemon() -> Iterator[Live]:
    with live() as started:
        yield started


def waiting(daemon: Live, *args: str) -> Beside:
    return Beside(
        [*COPROCCTL, "wait", *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=daemon.environment
    )


def waited(daemon: Live, *args: str) -> tuple[int, str]:
    """Its exit status and what it said on stderr."""
    with waiting(daemon, *args) as running:
        _, error = running.communicate(timeout=60)
        return running.returncode, error.decode()


@pytest.mark.parametrize(("job", "status"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137)])
def test_it_exits_as_the_job_does(daemon: Live, job: str, status: int) -> None:
    session = daemon.create(shell=f"read a; {job}")
    with waiting(daemon, session, "--exit", "--idle", "1000") as running:
        daemon.call("session.send_text", session=session, text="\n")
        assert running.wait(60) == status
    assert waited(daemon, session, "--exit") == (status, "")


def test_one_that_is_dropped_at_its_end_tells_its_status_all_the_same(daemon: Live) -> None:
    session = daemon.create(shell="read a; exit 5", remove=True)
    with waiting(daemon, session, "--exit") as running:
        daemon.call("session.send_text", session=session, text="\n")
        assert running.wait(60) in (5, 3)  # 3: it was gone before we asked for it


def test_a_restart_of_the_daemon_meanwhile_changes_nothing() -> None:
    with live() as daemon:
        session = daemon.create(shell="read a; exit 9")
        with waiting(daemon, session, "--exit") as running:
            daemon.kill()
            daemon.restart()
            daemon.call("session.send_text", session=session, text="\n")
            assert running.wait(60) == 9


def test_idle_is_when_nothing_was_printed_for_so_long(daemon: Live) -> None:
    session = daemon.create(shell="for i in 1 2 3 4 5 6; do echo $i; sleep 0.2; done; sleep 100")
    begun = time.monotonic()
    assert waited(daemon, session, "--idle", "0.6") == (0, "")
    assert time.monotonic() - begun > 1.0
    assert b"6" in daemon.output(session, b"6")
    daemon.call("session.close", session=session)


def test_an_ended_session_is_idle(daemon: Live) -> None:
    session = daemon.create("true")
    daemon.client.event("session.exited", session=session)
    assert waited(daemon, session, "--idle", "1000") == (0, "")
    assert waited(daemon, session, "--idle", "1000", "--exit") == (0, "")


@pytest.mark.parametrize("what", [("--exit",), ("--idle", "1"), ("--exit", "--idle", "1")])
def test_when_the_time_is_over_it_exits_124(daemon: Live, what: Any) -> None:
    session = daemon.create("yes")
    status, error = waited(daemon, session, *what, "--timeout", "0.5")
    assert status == 124 and "0.5 s" in error
    daemon.call("session.close", session=session)


def test_one_that_is_closed_meanwhile_is_known_by_its_end(daemon: Live) -> None:
    session = daemon.create("cat")
    with waiting(daemon, session, "--exit") as running:
        daemon.call("session.close", session=session)
        assert running.wait(60) in (129, 3)  # 3: it was gone before we asked for it


def test_it_must_be_told_what_for_and_of_which_session(daemon: Live) -> None:
    assert waited(daemon, "nobody", "--exit")[0] == 3
    session = daemon.create("cat")
    status, error = waited(daemon, session)
    assert status == 2 and "--exit" in error and "--idle" in error
