"""Ways out of `coprocctl attach`, after each of which the terminal is as it was; and daemons that die, which is none."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Iterator

import pytest
from support.attaching import attach, attached, client_pid, detach, read_until, ready
from support.live import Live, live
from support.outer import Outer, outer


@pytest.fixture
def terminal(daemon: Live) -> Iterator[Outer]:
    with outer(daemon.environment) as started:
        yield started


# -- ways out ----------------------------------------------------------------------------------------------------------

# A job that sets all that a job can, and then waits.
SETS_ALL = (
    "stty raw -echo; printf '\\033[?1049h\\033[?1h\\033=\\033[?1003;1006;1004;2004h\\033[?25l\\033[?7l\\033[4h\\033[2;10r\\033[4 q\\033(0\\033[>1u"
    "\\033[>4;2m\\033[?2026h\\033]2;taken over\\007set'; exec sleep 600"
)


def all_set(daemon: Live, terminal: Outer) -> tuple[str, dict[str, str], str]:
    """A terminal with everything set, and how it was before."""
    session, modes, settings = ready(daemon, terminal, "sh", "-c", SETS_ALL)
    attach(terminal, session, until="")
    terminal.await_(lambda: terminal.modes()["mouse_any_flag"] == "1" and terminal.title() == "taken over")
    return session, modes, settings


def test_what_the_session_has_set_is_reset_on_detaching(daemon: Live, terminal: Outer) -> None:
    _, modes, settings = all_set(daemon, terminal)
    detach(terminal)
    assert terminal.modes() == modes and terminal.settings() == settings


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT])
def test_what_the_session_has_set_is_reset_when_the_client_is_killed(daemon: Live, terminal: Outer, number: signal.Signals) -> None:
    session, modes, settings = all_set(daemon, terminal)
    os.kill(client_pid(daemon, session), number)
    terminal.await_(lambda: terminal.modes() == modes and terminal.show("#{pane_current_command}") == "sh")
    assert terminal.settings() == settings
    assert daemon.call("session.get", session=session)["state"] == "running"


def test_what_the_session_has_set_is_reset_when_it_ends(daemon: Live, terminal: Outer) -> None:
    session, modes, settings = all_set(daemon, terminal)
    daemon.call("session.signal", session=session, signal="KILL")
    terminal.await_text("ended, SIGKILL]\nleft=0")
    assert terminal.modes() == modes and terminal.settings() == settings


def test_the_end_of_the_session_is_said_with_its_status(daemon: Live, terminal: Outer) -> None:
    session, modes, settings = ready(daemon, terminal)
    attach(terminal, session)
    terminal.type("exit 3", "Enter")
    terminal.await_text("ended, status 3]\nleft=0")
    assert terminal.modes() == modes and terminal.settings() == settings


def test_a_daemon_that_does_not_come_back_is_given_up() -> None:
    with live() as daemon, outer(daemon.environment) as terminal:
        session, modes, settings = ready(daemon, terminal)
        attach(terminal, session, "--reconnect 0.5")
        daemon.client.close()
        daemon.command("daemon", "stop")
        terminal.await_text("left=5")
        assert "the connection to the daemon was lost" in terminal.text()
        assert terminal.modes() == modes and terminal.settings() == settings
        daemon.command("daemon", "start")
        daemon.subscribe()


def test_a_session_that_was_lost_is_said_to_be_gone_by_its_name() -> None:
    with live() as daemon, outer(daemon.environment) as terminal:
        session, modes, settings = daemon.create("sleep", "600", name="lost"), terminal.modes(), terminal.settings()
        attach(terminal, session, until="")
        client_pid(daemon, session)
        pids = daemon.pids()
        for number in (signal.SIGSTOP, signal.SIGKILL):  # stopped first, so that neither starts the other
            for pid in pids:
                os.kill(pid, number)
        daemon.client.close()
        daemon.command("daemon", "start")
        terminal.await_text("coprocctl: session lost is gone\nleft=3")
        assert terminal.modes() == modes and terminal.settings() == settings
        daemon.subscribe()


def test_a_client_that_is_stopped_gives_the_terminal_back_and_takes_it_again(daemon: Live, terminal: Outer) -> None:
    session, modes, _ = ready(daemon, terminal, "vim", "-n", "-u", "NONE", __file__)
    attach(terminal, session, until="import")
    before = terminal.await_quiet()
    pid = client_pid(daemon, session)
    os.kill(pid, signal.SIGTSTP)
    terminal.await_(lambda: terminal.modes() == modes and "left=148" in terminal.text())
    terminal.type("echo meanwhile", "Enter")
    terminal.await_text("meanwhile\n")
    terminal.type("fg", "Enter")
    terminal.await_(lambda: terminal.modes()["alternate_on"] == "1")
    assert terminal.await_quiet() == before
    terminal.type("", "C-\\")
    terminal.await_text("[detached]")
    terminal.await_prompt()
    assert terminal.modes() == modes


# -- daemons that die --------------------------------------------------------------------------------------------------

# Prints numbered lines without end, some hundreds at a time.
NUMBERED = """
import sys, time
number = 0
while True:
    sys.stdout.write("".join(f"<{n}>\\r\\n" for n in range(number, number + 50))); sys.stdout.flush()
    number += 50
    time.sleep(0.005)
"""


def test_a_client_is_back_within_three_seconds_of_a_killed_daemon_and_has_every_byte() -> None:
    with live() as daemon:
        session = daemon.create(sys.executable, "-c", NUMBERED)
        with attached(daemon, session) as master:
            shown = read_until(master, b"", lambda data: len(numbers(data)) > 3000)
            for _ in range(3):
                last = numbers(shown)[-1]
                killed_at = time.monotonic()
                daemon.kill()
                shown = read_until(master, shown, lambda data, last=last: numbers(data)[-1] > last + 3000)
                assert time.monotonic() - killed_at < 3.5  # with the time for three thousand lines more
            os.write(master, b"\x1c")
            shown = read_until(master, shown, lambda data: b"[detached]" in data)
    found = numbers(shown)
    assert found == list(range(found[0], found[-1] + 1))


def numbers(data: bytes) -> list[int]:
    return [int(number) for number in re.findall(rb"<(\d+)>", data)]


def test_what_is_typed_while_the_daemon_is_away_is_typed_when_it_is_back() -> None:
    with live() as daemon, outer(daemon.environment) as terminal:
        session, _, _ = ready(daemon, terminal)
        attach(terminal, session)
        pid, keeper = daemon.pids()
        os.kill(keeper, signal.SIGSTOP)  # so that no daemon is started for now
        try:
            daemon.client.close()
            os.kill(pid, signal.SIGKILL)
            terminal.await_(lambda: "connecting again" in terminal.title())
            terminal.type("echo typed-mean''while", "Enter")
            terminal.await_quiet()
        finally:
            os.kill(keeper, signal.SIGCONT)
        daemon.subscribe()
        terminal.await_text("typed-meanwhile\n")
        assert "connecting" not in terminal.title()
        detach(terminal)
