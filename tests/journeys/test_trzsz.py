"""trzsz, with its documented trigger and its own iTerm2 coprocess, unchanged."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from support.live import Live
from support.transfers import Shell, digest

PROGRAMS = Path(shutil.__file__).parent


@pytest.mark.parametrize("size", [0, 3_000_000])
def test_tsz_sends_a_file_out_of_the_session(daemon: Live, tmp_path: Path, size: int) -> None:
    shell = Shell(daemon, tmp_path)
    there = tmp_path / "there" / "data"
    there.write_bytes(os.urandom(size))
    shell.transfer("tsz -q data")
    assert shell.ended["exit_status"] == 0, shell.ended
    assert digest(tmp_path / "here" / "data") == digest(there)
    begun = shell.type("echo still $((6 * 7))")
    assert b"still 42" in shell.shown_from(begun)
