"""trzsz, with its documented trigger and its own iTerm2 coprocess, unchanged."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.live import Live
from support.transfers import PROMPT, Shell, chosen, digest

SIZES = [0, 3_000_000]


def goes_on(shell: Shell, shown: bytes) -> None:
    """The transfer was well, nothing of it is left on the screen but the last words of trzsz, and the shell is at its prompt."""
    assert shell.ended["exit_status"] == 0 and shell.ended["silent"], shell.ended
    assert b"TRZSZ" not in shown and b"#SUCC" not in shown and shown.endswith(PROMPT), shown
    begun = shell.type("echo still $((6 * 7))")
    assert b"still 42" in shell.shown_from(begun)


@pytest.mark.parametrize("size", SIZES)
def test_tsz_sends_a_file_out_of_the_session(daemon: Live, tmp_path: Path, size: int) -> None:
    shell = Shell(daemon, tmp_path)
    there = tmp_path / "there" / "data"
    there.write_bytes(os.urandom(size))
    shown = shell.transfer("tsz -q data")
    assert digest(tmp_path / "here" / "data") == digest(there)
    goes_on(shell, shown)


@pytest.mark.parametrize("size", SIZES)
def test_trz_takes_a_file_into_the_session(daemon: Live, tmp_path: Path, size: int) -> None:
    shell = Shell(daemon, tmp_path)
    here = chosen(tmp_path, "data", os.urandom(size))
    shown = shell.transfer("trz")
    assert digest(tmp_path / "there" / "data") == digest(here)
    goes_on(shell, shown)
