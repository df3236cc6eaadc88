"""The length of the line a canonical terminal collects, counted before it is typed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coprocd.core.canonical import CanonicalLine

TYPED = st.lists(st.text(alphabet="ab\n\r\x03\x04\x15\x1a\x1c", max_size=12).map(str.encode), max_size=8)


def test_a_line_grows_with_what_is_typed() -> None:
    line = CanonicalLine()
    line.typed(b"abc")
    line.typed(b"de")
    assert line.length == 5
    assert line.longest(b"fg") == 7


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\x03", b"\x04", b"\x15", b"\x1a", b"\x1c"])
def test_a_line_end_an_end_of_file_a_kill_and_the_signal_keys_begin_a_new_line(end: bytes) -> None:
    line = CanonicalLine()
    line.typed(b"abc" + end + b"d")
    assert line.length == 1
    line.typed(end)
    assert line.length == 0


def test_the_longest_of_several_lines_counts_wherever_it_stands() -> None:
    line = CanonicalLine()
    line.typed(b"abcd")
    assert line.longest(b"ef\nx\nyz") == 6
    assert line.longest(b"\n12345678\nyz") == 8
    assert line.longest(b"\nx\n123456") == 6
    assert line.longest(b"\n") == 4
    assert line.length == 4


def test_typing_nothing_changes_nothing() -> None:
    line = CanonicalLine()
    assert line.longest(b"") == 0
    line.typed(b"abc")
    line.typed(b"")
    assert (line.length, line.longest(b"")) == (3, 3)


@settings(deadline=None)
@given(TYPED)
def test_what_is_typed_in_pieces_counts_as_what_is_typed_whole(pieces: list[bytes]) -> None:
    whole, piecewise = CanonicalLine(), CanonicalLine()
    longest = 0
    for piece in pieces:
        longest = max(longest, piecewise.longest(piece))
        piecewise.typed(piece)
    assert whole.longest(b"".join(pieces)) == longest
    whole.typed(b"".join(pieces))
    assert whole.length == piecewise.length
