"""When a connection that was lost is made anew, for how long that is tried, and what was typed meanwhile.

Sans-IO, with the time given. `attachment` has one for as long as it runs.
"""

from __future__ import annotations

ATTEMPT_S = 5.0
"""A connection that is made anew and is not there after so long is given up, and tried again; one that failed, after a moment."""
EACH_S = 0.05
SHORT_S = 1.0
"""A connection that did not last so long is made anew when it would have."""
KEPT_BYTES = 64 << 10
"""What is typed meanwhile is kept so far."""


class Reconnection:
    """That of one attachment."""

    def __init__(self, patience_s: float) -> None:
        """A connection is tried to be made anew for `patience_s`."""
        self._patience_s = patience_s
        self.due_at = 0.0
        """When it is to be tried next, while there is no connection."""
        self._lost_at: float | None = None
        self._made_at = 0.0
        self._typed = b""

    def keep(self, typed: bytes) -> bool:
        """Keeps what is typed while there is no connection; False where that is too much."""
        fits = len(self._typed) + len(typed) <= KEPT_BYTES
        if fits:
            self._typed += typed
        return fits

    def lost(self, now: float) -> None:
        """The connection has ended. One that ends again and again as soon as it is there is not made anew without a breath."""
        self._lost_at = self._lost_at or now
        self.due_at = max(now, self._made_at + SHORT_S)

    def begin(self, now: float) -> None:
        """It is being made anew."""
        self.due_at = now + ATTEMPT_S

    def failed(self, now: float) -> bool:
        """It could not be; whether it has been tried for long enough."""
        self.due_at = now + EACH_S
        return self._lost_at is not None and now - self._lost_at > self._patience_s

    def made(self, now: float) -> bytes:
        """It is there: what was typed meanwhile."""
        self._lost_at, self._made_at = None, now
        typed, self._typed = self._typed, b""
        return typed
