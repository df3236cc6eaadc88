"""A throttle: at most so many in a second, in the long run, and as many at once. Sans-IO: it is told the time."""

from __future__ import annotations


class Throttle:
    """A bucket that holds `rate` tokens and gets as many a second."""

    __slots__ = ("_at", "_rate", "_tokens", "refused")

    def __init__(self, rate: float, now: float) -> None:
        self._rate = rate
        self._tokens = rate
        self._at = now
        self.refused = 0
        """How many were refused since one was let through after a quiet second: 1 is the first of a run."""

    def take(self, now: float) -> bool:
        """Whether one more may pass at `now`, in seconds of any clock that does not go back."""
        self._tokens = min(self._rate, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            self.refused += 1
            return False
        self._tokens -= 1
        if self._tokens >= self._rate - 1:
            self.refused = 0
        return True
