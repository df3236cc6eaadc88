"""What is said of the session beside its output: that a coprocess runs, that something pauses it, that the connection is lost.

Sans-IO, with the time given (that of time.monotonic, and the clock's for when a coprocess began). Once as a mark in the window's title, in a few words, and once
as a line with all that is known.
"""

from __future__ import annotations

from coprocctl.format import escaped, size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PAUSE_S = 1.0
"""A pause that is shorter is not worth a word."""
LOST_S = 0.5
"""… nor is a connection that is back within this."""
_MARK = "◆"
_COMMAND_CHARACTERS = 60


class _Shown:
    """What is shown of a coprocess."""

    def __init__(self, id: str, command: str, started_at: float, read_bytes: int, typed_bytes: int) -> None:
        self.id = id
        self.command = command if len(command) <= _COMMAND_CHARACTERS else command[: _COMMAND_CHARACTERS - 1] + "…"
        self.started_at = started_at
        self.read_bytes = read_bytes
        self.typed_bytes = typed_bytes

    @classmethod
    def of(cls, coprocess: dict[str, Any]) -> _Shown:
        """That of a message; one that has not what is shown fails here."""
        read_bytes = int(coprocess["consumed_offset"]) - int(coprocess["started_offset"])
        return cls(
            str(coprocess["id"]),
            escaped(coprocess["command"]),
            float(coprocess["started_at"]),
            read_bytes,
            int(coprocess["typed_bytes"]),
        )


class Indicator:
    """That of one session."""

    def __init__(self, stop_key: str, read_only: bool) -> None:
        self._stop_key = stop_key
        self._read_only = read_only
        self._coprocess: _Shown | None = None
        self._paused: dict[str, Any] | None = None
        self._paused_at = 0.0
        self._lost_at: float | None = None

    def on_coprocess(self, coprocess: dict[str, Any] | None) -> None:
        """The one that types, as it is now."""
        self._coprocess = None if coprocess is None else _Shown.of(coprocess)

    def on_paused(self, paused: dict[str, Any] | None, now: float) -> None:
        """Why the session prints nothing, if that has a reason."""
        if self._paused is None:
            self._paused_at = now
        self._paused = None if paused is None else {"why": str(paused["why"]), "by": paused.get("by")}

    def on_connection(self, lost: bool, now: float) -> None:
        """The connection is lost, or is there again."""
        self._lost_at = None if not lost else self._lost_at or now

    @property
    def changes_with_time(self) -> bool:
        """Whether what is said may be another in a moment though nothing has happened."""
        return self._coprocess is not None or self._paused is not None or self._lost_at is not None

    def pausing(self, now: float) -> dict[str, Any] | None:
        """What pauses the session for so long that it is shown."""
        return self._paused if now - self._paused_at >= PAUSE_S else None

    def stoppable(self, now: float) -> str | None:
        """The id of the coprocess that pauses the session."""
        paused = self.pausing(now)
        return str(paused["by"]) if paused is not None and paused["why"] == "coprocess" else None

    def mark(self, now: float) -> str:
        """In the title; "" for nothing."""
        if self._lost_at is not None and now - self._lost_at >= LOST_S:
            return f"{_MARK} connecting again"
        if pause := self._pause(now):
            return f"{_MARK} {pause}"
        if self._coprocess is not None:
            return f"{_MARK} {self._coprocess.command}"
        return f"{_MARK} read-only" if self._read_only else ""

    def line(self, now: float, clock: float) -> str:
        """In the status line; "" for nothing."""
        if self._lost_at is not None and now - self._lost_at >= LOST_S:
            return f"{_MARK} the connection is lost; connecting again"
        parts = []
        if pause := self._pause(now):
            parts.append(f"{_MARK} {pause}")
        if self._coprocess is not None:
            coprocess = self._coprocess
            parts += [f"{'' if pause else _MARK + ' '}{coprocess.command}", _elapsed(clock - coprocess.started_at)]
            parts.append(f"in {size(coprocess.read_bytes)}, out {size(coprocess.typed_bytes)}")
        return "  ".join(parts)

    def _pause(self, now: float) -> str:
        paused = self.pausing(now)
        if paused is None:
            return ""
        if paused["why"] == "coprocess":
            return f"paused: {'the coprocess' if self._is_typing(paused['by']) else 'an observer'} does not read; {self._stop_key} stops it"
        if paused["why"] == "memory":
            return "paused: there is no memory for its output"
        return "stopped by C-s; C-q goes on"

    def _is_typing(self, id: str) -> bool:
        return self._coprocess is not None and self._coprocess.id == id


def _elapsed(seconds: float) -> str:
    """`0:07`, `12:30`, `1:02:03`."""
    left = max(int(seconds), 0)
    hours, minutes = left // 3600, left // 60 % 60
    return f"{hours}:{minutes:02}:{left % 60:02}" if hours else f"{minutes}:{left % 60:02}"
