"""The guard against rules whose matching costs too much: a regex can be linear and still take 50 us for a byte.

Owns what matching has cost lately. Time that is taken beyond an allowance is a debt; at DEBT_MOST_S the rules of a set
are timed one by one on what was just matched, and the costly are switched off. A set that is slow though no rule is gets
split. Must never switch off by slow moments alone: the machine may have been busy. The trigger matcher asks it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from coprocd.core.regex import Found, Pattern, PatternSet

DEBT_MOST_S = 0.02
"""More time than this beyond the allowance is noticed: a part of what a session may hold up another by."""

ALLOWED_S_A_BYTE = 0.5e-6
"""What all sets may take in the long run: 2 MB/s, a hundredth of what a thousand usual rules do."""

SEARCH_DEBT_MOST_S = 0.05
SEARCH_ALLOWED_S_A_BYTE = 1e-6
"""The same for finding where rules match, all together. A rule that matches each word of a flood is within it.

Past it the costliest rules are switched off, those that have taken half of the time.
"""

SAMPLE_S_A_BYTE = 0.15e-6
"""A rule that takes more on a sample is switched off when its set is too slow. Usual ones take a hundredth."""

DOUBTED_S = 0.001
"""A search that has taken longer may have waited for the processor: no more of it counts than the processor has done meanwhile."""

PROBE_BYTES = 4 << 10
"""Of a text longer than two of these, pieces are tried before the whole."""

SAMPLE_BYTES = 1 << 10
"""What rules are timed on: by the costliest, 40 of them take 50 ms for it."""

STRIKES_MOST = 3
STRIKES_WITHIN_BYTES = 1 << 20
"""So often within so much output is a set taken for slow though it is not when tried again."""

SPLIT_INTO = 16
"""Parts in place of one."""


class Guarded(Protocol):
    """A rule."""

    @property
    def id(self) -> str: ...

    @property
    def pattern(self) -> Pattern: ...


class Guard:
    """What is spent, for one matcher, and the `bytes` of output taken.

    `clock` tells seconds and is cheap (monotonic will do), `worked` those that the processor has worked for us, and need not be.
    `off` are the rules that must not be used any more, until they are taken note of.
    """

    def __init__(self, clock: Callable[[], float], worked: Callable[[], float]) -> None:
        self.worked = worked
        self._clock = clock
        self._worked_before = worked()
        self.bytes = 0
        self.off: set[str] = set()
        self._found: list[tuple[str, float]] = []
        self._debt_s = 0.0
        self._spent_s: dict[str, float] = {}

    def passed(self, count: int) -> None:
        """So many bytes of output have been taken: they allow for time."""
        self.bytes += count
        self._worked_before = self.worked()
        if self._debt_s:
            self._debt_s -= count * SEARCH_ALLOWED_S_A_BYTE
            if self._debt_s <= 0:
                self._debt_s = 0.0
                self._spent_s.clear()

    def found(self) -> list[tuple[str, float]]:
        """Those switched off since last asked."""
        found, self._found = self._found, []
        return found

    def switch_off(self, rule: str, seconds: float) -> None:
        """The rule has cost too much."""
        if rule not in self.off:
            self.off.add(rule)
            self._found.append((rule, seconds))

    def timed(self, rule: str, matches: Iterator[Found]) -> Iterator[Found]:
        """The matches of a rule, and no more of them once it has cost too much."""
        clock = self._clock
        while rule not in self.off:
            begun = clock()
            found = next(matches, None)
            took = clock() - begun
            self._spend(rule, took if took < DOUBTED_S else min(took, self.worked() - self._worked_before))
            if found is None:
                return
            yield found

    def _spend(self, rule: str, seconds: float) -> None:
        self._debt_s += seconds
        self._spent_s[rule] = self._spent_s.get(rule, 0.0) + seconds
        if self._debt_s <= SEARCH_DEBT_MOST_S:
            return
        left = sum(self._spent_s.values()) / 2
        for each in sorted(self._spent_s, key=lambda each: -self._spent_s[each]):
            self.switch_off(each, self._spent_s[each])
            left -= self._spent_s[each]
            if left <= 0:
                break
        self._debt_s = 0.0
        self._spent_s.clear()


class GuardedSet:
    """The set of some rules' patterns, which knows when it has become too slow. `parts` is into how many it is split."""

    def __init__(self, rules: Sequence[Guarded], guard: Guard, parts: int = 1) -> None:
        self._rules = rules
        self._guard = guard
        self.parts = parts
        self._debt_s = 0.0
        self._strikes = 0
        self._struck_at = 0
        self._build()

    def _build(self) -> None:
        self._used = [index for index, rule in enumerate(self._rules) if rule.id not in self._guard.off]
        self._set = PatternSet.shared([self._rules[index].pattern for index in self._used], self.parts)

    def hits(self, text: bytes) -> list[int]:
        """The indices of the rules that match somewhere in the text, but for those that have been switched off."""
        if len(text) > 2 * PROBE_BYTES:
            for at in range(0, len(text), PROBE_BYTES):
                self._timed(text[at : at + PROBE_BYTES])
        return [index for index in self._timed(text) if self._rules[index].id not in self._guard.off]

    def _timed(self, text: bytes) -> list[int]:
        worked = self._guard.worked
        begun = worked()
        hits = self._set.hits(text)
        self._debt_s += worked() - begun - len(text) * ALLOWED_S_A_BYTE
        if self._debt_s < 0:
            self._debt_s = 0.0
        used = self._used
        if self._debt_s > DEBT_MOST_S:
            self._judge(text[-SAMPLE_BYTES:])
            self._debt_s = 0.0
        return [used[hit] for hit in hits]

    def _judge(self, sample: bytes) -> None:
        """Times each rule on the sample. Those that take too long are switched off; are there none, the set is split."""
        guard = self._guard
        if not self._is_slow(sample):
            return
        took = {index: self._alone(index, sample) for index in self._used}
        most = len(sample) * SAMPLE_S_A_BYTE
        costly = [index for index in self._used if took[index] > most and self._alone(index, sample) > most]
        if not costly and self.parts < len(self._used):
            self.parts *= SPLIT_INTO
        elif not costly:
            costly, left = sorted(self._used, key=lambda index: took[index]), len(sample) * ALLOWED_S_A_BYTE
            while costly and left > took[costly[0]]:
                left -= took[costly.pop(0)]
        for index in costly:
            guard.switch_off(self._rules[index].id, took[index])
        self._build()

    def _is_slow(self, sample: bytes) -> bool:
        """Whether it was the set, and not the machine.

        RE2 keeps what it has learnt from a text, so the sample itself says little: it is tried backwards too. Where that
        acquits the set again and again, it is not believed.
        """
        guard = self._guard
        if guard.bytes - self._struck_at > STRIKES_WITHIN_BYTES:
            self._strikes = 0
        self._struck_at = guard.bytes
        self._strikes += 1
        if self._strikes < STRIKES_MOST:
            begun = guard.worked()
            self._set.hits(sample)
            self._set.hits(sample[::-1])
            if guard.worked() - begun < 2 * len(sample) * ALLOWED_S_A_BYTE:
                return False
        self._strikes = 0
        return True

    def _alone(self, index: int, sample: bytes) -> float:
        """The seconds that a rule takes by itself, with nothing that RE2 has learnt of it before."""
        alone = PatternSet([self._rules[index].pattern])
        begun = self._guard.worked()
        alone.hits(sample)
        return self._guard.worked() - begun
