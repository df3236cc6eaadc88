"""The screen of a session: what it shows, what it answers, and that it is there again whatever has died."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.faulty import await_true, environment, give
from support.live import Live, live, lives
from support.screens import RAW, VIM, bash, capture, kill_keeper, kill_worker, lines, shows, text, tmux_view, worker


@pytest.fixture(scope="module")
def daemon() -> Iterator[Live]:
    with live() as started:
        yield started


# -- what it shows ------------------------------------------------------------------------------------------------------------


def test_the_screen_of_a_shell_is_what_tmux_makes_of_the_same_bytes(daemon: Live, tmp_path: Path) -> None:
    session = bash(daemon, rows=20, cols=70)
    commands = (
        "ls -la / | head -30",
        "printf '\\e[31mred\\e[m \\e[1mbold\\e[m wide: 日本語 é e\\u0301\\n'",
        "seq 1 40 | paste -sd' ' | fold -w 200",
        "printf '\\e[5;10Hhere\\e[18;1H'",
    )
    for number, command in enumerate(commands):
        daemon.call("session.send_text", session=session, text=f"{command}; echo end-$(({number}+0))", enter=True)
        daemon.output(session, f"end-{number}".encode())
    daemon.output(session, lambda data: data.endswith(b"> "))
    seen = capture(daemon, session)
    output = daemon.output(session, lambda data: len(data) == seen["offset"])
    assert lines(seen["data"]) == lines(tmux_view(output, 20, 70, tmp_path))
    assert (seen["rows"], seen["cols"], seen["alternate"]) == (20, 70, False)
    daemon.call("session.close", session=session)


def test_vim_is_on_the_alternate_screen_and_what_was_before_is_back_after_it(daemon: Live, tmp_path: Path) -> None:
    session = bash(daemon)
    daemon.call("session.send_text", session=session, text="echo be''fore", enter=True)
    before = shows(daemon, session, "before")
    (tmp_path / "file").write_text("".join(f"line {n}\n" for n in range(100)))
    daemon.call("session.send_text", session=session, text=" ".join([*VIM, str(tmp_path / "file")]), enter=True)
    seen = shows(daemon, session, "line 22")
    assert seen["alternate"] and "before" not in seen["data"]
    daemon.call("session.send_text", session=session, text="\x1b:q!\r")
    daemon.await_(lambda: not capture(daemon, session)["alternate"])
    assert text(daemon, session).startswith(before["data"].rstrip("\n")[:20])
    daemon.call("session.close", session=session)


def test_lines_that_have_scrolled_off_are_captured_when_asked_for(daemon: Live) -> None:
    session = daemon.create(shell="seq 1 500; exec sleep 60")
    shows(daemon, session, "500")
    with_them = capture(daemon, session, scrollback=1000)
    assert lines(with_them["data"])[:3] == ["1", "2", "3"] and with_them["scrollback"] == 477
    assert capture(daemon, session, scrollback=10)["scrollback"] == 10
    daemon.call("session.close", session=session)


def test_the_formats_hold_the_same_screen(daemon: Live) -> None:
    session = daemon.create(shell="printf '\\033[1;32mgreen <b>\\033[m\\n'; exec sleep 60")
    shows(daemon, session, "green")
    assert "\x1b[" in text(daemon, session, format="ansi") and "green <b>" in text(daemon, session, format="ansi")
    assert "green &lt;b&gt;" in text(daemon, session, format="html")
    rows = capture(daemon, session, format="json")["data"]
    assert len(rows) == 24 and rows[0]["runs"][0]["text"] == "green <b>" and rows[0]["runs"][0]["bold"]
    daemon.call("session.close", session=session)


def test_a_resize_is_drawn_and_is_there_after_the_worker_was_killed(daemon: Live) -> None:
    session = bash(daemon)
    daemon.call("session.resize", session=session, rows=10, cols=40)
    daemon.call("session.send_text", session=session, text="stty size", enter=True)
    seen = shows(daemon, session, "10 40\n>")
    assert (seen["rows"], seen["cols"]) == (10, 40)
    kill_worker(daemon)
    assert capture(daemon, session) == seen
    daemon.call("session.close", session=session)


def test_the_title_that_the_job_sets_is_the_sessions(daemon: Live) -> None:
    session = daemon.create(shell="printf '\\033]2;a title\\007'; exec sleep 60")
    assert daemon.client.event("session.title", session=session)["title"] == "a title"
    assert daemon.call("session.get", session=session)["title"] == "a title"
    kill_worker(daemon)
    assert capture(daemon, session)["title"] == "a title"
    daemon.call("session.close", session=session)


def test_what_was_injected_is_drawn_and_what_is_silenced_is_not(daemon: Live) -> None:
    session = daemon.create(shell=RAW + 'echo ready; while read -r line; do echo "[$line]"; done; exec sleep 60')
    shows(daemon, session, "ready")
    coprocess = {"command": "read x; exec sleep 60", "silent": True}
    daemon.call("coprocess.run", session=session, **coprocess)
    daemon.call("session.send_text", session=session, text="secret\n")
    daemon.output(session, b"[secret]")
    daemon.call("session.inject", session=session, data_b64="aW5qZWN0ZWQ=")
    assert "injected" in shows(daemon, session, "injected")["data"]
    daemon.call("coprocess.stop", session=session)
    daemon.ended(session)
    daemon.call("session.send_text", session=session, text="shown\n")
    seen = shows(daemon, session, "[shown]")
    assert "secret" not in seen["data"] and "injected" in seen["data"]
    kill_worker(daemon)
    assert capture(daemon, session) == seen
    daemon.call("session.close", session=session)


def test_an_ended_session_keeps_its_screen(daemon: Live) -> None:
    session = daemon.create(shell="echo last words")
    daemon.output(session)
    assert text(daemon, session).startswith("last words\n")
    daemon.kill()
    assert text(daemon, session).startswith("last words\n")
    daemon.call("session.close", session=session)


def test_a_closed_session_leaves_nothing_in_the_worker(daemon: Live) -> None:
    text(daemon, stays := daemon.create("cat"))  # what the worker has answered comes after what it was told before
    before = len(os.listdir(f"/proc/{worker(daemon)}/fd"))
    sessions = [daemon.create("cat") for _ in range(20)]
    for session in sessions:
        daemon.call("session.send_text", session=session, text="x", enter=True)
        shows(daemon, session, "x")
    assert len(os.listdir(f"/proc/{worker(daemon)}/fd")) == before + 20
    for session in sessions:
        daemon.call("session.close", session=session)
    text(daemon, stays)
    assert len(os.listdir(f"/proc/{worker(daemon)}/fd")) == before
    daemon.call("session.close", session=stays)


# -- what it answers ----------------------------------------------------------------------------------------------------------

ASKS = """
import os, select, sys, tty
tty.setraw(0)
count = int(sys.argv[1])
answers = b""
for number in range(count):
    if number == 1 and len(sys.argv) > 2:
        os.read(0, 1)
    os.write(1, b"%d\\x1b[6n\\r\\n" % number)
    if len(sys.argv) > 2:
        os.write(1, b"x" * int(sys.argv[2]))
    while answers.count(b"R") <= number:
        answers += os.read(0, 4096)
    os.write(1, b"\\r")
while select.select([0], [], [], 1.0)[0]:
    answers += os.read(0, 4096)
open(sys.argv[-1] if len(sys.argv) > 3 else "/dev/stdout", "ab").write(b"answered %d of %d" % (answers.count(b"R"), count))
os.read(0, 1)
"""
"""Asks for the cursor's place (DSR 6) again and again, each time once it was answered."""


def test_queries_are_answered_once_with_no_client_at_all(daemon: Live) -> None:
    session = daemon.create("python3", "-c", ASKS, "200")
    assert b"answered 200 of 200" in daemon.output(session, b"answered")
    daemon.call("session.close", session=session)


@pytest.mark.parametrize("kill", [kill_worker, Live.kill, kill_keeper], ids=["worker", "daemon", "keeper"])
def test_queries_are_answered_once_whoever_is_killed_meanwhile(kill: Callable[[Live], None]) -> None:
    with live() as daemon:
        session = daemon.create("python3", "-c", ASKS, "3000")
        for number in (300, 900, 1500, 2100):
            daemon.output(session, f"{number}\x1b[6n".encode())
            kill(daemon)
        assert b"answered 3000 of 3000" in daemon.output(session, b"answered")


@pytest.mark.parametrize(
    "fault",
    [
        "daemon KILL coprocd.runtime.answers:Answers.type before 5",
        "daemon KILL coprocd.runtime.answers:Spoken.intend after 5",
        "daemon KILL coprocd.runtime.input_queue:InputQueue.put before 5",
        "daemon KILL coprocd.runtime.input_queue:InputQueue.put after 5",
        "daemon KILL coprocd.runtime.answers:Answers.type after 5",
        "screen KILL coprocd.screen.wire:encode after 9",
    ],
)
def test_queries_are_answered_once_whatever_the_instant_of_a_kill(fault: str) -> None:
    with live(environment()) as daemon:
        session = daemon.create("python3", "-c", ASKS, "20", "5000")
        daemon.output(session, lambda data: data.endswith(b"x\r"))
        pids = {"daemon": daemon.pids()[0], "screen": worker(daemon)}
        give(daemon, fault, pids[fault.split()[0]])
        daemon.call("session.send_text", session=session, text="g")
        await_true(lambda: not lives(pids[fault.split()[0]]), f"no kill: {fault}")
        daemon.client.close()
        daemon.subscribe()
        assert b"answered 20 of 20" in daemon.output(session, b"answered")


@pytest.mark.parametrize(
    "when",
    ["coprocd.screen.checkpoint:_write before 1", "coprocd.screen.checkpoint:_write after 1", "coprocd.screen.checkpoint:_write after 2"],
)
def test_a_worker_killed_while_it_makes_a_checkpoint_has_the_screen_again(when: str) -> None:
    with live(environment()) as daemon:
        session = bash(daemon)
        daemon.call("session.resize", session=session, rows=12, cols=50)
        daemon.call("session.send_text", session=session, text="seq 1 100000", enter=True)
        shows(daemon, session, "100000")
        pid = worker(daemon)
        give(daemon, f"screen KILL {when}", pid)
        daemon.call("session.send_text", session=session, text="printf '\\e[31mred'; seq 1 400000", enter=True)
        await_true(lambda: not lives(pid), "no checkpoint was made")
        looks = shows(daemon, session, "400000")
        kill_worker(daemon)
        assert capture(daemon, session) == looks


def test_answers_that_find_no_room_do_not_fill_the_log(daemon: Live) -> None:
    session = daemon.create(
        sys.executable,
        "-c",
        "import signal\nfor _ in range(300): print('\\x1b[6n' * 300, flush=True)\nprint('asked', flush=True)\nsignal.pause()",
    )
    daemon.output(session, b"asked")
    assert "asked" in daemon.call("session.capture", session=session)["data"]
    assert daemon.log().count(f"session {session}: an answer of its screen is not typed") == 1
    daemon.call("session.close", session=session)


def test_an_answer_is_told_as_typed_by_the_screen(daemon: Live) -> None:
    session = daemon.create(shell=RAW + "printf '\\033[c'; exec cat >/dev/null")
    assert daemon.client.event("input", session=session)["origin"] == "screen"
    daemon.call("session.close", session=session)


def test_what_is_injected_is_not_answered(daemon: Live) -> None:
    session = daemon.create(shell=RAW + "echo ready; exec cat -v")
    shows(daemon, session, "ready")
    daemon.call("session.inject", session=session, data_b64="G1tjbG9vaw==")  # CSI c, look
    shows(daemon, session, "look")
    daemon.call("session.send_text", session=session, text="end")
    assert "[?" not in daemon.output(session, b"end").decode()
    daemon.call("session.close", session=session)
