"""What the screen tells of a session's output: what it answers to queries, typed once, whatever dies meanwhile, and the title.

Three slots of the session's state: up to where the screen has spoken, and the answer that is about to be typed, as the offset it answers and where
the input ends with it. The answer is typed by the one store with which the input takes it; a daemon that finds the input at that
end knows that it was.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import MutableSequence
from typing import TYPE_CHECKING

from coprocd.protocol.errors import CoprocdError

if TYPE_CHECKING:
    from coprocd.runtime.session import Session

log = logging.getLogger("coprocd.screens")

ORIGIN = "screen"

LOSS_TOLD_EVERY_S = 60.0
"""Of answers that are lost the log tells so often at most: what a session prints may ask a thousand times a second."""

TITLE_S = 0.1
"""Between two changes of the title that are told: a flood may change it a thousand times a second."""


class Spoken:
    """The slots, the first of them at `at`."""

    SLOTS = 3

    def __init__(self, slots: MutableSequence[int], at: int) -> None:
        self._slots = slots
        self._at = at

    @property
    def to(self) -> int:
        """What is before this offset is answered."""
        return self._slots[self._at]

    @to.setter
    def to(self, offset: int) -> None:
        self._slots[self._at] = offset

    def intend(self, offset: int, input_end: int) -> None:
        """What is before `offset` is about to be answered; the input will end there."""
        self._slots[self._at + 2] = input_end
        self._slots[self._at + 1] = offset

    def recover(self, input_end: int) -> None:
        """Finds out whether the last daemon typed what it was about to."""
        slots, at = self._slots, self._at
        if slots[at + 1] > slots[at] and input_end >= slots[at + 2]:
            slots[at] = slots[at + 1]
        slots[at + 1] = 0


class Answers:
    """Those of one session's screen."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._spoken = session.state.spoken
        self._loss_told_at = -LOSS_TOLD_EVERY_S

    @property
    def to(self) -> int:
        """The screen has spoken up to here."""
        return self._spoken.to

    def pass_to(self, offset: int) -> None:
        """The screen has seen what is before, and had no more to say."""
        if offset > self._spoken.to:
            self._spoken.to = offset

    def type(self, offset: int | None, data: bytes) -> None:
        """Types what answers the output before `offset`, unless that was done; None: what tells of a new size.

        Where the job takes nothing an answer is lost, as a terminal's would be.
        """
        session = self._session
        if offset is not None and offset <= self._spoken.to:
            return
        if session.connected and not session.closing:
            try:
                session.input.check(data)
            except CoprocdError as error:
                self._tell_loss(error)
            else:
                if offset is not None:
                    self._spoken.intend(offset, session.input.ring.end + len(data))
                session.input.put(data)
                session.on_typed(ORIGIN, len(data))
        if offset is not None:
            self._spoken.to = offset

    def _tell_loss(self, error: CoprocdError) -> None:
        now = time.monotonic()
        if now - self._loss_told_at >= LOSS_TOLD_EVERY_S:
            self._loss_told_at = now
            log.info("session %s: an answer of its screen is not typed: %s", self._session.id, error.code)


class Title:
    """The title that the job of one session has set, on its way to the session's attributes."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._loop = asyncio.get_running_loop()
        self._known = ""
        self._told = ""
        self._due: asyncio.TimerHandle | None = None

    def is_now(self, title: str, new: bool) -> None:
        """The terminal has this one. Not new: it had it when an earlier worker or daemon was there, and it may have been changed by others since."""
        if title == self._known:
            return
        self._known = title
        if not new:
            self._told = title
        elif self._due is None:
            self._due = self._loop.call_later(TITLE_S, self._on_due)
            self._tell()

    def close(self) -> None:
        if self._due is not None:
            self._due.cancel()

    def _on_due(self) -> None:
        self._due = None
        if self._known != self._told:
            self._due = self._loop.call_later(TITLE_S, self._on_due)
            self._tell()

    def _tell(self) -> None:
        self._told = self._known
        self._session.attributes.set_title(self._known)
        self._session.attributes.save_if_changed()
