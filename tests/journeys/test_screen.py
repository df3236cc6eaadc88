"""The screen of a session: what it shows, what it answers, and that it is there again whatever has died."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.faulty import await_true, environment, give
from support.live import Live, RpcError, live, lives, resident_bytes

VIM = ["vim", "-u", "NONE", "-N", "-i", "NONE"]

RAW = "stty raw -echo; "

OTHERS_WAIT_MOST_S = 4.0
"""For their screens, while output of another session ends the worker twice: two seconds on a machine that has nothing else to do."""


@pytest.fixture(scope="module")
def daemon() -> Iterator[Live]:
    with live() as started:
        yield started


def capture(daemon: Live, session: str, **params: Any) -> dict[str, Any]:
    found: dict[str, Any] = daemon.call("session.capture", session=session, **params)
    return found


def text(daemon: Live, session: str, **params: Any) -> str:
    return str(capture(daemon, session, **params)["data"])


def shows(daemon: Live, session: str, what: str) -> dict[str, Any]:
    """The screen once it shows this."""
    daemon.await_(lambda: what in text(daemon, session))
    return capture(daemon, session)


def kill_worker(daemon: Live) -> None:
    """Kills the screen worker; returns when another has taken its place."""
    old = worker(daemon)
    os.kill(old, signal.SIGKILL)
    daemon.await_(lambda: daemon.call("daemon.info")["screen_pid"] not in (None, old))


def worker(daemon: Live) -> int:
    daemon.await_(lambda: daemon.call("daemon.info")["screen_pid"])
    return int(daemon.call("daemon.info")["screen_pid"])


def kill_keeper(daemon: Live) -> None:
    old = daemon.pids()[1]
    os.kill(old, signal.SIGKILL)
    daemon.await_(lambda: daemon.pids()[1] not in (0, None, old))


def bash(daemon: Live, **params: Any) -> str:
    session = daemon.create("bash", "--norc", "-i", env={"PS1": "> ", "HISTFILE": "/dev/null"}, **params)
    daemon.output(session, b"> ")
    return session


def tmux_view(output: bytes, rows: int, cols: int, directory: Path) -> str:
    """What tmux shows of the same bytes."""
    (directory / "output").write_bytes(output)
    tmux = ["tmux", "-S", str(directory / "tmux"), "-f", "/dev/null"]
    done = f"stty raw; cat {directory}/output; tmux -S {directory}/tmux wait-for -S shown; exec sleep 60"
    environment = {name: value for name, value in os.environ.items() if name != "TMUX"} | {"LC_ALL": "C.UTF-8"}
    start = [*tmux, "new-session", "-d", "-x", str(cols), "-y", str(rows), done, ";", "set", "-g", "status", "off"]
    subprocess.run(start, check=True, env=environment)
    try:
        subprocess.run([*tmux, "wait-for", "shown"], check=True, env=environment)
        shown = [*tmux, "capture-pane", "-p"]
        view = ""

        def settled() -> bool:
            nonlocal view
            before, view = view, subprocess.run(shown, check=True, env=environment, capture_output=True, text=True).stdout
            return bool(view.strip()) and view == before

        await_true(settled, "tmux shows nothing")
        return view
    finally:
        subprocess.run([*tmux, "kill-server"], check=True, env=environment)


def lines(view: str) -> list[str]:
    return [line.rstrip() for line in view.rstrip("\n").split("\n")]


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
    seen = shows(daemon, session, "10 40")
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


# -- when something dies ----------------------------------------------------------------------------------------------------------


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
