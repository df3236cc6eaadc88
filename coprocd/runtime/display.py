"""What a session shows: its output without what a silent coprocess keeps from viewers, and with what is injected.

Owns nothing: it reads the log, the silenced ranges and the injections. The screen and each viewer have a place of their own in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from coprocd.core.timeline import Injection, Output, Place, Step, steps

if TYPE_CHECKING:
    from coprocd.runtime.session import Session


class Display:
    """That of one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def end(self) -> int:
        """Up to where it is settled what is shown: the end of the output, but where silence is open.

        Where that will end is not known yet, and should the coprocess not start it is lifted. What the log loses meanwhile is not shown.
        """
        log = self._session.log
        opened_at = log.silence.opened_at
        return log.end if opened_at is None else max(opened_at, log.retained_from)

    def is_plain(self, place: Place, most_bytes: int) -> bool:
        """Whether what comes after `place` is output, no more than `most_bytes` of it, and nothing was ever silenced, as is usual."""
        log = self._session.log
        if place.injected != self._session.injections.made or not log.silence.none:
            return False
        return 0 < log.end - place.offset <= most_bytes

    def place_at_end(self) -> Place:
        """Where one begins that has all that is shown now."""
        return Place(self.end, self._session.injections.made)

    def steps(self, place: Place, most_bytes: int) -> list[Step]:
        """What comes after `place`, which is in the log, as far as the next `most_bytes` of output lead.

        What is injected into silence that is open is shown now, as if it were before it.
        """
        if self.is_plain(place, most_bytes):
            return [Output(place.offset, self._session.log.end)]
        silence, injections, end = self._session.log.silence, self._session.injections, self.end
        until = min(end, place.offset + most_bytes)
        silences = silence.within(place.offset, until)
        waiting: Iterator[Injection] = injections.since(place.injected)
        if until == end and silence.opened_at is not None:
            waiting = (injection._replace(offset=min(injection.offset, end)) for injection in waiting)
        return list(steps(place, until, silences, waiting))
