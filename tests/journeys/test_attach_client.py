"""`coprocctl attach` as people use it, in a terminal: tmux, which is typed into and looked at cell by cell."""

from __future__ import annotations

import os
import pty
import re
import select
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.live import PATIENCE_S, Live, RpcError, live
from support.outer import Outer, outer

COPROCCTL = f"{shlex.quote(sys.executable)} -m coprocctl"
SHELL = ["env", "PS1=inner$ ", "bash", "--norc", "--noprofile"]


@pytest.fixture
def terminal(daemon: Live) -> Iterator[Outer]:
    with outer(daemon.environment) as started:
        yield started


def attach(terminal: Outer, session: str, *options: str, until: str = "inner$") -> None:
    terminal.type(f"printf '\\033[H\\033[2J'; {COPROCCTL} attach {session} {' '.join(options)}; echo left=$?", "Enter")
    terminal.await_text(until)


def detach(terminal: Outer) -> None:
    terminal.type("", "C-\\")
    terminal.await_text("[detached]\nleft=0")
    terminal.await_prompt()


def client_pid(daemon: Live, session: str) -> int:
    daemon.await_(lambda: daemon.call("session.get", session=session)["clients"])
    return int(daemon.call("session.get", session=session)["clients"][0]["pid"])


def ready(daemon: Live, terminal: Outer, *argv: str) -> tuple[str, dict[str, str], str]:
    """A session, and how the terminal was before it is attached: its modes and its settings."""
    return daemon.create(*(argv or SHELL)), terminal.modes(), terminal.settings()


# -- the screen --------------------------------------------------------------------------------------------------------


PROGRAMS = {
    "vim": (["vim", "-N", "-n", "-u", "NONE", "-c", "syntax on", __file__], ["10G", "vjj"], "VISUAL"),
    "less": (["less", "-M", __file__], ["  ", "/def\n"], "lines"),
    "top": (["top", "-d", "100", "-n", "100"], [""], "PID"),
    "htop": (["htop", "-d", "1000"], [""], "PID"),
    "colours": (
        [
            "sh",
            "-c",
            "printf '\\033[1;31mred \\033[38;5;99;48;2;1;2;3mtwo\\033[0m\\n宽字 e\\314\\201 \\033[7mends\\033[m\\n'; printf 'last'; exec sleep 600",
        ],
        [],
        "last",
    ),
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_screen_is_the_same_cell_by_cell_when_attached_again(daemon: Live, terminal: Outer, program: str) -> None:
    argv, keys, shown = PROGRAMS[program]
    if shutil.which(argv[0]) is None:
        pytest.skip(f"{argv[0]} is not installed")
    session, modes, settings = ready(daemon, terminal, *argv)
    attach(terminal, session, until="")
    for key in keys:
        terminal.await_quiet()
        terminal.type(key.rstrip("\n"), *(["Enter"] if key.endswith("\n") else []))
    terminal.await_text(shown)
    before = terminal.await_quiet()
    detach(terminal)
    assert terminal.modes() == modes and terminal.settings() == settings
    attach(terminal, session, until=shown)
    assert terminal.await_quiet() == before
    detach(terminal)


def test_a_shell_is_the_same_when_attached_again_and_the_terminal_keeps_its_scrollback(daemon: Live, terminal: Outer) -> None:
    session, _, _ = ready(daemon, terminal)
    terminal.type("echo before the session", "Enter")
    attach(terminal, session)
    terminal.type("seq 100; printf '\\033[32mgreen\\033[m 宽\\n'", "Enter")
    terminal.await_text("green 宽")
    before = terminal.await_quiet()
    detach(terminal)
    attach(terminal, session)
    assert terminal.await_quiet() == before
    detach(terminal)
    history = terminal.tmux("capture-pane", "-p", "-S", "-")
    assert "before the session" in history and "\n50\n" in history


def test_the_size_of_the_window_is_the_sessions(daemon: Live, terminal: Outer) -> None:
    session, _, _ = ready(daemon, terminal)
    attach(terminal, session)
    terminal.resize(30, 100)
    daemon.await_(lambda: daemon.call("session.get", session=session)["rows"] == 30)
    terminal.type("stty size", "Enter")
    terminal.await_text("30 100")
    detach(terminal)


def test_two_terminals_show_the_same_and_type_into_the_same(daemon: Live, terminal: Outer) -> None:
    session, _, _ = ready(daemon, terminal)
    with outer(daemon.environment) as other:
        attach(terminal, session)
        attach(other, session)
        terminal.type("echo from-the-$((1))st", "Enter")
        other.await_text("from-the-1st")
        other.type("echo from-the-$((2))nd", "Enter")
        terminal.await_text("from-the-2nd")
        assert terminal.await_quiet() == other.await_quiet()
        detach(other)
        terminal.type("echo still", "Enter")
        terminal.await_text("still\ninner$")
    detach(terminal)


def test_a_terminal_of_another_size_shows_the_session_in_its_corner_until_it_is_typed_in(daemon: Live, terminal: Outer) -> None:
    session, _, _ = ready(daemon, terminal)
    attach(terminal, session)
    terminal.type("seq 100", "Enter")
    terminal.await_text("100\ninner$")
    with outer(daemon.environment, rows=10, cols=40) as smaller:
        attach(smaller, session)
        terminal.await_(lambda: len(terminal.text().rstrip("\n").splitlines()) == 10)
        smaller.type("seq 50", "Enter")
        smaller.await_text("50\ninner$")
        terminal.await_(lambda: terminal.text().rstrip("\n") == smaller.text().rstrip("\n"))
        terminal.type("stty")
        daemon.await_(lambda: daemon.call("session.get", session=session)["rows"] == 24)
        terminal.type(" size", "Enter")
        terminal.await_text("24 80\ninner$")
        whole = terminal.await_quiet()
        detach(smaller)
    detach(terminal)
    attach(terminal, session)
    assert terminal.await_quiet() == whole
    detach(terminal)


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


# -- keys --------------------------------------------------------------------------------------------------------------


def test_the_key_pressed_twice_is_typed_and_suspending_is_the_sessions(daemon: Live, terminal: Outer) -> None:
    session, _, _ = ready(daemon, terminal)
    attach(terminal, session)
    terminal.type("sleep 600", "Enter")
    daemon.await_(lambda: (daemon.call("session.get", session=session)["foreground"] or {}).get("argv") == ["sleep", "600"])
    terminal.type("", "C-z")
    terminal.await_text("Stopped")
    terminal.type("fg", "Enter")
    terminal.await_text("fg\nsleep 600")
    terminal.type("", "C-\\", "C-\\")
    terminal.await_text("Quit")
    detach(terminal)


def test_another_key_can_be_the_one_that_detaches(daemon: Live, terminal: Outer) -> None:
    session, _, _ = ready(daemon, terminal)
    attach(terminal, session, "--detach-key ^a")
    terminal.type("", "C-a")
    terminal.await_text("[detached]\nleft=0")
    attach(terminal, session, "--detach-key nonsense", until="left=2")
    assert "is no key with Ctrl" in terminal.text()


def test_a_paste_that_holds_the_key_does_not_detach(daemon: Live, terminal: Outer) -> None:
    session, _, _ = ready(daemon, terminal, "sh", "-c", "stty raw -echo; printf '\\033[?2004hready'; exec cat -v")
    attach(terminal, session, until="ready")
    terminal.paste("a\x1cb\n")
    terminal.await_text("^[[200~a^\\b")
    detach(terminal)


def test_who_only_looks_on_types_nothing(daemon: Live, terminal: Outer) -> None:
    session, _, _ = ready(daemon, terminal)
    attach(terminal, session, "--read-only")
    terminal.await_(lambda: "read-only" in terminal.title())
    terminal.type("echo typed", "Enter")
    daemon.call("session.send_text", session=session, text="echo sent", enter=True)
    terminal.await_text("sent\ninner$")
    assert "typed" not in terminal.text()
    detach(terminal)


# -- what there is, and what there is not ------------------------------------------------------------------------------


def test_a_session_that_is_not_there_is_made_if_asked_for(daemon: Live, terminal: Outer) -> None:
    attach(terminal, "fresh", until="left=3")
    assert "fresh" in terminal.text()
    for _ in range(2):
        attach(terminal, "fresh", "-A", until="")
        daemon.await_(lambda: any(session["name"] == "fresh" and session["clients"] for session in daemon.call("session.list")))
        terminal.type("echo at $((20+1))", "Enter")
        terminal.await_text("at 21")
        detach(terminal)
    assert len([session for session in daemon.call("session.list") if session["name"] == "fresh"]) == 1


def test_a_new_session_is_attached_on_a_terminal(daemon: Live, terminal: Outer) -> None:
    terminal.type(f"{COPROCCTL} new --name made -- {shlex.join(SHELL)}; echo left=$?", "Enter")
    terminal.await_text("inner$")
    detach(terminal)
    assert daemon.call("session.get", session="made")["state"] == "running"


def test_a_session_is_not_attached_inside_itself(daemon: Live, terminal: Outer) -> None:
    session, _, _ = ready(daemon, terminal)
    attach(terminal, session)
    terminal.type(f"{COPROCCTL} attach @; echo inside=$?", "Enter")
    terminal.await_text("inside=4")
    assert "attached to itself" in terminal.text()
    detach(terminal)


def test_without_a_terminal_there_is_nothing_to_attach(daemon: Live, terminal: Outer) -> None:
    session, _, _ = ready(daemon, terminal)
    attach(terminal, session, "< /dev/null", until="left=1")
    assert "standard input is no terminal" in terminal.text()


# -- beside the output -------------------------------------------------------------------------------------------------


def test_a_coprocess_marks_the_title_while_it_runs(daemon: Live, terminal: Outer) -> None:
    session, modes, _ = ready(daemon, terminal)
    attach(terminal, session)
    terminal.type("printf '\\033]2;mine\\007'", "Enter")
    terminal.await_(lambda: terminal.title() == "mine")
    daemon.call("coprocess.run", session=session, command="cat > /dev/null")
    terminal.await_(lambda: terminal.title() == "◆ cat > /dev/null – mine")
    daemon.call("coprocess.stop", session=session)
    terminal.await_(lambda: terminal.title() == "mine")
    detach(terminal)
    assert terminal.title() == modes["pane_title"]


@pytest.mark.parametrize("program", ["vim", "less", "top", "htop"])
def test_the_status_line_keeps_out_of_the_sessions_way_and_it_out_of_the_lines(daemon: Live, terminal: Outer, program: str) -> None:
    argv, keys, shown = PROGRAMS[program]
    if shutil.which(argv[0]) is None:
        pytest.skip(f"{argv[0]} is not installed")
    session, modes, settings = ready(daemon, terminal, *argv)
    daemon.call("coprocess.run", session=session, command="cat > /dev/null")
    attach(terminal, session, "--status", until="")
    for key in keys:
        terminal.await_quiet()
        terminal.type(key.rstrip("\n"), *(["Enter"] if key.endswith("\n") else []))
    terminal.await_text(shown)
    terminal.await_(lambda: re.match(r"◆ cat > /dev/null  0:\d\d  in .*B, out 0 B", terminal.text().splitlines()[-1]))
    assert daemon.call("session.get", session=session)["rows"] == 23
    daemon.call("coprocess.stop", session=session)
    terminal.await_(lambda: len(terminal.text().rstrip("\n").splitlines()) < 24)
    with_line = terminal.await_quiet()
    detach(terminal)
    assert terminal.modes() == modes and terminal.settings() == settings
    with outer(daemon.environment, rows=23) as smaller:
        attach(smaller, session, until=shown)
        without = smaller.await_quiet()
        detach(smaller)
    assert with_line.splitlines()[:22] == without.splitlines()[:22]


def test_a_shell_scrolls_above_the_status_line(daemon: Live, terminal: Outer) -> None:
    session, _, _ = ready(daemon, terminal)
    daemon.call("coprocess.run", session=session, command="cat > /dev/null")
    attach(terminal, session, "--status")
    terminal.type("seq 500; tput sc; seq 3; tput rc; tput cud1; echo over; clear; seq 40", "Enter")
    terminal.await_text("40\ninner$")
    terminal.await_(lambda: terminal.text().splitlines()[-1].startswith("◆ cat"))
    assert [line.strip() for line in terminal.text().splitlines()[:-2]] == [str(number) for number in range(19, 41)]
    detach(terminal)
    assert "◆" not in terminal.text()


def test_what_pauses_the_session_is_said_and_a_key_stops_it(daemon: Live, terminal: Outer) -> None:
    session, _, _ = ready(daemon, terminal)
    attach(terminal, session, "--status")
    daemon.call("coprocess.run", session=session, command="exec sleep 600")
    terminal.type("seq 1000000 > /dev/tty; echo do''ne", "Enter")
    terminal.await_(lambda: "does not read; C-] stops it" in terminal.text().splitlines()[-1])
    assert "paused" in terminal.title()
    terminal.type("", "C-]")
    terminal.await_text("done\ninner$")
    detach(terminal)


@pytest.mark.parametrize("options", [[], ["--status"]], ids=["over the last row", "in the status line"])
def test_a_question_is_answered_on_the_last_row(daemon: Live, terminal: Outer, options: list[str], tmp_path: Path) -> None:
    (tmp_path / "one-file").touch()
    session, _, _ = ready(daemon, terminal)
    attach(terminal, session, *options)
    terminal.type("seq 30", "Enter")
    terminal.await_text("30\ninner$")
    before = terminal.await_quiet()
    for kind, keys, answer in (
        ("text", ["x", "BSpace", "plain text", "Enter"], "plain text"),
        ("file", [f"{tmp_path}/one", "Tab", "Enter"], f"{tmp_path}/one-file"),
        ("confirm", ["y"], True),
        ("password", ["secret", "Enter"], "secret"),
        ("text", ["never mind", "Escape"], None),
    ):
        asked = daemon.client.send("prompt.ask", session=session, kind=kind, message=f"What {kind}?")
        terminal.await_(lambda kind=kind: terminal.text().rstrip("\n").splitlines()[-1].startswith(f"? What {kind}?"))
        for key in keys:
            terminal.tmux("send-keys", *([key] if key in ("BSpace", "Tab", "Enter", "Escape") else ["-l", key]))
            assert "secret" not in terminal.text()
        assert daemon.client.answer(asked) == {"value": answer}
        assert terminal.await_quiet() == before
    terminal.type("echo go''ing-on", "Enter")
    terminal.await_text("going-on")
    detach(terminal)


def test_a_question_that_is_over_goes(daemon: Live, terminal: Outer) -> None:
    session, _, _ = ready(daemon, terminal)
    attach(terminal, session)
    before = terminal.await_quiet()
    asked = daemon.client.send("prompt.ask", session=session, kind="text", message="Who?", timeout_s=1)
    terminal.await_text("? Who?")
    with pytest.raises(RpcError):
        daemon.client.answer(asked)
    assert terminal.await_quiet() == before
    detach(terminal)


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
        pid, master = pty.fork()
        if pid == 0:
            os.execvpe(sys.executable, [sys.executable, "-m", "coprocctl", "attach", session], daemon.environment)
        try:
            shown = read_until(master, b"", lambda data: len(numbers(data)) > 3000)
            for _ in range(3):
                last = numbers(shown)[-1]
                killed_at = time.monotonic()
                daemon.kill()
                shown = read_until(master, shown, lambda data, last=last: numbers(data)[-1] > last + 3000)
                assert time.monotonic() - killed_at < 3.5  # with the time for three thousand lines more
            os.write(master, b"\x1c")
            shown = read_until(master, shown, lambda data: b"[detached]" in data)
        finally:
            os.close(master)
            os.waitpid(pid, 0)
    found = numbers(shown)
    assert found == list(range(found[0], found[-1] + 1))


def numbers(data: bytes) -> list[int]:
    return [int(number) for number in re.findall(rb"<(\d+)>", data)]


def read_until(master: int, data: bytes, holds: Callable[[bytes], bool]) -> bytes:
    deadline = time.monotonic() + PATIENCE_S
    while not (data and holds(data)):
        assert select.select([master], [], [], deadline - time.monotonic())[0], data[-200:]
        try:
            data += os.read(master, 65536)
        except OSError:
            break
    return data


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
