"""The trigger matcher: which rules match which lines of the output, and where.

Owns the order in which matches come out: line by line, in a line rule by rule as listed, match by match, with signals in
their place. A rule is checked when its line is finished, an instant one also on the line so far, and then fires once for
the line. Must never do what a rule is for, nor hold output. The session's pump feeds it and acts on what it says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from coprocd.core.lines import LineAssembler, Lines, Position, Signal
from coprocd.core.places import Places
from coprocd.core.regex import Found, Pattern
from coprocd.core.trigger_guard import Guard, GuardedSet

SLICE_BYTES = 7 << 10
"""Output is matched in slices of this size: what a costly rule can take before it is noticed depends on it.

With the beginning of a line it is still less than the guard would try piece by piece before the whole.
"""


MATCHES_MOST = 100
"""Of one rule in one line: more could not fire, and a line may be made to hold ten thousand."""


class Rule(NamedTuple):
    """What the matcher must know of a trigger."""

    id: str
    pattern: Pattern
    instant: bool = False
    interactive_apps: bool = True
    """Fires for lines of the alternate screen too."""
    stop: bool = False
    """After a match of it, later rules are not tried on that text."""


class Match(NamedTuple):
    """A match of a rule: the text of the line, \\0 to \\9, and the offsets in the output of the match and of its line."""

    rule: Rule
    line: bytes
    groups: tuple[bytes | None, ...]
    start: int
    end: int
    line_start: int
    line_end: int
    instant: bool
    truncated: bool


class Matcher:
    """Fed with output in order. `fired_in_line` are the ids of the instant rules that have fired in the line so far."""

    def __init__(
        self, rules: Iterable[Rule], clock: Callable[[], float], position: Position, worked: Callable[[], float] | None = None
    ) -> None:
        """The clocks are the `Guard`'s; `clock` does for both where nothing else runs."""
        self._lines = LineAssembler(position)
        self._guard = Guard(clock, worked or clock)
        self._alternate = position.alternate
        self._only_counted: set[str] = set()
        self._counted: dict[str, int] = {}
        self.fired_in_line: set[str] = set()
        self.set_rules(rules)
        self._rebuild()

    def set_rules(self, rules: Iterable[Rule]) -> None:
        """From the next slice of output on these are the rules, in this order."""
        self._rules: list[Rule] = list(rules)
        self._changed = True

    def position(self) -> Position:
        """After all that has been fed: where a matcher would go on from, that is fed with the output since again."""
        return self._lines.position()

    def restart(self, offset: int) -> None:
        """The line begins at this offset, empty. A feed that was stopped before its end is forgotten."""
        self._lines.restart(offset)
        self._lines.alternate = self._alternate
        self.fired_in_line.clear()

    def replay(self, data: bytes, offset: int) -> None:
        """Takes output that has been matched before: the line so far."""
        for at in range(0, len(data), SLICE_BYTES):
            self._lines.feed(data[at : at + SLICE_BYTES], offset + at)
        self._alternate = self._lines.alternate

    def too_slow(self) -> list[tuple[str, float]]:
        """The rules that have cost too much since last asked, with the seconds; they are not used any more."""
        return self._guard.found()

    def only_count(self, rule: str) -> None:
        """Until `match_all` further matches of the rule come to nothing: they are counted, which costs little. A `stop` still stops."""
        self._only_counted.add(rule)

    def take_counted(self) -> Iterable[tuple[str, int]]:
        """The rules that were only counted, each with how often it has matched since last asked."""
        counted, self._counted = self._counted, {}
        return counted.items()

    def match_all(self) -> None:
        """No rule is only counted any more."""
        self._only_counted.clear()

    def feed(self, data: bytes, offset: int) -> Iterator[Match | Signal]:
        """What the output brings, in its order, as it is asked for. Who stops in the middle calls `restart`."""
        for at in range(0, len(data), SLICE_BYTES):
            piece = data if len(data) <= SLICE_BYTES else data[at : at + SLICE_BYTES]
            if self._changed or self._guard.off:
                self._rebuild()
            lines, signals = self._lines.feed(piece, offset + at)
            self._guard.passed(len(piece))
            if lines is None:
                for _, signal in signals:
                    yield signal
            else:
                yield from self._finished(lines, signals)
            self._alternate = self._lines.alternate
            if self._instant:
                yield from self._so_far()

    def _rebuild(self) -> None:
        self._rules = [rule for rule in self._rules if rule.id not in self._guard.off]
        self._guard.off.clear()
        self._instant = [rule for rule in self._rules if rule.instant]
        self._set: GuardedSet = GuardedSet(self._rules, self._guard, 1 if self._changed else self._set.parts)
        self._instant_set: GuardedSet = GuardedSet(self._instant, self._guard, 1 if self._changed else self._instant_set.parts)
        self._changed = False

    def _finished(self, lines: Lines, signals: Sequence[tuple[int, Signal]]) -> Iterator[Match | Signal]:
        hits = self._set.hits(lines.text) if self._rules else []
        waiting = 0
        if hits:
            fired = self.fired_in_line
            self.fired_in_line = set()
            stopped: tuple[int, int] | None = None
            for end, number, found in self._in_order(hits, lines):
                rule = self._rules[number]
                if stopped is not None and stopped[0] == end and stopped[1] < number:
                    continue
                start = lines.bounds(found.start)[0]
                if not start and rule.id in fired:
                    continue
                if not rule.interactive_apps and lines.on_alternate(end):
                    continue
                if start == end and not lines.is_line(start, end):
                    continue
                if rule.id in self._only_counted and not rule.stop:
                    self._counted[rule.id] = self._counted.get(rule.id, 0) + 1
                    continue
                if rule.stop:
                    stopped = (end, number)
                while waiting < len(signals) and signals[waiting][0] <= end:
                    yield signals[waiting][1]
                    waiting += 1
                self._alternate = lines.on_alternate(end)
                yield _match(
                    rule, found, lines.text[start:end], lines.places, start, lines.offset(start), lines.truncated and not start, False
                )
        else:
            self.fired_in_line.clear()
        for _, signal in signals[waiting:]:
            yield signal

    def _in_order(self, hits: list[int], lines: Lines) -> Iterator[tuple[int, int, Found]]:
        """End of the line, number of the rule, match: of all rules that match, line by line, rule by rule."""
        if len(hits) == 1:
            return self._ends(hits[0], lines.text)
        return iter(sorted([each for number in hits for each in self._ends(number, lines.text)], key=_place))

    def _ends(self, number: int, text: bytes) -> Iterator[tuple[int, int, Found]]:
        rule = self._rules[number]
        end, in_line = -1, 0
        for found in self._guard.timed(rule.id, rule.pattern.finditer(text)):
            if found.start > end:
                in_line, end = 0, text.find(b"\n", found.start)
                if end < 0:
                    end = len(text)
            in_line += 1
            if in_line <= MATCHES_MOST:
                yield end, number, found
            elif end == len(text):
                return

    def _so_far(self) -> Iterator[Match]:
        """What instant rules that have not fired yet find in the line that is not finished."""
        lines = self._lines
        text = lines.so_far
        if not text or len(self.fired_in_line) >= len(self._instant):
            return
        for number in self._instant_set.hits(text):
            rule = self._instant[number]
            if rule.id in self.fired_in_line or (lines.alternate and not rule.interactive_apps):
                continue
            fired = False
            for found in islice(self._guard.timed(rule.id, rule.pattern.finditer(text)), MATCHES_MOST):
                self.fired_in_line.add(rule.id)
                fired = True
                yield _match(rule, found, text, lines.places, 0, lines.line_at(), lines.truncated, True)
            if fired and rule.stop:
                return


def _place(each: tuple[int, int, Found]) -> tuple[int, int]:
    return each[:2]


def _match(rule: Rule, found: Found, line: bytes, places: Places, start: int, line_start: int, truncated: bool, instant: bool) -> Match:
    """With offsets in the output. An empty match is behind the text before it."""
    line_end = places.offset(start + len(line) - 1) + 1 if line else line_start
    first = places.offset(found.start) if found.end > found.start else -1
    last = places.offset(found.end - 1) + 1 if found.end > start else line_start
    return Match(rule, line, found.groups, last if first < 0 else first, last, line_start, line_end, instant, truncated)
