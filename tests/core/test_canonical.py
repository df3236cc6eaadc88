"""The length of the line a canonical terminal collects, counted before it is typed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coprocd.core.canonical import LINE_MOST, CanonicalLine, LineRules, Typed

RULES = LineRules()
TYPED = st.lists(
    st.text(alphabet="ab\n\r\x03\x04\x15\x16", max_size=12).map(str.encode) | st.integers(LINE_MOST - 9, LINE_MOST + 9).map(b"x".__mul__),
    max_size=6,
)


def counted_byte_by_byte(data: bytes, rules: LineRules) -> Typed:
    """The same, as slowly as it is plain."""
    length = cut = longest = 0
    quoted = False
    for byte in data:
        if byte in rules.ends and not quoted:
            length = 0
        else:
            length += 1
            if length > LINE_MOST:
                cut, longest = cut + 1, max(longest, length)
        quoted = byte in rules.quotes and not quoted
    return Typed(CanonicalLine(length, quoted), cut, longest)


def test_a_line_grows_with_what_is_typed() -> None:
    line = CanonicalLine().type(b"abc", RULES).line.type(b"de", RULES).line
    assert line == CanonicalLine(5)


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\x03", b"\x04", b"\x15", b"\x1a", b"\x1c"])
def test_a_line_end_an_end_of_file_a_kill_and_the_signal_keys_begin_a_new_line(end: bytes) -> None:
    assert CanonicalLine().type(b"abc" + end + b"d", RULES).line.length == 1
    assert CanonicalLine(3).type(end, RULES).line.length == 0
    assert CanonicalLine(3).type(end, LineRules(ends=b"x")).line.length == 4


def test_a_line_that_is_full_takes_its_end_and_nothing_else() -> None:
    full = CanonicalLine().type(b"x" * LINE_MOST, RULES)
    assert full == (CanonicalLine(LINE_MOST), 0, 0)
    assert full.line.type(b"\n", RULES) == (CanonicalLine(0), 0, 0)
    assert full.line.type(b"yz\n", RULES) == (CanonicalLine(0), 2, LINE_MOST + 2)


def test_the_end_of_a_line_that_is_too_long_already_loses_nothing() -> None:
    assert CanonicalLine(9000).type(b"\nab", RULES) == (CanonicalLine(2), 0, 0)
    assert CanonicalLine(9000).type(b"a\nb", RULES).cut == 1


def test_the_byte_after_a_quote_is_text_also_when_it_comes_later() -> None:
    assert CanonicalLine().type(b"ab\x16\n", RULES).line == CanonicalLine(4)
    assert CanonicalLine().type(b"ab\x16\x16\n", RULES).line == CanonicalLine(0)
    halfway = CanonicalLine().type(b"ab\x16", RULES).line
    assert halfway == CanonicalLine(3, quoted=True)
    assert halfway.type(b"", RULES).line == halfway
    assert halfway.type(b"\n", RULES).line == CanonicalLine(4)
    assert halfway.type(b"\x16\n", RULES).line == CanonicalLine(0)


def test_what_takes_the_room_of_two_counts_twice() -> None:
    assert CanonicalLine().type(b"a\xffb\n\xff\xff", LineRules(doubled=b"\xff")).line.length == 4


@settings(deadline=None)
@given(TYPED)
def test_what_is_typed_in_pieces_counts_as_what_is_typed_whole_and_as_byte_by_byte(pieces: list[bytes]) -> None:
    line, cut, longest = CanonicalLine(), 0, 0
    for piece in pieces:
        typed = line.type(piece, RULES)
        line, cut, longest = typed.line, cut + typed.cut, max(longest, typed.longest)
    whole = b"".join(pieces)
    assert (line, cut, longest) == CanonicalLine().type(whole, RULES) == counted_byte_by_byte(whole, RULES)
