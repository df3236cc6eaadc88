"""`run-coprocess --here`: the command runs beside the client, and the session cannot tell."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from coprocctl_command import COPROCCTL, Beside
from support.connected import coprocess
from support.live import EVERY_BYTE, Live, live, lives


@pytest.fixture(scope="module")
def daemon() -> Iterator[Live]:
    with live() as started:
        yield started


@pytest.fixture
def echo(daemon: Live) -> Iterator[str]:
    session = daemon.raw_cat()
    yield session
    daemon.call("session.close", session=session)


def here(daemon: Live, place: Path, *args: str) -> Beside:
    """The command, running."""
    return Beside(
        [*COPROCCTL, "run-coprocess", "--here", *args],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=daemon.environment,
        cwd=place,
    )


def ran(daemon: Live, place: Path, *args: str) -> tuple[int, str]:
    """Its exit status and what it wrote to stderr."""
    with here(daemon, place, *args) as running:
        _, error = running.communicate(timeout=60)
        return running.returncode, error.decode()


def test_it_answers_its_session_and_its_status_is_passed_on(daemon: Live, tmp_path: Path) -> None:
    session = daemon.create(shell='echo "Are you there?"; read a; echo "got: $a"; sleep 100')
    status, error = ran(daemon, tmp_path, session, "read q; echo Yes; echo oops >&2; exit 7", "--from", "0")
    assert (status, error) == (7, "oops\n")
    daemon.output(session, b"got: Yes")
    end = daemon.ended(session)
    assert (end["end_reason"], end["started_by"], end["pid"], end["typed_bytes"]) == ("exited", "connection", None, 4)
    assert end["command"] == "read q; echo Yes; echo oops >&2; exit 7"
    daemon.call("session.close", session=session)


def test_every_byte_value_goes_both_ways(daemon: Live, tmp_path: Path) -> None:
    session = daemon.create(sys.executable, "-c", EVERY_BYTE, "16", str(tmp_path / "sum"))
    with here(daemon, tmp_path, session, "sha256sum > read", "--from", "0") as running:
        daemon.client.event("coprocess.started", session=session)
        daemon.go(session)
        assert running.wait(60) == 0
    assert (tmp_path / "read").read_text().split()[0] == (tmp_path / "sum").read_text()
    data = bytes(range(256)) * 65536
    (tmp_path / "data").write_bytes(data)
    session = daemon.create(shell=f"stty raw -echo; echo ready; head -c {len(data)} | sha256sum")
    daemon.output(session, b"ready\n")
    assert ran(daemon, tmp_path, session, "cat data") == (0, "")
    assert hashlib.sha256(data).hexdigest().encode() in daemon.output(session)


def test_where_it_may_not_be_nothing_is_started(daemon: Live, tmp_path: Path, echo: str) -> None:
    daemon.call("coprocess.run", session=echo, command="exec sleep 100")
    status, error = ran(daemon, tmp_path, echo, "touch started")
    assert status == 4 and "sleep 100" in error and not (tmp_path / "started").exists()
    assert ran(daemon, tmp_path, "nobody", "touch started")[0] == 3


def test_a_command_that_is_not_there_leaves_the_place_free(daemon: Live, tmp_path: Path, echo: str) -> None:
    status, error = ran(daemon, tmp_path, echo, "--", "/no/such/file", "x")
    assert status == 125 and "/no/such/file" in error
    assert daemon.ended(echo)["typed_bytes"] == 0


def test_it_is_told_its_session_and_runs_where_the_user_is(daemon: Live, tmp_path: Path, echo: str) -> None:
    status, error = ran(daemon, tmp_path, echo, 'echo "$COPROCD_SESSION $COPROCD_SOCKET $PWD" >&2')
    assert (status, error) == (0, f"{echo} {daemon.socket} {tmp_path}\n")


def test_one_that_closes_its_stdout_is_at_its_end(daemon: Live, tmp_path: Path, echo: str) -> None:
    status, _ = ran(daemon, tmp_path, echo, "echo bye; exec >&-; exec sleep 100")
    end = daemon.ended(echo)
    assert (status, end["end_reason"], end["typed_bytes"]) == (128 + signal.SIGTERM, "stdout_closed", 4)


def test_when_its_session_ends_it_gets_the_last_byte_and_end_of_file(daemon: Live, tmp_path: Path) -> None:
    data = os.urandom(300_000)
    (tmp_path / "data").write_bytes(data)
    session = daemon.create(shell=f"stty raw -echo; read a; cat {tmp_path}/data")
    with here(daemon, tmp_path, session, "cat > copy; sleep 0.2; echo whole >&2; exit 3", "--from", "0") as running:
        daemon.client.event("coprocess.started", session=session)
        daemon.call("session.send_text", session=session, text="\n")
        _, error = running.communicate(timeout=60)
        assert (running.returncode, error) == (3, b"whole\n")
    assert (tmp_path / "copy").read_bytes() == data
    assert daemon.ended(session)["undelivered_bytes"] == 0


def test_stop_coprocess_ends_it(daemon: Live, tmp_path: Path, echo: str) -> None:
    with here(daemon, tmp_path, echo, "exec sleep 100") as running:
        daemon.client.event("coprocess.started", session=echo)
        daemon.call("coprocess.stop", session=echo)
        assert running.wait(30) == 128 + signal.SIGTERM
    assert coprocess(daemon, echo)["end_reason"] == "stopped"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_and_its_last_words_are_typed(daemon: Live, tmp_path: Path, echo: str, number: signal.Signals) -> None:
    script = "trap 'printf bye; exit 0' TERM; echo $$ > pid; echo here; while :; do sleep 0.05; done"
    with here(daemon, tmp_path, echo, script) as running:
        daemon.output(echo, b"here")
        running.send_signal(number)
        assert running.wait(30) == 128 + number
    daemon.output(echo, b"bye")
    assert daemon.ended(echo)["end_reason"] == "exited"
    assert not lives(int((tmp_path / "pid").read_text()))


def test_one_that_ignores_the_signal_is_killed(daemon: Live, tmp_path: Path, echo: str) -> None:
    with here(daemon, tmp_path, echo, "trap '' TERM; echo $$ > pid; echo here; while :; do sleep 0.05; done") as running:
        daemon.output(echo, b"here")
        running.terminate()
        assert running.wait(30) == 128 + signal.SIGTERM
    assert not lives(int((tmp_path / "pid").read_text()))
    daemon.ended(echo)


def test_when_the_client_is_killed_the_coprocess_is_lost(daemon: Live, tmp_path: Path, echo: str) -> None:
    with here(daemon, tmp_path, echo, "echo here; exec cat >/dev/null") as running:
        daemon.output(echo, b"here")
        running.kill()
        assert daemon.ended(echo)["end_reason"] == "connection_lost"


def test_when_the_daemon_is_killed_the_command_ends_and_that_is_said(tmp_path: Path) -> None:
    with live() as daemon:
        session = daemon.create("cat")
        with here(daemon, tmp_path, session, "echo $$ > pid; exec sleep 100", "--silent") as running:
            daemon.client.event("coprocess.started", session=session)
            daemon.kill()
            _, error = running.communicate(timeout=60)
            assert running.returncode == 125 and b"lost" in error
        assert coprocess(daemon, session)["end_reason"] == "connection_lost"


def test_what_an_observer_prints_is_for_the_user(daemon: Live, tmp_path: Path, echo: str) -> None:
    with here(daemon, tmp_path, echo, "--observe", "head -c 6") as running:
        daemon.client.event("coprocess.started", session=echo)
        daemon.call("session.send_text", session=echo, text="for me")
        out, _ = running.communicate(timeout=60)
        assert (running.returncode, out) == (0, b"for me")
    assert daemon.ended(echo)["typed_bytes"] == 0


def test_it_does_not_load_asyncio_or_aiohttp() -> None:
    script = "import sys, coprocctl.here; print([name for name in ('asyncio', 'aiohttp', 'msgspec') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "[]\n"
