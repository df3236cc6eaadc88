"""The promises of an emulator besides redrawing and saving: any cut is the same, the size is the pty's, titles are clean, rows reflow."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st
from likeness import differences, likeness
from sequences import SIZES, printed

from coprocd.screen import ghostty
from coprocd.screen.ghostty import MOST_COLS, MOST_ROWS


@given(size=SIZES, output=printed(alternate=True) | st.binary(max_size=300), cuts=st.lists(st.integers(0, 500), max_size=8))
@settings(max_examples=100, deadline=None)
def test_output_means_the_same_however_it_is_cut(size: tuple[int, int], output: bytes, cuts: list[int]) -> None:
    whole, parts = ghostty.new(*size), ghostty.new(*size)
    answers = whole.feed(output)
    places = sorted({0, len(output), *(cut for cut in cuts if cut < len(output))})
    assert b"".join(parts.feed(output[start:stop]) for start, stop in itertools.pairwise(places)) == answers
    assert not differences(likeness(whole), likeness(parts))


def test_the_text_reflows_and_comes_back() -> None:
    emulator = ghostty.new(6, 40)
    emulator.feed(b"".join(b"%d %s\r\n" % (number, b"word" * 12) for number in range(20)))
    before = emulator.capture("text", -1).text
    emulator.resize(6, 20)
    narrow = emulator.capture("json", -1)
    assert (emulator.rows, emulator.cols) == (6, 20)
    assert narrow.lines and any(row.wraps for row in narrow.lines)
    emulator.resize(6, 40)
    assert emulator.capture("text", -1).text == before


def test_a_higher_screen_shows_what_was_scrolled_back() -> None:
    emulator = ghostty.new(4, 20)
    emulator.feed(b"".join(b"%d\r\n" % number for number in range(10)))
    emulator.resize(8, 20)
    shown = (emulator.capture("text").text or "").split()
    assert shown[-1] == "9" and len(shown) == 7


def test_the_alternate_screen_keeps_its_size_with_the_pty() -> None:
    emulator = ghostty.new(4, 20)
    emulator.feed(b"primary\x1b[?1049h" + b"x" * 20)
    emulator.resize(2, 10)
    emulator.feed(b"\x1b[?1049l")
    assert (emulator.capture("text").text or "").startswith("primary")


@given(st.lists(st.tuples(printed(alternate=True), st.integers(0, 40), st.integers(0, 120)), max_size=8))
@settings(max_examples=60, deadline=None)
def test_output_and_resizes_in_any_order_leave_it_usable(steps: list[tuple[bytes, int, int]]) -> None:
    emulator = ghostty.new(24, 80)
    for output, rows, cols in steps:
        emulator.feed(output)
        emulator.resize(rows, cols)
        assert (emulator.rows, emulator.cols) == (max(rows, 1), max(cols, 1))
        other = ghostty.new(emulator.rows, emulator.cols)
        other.feed(emulator.redraw())
        assert other.capture("ansi").text == emulator.capture("ansi").text


def test_a_size_without_reason_is_cut() -> None:
    emulator = ghostty.new(65535, 65535)
    assert (emulator.rows, emulator.cols) == (MOST_ROWS, MOST_COLS)
    emulator.resize(0, 0)
    assert (emulator.rows, emulator.cols) == (1, 1)


def test_the_output_cannot_change_the_size() -> None:
    """DECCOLM would: 132 columns, or 80."""
    emulator = ghostty.new(24, 100)
    emulator.feed(b"\x1b[?40h\x1b[?3hwide")
    assert emulator.capture("json").cols == emulator.cols == 100
    emulator.feed(b"\x1b[?3l")
    assert emulator.capture("json").cols == emulator.cols == 100


def test_a_title_has_no_control_characters_and_no_marks_of_direction() -> None:
    emulator = ghostty.new(24, 80)
    assert emulator.title == ""
    emulator.feed("\x1b]2;a\u202eb\u0085c\u2028d\u200fe ü\x07".encode())
    assert emulator.title == "abcde ü"
    emulator.feed(b"\x1b]2;\x07")
    assert emulator.title == ""


def test_scrollback_is_bounded() -> None:
    small, large = ghostty.new(24, 80, 1 << 20), ghostty.new(24, 80, 4 << 20)
    for emulator in (small, large):
        emulator.feed(b"some text that fills a line\r\n" * 20_000)
    assert 100 < small.capture("text", -1).scrollback < large.capture("text", -1).scrollback < 20_000
    assert ghostty.load(large.save(), 1 << 20).capture("text", -1).scrollback < large.capture("text", -1).scrollback
