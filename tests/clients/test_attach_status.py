"""The status line: the session stays in its rows, and the line in its own."""

from __future__ import annotations

import re

import pytest
from coprocctl.terminal.drawing import Drawing
from coprocctl.terminal.status import FORGOTTEN_S, StatusLine
from hypothesis import given
from hypothesis import strategies as st

SAVE, RESTORE = b"\x1b7", b"\x1b8"


def line() -> StatusLine:
    """One on a terminal of 24 rows, drawn."""
    status = StatusLine()
    status.fit(24, 80, 23, line=True)
    status.show("text")
    status.draw(0.0)
    return status


@pytest.mark.parametrize(
    ("output", "rewritten"),
    [
        (b"\x1b[24;5H", b"\x1b[23;5H"),
        (b"\x1b[999;999H", b"\x1b[23;999H"),
        (b"\x1b[99f", b"\x1b[23f"),
        (b"\x1b[50d", b"\x1b[23d"),
        (b"\x1b[r", b"\x1b[1;23r"),
        (b"\x1b[;r", b"\x1b[1;23r"),
        (b"\x1b[2;24r", b"\x1b[2;23r"),
        (b"\x1b[5r", b"\x1b[5;23r"),
        (b"\x1b[0000000024;5H", b"\x1b[23;5H"),
        (b"\x1b[000000099d", b"\x1b[23d"),
        (b"\x1b[99e", b"\x1b[99B"),
        *(
            (output, output)
            for output in (b"\x1b[23;5H", b"\x1b[H", b"\x1b[;5H", b"\x1b[3;10r", b"\x1b[5d", b"\x1b[?1000r", b"plain\r\n", b"\x1b[1;31m")
        ),
    ],
)
def test_nothing_leads_below_the_sessions_rows(output: bytes, rewritten: bytes) -> None:
    assert line().rewrite(output, 1.0) == rewritten


@pytest.mark.parametrize(
    "output", [b"\x1b[!p", b"\x1bc", b"\x1b#8", b"\x1b[?3h", b"\x1b[?03h", b"\x1b[?1049h", b"\x1b[?47h", b"\x1b[?01049h"]
)
def test_what_takes_the_margins_away_is_followed_by_them(output: bytes) -> None:
    status = line()
    assert status.rewrite(output, 1.0) == output + SAVE + b"\x1b[1;23r" + RESTORE
    assert status.draw(1.0)


@pytest.mark.parametrize("output", [b"\x1b[J", b"\x1b[0J", b"\x1b[2J", b"\x1b[3J"])
def test_what_erases_the_line_has_it_drawn_again(output: bytes) -> None:
    status = line()
    assert status.draw(1.0) == b""
    assert status.rewrite(output, 1.0) == output
    assert b"text" in status.draw(1.0) and status.draw(1.0) == b""


def test_the_line_is_drawn_where_a_saved_cursor_is_not_lost() -> None:
    status = line()
    status.rewrite(SAVE + b"elsewhere", 1.0)
    status.show("new")
    assert status.draw(1.0) == b"" and status.due
    rewritten = status.rewrite(b"more" + RESTORE + b"back", 2.0)
    assert re.fullmatch(rb"more\x1b8\x1b\[\?6l\x1b\[24;1H.*new *\x1b8back", rewritten)
    status.show("newer")
    assert status.draw(2.0) == b"" and status.draw(2.0 + FORGOTTEN_S).startswith(SAVE)


def test_cursors_saved_on_the_two_screens_are_two() -> None:
    status = line()
    for leaves, is_free in ((b"\x1b[?1047l", False), (b"\x1b[?1049l", True)):
        status.rewrite(SAVE + b"\x1b[?1047h", 1.0)
        assert status.draw(1.0) != b""
        assert status.rewrite(leaves, 1.0) == leaves
        assert (status.draw(1.0) != b"") is is_free


def test_text_is_cut_to_the_row_and_wide_characters_count_twice() -> None:
    status = StatusLine()
    status.fit(24, 10, 23, line=True)
    status.show("宽" * 20)
    assert "宽宽宽宽… ".encode() in status.draw(0.0)


def test_a_session_with_fewer_rows_keeps_to_them_without_a_line() -> None:
    drawing = Drawing(line=False)
    drawing.begin(24, 80)
    assert drawing.output(b"\x1b[24;1H", 0.0) == b"\x1b[24;1H"
    assert b"\x1b[1;10r" in drawing.fit(24, 80, 10)
    assert drawing.output(b"\x1b[24;1H", 0.0) == b"\x1b[10;1H"
    assert b"\x1b[r" in drawing.fit(24, 80, 24)
    assert drawing.output(b"\x1b[24;1H", 0.0) == b"\x1b[24;1H"


@given(
    st.lists(
        st.sampled_from([b"abc", b"\x1b", b"[", b"31m", b"c", b"6n", b"]0;t", b"\x07", "宽".encode(), b"\x1b[?1000h", b" "]), max_size=20
    ),
    st.data(),
)
def test_however_output_is_cut_the_same_is_shown(parts: list[bytes], data: st.DataObject) -> None:
    output = b"".join(parts) + b"\x18."
    cuts = sorted(data.draw(st.lists(st.integers(0, len(output)), max_size=10)))
    whole, cut = Drawing(line=False), Drawing(line=False)
    shown = b"".join(cut.output(output[start:end], 0.0) for start, end in zip([0, *cuts], [*cuts, len(output)], strict=True))
    assert shown.replace(b"\x1b\\", b"") == whole.output(output, 0.0).replace(b"\x1b\\", b"")
    assert cut.modes.reset() == whole.modes.reset()


def test_a_question_over_the_last_row_is_drawn_again_after_all_output() -> None:
    drawing = Drawing(line=False)
    drawing.begin(24, 80)
    drawing.output(b"a", 0.0)
    drawing.status.cover(24, 80, "? Who")
    for output in (b"b", b"c", b"d\r\n"):
        assert drawing.output(output, 0.0).startswith(output + b"\x1b7") and b"? Who" in drawing.output(output, 0.0)


def test_nothing_is_put_into_a_sequence_or_a_character() -> None:
    drawing = Drawing(line=True)
    drawing.begin(24, 80)
    drawing.status.show("text")
    drawing.title.mark("mark")
    for begins, ends in (
        (b"\x1bPq~~", b"~\x1b\\"),
        (b"\x1b]0;tit", b"le\x07"),
        ("宽".encode()[:2], "宽".encode()[2:]),
        (b"\xf0\x9f", b"\x98\x80"),
    ):
        drawing.status.show(repr(begins))
        assert drawing.output(begins, 0.0) == begins
        shown = drawing.output(ends, 0.0)
        assert shown.startswith(ends) and b"\x1b[24;1H" in shown


def test_a_notification_waits_for_the_end_of_a_sequence_too() -> None:
    drawing = Drawing(line=False)
    drawing.output(b"\x1bPq~~", 0.0)
    assert drawing.notification(b"\x1b]9;done\x07", 0.0) == b""
    assert drawing.output(b"~\x1b\\", 0.0) == b"~\x1b\\\x1b]9;done\x07"
