"""What output leaves set on a terminal, and what resets it."""

from __future__ import annotations

import pytest
from coprocctl.terminal.modes import Modes
from hypothesis import given
from hypothesis import strategies as st

SET = [
    (b"\x1b[?1000h\x1b[?1006h", b"\x1b[?1000l\x1b[?1006l"),
    (b"\x1b[?1002;1015h", b"\x1b[?1002l\x1b[?1015l"),
    (b"\x1b[?9h", b"\x1b[?9l"),
    (b"\x1b[?1003h\x1b[?1005h", b"\x1b[?1003l\x1b[?1005l"),
    (b"\x1b[?1004h", b"\x1b[?1004l"),
    (b"\x1b[?2004h", b"\x1b[?2004l"),
    (b"\x1b[?2026h", b"\x1b[?2026l"),
    (b"\x1b[?1h\x1b=", b"\x1b[?1l\x1b>"),
    (b"\x1b[?25l", b"\x1b[?25h"),
    (b"\x1b[?7l", b"\x1b[?7h"),
    (b"\x1b[?1049h", b"\x1b[?1049l"),
    (b"\x1b[?47h", b"\x1b[?47l"),
    (b"\x1b[?1047h", b"\x1b[?1047l"),
    (b"\x1b[4h\x1b[20h", b"\x1b[4l\x1b[20l"),
    (b"\x1b[2 q", b"\x1b[0 q"),
    (b"\x1b[>1u", b"\x1b[<1u"),
    (b"\x1b[>1u\x1b[>3u\x1b[<u", b"\x1b[<1u"),
    (b"\x1b[=5u", b"\x1b[=0u"),
    (b"\x1b[?1049h\x1b[>1u", b"\x1b[<1u\x1b[?1049l"),
    (b"\x1b[>4;2m", b"\x1b[>4m"),
    (b"\x1b[>4;1f", b"\x1b[>4f"),
    (b"\x1b[2;10r", b"\x1b7\x1b[r\x1b8"),
    (b"\x1b(0", b"\x1b(B"),
    (b"\x0e", b"\x0f"),
    (b"\x1b]8;;http://x\x07link", b"\x1b]8;;\x1b\\"),
    (b"\x1b]11;#000\x07", b"\x1b]111\x1b\\"),
    (b"\x1b]4;1;#000\x1b\\", b"\x1b]104\x1b\\"),
    (b"\x1b]9;4;1;50\x07", b"\x1b]9;4;0\x1b\\"),
    (b"\x1b]22;text\x07", b"\x1b]22;\x1b\\"),
    (b"\x1b[3g", b"\x1b[?5W"),
    (b"\x1b G", b"\x1b F"),
    (b"\x1b[1'z", b"\x1b[0'z"),
    (b"\x1b[?000000001003h", b"\x1b[?1003l"),
    (b"\x1b[?1003h\x1b[?1003s\x1b[?1003l\x1b[?1003;25r", b"\x1b[?1003l\x1b[?25h"),
    (b"\x1b]00011;#000\x07", b"\x1b]111\x1b\\"),
]
UNSET = [
    *(
        b"\x1b[?1000h\x1b[?1000l",
        b"\x1b[?25l\x1b[?25h",
        b"\x1b[?1049h\x1b[?1049l",
        b"\x1b[?47h\x1b[?1049l",
        b"\x1b[>1u\x1b[<u",
        b"\x1b[2 q\x1b[0 q",
    ),
    *(
        b"\x1b[2;10r\x1b[r",
        b"\x1b=\x1b>",
        b"\x1b(0\x1b(B",
        b"\x1b[>4;2m\x1b[>4m",
        b"\x1b]8;;u\x07x\x1b]8;;\x07",
        b"\x1b[?1002;1006;2004h\x1bc",
    ),
    *(b"text\r\n", b"\x1b[1;31m", b"\x1b[5;5H", b"\x1b[2J", b"\x1b]0;title\x07", b"\x1b[u", b"\x1b[m", b"\x1b]11;#000\x07\x1b]111\x07"),
]


@pytest.mark.parametrize(("output", "reset"), SET, ids=lambda value: repr(value))
def test_what_was_set_is_reset_and_nothing_else(output: bytes, reset: bytes) -> None:
    modes = Modes()
    modes.feed(b"$ " + output + b" more")
    assert modes.reset() == reset
    modes.feed(reset)
    assert modes.reset() == b""


@pytest.mark.parametrize("output", UNSET, ids=lambda value: repr(value))
def test_what_is_as_it_was_is_not_touched(output: bytes) -> None:
    modes = Modes()
    modes.feed(output)
    assert modes.reset() == b""


@given(st.lists(st.sampled_from([output for output, _ in SET] + UNSET), max_size=8), st.data())
def test_any_cut_gives_the_same(outputs: list[bytes], data: st.DataObject) -> None:
    output = b"".join(outputs)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(output)), max_size=8)))
    whole, cut = Modes(), Modes()
    whole.feed(output)
    for start, end in zip([0, *cuts], [*cuts, len(output)], strict=True):
        cut.feed(output[start:end])
    assert (cut.reset(), cut.title, cut.bracketed_paste, cut.talks) == (whole.reset(), whole.title, whole.bracketed_paste, whole.talks)


def test_the_title_is_known() -> None:
    modes = Modes()
    modes.feed("\x1b]0;vim: naïve\x07\x1b]2;in".encode())
    assert modes.title == "vim: naïve"
    modes.feed(b"ner\x1b\\")
    assert modes.title == "inner"


@pytest.mark.parametrize(("output", "reset"), SET, ids=lambda value: repr(value))
def test_nothing_that_output_sets_before_has_it_forgotten(output: bytes, reset: bytes) -> None:
    modes = Modes()
    for number in range(3000, 4000):
        modes.feed(b"\x1b[?%dh\x1b[%dh\x1b[>%d;1m\x1b]10%d;x\x07" % ((number,) * 4))
    before = modes.reset()
    modes.feed(output)
    assert modes.reset() != before and reset in modes.reset()


def test_what_output_can_have_remembered_is_bounded() -> None:
    modes = Modes()
    for number in range(2000):
        modes.feed(b"\x1b[?%dh\x1b[%dh\x1b[>%d;1m\x1b]1%d;x\x07\x1b[>1u" % ((number,) * 4))
    modes.feed(b"\x1b]0;" + b"x" * 100_000)
    assert len(modes.reset()) < 10_000 and len(modes._open) < 5000
