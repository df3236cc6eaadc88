"""What is saved makes an equal terminal, with all its scrollback, wherever the output was cut."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from likeness import differences, likeness
from sequences import SIZES, printed

from coprocd.screen import ghostty
from coprocd.screen.emulator import Emulator, EmulatorError


def assert_equal(one: Emulator, other: Emulator) -> None:
    assert not differences(likeness(one), likeness(other))
    assert one.capture("json", -1) == other.capture("json", -1)
    assert (one.rows, one.cols) == (other.rows, other.cols)


@given(size=SIZES, before=printed(alternate=True), after=printed(alternate=True))
@settings(max_examples=100, deadline=None)
def test_a_loaded_terminal_is_equal_and_goes_on_the_same(size: tuple[int, int], before: bytes, after: bytes) -> None:
    first = ghostty.new(*size)
    first.feed(before)
    saved = first.save()
    second = ghostty.load(saved)
    assert_equal(first, second)
    assert first.feed(after) == second.feed(after)
    assert_equal(first, second)


@given(before=st.binary(max_size=300), after=st.binary(max_size=100))
@settings(max_examples=100, deadline=None)
def test_garbage_is_saved_wherever_it_is_cut(before: bytes, after: bytes) -> None:
    first = ghostty.new(10, 30)
    first.feed(before)
    second = ghostty.load(first.save())
    first.feed(after)
    second.feed(after)
    assert_equal(first, second)


@pytest.mark.parametrize("program", ["bash", "vim", "less", "top", "git", "python"])
def test_a_program_goes_on_the_same_from_a_saved_terminal(recordings: dict[str, bytes], program: str) -> None:
    if program not in recordings:
        pytest.skip(f"{program} is not installed")
    output = recordings[program]
    first = ghostty.new(24, 80)
    for start in range(0, len(output), 997):
        piece = output[start : start + 997]
        second = ghostty.load(first.save())
        assert first.feed(piece) == second.feed(piece)
        assert_equal(first, second)
        first.close()
        first = second


def test_scrollback_is_saved_and_reflows_when_loaded() -> None:
    first = ghostty.new(10, 40)
    first.feed(b"".join(b"line %d %s\r\n" % (number, b"word " * 12) for number in range(500)))
    second = ghostty.load(first.save())
    for emulator in (first, second):
        emulator.resize(12, 33)
    assert_equal(first, second)
    assert "line 0 word" in (second.capture("text", -1).text or "")


def test_one_that_is_loaded_answers_and_is_named_as_before() -> None:
    first = ghostty.new(10, 40)
    first.feed(b"\x1b]2;a title\x07\x1b]11;#102030\x07")
    second = ghostty.load(first.save())
    assert second.title == "a title"
    assert second.feed(b"\x1b[c\x1b]11;?\x07\x1b[18t") == first.feed(b"\x1b[c\x1b]11;?\x07\x1b[18t") != b""


@pytest.mark.parametrize("begun", [b"\x1b]52;c;", b"\x1bPq", b"\x1b_G", b"\x1b^", b"\x1bX"])
def test_a_string_without_an_end_is_forgotten_but_not_where_it_is(begun: bytes) -> None:
    """It may be longer than what is kept of it; what follows is text only behind its end."""
    first = ghostty.new(10, 40)
    first.feed(b"before" + begun)
    for _ in range(20):
        first.feed(b"c3VjaA==" * 8192)
    second = ghostty.load(first.save())
    third = ghostty.new(10, 40)
    third.feed(first.redraw())
    assert len(first.save()) < 300_000
    for emulator in (first, second, third):
        emulator.feed(b"more\x1b\\after")
        assert (emulator.capture("text").text or "").split() == ["beforeafter"]


@pytest.mark.parametrize("saved", [b"", b"\0" * 4, b"\0" * 400, b"\xff" * 400])
def test_what_is_no_saved_terminal_is_refused(saved: bytes) -> None:
    with pytest.raises(EmulatorError):
        ghostty.load(saved)


def test_a_saved_terminal_that_was_damaged_is_refused() -> None:
    first = ghostty.new(10, 40)
    first.feed(b"hello " * 100)
    saved = bytearray(first.save())
    for place in range(4, len(saved), 97):
        saved[place] ^= 0x55
        with pytest.raises(EmulatorError):
            ghostty.load(bytes(saved))
        with pytest.raises(EmulatorError):
            ghostty.load(bytes(saved[:place]))
        saved[place] ^= 0x55
