"""Matching of triggers: output in, matches out, in the order in which they stand in it. Sans-IO.

A chunk's text is first tried against all rules at once (`PatternSet`), and most often that is all. Only rules that hit are searched for
their places; since no pattern can match a newline, what matches in the chunk matches in the line.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from coprocd.core.lines import GROUND, Lines, Sign, Text
from coprocd.core.regex import Found, Pattern, PatternSet

LINE_MOST = 64 << 10
"""Of a longer line the first so many bytes are matched."""

MATCHES_MOST = 1000
"""Of one rule in one chunk: more could not fire anyway."""

SLOW_S = 0.005
SLOW_PER_BYTE_S = 100e-9
SAMPLE_BYTES = 4096
"""Where matching a chunk takes longer than SLOW_S, the rules are tried one by one on a sample; those over so much a byte are given up."""


class Rule(NamedTuple):
    id: str
    pattern: Pattern
    instant: bool = False
    interactive_apps: bool = True
    stop: bool = False


class Position(NamedTuple):
    """Enough to go on by: the line so far begins at `line_at`, and whether the alternate screen showed there."""

    line_at: int
    mode: int = 0


class Match(NamedTuple):
    """A rule has matched; offsets are of the output, `groups` are \\0 to \\9."""

    rule: Rule
    line: bytes
    groups: tuple[bytes | None, ...]
    start: int
    end: int
    line_start: int
    line_end: int
    instant: bool
    truncated: bool


Signal = Sign
_Found = tuple[int, int, Found]
"""Where its line begins in the text, the number of the rule, RE2's match."""


class Matcher:
    """Fed with output in order."""

    def __init__(self, rules: Sequence[Rule], clock: Callable[[], float], position: Position) -> None:
        self.fired_in_line: set[str] = set()
        self._clock = clock
        self._lines = Lines(GROUND, bool(position.mode))
        self._slow: list[tuple[str, float]] = []
        self._truncated = self._after_cr = False
        self._begin_line(Text(b"", b"", [0], [position.line_at], [], []), bool(position.mode))
        self.set_rules(rules)

    def set_rules(self, rules: Sequence[Rule]) -> None:
        """From now on it is these; the line so far stays."""
        self._rules = list(rules)
        self._instant = [number for number, rule in enumerate(rules) if rule.instant]
        self._sets: tuple[PatternSet, PatternSet] | None = None

    def restart(self, offset: int) -> None:
        """What came before `offset` belongs to no line."""
        self._lines.restart()
        self.fired_in_line.clear()
        self._begin_line(Text(b"", b"", [0], [offset], [], []), self._lines.alternate)

    def position(self) -> Position:
        return Position(self._line.offset(0), int(self._alternate))

    def replay(self, data: bytes, offset: int) -> None:
        """The line so far, again: nothing is matched."""
        rules, self._rules, self._instant = self._rules, [], []
        self._sets = None
        for _ in self.feed(data, offset):
            pass
        self.set_rules(rules)

    def too_slow(self) -> list[tuple[str, float]]:
        """The rules that it has given up since it was asked last, and how long each took."""
        slow, self._slow = self._slow, []
        return slow

    def feed(self, data: bytes, offset: int) -> Iterator[Match | Signal]:
        """What the next chunk leads to. A caller that stops in the middle must call `restart`."""
        if self._sets is None:
            patterns = [rule.pattern for rule in self._rules]
            self._sets = PatternSet.shared(patterns), PatternSet.shared([patterns[number] for number in self._instant])
        new = self._lines.feed(data, offset)
        yield from new.signs
        text, truncated = self._join(new), self._truncated
        end = text.text.rfind(b"\n") + 1
        if end:
            yield from self._search(text, end, range(len(self._rules)), self._sets[0], truncated)
            self.fired_in_line.clear()
            self._begin_line(_part(text, end), self._lines.alternate)
            self._after_cr = text.ended_by[end - 1 : end] == b"\r"
        else:
            self._line = text
        if len(self._line.text) > LINE_MOST:
            self._line = self._line._replace(text=self._line.text[:LINE_MOST], ended_by=self._line.ended_by[:LINE_MOST])
            self._truncated = True
        if self._instant and self._line.text:
            yield from self._search(self._line, len(self._line.text), self._instant, self._sets[1], self._truncated, partial=True)

    # -- the line so far ------------------------------------------------------------------------------------------------

    def _begin_line(self, line: Text, alternate: bool) -> None:
        self._line = line
        self._alternate = alternate
        self._truncated = False
        self._after_cr = False

    def _join(self, new: Text) -> Text:
        """The line so far and the new text; of a line that is too long what is over is left out."""
        line = self._line
        if self._truncated:
            cut = new.text.find(b"\n")
            new = _part(new, len(new.text) if cut < 0 else cut)
        elif not line.text:
            return new
        size = len(line.text)
        return Text(
            line.text + new.text,
            line.ended_by + new.ended_by,
            line.starts + [start + size for start in new.starts],
            line.offsets + new.offsets,
            [(at + size, shows) for at, shows in new.alternate],
            [],
        )

    # -- matching ---------------------------------------------------------------------------------------------------------

    def _search(
        self, text: Text, end: int, numbers: Sequence[int], patterns: PatternSet, truncated: bool, partial: bool = False
    ) -> Iterator[Match]:
        """Matches in the lines of `text` up to `end`, line by line and in each rule by rule."""
        begun = self._clock()
        searched = text.text if end == len(text.text) else text.text[:end]
        hits = patterns.hits(searched)
        took = self._clock() - begun
        if took > SLOW_S and took > SLOW_PER_BYTE_S * len(searched):
            self._give_up(searched, numbers)
        stopped, stopped_by = -1, 0
        found = [self._places(numbers[hit], text, searched, partial) for hit in hits]
        for line_start, number, match in heapq.merge(*found, key=_place) if len(found) > 1 else found[0] if found else ():
            rule = self._rules[number]
            if line_start == stopped and number > stopped_by:
                continue
            if rule.stop:
                stopped, stopped_by = line_start, number
            if partial:
                self.fired_in_line.add(rule.id)
            yield self._match(rule, text, searched, line_start, match, partial, truncated and line_start == 0)

    def _places(self, number: int, text: Text, searched: bytes, partial: bool) -> Iterator[_Found]:
        """Where one rule matches."""
        rule, empty_at = self._rules[number], -1
        skips_first = rule.id in self.fired_in_line
        if partial and skips_first:
            return
        line_end = -1
        line_start = 0
        for count, match in enumerate(rule.pattern.finditer(searched)):
            start = match.start
            if count == MATCHES_MOST:
                return
            if start > line_end:
                line_start = searched.rfind(b"\n", 0, start) + 1
                line_end = searched.find(b"\n", start)
                line_end = len(searched) if line_end < 0 else line_end
            if start == len(searched) and not partial:
                return  # behind the last line end
            if skips_first and line_start == 0 and not partial:
                continue
            if start == match.end:
                if empty_at == line_start or self._between_cr_and_lf(text, line_start):
                    continue
                empty_at = line_start
            if not rule.interactive_apps and self._shows_alternate(text, line_start):
                continue
            yield line_start, number, match

    def _between_cr_and_lf(self, text: Text, at: int) -> bool:
        """Whether the empty line at `at` is none, but the middle of CRLF."""
        if text.ended_by[at : at + 1] != b"\n":
            return False
        return self._after_cr if at == 0 else text.ended_by[at - 1 : at] == b"\r"

    def _shows_alternate(self, text: Text, line_start: int) -> bool:
        at = bisect_right(text.alternate, (line_start, True))
        return text.alternate[at - 1][1] if at else self._alternate

    def _match(self, rule: Rule, text: Text, searched: bytes, line_start: int, match: Found, partial: bool, truncated: bool) -> Match:
        line_end = searched.find(b"\n", match.end)
        line_end = len(searched) if line_end < 0 else line_end
        start, end = match.start, match.end
        if line_end - line_start > LINE_MOST:
            line_end, truncated = line_start + LINE_MOST, True
        first = text.offset(start)
        return Match(
            rule=rule,
            line=searched[line_start:line_end],
            groups=match.groups,
            start=first,
            end=text.offset(end - 1) + 1 if end > start else first,
            line_start=text.offset(line_start),
            line_end=text.offset(line_end),
            instant=partial,
            truncated=truncated,
        )

    def _give_up(self, searched: bytes, numbers: Sequence[int]) -> None:
        """Finds the rules that cost too much, and uses them no more."""
        sample = searched[:SAMPLE_BYTES]
        slow = set()
        for number in numbers:
            begun = self._clock()
            self._rules[number].pattern.search(sample)
            took = self._clock() - begun
            if took > SLOW_PER_BYTE_S * len(sample):
                slow.add(number)
                self._slow.append((self._rules[number].id, took))
        if slow:
            self.set_rules([rule for number, rule in enumerate(self._rules) if number not in slow])


def _place(found: _Found) -> tuple[int, int]:
    return found[0], found[1]


def _part(text: Text, start: int) -> Text:
    """The text from `start` on."""
    if not start:
        return text
    at = bisect_right(text.starts, start)
    starts = [0, *(begun - start for begun in text.starts[at:])]
    offsets = [text.offset(start), *text.offsets[at:]]
    alternate = text.alternate[bisect_left(text.alternate, (start, False)) :]
    return Text(text.text[start:], text.ended_by[start:], starts, offsets, [(begun - start, shows) for begun, shows in alternate], [])
