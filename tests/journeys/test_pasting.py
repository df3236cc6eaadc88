"""A paste as the programs that people paste into take it: text arrives, and nothing in it acts as a key."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.live import Live, live

# Suspend, interrupt, erase the line, end the file, suspend output, erase a character, leave insert mode, complete.
KEYS = "\x1a\x03\x15\x04\x13\x7f\x08\x1b\x9b\x16\x0b\x0c\x00"
BRACKETED = b"\x1b[?2004h"


@pytest.fixture(scope="module")
def daemon() -> Iterator[Live]:
    with live() as started:
        yield started


def test_cat_gets_the_lines_and_is_neither_interrupted_nor_ended(daemon: Live, tmp_path: Path) -> None:
    session = daemon.create(shell=f"echo ready; cat >{tmp_path}/got; echo over")
    daemon.output(session, b"ready")
    daemon.call("session.paste", session=session, text=f"one{KEYS}\ttab\r\ntwo{KEYS}\n")
    daemon.call("session.send_keys", session=session, keys=["C-d"])
    daemon.output(session, b"over")
    assert (tmp_path / "got").read_text() == "one\ttab\ntwo\n"
    daemon.call("session.close", session=session)


def test_bash_shows_a_paste_of_lines_and_runs_it_when_enter_is_pressed(daemon: Live, tmp_path: Path) -> None:
    if shutil.which("bash") is None:
        pytest.skip("bash is not installed")
    session = daemon.create("bash", "--norc", "--noprofile", "-i", env={"PS1": "$ ", "HOME": str(tmp_path)}, cwd=str(tmp_path))
    daemon.output(session, BRACKETED)
    daemon.call("session.paste", session=session, text=f"echo a{KEYS}b >got\necho {KEYS}c >>got\n")
    daemon.output(session, b">>got")
    assert not (tmp_path / "got").exists()
    daemon.call("session.send_text", session=session, text="echo o'v'er", enter=True)
    daemon.output(session, b"\rover")
    assert (tmp_path / "got").read_text() == "ab\nc\n"
    daemon.call("session.close", session=session)


def test_vim_inserts_a_paste_and_stays_in_insert_mode(daemon: Live, tmp_path: Path) -> None:
    if shutil.which("vim") is None:
        pytest.skip("vim is not installed")
    plain = ("-N", "-u", "NONE", "-i", "NONE", "-n", "--cmd", "set showmode t_RV= t_u7=", "-c", "startinsert")
    session = daemon.create("vim", *plain, str(tmp_path / "got"), env={"HOME": str(tmp_path)})
    assert BRACKETED in daemon.output(session, b"-- INSERT --")
    daemon.call("session.paste", session=session, text=f"one{KEYS}:q!\n\ttwo{KEYS}dd\n")
    daemon.call("session.send_keys", session=session, keys=["Escape", ":", "w", "q", "Enter"])
    daemon.output(session)
    assert (tmp_path / "got").read_text() == "one:q!\n\ttwodd\n\n"
