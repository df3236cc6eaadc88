"""`coprocctl attach` as people use it, in a terminal: tmux, which is typed into and looked at cell by cell."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import pytest
from support.attaching import COPROCCTL, PROGRAMS, SHELL, attach, detach, ready, show
from support.live import Live
from support.outer import Outer, outer


@pytest.fixture
def terminal(daemon: Live) -> Iterator[Outer]:
    with outer(daemon.environment) as started:
        yield started


# -- the screen --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_screen_is_the_same_cell_by_cell_when_attached_again(daemon: Live, terminal: Outer, program: str) -> None:
    session, modes, settings = show(daemon, terminal, program)
    before = terminal.await_quiet()
    detach(terminal)
    assert terminal.modes() == modes and terminal.settings() == settings
    attach(terminal, session, until=PROGRAMS[program][2])
    assert terminal.await_quiet() == before
    detach(terminal)


def test_what_was_set_while_attached_is_set_when_attached_again(daemon: Live, terminal: Outer) -> None:
    """As the terminal understands it: not all know the mode 66 for the keypad, as the session's screen does."""
    session, modes, _ = ready(
        daemon, terminal, "sh", "-c", "echo ready; read go; printf '\\033=\\033[?1;1002;1006h\\033[?7;25l\\033[4hset'; exec sleep 600"
    )
    attach(terminal, session, until="ready")
    terminal.type("", "Enter")
    terminal.await_text("set")
    changed = terminal.modes()
    assert changed["keypad_flag"] == changed["keypad_cursor_flag"] == changed["insert_flag"] == "1"
    detach(terminal)
    assert terminal.modes() == modes
    attach(terminal, session, until="set")
    terminal.await_(lambda: terminal.modes() == changed)
    detach(terminal)
    assert terminal.modes() == modes


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
    daemon.call("session.close", session="fresh")


def test_one_that_has_ended_is_shown_and_made_anew_if_asked_for(daemon: Live, terminal: Outer) -> None:
    ended = daemon.create(shell="printf '\\n\\n\\n\\nthe old one\\n'", name="again")
    daemon.await_(lambda: daemon.call("session.get", session=ended)["state"] == "exited")
    for which in ("again", f"-A {ended}"):
        attach(terminal, which, until="[session again ended, status 0]\nleft=0")
        assert "the old one" in terminal.text()
    attach(terminal, "again", "-A", until="")
    daemon.await_(lambda: any(session["state"] == "running" and session["clients"] for session in daemon.call("session.list")))
    terminal.type("echo at $((20+1))", "Enter")
    terminal.await_text("at 21")
    detach(terminal)
    assert [session["state"] for session in daemon.call("session.list") if session["name"] == "again"] == ["exited", "running"]


def test_a_new_session_is_attached_on_a_terminal(daemon: Live, terminal: Outer) -> None:
    terminal.type(f"{COPROCCTL} new --name made -- {shlex.join(SHELL)}; echo left=$?", "Enter")
    daemon.await_(lambda: re.search(r"^inner\$", terminal.text(), re.MULTILINE))  # not as it was typed
    detach(terminal)
    assert daemon.call("session.get", session="made")["state"] == "running"


def test_one_that_ends_at_once_and_is_dropped_then_is_shown_before(daemon: Live, terminal: Outer) -> None:
    terminal.type(f"{COPROCCTL} new --name quick --remove -- seq 20; echo left=$?", "Enter")
    terminal.await_(lambda: re.search(r"^left=[0-9]", terminal.text(), re.MULTILINE))
    assert re.search(r"^19\n20\n+\[session quick ended, status 0\]\nleft=0$", terminal.text(), re.MULTILINE)
    terminal.await_prompt()


def test_a_session_is_not_attached_inside_itself(daemon: Live, terminal: Outer) -> None:
    session, _, _ = ready(daemon, terminal)
    attach(terminal, session)
    terminal.type(f"{COPROCCTL} attach @; echo inside=$?", "Enter")
    terminal.await_text("inside=4")
    assert "itself; attach to it from another terminal" in terminal.text()
    detach(terminal)


def test_without_a_terminal_there_is_nothing_to_attach(daemon: Live, terminal: Outer) -> None:
    session, _, _ = ready(daemon, terminal)
    attach(terminal, session, "< /dev/null", until="left=1")
    assert "standard input is no terminal" in terminal.text()
