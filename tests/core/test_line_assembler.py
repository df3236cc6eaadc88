"""The text of lines, and where it stands in the output, from output that is cut anywhere."""

from __future__ import annotations

import re
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coprocd.core import escapes
from coprocd.core.lines import LINE_MOST_BYTES, LineAssembler, Lines, Position, Signal


def assembled(*chunks: bytes) -> tuple[list[tuple[bytes, int]], bytes, list[Signal]]:
    """The finished lines that are ones, each with the offset it begins at; the line so far; the signals."""
    machine, offset = LineAssembler(Position(0)), 0
    out: list[tuple[bytes, int]] = []
    signals: list[Signal] = []
    for chunk in chunks:
        lines, new = machine.feed(chunk, offset)
        signals += [signal for _, signal in new]
        offset += len(chunk)
        if lines is not None:
            out += each(lines)
    return out, machine.so_far, signals


def each(lines: Lines) -> list[tuple[bytes, int]]:
    out, start = [], 0
    for line in lines.text.split(b"\n"):
        end = start + len(line)
        if lines.is_line(start, end):
            out.append((line, lines.offset(start)))
        start = end + 1
    return out


def texts(*chunks: bytes) -> list[bytes]:
    lines, so_far, _ = assembled(*chunks)
    return [line for line, _ in lines] + [so_far]


def bytewise(output: bytes) -> list[bytes]:
    return [bytes([byte]) for byte in output]


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (b"one\ntwo", [b"one", b"two"]),
        (b"one\r\ntwo\r\n", [b"one", b"two", b""]),
        (b"10%\r20%\r\n", [b"10%", b"20%", b""]),
        (b"one\r\r\ntwo", [b"one", b"two"]),
        (b"\n\n", [b"", b"", b""]),
        (b"\r\n\r\n", [b"", b"", b""]),
        (b"a\r\x1b[0m\n\nb", [b"a", b"", b"b"]),
        (b"a\x0bb\x0cc", [b"a", b"b", b"c"]),
        (b"a\x1bDb\x1bEc\x1bMd\x1bce", [b"a", b"b", b"c", b"d", b"e"]),
        (b"a\x1b[Ab\x1b[2Bc\x1b[Ed\x1b[Fe\x1b[1;2Hf\x1b[3;4fg\x1b[5dh", [b"a", b"b", b"c", b"d", b"e", b"f", b"g", b"h"]),
        (b"a\x1b[?1049hb\x1b[?1049lc\x1b[?47hd\x1b[?1;1047le", [b"a", b"b", b"c", b"d", b"e"]),
        (b"\x1b[H\x1b[2J\x1b[H$ ", [b"$ "]),
        (b"a\x1b[Cb\x1b[5Gc\x1b[Kd\x1b[?25le\x1b[>4;2mf\x1b[2 qg\x1b[?104hh", [b"abcdefgh"]),
        (b"a\x1b(Bb\x1b7c\x1b=d\x1b#8e\x1bNf\x1bCg", [b"abcdefg"]),
        (b"**\x18B01\x1a0\x000\x7f\x08\x0e\x11\x05", [b"**B0100"]),
        (b"a\tb", [b"a\tb"]),
        (b"a\x1b]0;title\x07b\x1b]8;;http://x\x1b\\c\x1bPq#0;1\n\x1b\\d\x1b_G\x07\x1b\\e\x1b^p\x1b\\f\x1bXs\x1b\\g", [b"abcdefg"]),
        (b"a\x1b[1\x18mb\x1b]0;t\x1acd\x1bP1\x18e", [b"ambcde"]),
        (b"a\x1b[1\x1b[31mb\x1b]0;x\x1b[1mc\x1b\x1b[md", [b"abcd"]),
        (b"a\x1b[1\n;2mb", [b"a", b"b"]),
        (b"a\x1b[1\n;2Hb", [b"a", b"b"]),
        (b"a\x1b[1\xc3\xa9b", [b"a\xc3\xa9b"]),
        (b"a\x1b]0;no end\nb\n", [b"a"]),
        (b"\xc3\xa9\xff\xc3\n\xe2\x82x\x80\x1b[m\x7f\xf0\x9f\x98\x80", [b"\xc3\xa9\x1a\x1a", b"\x1a\x1ax\x1a\xf0\x9f\x98\x80"]),
        (b"\xe2\x82\x1b[m\xac\n", [b"\x1a\x1a\x1a", b""]),
        (b"\xed\xa0\x80\xc0\x80\n", [b"\x1a" * 5, b""]),
    ],
)
def test_lines_are_what_a_terminal_shows(output: bytes, expected: list[bytes]) -> None:
    assert texts(output) == expected
    assert texts(*bytewise(output)) == expected
    for at in range(1, len(output)):
        assert texts(output[:at], output[at:]) == expected


def test_a_line_begins_behind_what_ended_the_one_before() -> None:
    lines, _, _ = assembled(b"a\r\n\x1b[1mb\x1b[2;1Hc\n\x1b[m\nd\n")
    assert lines == [(b"a", 0), (b"b", 3), (b"c", 14), (b"", 16), (b"d", 20)]


def test_signals_are_told_with_where_they_end() -> None:
    output = b"a\x07b\x1b]9;4;1;50\x07\x1b]0;t \xff\x1b\\\x1b]777;notify;a;b\x07\x1b]2;w\x1b\\\x1b]1337;Custom=id=x:y\x07"
    output += b"\x1b]8;;x\x07\x1b]133;A\x07\x1b]1337;File=x:y\x07\x1b]9;gone\x18\x1b]9;gone\x1b[m\x1bP\x07\x1b\\\x1b[1\x07m"
    expected = [
        ("bell", b""),
        ("osc", b"9;4;1;50"),
        ("osc", b"0;t \xff"),
        ("osc", b"777;notify;a;b"),
        ("osc", b"2;w"),
        ("osc", b"1337;Custom=id=x:y"),
        ("bell", b""),
    ]
    for chunks in ([output], bytewise(output)):
        _, _, signals = assembled(*chunks)
        assert [(signal.kind, signal.payload) for signal in signals] == expected
        assert [output[signal.offset] for signal in signals] == [7, 7, 0x5C, 7, 0x5C, 7, 7]


def test_a_string_of_megabytes_takes_no_memory() -> None:
    machine, offset = LineAssembler(Position(0)), 0
    payload = b"x" * 65536
    tracemalloc.start()
    try:
        for chunk in [b"a\x1b]9;", *[payload] * 64, b"\x07b"]:
            _, signals = machine.feed(chunk, offset)
            offset += len(chunk)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    assert machine.so_far == b"ab"
    assert [len(signal.payload) for _, signal in signals] == [escapes.OSC_MOST_BYTES]


@pytest.mark.parametrize("size", [1, 1000, 4096, 65_000])
def test_of_a_line_too_long_the_beginning_is_kept(size: int) -> None:
    output = "é".encode() * LINE_MOST_BYTES + b"\nnext"
    machine, offset, finished = LineAssembler(Position(0)), 0, []
    for at in range(0, len(output), size):
        lines, _ = machine.feed(output[at : at + size], offset)
        offset += len(output[at : at + size])
        if lines is not None:
            finished.append((lines.text, lines.truncated))
    assert finished == [("é".encode() * (LINE_MOST_BYTES // 2), True)]
    assert (machine.so_far, machine.truncated) == (b"next", False)


def test_a_character_is_not_cut_by_the_cap() -> None:
    output = b"x" + "é".encode() * LINE_MOST_BYTES
    machine = LineAssembler(Position(0))
    machine.feed(output, 0)
    machine.feed(b"y", len(output))
    assert machine.so_far == output[: LINE_MOST_BYTES - 1]
    assert machine.truncated


def test_a_line_of_exactly_the_most_is_whole() -> None:
    lines, _ = LineAssembler(Position(0)).feed(b"x" * LINE_MOST_BYTES + b"\n", 0)
    assert lines is not None
    assert (len(lines.text), lines.truncated) == (LINE_MOST_BYTES, False)


def test_places_stay_exact_in_a_line_of_many_coloured_chunks() -> None:
    machine, offset = LineAssembler(Position(0)), 0
    output = b""
    for number in range(400):
        chunk = b"\x1b[1mab\x1b[mc%d" % (number % 10)
        machine.feed(chunk, offset)
        output += chunk
        offset += len(chunk)
    for index, byte in enumerate(machine.so_far):
        assert output[machine.places.offset(index)] == byte


@pytest.mark.parametrize("shows", [True, False])
def test_the_alternate_screen_is_known_for_each_line(shows: bool) -> None:
    machine = LineAssembler(Position(0, 0, shows))
    lines, _ = machine.feed(b"a\nb\x1b[?1049hc\nd\x1b[?1049le\n\x1bcf\n", 0)
    assert lines is not None
    ends = [end.start() for end in re.finditer(rb"\n|\Z", lines.text)]
    assert [lines.on_alternate(end) for end in ends] == [shows, shows, True, True, False, False, False]
    assert machine.alternate is False


ATOMS = st.sampled_from(
    [
        b"\x1b",
        b"[",
        b"]",
        b"P",
        b"\\",
        b"?",
        b"1049",
        b"1",
        b";",
        b"h",
        b"l",
        b"m",
        b"H",
        b"\x07",
        b"\x18",
        b"\n",
        b"\r",
        b"a",
        b"\xc3\xa9",
        b"\xc3",
        b"\xff",
        b"\x7f",
        b"\0",
        b"(",
        b" ",
    ]
)


@settings(max_examples=800)
@given(st.lists(ATOMS, max_size=40).map(b"".join))
def test_the_fast_way_and_the_parser_agree(output: bytes) -> None:
    assert assembled(output) == assembled(*bytewise(output))


@settings(max_examples=300)
@given(st.binary(max_size=60))
def test_any_bytes_make_lines_of_valid_text(output: bytes) -> None:
    lines, so_far, signals = assembled(output)
    assert (lines, so_far, signals) == assembled(*bytewise(output))
    for line in [*[line for line, _ in lines], so_far]:
        line.decode()
        assert not re.search(rb"[\0-\x08\x0a-\x19\x1b-\x1f\x7f]", line)
