"""What a session prints is data: hundreds of hostile lines, each captured into a command, a coprocess and typed text, run nothing of their own."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.live import Live, live

PAYLOADS = 500
PACED = 250
"""Those that a coprocess has, one after the other."""


PRINTER = """
import os, sys, tty
tty.setraw(0)
lines = open(sys.argv[1], "rb").read().split(b"\\n\\n")
paced = sys.argv[2] == "paced"
for line in lines:
    left = b"CAUGHT " + line + b"\\r\\n"
    while left: left = left[os.write(1, left):]
    if paced: os.read(0, 1)
os.write(1, b"THE END\\r\\n")
os.read(0, 1)
"""
"""Prints the payloads of a file; `paced`: each once a byte was typed."""

PASTED = """
import os, sys, tty
tty.setraw(0)
os.write(1, open(sys.argv[1], "rb").read().replace(b"\\n\\n", b"\\r\\nCAUGHT ") + b"\\r\\nTHE END\\r\\n")
while data := os.read(0, 65536):
    open(sys.argv[2], "ab").write(data)
"""


def payloads(canary: Path) -> Iterator[bytes]:
    """Hostile texts, without an end; each would make the canary if some of it were taken for more than data."""
    do = f"touch {canary}".encode()
    short = do.replace(b" ", b"${IFS}")
    cores = [
        b";%s;",
        b"$(%s)",
        b"`%s`",
        b"&&%s",
        b"|%s",
        b"||%s",
        b"&%s&",
        b"\r%s\r",
        b"\0;%s\0",
        b"\x1b[0m;%s",
        b"(%s)",
        b"{ %s; }",
        b"<(%s)",
        b"!%s",
    ]
    before = [
        b"",
        b"'",
        b'"',
        b"\\",
        b"\\'",
        b"'\"",
        b"${x:-",
        b"$((",
        b"\xff",
        b"\xc3",
        "\u202e".encode(),
        b"\\1",
        b"\\n",
        b"\\x3b",
        b"$'\\n'",
        b"--",
        b"#",
        b"x=",
        b"~",
        b"*",
    ]
    after = [b"", b"'", b'"', b"#", b"\\", b"}", b"))", b"\0", b"\xe2\x80"]
    yield b"-oProxyCommand=" + do
    yield b"-exec " + do + b" ;"
    yield b"--checkpoint-action=exec=" + do
    yield b"x" * 70_000 + b"'$(" + do + b")'"
    yield b"$(" + do + b")" * 4000
    yield bytes(byte for byte in range(256) if byte != 10) + b"$(" + do + b")"
    for number in itertools.count():
        core = cores[number % len(cores)] % (short if number % 5 == 3 else do)
        yield before[number * 7 % len(before)] + core + after[number * 11 % len(after)]


@pytest.fixture
def written(tmp_path: Path) -> Path:
    file = tmp_path / "payloads"
    file.write_bytes(b"\n\n".join(itertools.islice(payloads(tmp_path / "canary"), PAYLOADS)))
    return file


@pytest.fixture(scope="module")
def fast() -> Iterator[Live]:
    with live(trigger_fires_per_s=100_000, commands_waiting_most=1000) as daemon:
        yield daemon


def fired(daemon: Live, session: str) -> int:
    """How often the first trigger of a session has, whatever became of it."""
    return int(daemon.call("trigger.list", session=session)[0]["fired"])


def test_nothing_that_is_captured_into_a_command_is_run(fast: Live, written: Path, tmp_path: Path) -> None:
    command = rf"""printf '%s\n' -- \1 '\1' "\1" "a'\1'" "$(printf '%s' \1)" >/dev/null; : x\1y; echo >> {tmp_path}/ran"""
    session = fast.create(
        sys.executable, "-c", PRINTER, str(written), "", triggers=[{"regex": "CAUGHT (.*)", "action": "run_command", "parameter": command}]
    )
    fast.output(session, b"THE END\r\n")
    fast.await_(lambda: (tmp_path / "ran").exists() and len((tmp_path / "ran").read_text()) == fired(fast, session))
    assert fired(fast, session) >= PAYLOADS
    assert not (tmp_path / "canary").exists()


def test_nothing_that_is_captured_into_a_coprocess_is_run(fast: Live, written: Path, tmp_path: Path) -> None:
    written.write_bytes(b"\n\n".join(itertools.islice(payloads(tmp_path / "canary"), PACED)))
    argv = ["/bin/sh", "-c", f'test "$1" = "$COPROCD_MATCH_1" && echo >> {tmp_path}/same', "--", r"\1"]
    session = fast.create(
        sys.executable,
        "-c",
        PRINTER,
        str(written),
        "paced",
        triggers=[{"regex": "^CAUGHT (.*)", "action": "run_coprocess", "parameter": argv}],
    )
    for _ in range(PACED):
        assert fast.ended(session)["exit_status"] == 0
        fast.call("session.send_text", session=session, text="g")
    fast.output(session, b"THE END\r\n")
    assert PACED == fired(fast, session) == len((tmp_path / "same").read_text())
    assert not (tmp_path / "canary").exists()


def test_what_is_typed_has_the_line_ends_of_its_trigger_alone(fast: Live, written: Path, tmp_path: Path) -> None:
    session = fast.create(
        sys.executable,
        "-c",
        PASTED,
        str(written),
        str(tmp_path / "typed"),
        triggers=[{"regex": "CAUGHT (.*)", "action": "send_text", "parameter": r"\1\n"}],
    )
    fast.output(session, b"THE END\r\n")
    fast.await_(lambda: (tmp_path / "typed").exists() and (tmp_path / "typed").read_bytes().count(b"\n") == fired(fast, session))
    typed = (tmp_path / "typed").read_bytes()
    assert not set(typed) & {*range(10), *range(11, 32), 127} and "\u202e" not in typed.decode()
    assert fired(fast, session) >= PAYLOADS - 1
