"""Throttles: at most so many in a second, in the long run, and as many at once. Sans-IO: they are told the time.

Times are seconds of any clock that does not go back.
"""

from __future__ import annotations

from collections.abc import Container
from typing import NamedTuple

KEPT_PER_S = 2
"""What each of those that share has whatever the others take."""


class Throttle:
    """A bucket that holds `rate` tokens and gets as many a second."""

    __slots__ = ("_at", "_tokens", "rate", "refused")

    def __init__(self, rate: float, now: float) -> None:
        self.rate = rate
        self._tokens = rate
        self._at = now
        self.refused = 0
        """How many were refused since one was let through after a quiet second: 1 is the first of a run."""

    def take(self, now: float) -> bool:
        """Whether one more may pass at `now`."""
        self._tokens = min(self.rate, self._tokens + (now - self._at) * self.rate)
        self._at = now
        if self._tokens < 1:
            self.refused += 1
            return False
        self._tokens -= 1
        if self._tokens >= self.rate - 1:
            self.refused = 0
        return True


class Refused(NamedTuple):
    """One more did not pass. `first` of a run or not; `per_s` is the rate that was reached, which is all's or the one's alone."""

    first: bool
    per_s: float
    all: bool


class SharedThrottle:
    """Each of those that share it has a rate, all together have one, and each has KEPT_PER_S of its own."""

    def __init__(self, each_per_s: float, all_per_s: float, now: float) -> None:
        self._each_per_s = each_per_s
        self._all = Throttle(all_per_s, now)
        self._each: dict[str, tuple[Throttle, Throttle]] = {}

    def take(self, key: str, now: float) -> Refused | None:
        """None where one more of this key may pass at `now`."""
        each = self._each.get(key)
        if each is None:
            each = self._each[key] = (Throttle(self._each_per_s, now), Throttle(KEPT_PER_S, now))
        own, kept = each
        if not own.take(now):
            return Refused(own.refused == 1, self._each_per_s, False)
        if kept.take(now) or self._all.take(now):
            return None
        return Refused(self._all.refused == 1, self._all.rate, True)

    def forget_gone(self, there: Container[str]) -> None:
        """The others are not remembered."""
        for gone in [key for key in self._each if key not in there]:
            del self._each[gone]
