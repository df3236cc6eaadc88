"""zmodem with a person: the script asks whoever is attached which file, and a transfer lands where the user sits."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.live import Live
from support.transfers import PROMPT, Shell, digest, tools_missing

pytestmark = pytest.mark.skipif(bool(tools_missing()), reason=tools_missing() or "-")

ROOT = Path(__file__).parent.parent.parent
SEND = re.search(r"^#!/bin/sh\n# send-zmodem\.sh.*?(?=^```)", (ROOT / "docs/triggers.md").read_text(), re.M | re.S)


@pytest.fixture
def shell(daemon: Live, tmp_path: Path) -> Iterator[Shell]:
    """A shell with the recipe's script as its trigger's."""
    assert SEND is not None
    shell = Shell(daemon, tmp_path, {"send": SEND[0]})
    yield shell
    daemon.call("session.close", session=shell.session)


def test_the_script_that_sends_asks_which_file(daemon: Live, shell: Shell, tmp_path: Path) -> None:
    wanted = tmp_path / "a file with blanks"
    wanted.write_bytes(os.urandom(1 << 20))
    begun = shell.type("rz")
    question = daemon.client.event("prompt.asked", session=shell.session)
    assert question["kind"] == "file"
    daemon.call("prompt.answer", prompt=question["prompt"], value=str(wanted))
    assert daemon.ended(shell.session)["silent"]
    assert digest(tmp_path / "there" / wanted.name) == digest(wanted)
    assert shell.shown_from(begun).endswith(PROMPT)


def test_one_that_is_refused_cancels_the_transfer(daemon: Live, shell: Shell, tmp_path: Path) -> None:
    begun = shell.type("rz")
    daemon.call("prompt.answer", prompt=daemon.client.event("prompt.asked", session=shell.session)["prompt"], value=None)
    daemon.ended(shell.session)
    assert shell.shown_from(begun).endswith(PROMPT)
    assert list((tmp_path / "there").iterdir()) == []
    shell.type("echo still $((6 * 7))")
    daemon.output(shell.session, b"still 42\r\n")


@pytest.mark.parametrize("direction", ["from the session", "to the session"])
def test_a_transfer_lands_where_the_user_sits(daemon: Live, tmp_path: Path, direction: str) -> None:
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    env = {"PS1": PROMPT.decode(), "PROMPT_COMMAND": None}
    session = daemon.create("bash", "--norc", "--noprofile", cwd=str(tmp_path / "there"), env=env, log_bytes=64 << 20)
    daemon.output(session, PROMPT)
    if direction == "from the session":
        sent, received, there, here = tmp_path / "there" / "big", tmp_path / "here" / "big", "sz -q big", "rz -E -e -b"
    else:
        sent, received, there, here = tmp_path / "here" / "big", tmp_path / "there" / "big", "rz -q", "sz -e -b big"
    sent.write_bytes(os.urandom(8 << 20))
    daemon.call("session.send_text", session=session, text=there, enter=True)
    daemon.output(session, b"**\x18B0")
    argv = [sys.executable, "-m", "coprocctl", "run-coprocess", session, "--here", "--silent", f"{here}; sleep 1; echo"]
    done = subprocess.run(argv, env=daemon.environment, cwd=tmp_path / "here", stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert digest(received) == digest(sent)
    end = daemon.ended(session)
    assert (end["started_by"], end["silent"], end["end_reason"]) == ("connection", True, "exited")
    daemon.call("session.send_text", session=session, text="echo still $((6 * 7))", enter=True)
    daemon.output(session, b"still 42\r\n")
    daemon.call("session.close", session=session)
