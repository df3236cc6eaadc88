"""What `coprocctl attach` shows beside a session's output: the coprocess, pauses, questions, notifications."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.attaching import PROGRAMS, attach, attached, detach, read_until, ready, show
from support.live import Live, RpcError
from support.outer import Outer, outer


@pytest.fixture
def terminal(daemon: Live) -> Iterator[Outer]:
    with outer(daemon.environment) as started:
        yield started


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
    session, modes, settings = show(daemon, terminal, program, "--status")
    daemon.call("coprocess.run", session=session, command="cat > /dev/null")
    terminal.await_(lambda: re.match(r"◆ cat > /dev/null  0:\d\d  in .*B, out 0 B", terminal.text().splitlines()[-1]))
    assert daemon.call("session.get", session=session)["rows"] == 23
    daemon.call("coprocess.stop", session=session)
    terminal.await_(lambda: len(terminal.text().rstrip("\n").splitlines()) < 24)
    with_line = terminal.await_quiet()
    detach(terminal)
    assert terminal.modes() == modes and terminal.settings() == settings
    with outer(daemon.environment, rows=23) as smaller:
        attach(smaller, session, until=PROGRAMS[program][2])
        without = smaller.await_quiet()
        detach(smaller)
    # Whether erasing to the end of a line that is full takes its last character, which top does, terminals do not agree.
    assert [row[:79] for row in with_line[:22]] == [row[:79] for row in without[:22]]


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


def test_a_notification_reaches_the_terminal_as_text(daemon: Live) -> None:
    trigger = {"regex": "^done (.*)", "action": "notify", "parameter": "build: \\1"}
    session = daemon.create("sh", "-c", "read go; printf 'done now\\007\\033]2;evil\\007\\n'; exec sleep 600", triggers=[trigger])
    with attached(daemon, session) as master:
        os.write(master, b"\r")
        shown = read_until(master, b"", lambda data: b"\x1b]777;notify;" in data and data.endswith(b"\x07"))
        assert re.search(rb"\x1b\]9;build: now[^\x1b\x07]*\x07\x1b\]777;notify;[^\x1b\x07;]+;build: now[^\x1b\x07]*\x07", shown)


# Asks what a terminal is asked, and prints what it was answered.
ASKS = """
import os, select, tty
tty.setraw(0)
os.write(1, b"ready")
os.read(0, 1)
os.write(1, b"\\x1b[c\\x1b[>c\\x1b[5n\\x1b[6n\\x1b[>q\\x1b[?2004$p\\x1b]11;?\\x07\\x1bP$qm\\x1b\\\\\\x1b[21t\\x05\\x1b]52;c;?\\x07")
answers = b""
while select.select([0], [], [], 1)[0]: answers += os.read(0, 4096)
print("\\r\\n", {name: answers.count(end) for name, end in (("DA", b"c"), ("OK", b"\\x1b[0n"), ("CPR", b"R"), ("mode", b"$y"))}, end="\\r\\n")
os.read(0, 1)
"""


def test_what_the_session_asks_its_terminal_is_answered_once_and_not_by_this_one(daemon: Live, terminal: Outer) -> None:
    session, _, _ = ready(daemon, terminal, sys.executable, "-c", ASKS)
    attach(terminal, session, until="ready")
    terminal.type("g")
    terminal.await_text("{'DA': 2, 'OK': 1, 'CPR': 1, 'mode': 1}")
    detach(terminal)


def test_one_that_does_not_keep_up_is_detached_at_once_all_the_same(daemon: Live) -> None:
    session = daemon.create("yes")
    with attached(daemon, session) as master:
        read_until(master, b"", lambda data: len(data) > 1 << 20)
        os.write(master, b"\x1c")
        read_until(master, b"", lambda data: b"[detached]" in data)
    daemon.call("session.close", session=session)


def test_a_session_that_is_closed_ends_the_client(daemon: Live, terminal: Outer) -> None:
    session, modes, settings = ready(daemon, terminal)
    attach(terminal, session)
    daemon.call("session.close", session=session)
    terminal.await_text("left=0")
    assert "ended" in terminal.text()
    assert terminal.modes() == modes and terminal.settings() == settings
