"""Which rules match which lines, where in the output, in which order; and that none of it depends on how output is cut."""

from __future__ import annotations

import random
import time
import tracemalloc
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coprocd.core import lines, regex, trigger_matcher
from coprocd.core.lines import LINE_MOST_BYTES, Position, Signal
from coprocd.core.trigger_matcher import Match, Matcher, Rule


def rules(*texts: str, instant: bool = False, stop: bool = False, interactive_apps: bool = True) -> list[Rule]:
    return [Rule(text, regex.compile(text), instant, interactive_apps, stop) for text in texts]


def matcher(given_rules: Iterable[Rule], position: Position | None = None) -> Matcher:
    return Matcher(given_rules, lambda: 0.0, position or Position(0))


def fed(given_rules: Iterable[Rule], *chunks: bytes) -> list[Match | Signal]:
    machine, offset, out = matcher(given_rules), 0, []
    for chunk in chunks:
        out += list(machine.feed(chunk, offset))
        offset += len(chunk)
    return out


def matches(given_rules: Iterable[Rule], *chunks: bytes) -> list[Match]:
    return [each for each in fed(given_rules, *chunks) if isinstance(each, Match)]


def told(given_rules: Iterable[Rule], *chunks: bytes) -> list[tuple[str, bytes, bytes | None]]:
    return [(match.rule.id, match.line, match.groups[0]) for match in matches(given_rules, *chunks)]


RZ = b"rz waiting to receive.**\x18B0100000023be50\r\x8a\x11"
SZ = b"rz\r**\x18B00000000000000\r\x8a\x11"


@pytest.mark.parametrize("instant", [False, True])
@pytest.mark.parametrize("size", [1, 3, 100])
def test_lrzsz_is_noticed_though_it_ends_no_line_with_lf(instant: bool, size: int) -> None:
    receive, send = rules(r"rz waiting to receive.\*\*B0100", r"\*\*B00000000000000", instant=instant)
    chunks = [RZ[at : at + size] for at in range(0, len(RZ), size)]
    (match,) = matches([receive, send], *chunks)
    assert RZ[match.start : match.end] == b"rz waiting to receive.**\x18B0100"
    assert (match.line_start, match.instant) == (0, instant and size < len(RZ))
    chunks = [SZ[at : at + size] for at in range(0, len(SZ), size)]
    (match,) = matches([receive, send], *chunks)
    assert SZ[match.start : match.end] == b"**\x18B00000000000000"
    assert match.line_start == 3


def test_rules_fire_line_by_line_then_as_listed_then_match_by_match() -> None:
    out = fed(rules("a", "b"), b"ba\x07a\r\nbb\r\n\x07ab\x1b]9;hi\x07\n")
    assert [each.rule.id if isinstance(each, Match) else each.kind for each in out] == [
        "bell",
        "a",
        "a",
        "b",
        "b",
        "b",
        "bell",
        "osc",
        "a",
        "b",
    ]


def test_after_a_match_of_a_rule_that_stops_later_rules_are_not_tried_on_that_line() -> None:
    given_rules = [*rules("a"), *rules("stop", stop=True), *rules("b")]
    assert told(given_rules, b"ab stop stop\nab\n") == [
        ("a", b"ab stop stop", b"a"),
        ("stop", b"ab stop stop", b"stop"),
        ("stop", b"ab stop stop", b"stop"),
        ("a", b"ab", b"a"),
        ("b", b"ab", b"b"),
    ]


def test_an_instant_rule_fires_at_once_and_once_for_its_line() -> None:
    machine = matcher(rules("pass", instant=True))
    assert [match.line for match in machine.feed(b"pass", 0) if isinstance(match, Match)] == [b"pass"]
    assert machine.fired_in_line == {"pass"}
    assert list(machine.feed(b"word pass\r", 4)) == []
    assert machine.fired_in_line == set()
    assert len(list(machine.feed(b"\nno", 14))) == 0
    assert len(list(machine.feed(b"\npass pass\npass", 17))) == 3


def test_an_instant_rule_that_stops_ends_the_list_for_the_line_so_far() -> None:
    given_rules = [*rules("a", instant=True, stop=True), *rules("b", instant=True)]
    assert [match.rule.id for match in matches(given_rules, b"ab")] == ["a"]


def test_rules_not_for_interactive_apps_do_not_fire_on_the_alternate_screen() -> None:
    given_rules = [*rules("a", interactive_apps=False), *rules("b"), *rules("a.", interactive_apps=False, instant=True)]
    output = b"ab\n\x1b[?1049hab\nab\x1b[?1049lab\nab"
    assert [match.rule.id for match in matches(given_rules, output)] == ["a", "b", "a.", "b", "b", "a", "b", "a.", "a."]
    assert [match.rule.id for match in matches(given_rules, output[:11], output[11:])] == ["a", "b", "a.", "b", "b", "a", "b", "a.", "a."]


@pytest.mark.parametrize(
    ("pattern", "output", "places"),
    [
        ("^$", b"a\r\nb\n", []),
        ("^$", b"a\r\n\r\nb\n\n", [(3, 3), (7, 7)]),
        ("^$", b"\r\r\r\n", [(0, 0)]),
        ("^$", b"a\r\x1b[K\nb\x1b[H\x1b[H\n", [(13, 13)]),
        (".*", b"a\r\nb\n", [(0, 1), (3, 4)]),
        ("x*", b"ab\n", [(0, 0)]),
        ("$", b"a\x1b[m\nb", [(1, 1)]),
    ],
)
def test_an_empty_match_fires_once_for_a_line_and_not_between_cr_and_lf(pattern: str, output: bytes, places: list[tuple[int, int]]) -> None:
    assert [(match.start, match.end) for match in matches(rules(pattern), output)] == places
    assert [(match.start, match.end) for match in matches(rules(pattern), *[bytes([byte]) for byte in output])] == places


def test_offsets_are_those_of_the_output() -> None:
    output = b"one\n\x1b[1mtwo\x1b[0m \xc3\xa9\xff th\x1b]0;t\x07ree\r\n"
    (match,) = matches(rules("wo.*h(r)"), output)
    assert match.line == "two é\x1a three".encode()
    assert output[match.start : match.end] == b"wo\x1b[0m \xc3\xa9\xff th\x1b]0;t\x07r"
    assert (match.line_start, match.line_end) == (4, len(output) - 2)
    assert match.groups[1] == b"r"


def test_a_line_too_long_is_matched_as_far_as_it_is_kept() -> None:
    output = b"start" + b"x" * (2 * LINE_MOST_BYTES) + b"end\nend\n"
    found = matches(rules("start", "end", "x$"), output)
    assert [(match.rule.id, match.truncated, match.start) for match in found] == [
        ("start", True, 0),
        ("x$", True, LINE_MOST_BYTES - 1),
        ("end", False, len(output) - 4),
    ]
    assert len(found[0].line) == LINE_MOST_BYTES


def test_who_stops_in_the_middle_goes_on_elsewhere() -> None:
    machine = matcher(rules("a", "b"))
    stream = machine.feed(b"\x1b[?1049ha\n\x1b[?1049lab\n", 0)
    first = next(stream)
    assert isinstance(first, Match)
    machine.restart(100)
    assert machine.position() == Position(100, 0, True)
    assert [match.start for match in machine.feed(b"b\n", 100) if isinstance(match, Match)] == [100]


def test_new_rules_see_the_line_so_far() -> None:
    machine = matcher([])
    assert list(machine.feed(b"hel", 0)) == []
    machine.set_rules(rules("hello"))
    assert [match.start for match in machine.feed(b"lo\n", 3) if isinstance(match, Match)] == [0]


PIECES = [
    b"a", b"b", b"ab", b" ", b"\t", b"\r", b"\n", b"\r\n", b"\n\n", b"\x0b", b"\x0c", b"\x07", b"\x18", b"\x1a", b"\x7f", b"\0", b"\x1b", b"[", b"m", b"H", b"1;", b"?",
    b"\x1b[1;31m", b"\x1b[m", b"\x1b[K", b"\x1b[H", b"\x1b[2;3H", b"\x1b[A", b"\x1bM", b"\x1bc", b"\x1b7", b"\x1b(B", b"\x1b\\", b"\x1b[?25l",
    b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[?7;47h", b"\x1b[?1;1047l", b"\x1b]0;title a\x07", b"\x1b]9;4;1;5\x1b\\", b"\x1b]8;;http://a\x1b\\", b"\x1b]777;", b"\x1bPa\nb\x1b\\", b"\x1b_a",
    b"\x1b[" + b"1" * 70, b"\x1b[?" + b"0" * 70 + b"1049h", b"\xc3\xa9", b"\xc3", b"\xa9", b"\xe2\x82\xac", b"\xe2\x82", b"\xf0\x9f\x98\x80", b"\xff", b"\xed\xa0\x80", b"aab", b"a" * 30,
]  # fmt: skip
OUTPUT = st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join)
CUTS = st.lists(st.integers(1, 12), min_size=1, max_size=8)
NORMAL = [
    *rules("a", "a+", "^a", "b$", "a.b", "(a)|(b)", "^$", "x*", r"\bé", "\x1a+", r"\w+", r"\S$"),
    *rules("ab", stop=True),
    *rules("b", interactive_apps=False),
]


def cut(output: bytes, sizes: list[int]) -> list[bytes]:
    chunks, at = [], 0
    while at < len(output):
        size = sizes[len(chunks) % len(sizes)]
        chunks.append(output[at : at + size])
        at += size
    return chunks


@settings(max_examples=600)
@given(OUTPUT, CUTS)
def test_nothing_depends_on_how_output_is_cut(output: bytes, sizes: list[int]) -> None:
    whole = fed(NORMAL, output)
    assert fed(NORMAL, *cut(output, sizes)) == whole
    assert fed(NORMAL, *cut(output, [1])) == whole


@settings(max_examples=300)
@given(OUTPUT, CUTS, st.integers(4, 40))
def test_nothing_depends_on_it_where_lines_are_too_long(output: bytes, sizes: list[int], most: int) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(lines, "LINE_MOST_BYTES", most)
        patched.setattr(trigger_matcher, "SLICE_BYTES", most - 3)
        whole = fed(NORMAL, output)
        assert fed(NORMAL, *cut(output, sizes)) == whole
        assert fed(NORMAL, *cut(output, [1])) == whole
    assert all(len(each.line) <= most for each in whole if isinstance(each, Match))


@settings(max_examples=300)
@given(OUTPUT, CUTS)
def test_instant_rules_fire_for_the_same_lines_however_output_is_cut(output: bytes, sizes: list[int]) -> None:
    instant = [*rules("a", "^a", "ab", "a.b", r"\Wa", "é", instant=True), *rules("b", interactive_apps=False, instant=True)]

    def fires(*chunks: bytes) -> set[tuple[str, int]]:
        pairs = [(match.rule.id, match.line_start) for match in matches(instant, *chunks)]
        return set(pairs)

    assert fires(*cut(output, sizes)) == fires(output) == fires(*cut(output, [1]))


@settings(max_examples=400)
@given(OUTPUT, CUTS)
def test_a_match_is_where_the_output_has_it(output: bytes, sizes: list[int]) -> None:
    for match in matches(rules("a+b?", "b", "€", "é", ".+", r"\x1a"), *cut(output, sizes)):
        text = match.groups[0]
        assert text
        raw = output[match.start : match.end]
        assert match.line_start <= match.start < match.end <= match.line_end
        for end in (0, -1):
            assert raw[end] == text[end] or text[end] == 0x1A
        if match.rule.id != ".+" and b"\x1b" not in raw and not set(raw) & set(range(32)) and 0x7F not in raw:
            assert text == b"\x1a" or raw == text
        assert match.line_end - match.line_start >= len(match.line)


@settings(max_examples=500)
@given(OUTPUT, CUTS, st.integers(0, 100))
def test_a_matcher_made_anew_from_a_position_goes_on_as_the_old_one(output: bytes, sizes: list[int], at: int) -> None:
    at = min(at, len(output))
    given_rules = [*NORMAL, *rules("a", "ab", instant=True)]
    given_rules = [rule._replace(id=str(number)) for number, rule in enumerate(given_rules)]
    old, offset = matcher(given_rules), 0
    for chunk in cut(output[:at], sizes):
        list(old.feed(chunk, offset))
        offset += len(chunk)
    position = old.position()
    new = matcher(given_rules, position)
    new.replay(output[position.line_at : at], position.line_at)
    new.fired_in_line = set(old.fired_in_line)
    assert new.position() == position
    assert list(new.feed(output[at:], at)) == list(old.feed(output[at:], at))
    assert new.position() == old.position()


@pytest.mark.parametrize(
    "unit",
    [
        b"x",
        b"\0",
        b"\xff",
        b"\xc3",
        bytes(range(256)),
        b"\x1b",
        b"\x1b[",
        b"\x1b[1",
        b"\x1b]",
        b"\x1b]9;xxxx",
        b"\x1bP",
        b"\x07",
        b"\xe2\x82",
        b"x\x1b[m",
        b"\x1b[H",
        b"\r",
        b"x\x1b[1;1\nm",
    ],
    ids=repr,
)
def test_hostile_output_takes_bounded_memory(unit: bytes) -> None:
    machine = matcher(rules("(a+)+$", "^.{3}x", "nothing"))
    chunk = unit * (16384 // len(unit))
    offset, count = 0, 0
    tracemalloc.start()
    try:
        for _ in range(10):
            for _each in machine.feed(chunk, offset):
                count += 1
            offset += len(chunk)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()
    assert machine.position().line_at <= offset


def test_rules_that_cost_too_much_are_switched_off_and_the_rest_goes_on() -> None:
    costly = [Rule(f"costly{number}", regex.compile(f"a[ab]{{{12 + number % 4}}}(b|c{number})")) for number in range(40)]
    machine = Matcher([*costly, *rules("needle")], time.monotonic, Position(0), worked=time.thread_time)
    seed = random.Random(1)
    offset = 0
    slow: list[str] = []
    for _ in range(30):
        chunk = bytes(seed.choices(b"ab", k=4000)) + b"\n"
        list(machine.feed(chunk, offset))
        slow += [rule for rule, seconds in machine.too_slow() if seconds > 0]
        offset += len(chunk)
    assert slow  # which of them depends on the machine
    assert "needle" not in slow
    begun = time.thread_time()
    for _ in range(30):
        chunk = bytes(seed.choices(b"ab", k=4000)) + b"\nneedle\n"
        assert [match.rule.id for match in machine.feed(chunk, offset) if isinstance(match, Match) and match.rule.id == "needle"]
        offset += len(chunk)
    assert time.thread_time() - begun < 1


def test_a_rule_that_matches_at_every_character_of_long_lines_is_switched_off() -> None:
    machine = Matcher(rules("a(.*z)?", "end"), time.monotonic, Position(0), worked=time.thread_time)
    begun = time.thread_time()
    out = list(machine.feed(b"a" * LINE_MOST_BYTES + b"\nend\n", 0))
    assert time.thread_time() - begun < 5
    assert [rule for rule, _ in machine.too_slow()] == ["a(.*z)?"]
    assert isinstance(out[-1], Match)
    assert out[-1].rule.id == "end"


def test_a_busy_machine_switches_no_rule_off() -> None:
    calls = 0

    def clock() -> float:
        """Stands still, but for a tenth of a second at every hundredth look."""
        nonlocal calls
        calls += 1
        return calls // 100 * 0.1

    machine = Matcher(rules("needle", "thread"), clock, Position(0))
    output = b"some text and a 7\n" * 200
    for number in range(200):
        list(machine.feed(output, number * len(output)))
    assert machine.too_slow() == []


def test_a_rule_that_is_only_counted_matches_again_when_all_are_to_match() -> None:
    matcher = Matcher([Rule("a", regex.compile("a")), Rule("b", regex.compile("b"))], lambda: 0.0, Position(0))
    found = []
    for match in matcher.feed(b"aaaab\n", 0):
        assert isinstance(match, Match)
        found.append(match.rule.id)
        if match.rule.id == "a":
            matcher.only_count("a")
    assert found == ["a", "b"] and list(matcher.take_counted()) == [("a", 3)]
    assert list(matcher.take_counted()) == []
    matcher.match_all()
    assert [match.rule.id for match in matcher.feed(b"a\n", 6) if isinstance(match, Match)] == ["a"]


def test_of_one_rule_in_one_line_no_more_matches_than_could_fire_are_made() -> None:
    found = matches(rules("a", "b"), b"a" * 5000 + b"b\n" + b"ab\n")
    assert [sum(match.rule.id == rule.id for match in found) for rule in rules("a", "b")] == [trigger_matcher.MATCHES_MOST + 1, 2]
