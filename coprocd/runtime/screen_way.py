"""The way of a session's terminal along the session's display: where it is, what it is shown next, and from where it can go that way again.

It begins at a checkpoint, or where the output does. A worker that dies takes the terminal back there; sizes since then, which are in no log, are
remembered here, injections by the session. What output the worker died of is fed in small pieces, or passed over, as `Poison` has it.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from coprocd.core.poison import Poison
from coprocd.core.timeline import Injection, Output, Place, after
from coprocd.screen import wire

if TYPE_CHECKING:
    from coprocd.runtime.answers import Answers
    from coprocd.runtime.session import Session

log = logging.getLogger("coprocd.screens")

STEPS_BYTES = 512 << 10
"""Fed with one message; of a small log a quarter, so that there is room for what comes meanwhile."""

STEPS_LEAST_BYTES = 8 << 10
STEPS_MOST_S = 0.25
"""Less is fed with the next where a message has taken longer: a screen is seen to move on by what it has answered."""

SAVE_MOST_BYTES = 8 << 20
"""So much output at most is fed again after a checkpoint, which takes a tenth of a second; of a small log half of it."""

SAVE_SOON_BYTES = 64 << 10
"""As much output as this behind the last checkpoint is in another soon, not only when it is SAVE_MOST_BYTES."""

CANCEL = b"\x18"
"""Ends a sequence in progress (ECMA-48 CAN): shown where bytes of the output are not."""

SIZES_MOST = 64
"""Remembered since the checkpoint; of more the oldest is forgotten, as if the terminal had begun with it."""


class Size(msgspec.Struct):
    """The terminal had this size from `offset` on. Told: the job, which may have asked for reports, has been."""

    offset: int
    rows: int
    cols: int
    told: bool = False


class Stepping(NamedTuple):
    """Steps under way: what they are, where they lead, how many sizes are behind them, whether they end in a checkpoint, whether they are repeated."""

    steps: list[wire.Step]
    place: Place
    sizes_made: int
    saves: bool
    muted: bool


class Way:
    """That of one session's terminal, whether there is one now or not."""

    def __init__(self, session: Session, answers: Answers, poison: Poison) -> None:
        self._session = session
        self._answers = answers
        self._poison = poison
        saved = session.log.checkpoints.newest()
        self.fresh = saved is None
        """Whether there is no checkpoint."""
        self._stored = self.saved = self._at(0, 0) if saved is None else self._at(saved.offset, saved.injected)
        """Where the checkpoint was made, else the beginning; and where the terminal is the same still, since all in between is silent."""
        self.size = (session.record.rows, session.record.cols) if saved is None else (saved.rows, saved.cols)
        """That of the terminal there."""
        self._sizes: deque[Size] = deque()
        """Those after it."""
        self._sizes_made = 0
        self.place = self.saved
        self._shown = session.injections.first
        """The injections that were shown, also by workers before."""
        self._steps_bytes = STEPS_BYTES
        self._unsaved_from: int | None = None
        """Where a checkpoint could not be stored."""

    @property
    def end(self) -> Place:
        """Where it leads to, for now."""
        return self._session.display.place_at_end()

    @property
    def floor(self) -> int:
        """The offset from which on the log is needed to go this way, or to go it again."""
        return self.saved.offset if self._unsaved_from is None else self.place.offset

    @property
    def is_saved(self) -> bool:
        """Whether the terminal is as in the checkpoint."""
        return self.saved == self.place and not self._sizes_made

    @property
    def can_return(self) -> bool:
        """Whether the log has all that has come since the checkpoint."""
        return self.saved.offset >= self._session.log.retained_from

    @property
    def unsaved(self) -> bool:
        """Whether there should be a checkpoint soon: of what is not in the log, or of much that is."""
        return (
            bool(self._sizes_made) or self.place.injected > self.saved.injected or self.place.offset - self.saved.offset >= SAVE_SOON_BYTES
        )

    def behind(self, terminal: int) -> bool:
        """Whether there is something to show that nobody has been shown; with a terminal: that this one has not."""
        reached = self.place if terminal else Place(self._answers.to, self._shown)
        return self._sizes_made < len(self._sizes) or self.end > reached

    def resize(self, rows: int, cols: int) -> None:
        """It has this size from where the output ends now."""
        self._sizes.append(Size(self._session.log.end, rows, cols))
        if len(self._sizes) > SIZES_MOST:
            first = self._sizes.popleft()
            self.size = first.rows, first.cols
            self._sizes_made = max(self._sizes_made - 1, 0)

    # -- forward ------------------------------------------------------------------------------------------------------------

    def next(self, target: Place | None, save: bool) -> Stepping | None:
        """What the worker is told next, at most to `target`; goes by itself where there is nothing to tell, and is None at the end.

        `save`: a checkpoint is to be made in any case.
        """
        while True:
            place, end = self.place, self.end
            size = self._sizes[self._sizes_made] if self._sizes_made < len(self._sizes) else None
            if size is not None and (size.offset <= place.offset or place >= end):
                step, size.told = wire.Resize(size.rows, size.cols, size.told), True
                return self._stepping([step], place, self._sizes_made + 1, save)
            if place >= (end if target is None else min(target, end)):
                stepping = self._stepping([], place, self._sizes_made, save)
                return stepping if save and stepping.saves else None
            until = min([end.offset, *([target.offset] if target is not None else []), *([size.offset] if size is not None else [])])
            steps, place = self._shown_next(until)
            for reached in (end, target):
                if reached is not None and place.offset >= reached.offset:  # with what was injected before it and is not kept
                    place = max(place, Place(place.offset, reached.injected))
            stepping = self._stepping(steps, place, self._sizes_made, save)
            if steps or stepping.saves:
                return stepping
            if self.saved == self.place:
                self.saved = place
            self._reach(place)

    def _shown_next(self, until: int) -> tuple[list[wire.Step], Place]:
        """What is shown next, at most to the offset `until`, and where that leads."""
        log, place, steps = self._session.log, self.place, list[wire.Step]()
        if (lost_to := log.retained_from) > place.offset:
            silent = sum(stop - start for start, stop in log.silence.within(place.offset, lost_to))
            if silent < lost_to - place.offset:
                steps.append(wire.Show(CANCEL))
            place = Place(lost_to, place.injected)
        most = min(self._steps_bytes, log.ring.capacity // 4)
        for start, stop in log.silence.within(place.offset, until):
            if start == place.offset:
                most = max(most, stop - start)
        until = max(min(until, place.offset + most), place.offset)
        if place.offset < self._answers.to:
            until = min(until, self._answers.to)
        until, _ = self._poison.limit(place.offset, until)
        for step in self._session.display.steps(place, until - place.offset):
            if isinstance(step, Injection):
                steps.append(wire.Show(step.data))
            elif isinstance(step, Output):
                for start, stop, fed in self._poison.split(step.start, step.stop):
                    steps.append(wire.Feed(start, stop) if fed else wire.Show(CANCEL))
            place = after(place, step)
        return steps, place

    def _stepping(self, steps: list[wire.Step], place: Place, sizes_made: int, save: bool) -> Stepping:
        log = self._session.log
        often, unsaved = min(SAVE_MOST_BYTES, log.ring.capacity // 2), place.offset - self.saved.offset
        saves = save or unsaved >= often
        if log.silence.opened_at is not None and place.offset >= log.silence.opened_at:
            saves = saves or unsaved > 0  # the log may lose it
        if self._unsaved_from is not None and place.offset - self._unsaved_from < often:
            saves = False
        return Stepping(steps, place, sizes_made, saves, self.place.offset < self._answers.to)

    def reach(self, stepping: Stepping, took_s: float, saved: bool) -> None:
        """The steps were made; and there is a checkpoint, if they end in one."""
        if took_s > STEPS_MOST_S:
            self._steps_bytes = max(self._steps_bytes // 4, STEPS_LEAST_BYTES)
        else:
            self._steps_bytes = min(self._steps_bytes * 2, STEPS_BYTES)
        self._sizes_made = stepping.sizes_made
        self._reach(stepping.place)
        if not stepping.saves:
            return
        if not saved:
            if self._unsaved_from is None:
                log.error("session %s: there is no room for a checkpoint of its screen", self._session.id)
            self._unsaved_from = stepping.place.offset
            return
        self._unsaved_from, self.fresh = None, False
        self.saved = self._stored = stepping.place
        for _ in range(self._sizes_made):
            size = self._sizes.popleft()
            self.size = size.rows, size.cols
        self._sizes_made = 0
        self._poison.forget(stepping.place.offset)

    def _reach(self, place: Place) -> None:
        self.place = place
        self._answers.pass_to(place.offset)
        self._shown = max(self._shown, place.injected)

    # -- and back -----------------------------------------------------------------------------------------------------------

    def go_back(self) -> None:
        """The terminal is gone: the next one begins at the checkpoint."""
        self.place, self._sizes_made = self.saved, 0

    def begin(self, opened: wire.Opened) -> None:
        """There is a terminal, from the checkpoint that the worker has found."""
        place = self._at(opened.offset, opened.injected)
        if opened.found and place == self._stored:
            place = self.saved
        self.place = self.saved = place
        self.size = opened.rows, opened.cols
        now = (self._session.record.rows, self._session.record.cols)
        if not self._sizes and self.size != now:  # it changed in the last moment of an earlier daemon
            self._sizes.append(Size(place.offset, *now, told=True))

    def start_over(self) -> None:
        """The next terminal is an empty one, at the end of the output."""
        self._session.log.checkpoints.forget()
        self.fresh = True
        self._sizes.clear()
        self.size = self._session.record.rows, self._session.record.cols
        self.saved = self._stored = self.place = self.end

    def _at(self, offset: int, injected: int) -> Place:
        """The place of a checkpoint, which an earlier daemon may have made."""
        return self._session.injections.resumed(offset, injected)
