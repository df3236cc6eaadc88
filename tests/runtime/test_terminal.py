"""The rules by which a terminal collects lines, against the terminal itself: what it drops must have been foreseen."""

from __future__ import annotations

import os
import select
import sys
import termios
from collections.abc import Callable

import pytest

from coprocd.core.canonical import CanonicalLine
from coprocd.platform import terminal

PATIENCE_S = 10.0
HALF = 3000


def flags(place: int, on: int = 0, off: int = 0, **characters: bytes) -> Callable[[list], None]:
    """Changes one field of flags of a tcgetattr(3) list, and control characters."""

    def change(attributes: list) -> None:
        attributes[place] = attributes[place] & ~off | on
        for name, byte in characters.items():
            attributes[6][getattr(termios, name)] = byte

    return change


SETTINGS = {
    "as it comes": flags(0),
    "-icrnl": flags(0, off=termios.ICRNL),
    "igncr": flags(0, on=termios.IGNCR),
    "inlcr": flags(0, on=termios.INLCR),
    "inlcr -icrnl eol CR": flags(0, on=termios.INLCR, off=termios.ICRNL, VEOL=b"\r"),
    "-isig": flags(3, off=termios.ISIG),
    "noflsh": flags(3, on=termios.NOFLSH),
    "-iexten": flags(3, off=termios.IEXTEN, VEOL2=b"%"),
    "other characters": flags(3, VKILL=b"K", VEOL=b"L", VEOL2=b"2", VINTR=b"I", VQUIT=b"Q", VSUSP=b"S", VLNEXT=b"N", VERASE=b"#"),
    "none": flags(3, VKILL=b"\0", VEOL=b"\0", VEOL2=b"\0", VINTR=b"\0", VQUIT=b"\0", VSUSP=b"\0", VLNEXT=b"\0"),
    "one key for all": flags(3, VKILL=b"k", VEOL=b"k", VLNEXT=b"k", VERASE=b"k", VINTR=b"k"),
    "one key for all -isig": flags(3, off=termios.ISIG, VKILL=b"k", VEOL=b"k", VLNEXT=b"k", VERASE=b"k", VINTR=b"k"),
    "^D starts": flags(0, on=termios.IXON, VSTART=b"\x15", VSTOP=b"\n"),
    "istrip": flags(0, on=termios.ISTRIP),
    "parmrk": flags(0, on=termios.PARMRK),
    "echo": flags(3, on=termios.ECHO),
}


def arrived(data: bytes, change: Callable[[list], None]) -> tuple[bytes, terminal.Line]:
    """What a reader gets of `data`, and how the terminal said that it would treat it."""
    master, slave = os.openpty()
    try:
        attributes = termios.tcgetattr(slave)
        attributes[3] &= ~termios.ECHO
        change(attributes)
        termios.tcsetattr(slave, termios.TCSANOW, attributes)
        line = terminal.line(master)
        assert line is not None and line.canonical
        os.write(master, data + b"\x04..\x04")
        got = b""
        while not got.endswith(b".."):
            assert select.select([slave], [], [], PATIENCE_S)[0], got[-100:]
            got += os.read(slave, 65536)
        return got, line
    finally:
        os.close(master)
        os.close(slave)


@pytest.mark.skipif(sys.platform != "linux", reason="another system's line discipline")
@pytest.mark.parametrize("name", SETTINGS)
def test_of_two_halves_around_any_byte_none_is_cut_that_was_not_said_to_be(name: str) -> None:
    """With a fixed set of line ends the second half was lost unsaid after CR with -icrnl, after ^U with another VKILL, and so on."""
    for byte in range(256):
        data = b"a" * HALF + bytes([byte]) + b"b" * HALF
        got, line = arrived(data, SETTINGS[name])
        lost = got.count(b"b") < HALF
        assert not lost or CanonicalLine().type(data, line.rules).cut, bytes([byte])


@pytest.mark.skipif(sys.platform != "linux", reason="another system's line discipline")
@pytest.mark.parametrize(
    ("name", "end"),
    [("as it comes", end) for end in (b"\n", b"\r", b"\x03", b"\x04", b"\x15", b"\x1a", b"\x1c")]
    + [("other characters", end) for end in (b"K", b"L", b"2", b"I", b"Q", b"S")]
    + [("inlcr -icrnl eol CR", b"\r"), ("noflsh", b"\n"), ("-iexten", b"\x15")],
)
def test_what_ends_a_line_for_the_terminal_ends_it_for_us(name: str, end: bytes) -> None:
    data = b"a" * HALF + end + b"b" * HALF
    got, line = arrived(data, SETTINGS[name])
    assert got.count(b"b") == HALF
    assert not CanonicalLine().type(data, line.rules).cut


@pytest.mark.skipif(sys.platform != "linux", reason="another system's line discipline")
def test_where_a_byte_takes_the_room_of_two_it_is_foreseen() -> None:
    data = b"\xff" * 2100 + b"b"
    got, line = arrived(data, SETTINGS["parmrk"])
    assert b"b" not in got and CanonicalLine().type(data, line.rules).cut


def test_a_terminal_in_raw_mode_has_no_rules_and_one_that_is_gone_is_none() -> None:
    master, slave = os.openpty()
    attributes = termios.tcgetattr(slave)
    attributes[3] &= ~(termios.ICANON | termios.ECHO)
    termios.tcsetattr(slave, termios.TCSANOW, attributes)
    assert terminal.line(master) == (False, False, None)
    os.close(slave)
    os.close(master)
    assert terminal.line(master) is None
