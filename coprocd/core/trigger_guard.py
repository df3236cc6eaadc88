"""The guard against rules whose matching costs too much: a regex can be linear and still take 50 us for a byte.

Owns what matching has cost lately. Time that is taken beyond an allowance is a debt; at DEBT_MOST_S the rules of a set
are timed one by one on what was just matched, and the costly are switched off. A set that is slow though no rule is gets
halved. Must never switch off by one slow moment alone: the machine may have been busy. The trigger matcher asks it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from coprocd.core.regex import Found, Pattern, PatternSet

DEBT_MOST_S = 0.02
"""More time than this beyond the allowance is noticed: a part of what a session may hold up another by."""

ALLOWED_S_A_BYTE = 0.3e-6
"""What matching may take in the long run: 3 MB/s, a tenth of what a thousand usual rules do."""

RULE_MOST_S_A_BYTE = 0.15e-6
"""A rule that takes more on a sample is switched off when its set is too slow. Usual ones take a hundredth."""

CALL_MOST_S = 0.005
"""Of one search no more counts: no search takes that long, so the machine was busy."""

PROBE_BYTES = 4 << 10
"""Of a text longer than two of these, pieces are tried before the whole."""

SAMPLE_BYTES = 1 << 10
PARTS_MOST = 64
"""A set split further would cost too much by itself."""


class Guarded(Protocol):
    """A rule."""

    @property
    def id(self) -> str: ...

    @property
    def pattern(self) -> Pattern: ...


class Guard:
    """What is spent, for one matcher, by a clock of seconds (best one of CPU time). `off` are the rules that must not be used any more, until they are taken note of."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self.off: set[str] = set()
        self._found: list[tuple[str, float]] = []
        self._debts: dict[str, tuple[float, int]] = {}
        self._bytes = 0

    def passed(self, count: int) -> None:
        """So many bytes of output have been taken: they allow for time."""
        self._bytes += count

    def found(self) -> list[tuple[str, float]]:
        """Those switched off since last asked."""
        found, self._found = self._found, []
        return found

    def switch_off(self, rule: str, seconds: float) -> None:
        """The rule has cost too much."""
        if rule not in self.off:
            self.off.add(rule)
            self._found.append((rule, seconds))
            self._debts.pop(rule, None)

    def timed(self, rule: str, matches: Iterator[Found]) -> Iterator[Found]:
        """The matches of a rule, and no more of them once it has cost too much."""
        clock = self.clock
        debt, at = self._debts.get(rule, (0.0, self._bytes))
        debt = max(0.0, debt - (self._bytes - at) * ALLOWED_S_A_BYTE)
        try:
            while rule not in self.off:
                begun = clock()
                found = next(matches, None)
                debt += min(clock() - begun, CALL_MOST_S)
                if debt > DEBT_MOST_S:
                    self.switch_off(rule, debt)
                if found is None:
                    return
                yield found
        finally:
            if rule not in self.off:
                self._debts[rule] = (debt, self._bytes)


class GuardedSet:
    """The set of some rules' patterns, which knows when it has become too slow. `parts` is into how many it is split."""

    def __init__(self, rules: Sequence[Guarded], guard: Guard, parts: int = 1) -> None:
        self._rules = rules
        self._guard = guard
        self.parts = parts
        self._debt_s = 0.0
        self._noticed = False
        self._build()

    def _build(self) -> None:
        self._used = [index for index, rule in enumerate(self._rules) if rule.id not in self._guard.off]
        self._set = PatternSet([self._rules[index].pattern for index in self._used], self.parts)

    def hits(self, text: bytes) -> list[int]:
        """The indices of the rules that match somewhere in the text, but for those that have been switched off."""
        if len(text) > 2 * PROBE_BYTES:
            for at in range(0, len(text), PROBE_BYTES):
                self._timed(text[at : at + PROBE_BYTES])
        return [index for index in self._timed(text) if self._rules[index].id not in self._guard.off]

    def _timed(self, text: bytes) -> list[int]:
        clock = self._guard.clock
        begun = clock()
        hits = self._set.hits(text)
        self._debt_s += clock() - begun - len(text) * ALLOWED_S_A_BYTE
        if self._debt_s < 0:
            self._debt_s = 0.0
        used = self._used
        if self._debt_s > DEBT_MOST_S:
            self._judge(text[-SAMPLE_BYTES:])
            self._debt_s = 0.0
        return [used[hit] for hit in hits]

    def _judge(self, sample: bytes) -> None:
        """Times each rule on the sample. Those that take too long are switched off; are there none again and again, the set is split."""
        guard = self._guard
        took = {index: self._alone(index, sample) for index in self._used}
        most = len(sample) * RULE_MOST_S_A_BYTE
        costly = [index for index in self._used if took[index] > most and self._alone(index, sample) > most]
        if not costly:
            if not self._noticed:
                self._noticed = True
                return
            if self.parts < PARTS_MOST and self.parts < len(self._used):
                self.parts *= 4
            else:
                costly = [max(took, key=lambda index: took[index])]
        for index in costly:
            guard.switch_off(self._rules[index].id, took[index])
        self._noticed = False
        self._build()

    def _alone(self, index: int, sample: bytes) -> float:
        """The seconds that a rule takes by itself, with nothing that RE2 has learnt of it before."""
        alone = PatternSet([self._rules[index].pattern])
        begun = self._guard.clock()
        alone.hits(sample)
        return self._guard.clock() - begun
