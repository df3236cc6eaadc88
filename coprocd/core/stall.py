"""The watch that tells a stall: for how long a condition held while nothing moved."""

from __future__ import annotations


class StillWatch:
    """Told again and again how things stand, it answers for how many seconds they have stood still."""

    __slots__ = ("_moved", "_since")

    def __init__(self) -> None:
        self._since: float | None = None
        self._moved: object = None

    def seconds(self, condition: bool, moved: object, now: float) -> float:
        """`moved` is any value that changes when a byte moves; `now` is a monotonic time in seconds."""
        if not condition:
            self._since = None
        elif self._since is None or moved != self._moved:
            self._since = now
        self._moved = moved
        return 0.0 if self._since is None else now - self._since
