"""The process that restores the terminal when the client cannot: what it is told, and when it acts."""

from __future__ import annotations

import os
import pty
import sys

import pytest

CLIENT = """
import os, signal
from coprocctl.terminal.guardian import Guardian
from coprocctl.terminal.tty import Tty
guardian = Guardian(Tty())
guardian.tell(b"<first>")
{told}
guardian.tell(b"<last>")
{end}
"""


def shown(told: str, end: str) -> bytes:
    """All that is on the terminal of a client that has told its guardian this, when both have ended."""
    pid, master = pty.fork()
    if pid == 0:
        os.execvp(sys.executable, [sys.executable, "-c", CLIENT.format(told=told, end=end)])
    data = b""
    try:
        while piece := os.read(master, 65536):
            data += piece
    except OSError:  # nobody has the terminal open any more
        pass
    os.close(master)
    os.waitpid(pid, 0)
    return data


DISMISSED = "guardian.tell(None); guardian.dismiss()"


@pytest.mark.parametrize("told", ["", "guardian.tell(b'x' * 300_000)", "for n in range(20_000): guardian.tell(b'%d' % n)"])
def test_however_much_it_is_told_it_knows_that_all_is_well(told: str) -> None:
    assert shown(told, DISMISSED) == b""


def test_it_resets_what_it_was_told_last() -> None:
    told = shown("guardian.tell(b'x' * 300_000)", "os.kill(os.getpid(), signal.SIGKILL)")
    assert told.startswith(b"<last>") and b"killed" in told


def test_one_that_does_not_go_on_is_not_waited_for_and_does_nothing_later() -> None:
    assert shown("os.kill(guardian._pid, signal.SIGSTOP); guardian.tell(b'x' * 300_000)", DISMISSED) == b""
