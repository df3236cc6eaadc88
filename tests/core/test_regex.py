"""What a trigger's regex may be, what it means on many lines at once, and what is said where it may not be."""

from __future__ import annotations

import weakref

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from coprocd.core import regex, regex_syntax
from coprocd.core.regex import Pattern, PatternSet
from coprocd.protocol.errors import CoprocdError


def spans(pattern: str, text: bytes) -> list[tuple[int, int]]:
    return [(found.start, found.end) for found in regex.compile(pattern).finditer(text)]


def refusal(pattern: str) -> str:
    with pytest.raises(CoprocdError) as refused:
        regex.compile(pattern)
    assert refused.value.code == "invalid_regex"
    assert refused.value.data["reason"]
    return refused.value.message


@pytest.mark.parametrize(
    ("pattern", "remedy"),
    [
        ("foo(?=bar)", "look ahead or behind"),
        ("foo(?!bar)", "look ahead or behind"),
        ("(?<=a)b", "look ahead or behind"),
        ("(?<!a)b", "look ahead or behind"),
        ("(?i)foo(?!bar)", "look ahead or behind"),
        ("(?i:a(b)", "cannot be used: missing ); "),
        (r"(a)\1", "no back-references"),
        (r"(?<n>a)\k<n>", "no back-references"),
        (r"(?P<n>a)(?P=n)", "no back-references"),
        (r"done\Z", r"write `$` or `\z`"),
        ("a*+b", "leave the last `+` of `*+` out"),
        ("a{2}+", "leave the last `+` of `{2}+` out"),
        ("(?>a)", "write `(?:`"),
        (r"a\hb", r"write `[ \t]`"),
        (r"[\h]", r"write `[ \t]`"),
        (r"\u201c", r"write `\x{201c}`"),
        (r"[\u201c]", r"write `\x{201c}`"),
        (r"\N{DASH}", r"write `\x{...}`"),
        (r"\e\[1m", "escape sequences are gone"),
        ("(?x) a b", "leave the flag x out"),
        ("(?w)a", "only i, m, s and U"),
        ("(?#why)a", "leave the comment out"),
        ("a(?R)?b", "no recursion"),
        ("[", "missing ]"),
        ("(", "missing )"),
        ("*", "write a backslash"),
        (r"\é", "without the backslash"),
        ("a{1001}", "at most 1000 repetitions"),
        (r"(\pL{30}|\pN{30}){30}", "write"),
        ("|".join(rf"abc{i}\pL+" for i in range(700)), "write it shorter"),
        ("a" * (regex.PATTERN_MOST_BYTES + 1), "write several triggers"),
        (r"a\C", "write `.`"),
        ("\ud800", "half a surrogate pair"),
    ],
)
def test_a_refusal_says_what_to_write_instead(pattern: str, remedy: str) -> None:
    assert remedy in refusal(pattern)


def test_a_refusal_names_the_regex_and_the_reason() -> None:
    message = refusal("abc(?=d)")
    assert "`abc(?=d)`" in message
    assert "invalid perl operator: (?=" in message


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("^a", b"a\nba\na", [(0, 1), (5, 6)]),
        ("a$", b"a\nab\na", [(0, 1), (5, 6)]),
        (r"\Aa", b"a\nba\na", [(0, 1), (5, 6)]),
        (r"a\z", b"a\nab\na", [(0, 1), (5, 6)]),
        ("(?-m)^a", b"b\na", [(2, 3)]),
        ("(?ms:a.b)", b"a\nb axb", [(4, 7)]),
        ("(?m-i)A", b"a\nA", [(2, 3)]),
        ("(?im)A", b"a\nA", [(0, 1), (2, 3)]),
        ("(?s)a.b", b"a\nb", []),
        (r"a\sb", b"a\nb a b", [(4, 7)]),
        ("a[^x]b", b"a\nb", []),
        (r"a\n?b", b"a\nb ab", [(4, 6)]),
        (r"\Qa*\E+", b"a** a", [(0, 3)]),
        (r"\QA\A\z", b"A", []),
        (r"[A\]z]+", b"\\A]z", [(1, 4)]),
        (r"\x{41}+", b"AA", [(0, 2)]),
        ("é+", "aéé".encode(), [(1, 5)]),
        ("a{,3}", b"xa{,3}", [(1, 6)]),
        (".*", b"abc\n\nd", [(0, 3), (4, 4), (5, 6)]),
        ("x*", b"axxb", [(0, 0), (1, 3)]),
        ("x*", "éx".encode(), [(0, 0), (2, 3)]),
        ("$", b"ab\ncd", [(2, 2), (5, 5)]),
        ("^", b"ab\ncd", [(0, 0), (3, 3)]),
        ("^$", b"a\n\nb", [(2, 2)]),
        ("a|$", b"ab", [(0, 1)]),
        ("(a+)+$", b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", []),
    ],
)
def test_a_pattern_is_matched_line_by_line(pattern: str, text: bytes, found: list[tuple[int, int]]) -> None:
    assert spans(pattern, text) == found


PIECES = [
    "a",
    "b",
    "é",
    " ",
    ".",
    "^",
    "$",
    r"\A",
    r"\z",
    r"\b",
    r"\B",
    "*",
    "+",
    "?",
    "|",
    "(",
    ")",
    "[^a]",
    r"\s",
    r"\W",
    "(?m)",
    "(?-m)",
    "(?s)",
    "(?i-m:",
    r"\n",
    "x",
]


@settings(max_examples=400)
@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join), st.lists(st.text("abé x", max_size=6), max_size=5))
def test_many_lines_at_once_match_as_each_by_itself(pattern: str, lines: list[str]) -> None:
    try:
        compiled = regex.compile(pattern)
    except CoprocdError:
        return
    expected, start = [], 0
    for line in (one.encode() for one in lines):
        expected += [(start + found.start, start + found.end, found.groups) for found in compiled.finditer(line)]
        start += len(line) + 1
    text = "\n".join(lines).encode()
    found_at_once = [(found.start, found.end, found.groups) for found in compiled.finditer(text)] if lines else []
    assert found_at_once == expected
    assert bool(PatternSet([compiled]).hits(text)) == bool(spans(pattern, text))


@given(st.text("ab\\[](){}?*+<>=!:^$mQEAzZkux1,-é", max_size=30))
def test_the_pieces_of_any_regex_are_the_regex(pattern: str) -> None:
    assert "".join(text for _, text in regex_syntax.tokens(pattern)) == pattern
    try:
        regex.compile(pattern)
    except CoprocdError as error:
        assert error.code == "invalid_regex"


def test_groups_are_given_up_to_the_ninth() -> None:
    found = regex.compile("(a)|(b)").search(b"b")
    assert found is not None
    assert found.groups == (b"b", None, b"b")
    many = regex.compile("(a)" * 12).search(b"a" * 12)
    assert many is not None
    assert len(many.groups) == 10


def patterns(*texts: str) -> list[Pattern]:
    return [regex.compile(text) for text in texts]


@pytest.mark.parametrize("parts", [1, 2, 5])
def test_a_set_names_the_patterns_that_match_in_order(parts: int) -> None:
    together = PatternSet(patterns("b", "^a$", "x", "c", ""), parts)
    assert together.hits(b"a\nbc") == [0, 1, 3, 4]
    assert together.hits(b"-") == [4]


def test_an_empty_set_has_no_hits() -> None:
    assert PatternSet([]).hits(b"text") == []


def test_a_set_that_runs_out_of_memory_tries_each_pattern(monkeypatch: pytest.MonkeyPatch) -> None:
    together = PatternSet(patterns("a", "b"))
    monkeypatch.setattr(re2.Set, "Match", lambda self, text: None)
    assert together.hits(b"xb") == [1]


def test_a_set_too_large_for_one_is_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regex, "SET_MEMORY_BYTES", (1 << 16, 1 << 16))
    together = PatternSet(patterns(*[rf"error{i} \pL+" for i in range(20)], r"\pL{20}"))
    assert together.hits(b"error7 x") == [7]


def test_empty_matches_of_a_long_line_are_passed_over_in_linear_time() -> None:
    assert len(spans("x*", b"a" * 200_000 + b"\nxx")) == 2


def test_the_same_patterns_share_one_set_and_other_parts_do_not() -> None:
    first = PatternSet.shared(patterns("shared", "by all"))
    assert PatternSet.shared(patterns("shared", "by all")) is first
    assert PatternSet.shared(patterns("shared", "by all"), 2) is not first
    assert PatternSet.shared(patterns("by all", "shared")) is not first


def test_a_pattern_is_compiled_once_for_as_long_as_somebody_holds_it() -> None:
    held, big = regex.compile("held"), regex.compile("(a{400}|b{400}){2}")
    for number in range(2 * regex.RECENT_MOST):
        regex.compile(f"other{number}")
    assert regex.compile("held") is held and regex.compile("(a{400}|b{400}){2}") is big


def test_patterns_that_nobody_holds_do_not_stay() -> None:
    small = [weakref.ref(regex.compile(f"small{number}")) for number in range(1000)]
    big = [weakref.ref(regex.compile(f"(big{number}|a{{400}}|b{{400}}){{2}}")) for number in range(1000)]
    assert sum(one() is not None for one in small) == regex.RECENT_MOST
    assert sum(one() is not None for one in big) == regex.RECENT_BIG_MOST
    assert regex.compile("small999") is small[-1]()
