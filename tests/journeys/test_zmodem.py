"""zmodem with lrzsz, started by the two triggers of the usual scripts, imported from JSON: the main reason why people have silent coprocesses."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.live import Live, live, resident_bytes
from support.transfers import CANCEL, PROMPT, Shell, chosen, digest, tools_missing

pytestmark = pytest.mark.skipif(bool(tools_missing()), reason=tools_missing() or "-")

BIG = 50 << 20


def clean(shown: bytes) -> bool:
    """Whether a screen shows the command, perhaps rz's own words, and a prompt, and nothing of the transfer."""
    return not any(part in shown for part in (b"\x18", b"**", b"B0100", b"\x8a", b"not found")) and shown.endswith(PROMPT)


def test_a_file_of_50_mb_comes_from_the_session(daemon: Live, tmp_path: Path) -> None:
    shell = Shell(daemon, tmp_path)
    there = tmp_path / "there" / "big"
    there.write_bytes(os.urandom(BIG))
    (tmp_path / "there" / "small").write_bytes(b"so that all is loaded")
    shell.transfer("sz -q small")
    before = resident_bytes(daemon.pids()[0])
    shown = shell.transfer("sz -q big")
    assert digest(tmp_path / "here" / "big") == digest(there)
    assert clean(shown), shown
    assert shell.ended["silent"] and shell.ended["silent_from"] < shell.ended["silent_to"]
    assert resident_bytes(daemon.pids()[0]) - before < 8 << 20


def test_a_file_of_50_mb_goes_to_the_session(daemon: Live, tmp_path: Path) -> None:
    shell = Shell(daemon, tmp_path)
    here = chosen(tmp_path, "big", os.urandom(BIG))
    before = resident_bytes(daemon.pids()[0])
    shown = shell.transfer("rz")
    assert digest(tmp_path / "there" / "big") == digest(here)
    assert clean(shown), shown
    assert resident_bytes(daemon.pids()[0]) - before < 8 << 20


def test_files_of_no_byte_with_odd_names_and_two_in_a_row(daemon: Live, tmp_path: Path) -> None:
    shell = Shell(daemon, tmp_path)
    for name, data in (("empty", b""), ("grüße an alle.txt", b"hello\n"), ("third", os.urandom(70_000))):
        (tmp_path / "there" / name).write_bytes(data)
        shown = shell.transfer(f"sz '{name}'")
        assert (tmp_path / "here" / name).read_bytes() == data and clean(shown), shown
    for name, data in (("none", b""), ("schöne grüße.bin", os.urandom(70_000))):
        chosen(tmp_path, name, data)
        shown = shell.transfer("rz")
        assert (tmp_path / "there" / name).read_bytes() == data and clean(shown), shown
    shell.type("echo still $((6 * 7))")
    daemon.output(shell.session, b"still 42\r\n")


def test_a_transfer_that_is_cancelled_leaves_a_working_shell(daemon: Live, tmp_path: Path) -> None:
    shell = Shell(daemon, tmp_path, {"send": CANCEL, "receive": CANCEL})
    (tmp_path / "there" / "unwanted").write_bytes(os.urandom(1 << 20))
    for command in ("sz unwanted", "rz"):
        shell.transfer(command)
        begun = shell.type("echo still $((6 * 7))")
        assert b"still 42" in shell.shown_from(begun)
    assert not (tmp_path / "here" / "unwanted").exists()


def test_a_transfer_goes_on_over_ten_kills_of_the_daemon(tmp_path: Path) -> None:
    with live() as daemon:
        shell = Shell(daemon, tmp_path)
        there = tmp_path / "there" / "big"
        there.write_bytes(os.urandom(BIG))
        shell.type("sz -q big")
        received = tmp_path / "here" / "big"
        for part in range(10):
            daemon.await_(lambda part=part: received.exists() and received.stat().st_size >= part * BIG // 10)
            daemon.kill()
        daemon.await_(lambda: daemon.call("coprocess.get", session=shell.session)["state"] == "ended")
        shown = shell.shown_from(0)
        assert digest(received) == digest(there)
        assert clean(shown), shown
