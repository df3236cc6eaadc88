"""What a session shows: its output without what a silent coprocess keeps from viewers, and with what is injected.

Owns nothing: it reads the log, the silenced ranges and the injections. The screen and each viewer have a place of their own in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from coprocd.core.timeline import Place, Step, steps

if TYPE_CHECKING:
    from coprocd.runtime.session import Session


class Display:
    """That of one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def end(self) -> int:
        """Up to where it is settled what is shown.

        That is the end of the output, but where a silent coprocess is only being started: should that fail, its silence is lifted.
        """
        log = self._session.log
        opened_at = log.silence.opened_at
        if opened_at is None or opened_at < log.retained_from:
            return log.end
        current = self._session.coprocesses.typing
        return log.end if current is not None and current.record.silent and current.record.state == "running" else opened_at

    def place_at_end(self) -> Place:
        """Where one begins that has all that is shown now."""
        return Place(self.end, self._session.injections.made)

    def steps(self, place: Place, most_bytes: int) -> list[Step]:
        """What comes after `place`, which is in the log, as far as the next `most_bytes` of output lead."""
        until = min(self.end, place.offset + most_bytes)
        return list(
            steps(place, until, self._session.log.silence.within(place.offset, until), self._session.injections.since(place.injected))
        )
