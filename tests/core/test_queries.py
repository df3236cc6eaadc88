"""The filter that takes questions to the terminal out of output."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coprocd.protocol.queries import HELD_MOST_BYTES, Queries

ASK = [
    *(b"\x05", b"\x1bZ", b"\x1b[c", b"\x1b[0c", b"\x1b[>c", b"\x1b[>0c", b"\x1b[=c", b"\x1b[5n", b"\x1b[6n", b"\x1b[?6n", b"\x1b[?996n"),
    *(b"\x1b[?25$p", b"\x1b[4$p", b"\x1b[>q", b"\x1b[>0q", b"\x1b[x", b"\x1b[1x", b"\x1b[1;1;1;1;1;1*y", b"\x1b[?u", b"\x1b[?1;1;0S"),
    *(b"\x1b[?4m", b"\x1b[1$u", b"\x1b[&u", b"\x1b[1$w", b"\x1b['|", b'\x1b["v', b"\x1b[#R", b"\x1b[+x", b"\x1b[1;1;9;9#|"),
    *(b"\x1b%@", b"\x1b%8", b"\x1b%\x00@", b"\x1b]99;i=1:p=alive;\x07"),
    *(b"\x1b[%dt" % number for number in (11, 13, 14, 15, 16, 18, 19, 20, 21)),
    *(b"\x1b[14;2t", b"\x1b[?2048h", b"\x1bP$qm\x1b\\", b"\x1bP+q544e\x1b\\", b"\x1bP+Qfont\x1b\\", b"\x1bPtmux;\x1b\x1b"),
    *(
        b"\x1b]4;1;?\x07",
        b"\x1b]10;?\x1b\\",
        b"\x1b]010;?\x07",
        b"\x1b]11;#fff;?\x07",
        b"\x1b]52;c;?\x07",
        b"\x1b]50;?\x07",
        b"\x1b]60\x07",
    ),
    *(b"\x1b]1337;ReportCellSize\x07", b"\x1b]22;?__current__\x07", b"\x1b]21;foreground=?\x07", b"\x1b]99;i=1:p=?;\x07"),
    *(b"\x1b]5522;type=read;aa\x07", b"\x1b_Gi=1,a=q;AAAA\x1b\\", b"\x1b[\x006n", b"\x1b\x00[6\x0an", b"\x1b]1\x000;?\x07"),
    *(b"\x1b[" + b"0" * HELD_MOST_BYTES + b"n", b"\x1b]4;" + b"1;#fff;" * 1000 + b"\x07"),
]
TELL = [
    *(
        b"plain text",
        b"\r\n",
        "Größe 宽 ²§".encode(),
        b"\x07",
        b"\x1b[m",
        b"\x1b[1;31m",
        b"\x1b[2J",
        b"\x1b[10;20H",
        b"\x1b[?25h",
        b"\x1b[?25l",
    ),
    *(
        b"\x1b[?1049h",
        b"\x1b[?2004;1h",
        b"\x1b[2 q",
        b"\x1b[!p",
        b"\x1b[>1u",
        b"\x1b[<u",
        b"\x1b[=1;1u",
        b"\x1b[u",
        b"\x1b[s",
        b"\x1b[>4;2m",
    ),
    *(
        b"\x1b[22;0t",
        b"\x1b[23;0t",
        b"\x1b[8;24;80t",
        b'\x1b[61"p',
        b"\x1b[1;5r",
        b"\x1b[3S",
        b"\x1b[1;1;2;2$x",
        b"\x1b[?2026h",
        b"\x1b(0",
        b"\x1b7",
    ),
    *(
        b"\x1b]0;a title?\x07",
        b"\x1b]2;?\x1b\\",
        b"\x1b]8;;http://x/?a\x1b\\",
        b"\x1b]10;#123456\x07",
        b"\x1b]4;1;#fff\x07",
        b"\x1b]52;c;aGk=\x07",
    ),
    *(
        b"\x1b]104\x07",
        b"\x1b]1337;File=name=a:?\x07",
        b"\x1b]99;i=1;p=?\x07",
        b"\x1b]133;A\x07",
        b"\x1bPq#0;2;0;0;0~~\x1b\\",
        b"\x1b_Ga=T;AAAA\x1b\\",
    ),
    *(b"\x1bc", b"\x1b#8", b"\x1b=", b"\x1b%G", b"\x1bPq" + b"~" * 3 * HELD_MOST_BYTES + b"\x1b\\", b"\x1b]52;c;" + b"A" * 9000 + b"\x07"),
    *(b"\x18", b"\x1a", b"\x1b[\x18"),
]
FRAGMENT = st.sampled_from(
    [
        *(
            b"\x1b",
            b"[",
            b"]",
            b"P",
            b"_",
            b"Z",
            b"%",
            b"@",
            b"G",
            b"a=q",
            b"?",
            b"6",
            b"n",
            b"c",
            b";",
            b"10",
            b"52;c;",
            b"$q",
            b"+q",
            b"tmux;",
            b"1337;",
        ),
        *(
            b"\x07",
            b"\x18",
            b"\x00",
            b"\n",
            b"\xc2",
            b"\x9b",
            b"\x9c",
            b"\x9d",
            b"\x90",
            b"\x9f",
            b"\x9a",
            b"\x05",
            b"x",
            b"2048h",
            b"Report",
        ),
        *(b"0" * 3000, b"\0" * 20),
    ]
)


ST = b"\x1b\\"
"""What stands in a question's place, and has no effect."""


def fed(*pieces: bytes) -> bytes:
    queries = Queries()
    return b"".join(map(queries.feed, pieces))


@pytest.mark.parametrize("question", ASK, ids=lambda question: repr(question[:24]))
def test_a_question_goes_and_what_is_around_it_stays(question: bytes) -> None:
    assert fed(b"before" + question + b"after").replace(ST, b"").translate(None, b"\x1b\0\n") == b"beforeafter"


@pytest.mark.parametrize("output", TELL, ids=lambda output: repr(output[:24]))
def test_what_asks_nothing_stays(output: bytes) -> None:
    assert fed(b"before" + output + b"after") == b"before" + output + b"after"


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(ASK), st.sampled_from(TELL))), st.data())
def test_nothing_but_questions_goes_however_output_is_cut(parts: list[tuple[bytes, bytes]], data: st.DataObject) -> None:
    output = b"".join(question + told + b"." for question, told in parts)
    expected = b"".join(told + b"." for _, told in parts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(output)), max_size=12)))
    pieces = [output[start:end] for start, end in zip([0, *cuts], [*cuts, len(output)], strict=True)]
    queries = Queries()
    left = b"".join(map(queries.feed, pieces))
    assert left.replace(ST, b"").replace(b"\x1b\x1b", b"").translate(None, b"\0\n") == expected.replace(ST, b"").translate(None, b"\n")
    assert queries.between


@settings(max_examples=2000, deadline=None)
@given(st.lists(FRAGMENT, max_size=30), st.data())
def test_any_cut_gives_the_same(fragments: list[bytes], data: st.DataObject) -> None:
    output = b"".join(fragments) + b"\x18."
    cuts = sorted(data.draw(st.lists(st.integers(0, len(output)), max_size=12)))
    pieces = [output[start:end] for start, end in zip([0, *cuts], [*cuts, len(output)], strict=True)]
    assert fed(*pieces).replace(ST, b"") == fed(output).replace(ST, b"")
    short = output.replace(b"0" * 3000, b"00")
    assert fed(*(short[at : at + 1] for at in range(len(short)))).replace(ST, b"") == fed(short).replace(ST, b"")


@settings(max_examples=300, deadline=None)
@given(st.lists(FRAGMENT, max_size=30))
def test_what_is_left_asks_nothing(fragments: list[bytes]) -> None:
    left = fed(b"".join(fragments) + b"\x18.")
    assert fed(left) == left


def test_a_sequence_that_a_question_cut_off_does_not_go_on_behind_it() -> None:
    assert fed(b"\x1b\x1bZ[c") == b"\x1b" + ST + b"[c"
    assert fed(b"\x1b]0;title", b"\x1b[", b"cmore") == b"\x1b]0;title" + ST + b"more"


def test_a_control_inside_a_sequence_stands_before_it() -> None:
    assert fed(b"\x1b\x00[?10\n00h.") == ST + b"\x00\n\x1b[?1000h."
    assert fed(b"\x1b\x00", b"[?10", b"\n00", b"h.") == ST + b"\x00" + ST + b"\n\x1b[?1000h."


def test_characters_that_begin_sequences_in_some_terminals_go() -> None:
    output = "\u009b6n \u009d10;?\u009c \u0085§ \xc2".encode()
    assert fed(output) == b"6n 10;? \xc2\xa7 \xc3\x82"
    assert fed(*(output[at : at + 1] for at in range(len(output)))) == fed(output)


def test_what_is_held_back_is_bounded() -> None:
    queries = Queries()
    for piece in (b"\x1b]10;", b"\x1b[", b"\x1bP$q", b"\x1b]52;"):
        queries.feed(piece)
        for _ in range(100):
            assert queries.feed(b"0" * 1000) in (b"", ST)
            assert len(queries._held) <= HELD_MOST_BYTES + 1000
        assert queries.feed(b"\x18.")[-2:] == b"\x18."


def test_a_string_that_is_passed_on_is_not_held_and_nothing_can_be_put_into_it() -> None:
    queries = Queries()
    assert queries.feed(b"\x1bPq~~~") == b"\x1bPq~~~" and not queries.between
    assert queries.feed(b"~~") == b"~~" and not queries.between
    assert queries.feed(b"\x1b") == b"" and queries.between
    assert queries.feed(b"\\text") == b"\x1b\\text" and queries.between


def test_plain_output_costs_next_to_nothing() -> None:
    piece = (b"0123456789 the quick brown fox jumps over the lazy dog\r\n" * 1200)[:65536]
    queries = Queries()
    best = min(_seconds(queries, piece) for _ in range(5))
    assert 100 * len(piece) / best > 1e9  # 20 GB/s where it was measured


def test_output_full_of_sequences_is_filtered_faster_than_a_terminal_takes_it() -> None:
    piece = (b"\x1b[0m\x1b[01;34mdirectory\x1b[0m  \x1b[01;32mfile.sh\x1b[0m\r\n" * 2000)[:65536]
    queries = Queries()
    best = min(_seconds(queries, piece) for _ in range(5))
    assert 100 * len(piece) / best > 20e6  # 90 MB/s where it was measured


def _seconds(queries: Queries, piece: bytes) -> float:
    begun = time.perf_counter()
    for _ in range(100):
        queries.feed(piece)
    return time.perf_counter() - begun
