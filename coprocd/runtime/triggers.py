"""A session's triggers at work: what it prints is matched, in the turn in which it comes, and what matches fires.

Which triggers there are is `TriggerList`'s. Matching is `core.trigger_matcher`'s, on offsets; whether a match fires is
decided here (once, cooldown, so many a second); what it does is `Actions`'. All that a turn leads to is stored with the place up to which
the output was matched, and only then carried out, so an action runs at most once (`trigger_state` has the order of the stores). What is
only told, or kept by us, waits a moment for more of its kind, and is stored together with it: a flood that matches fires thousands of times a second.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from coprocd.core.definition import Definition
from coprocd.core.lines import Position, Signal
from coprocd.core.throttle import SharedThrottle
from coprocd.core.trigger_matcher import Match, Matcher, Rule
from coprocd.protocol.errors import CoprocdError
from coprocd.runtime.actions import Actions, Effect, Fire
from coprocd.runtime.event_triggers import EventTriggers
from coprocd.runtime.pump import FULL_BYTES
from coprocd.runtime.trigger_state import Place

if TYPE_CHECKING:
    from coprocd.runtime.session import Session

log = logging.getLogger("coprocd.triggers")

SLICE_BYTES = 64 << 10
"""Matched at a time."""

SAVE_AFTER_S = 0.05
"""What only changes state of ours (marks, counts) is stored so late at most, and what is only told (`Actions.is_told`) is then told.

Until then the place does not move on either.
"""

THROTTLED_S = 0.1
"""So long the matches of triggers that were refused are only counted: in a flood they are most of all matches."""

NOTE_AFTER_BYTES = 64 << 10
"""In a flood the place where matching stands is stored so seldom. What is matched again then, by the next daemon, fired nothing."""


class Triggers:
    """Called by the `Pump` for output, by `TriggerList` for changes, by `EventTriggers` for events."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._state = session.state.triggers
        self._by_id: dict[str, Definition] = {}
        self._matcher: Matcher | None = None
        self._cursor = 0
        limits = session.context.settings
        self._throttle = SharedThrottle(limits.trigger_fires_per_s, limits.session_fires_per_s, time.monotonic())
        self._throttled_until = 0.0
        """Until then refused triggers are only counted; 0 when none is."""
        self._effects: list[Effect] = []
        self._urgent = False
        """Whether one of the effects does more than tell."""
        self._dirty = False
        self._stored_to = 0
        """The place up to which the output was matched when it was last stored."""
        self._save_due: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._actions = Actions(session)
        self.events = EventTriggers(session, self)

    # -- what is tried ------------------------------------------------------------------------------------------------

    def arrange(self) -> None:
        """What is matched follows from what there is."""
        definitions = self._session.trigger_list.definitions()
        self._by_id = {definition.id: definition for definition in definitions}
        self._throttle.forget_gone(self._by_id)
        self._state.forget_gone(self._by_id)
        armed = [definition for definition in definitions if self._armed(definition)]
        rules = [self._rule(definition) for definition in armed if definition.spec.event is None]
        self.events.arrange(armed)
        if self._session.record.input_held and not any(definition.spec.action == "buffer_input" for definition in armed):
            self._session.attributes.hold_input(False)  # nothing is left that could let it go
        if self._matcher is not None:
            self._matcher.set_rules(rules)
        elif (rules or self.events.want_signals) and not self._session.finished:
            self._begin(rules)

    def _armed(self, definition: Definition) -> bool:
        count = self._state.record.counts.get(definition.id)
        return definition.spec.enabled and not (count is not None and (count.disabled_why or (definition.spec.once and count.fired)))

    def _rule(self, definition: Definition) -> Rule:
        spec = definition.spec
        return Rule(definition.id, definition.pattern, spec.instant, spec.interactive_apps, spec.action == "stop")

    # -- the output ---------------------------------------------------------------------------------------------------

    @property
    def matching(self) -> bool:
        """Whether output is matched at all."""
        return self._matcher is not None

    def _begin(self, rules: Sequence[Rule]) -> None:
        """Begins to match: where an earlier daemon stood, else with the line that is not ended yet, of which nothing has been matched."""
        output = self._session.log
        place = self._state.place()
        if place is None or place.cursor > output.end:
            place = Place(output.end, output.line_start(), int(output.modes().alternate_screen))
        if place.line_at < output.retained_from:
            place = Place(max(place.cursor, output.retained_from), max(place.cursor, output.retained_from), place.mode)
        self._matcher = Matcher(
            rules, time.perf_counter, Position(place.line_at, place.mode >> 1, bool(place.mode & 1)), worked=time.thread_time
        )
        line_at = max([place.line_at, *(to for _, to in output.silence.within(place.line_at, place.cursor))])
        if line_at > place.line_at:
            self._matcher.restart(line_at)
        for offset in range(line_at, place.cursor, SLICE_BYTES):
            self._matcher.replay(output.read(offset, min(SLICE_BYTES, place.cursor - offset)), offset)
        self._matcher.fired_in_line.clear()
        stored = self._state.record
        if stored.place is not None and stored.place[1] == place.line_at:
            self._matcher.fired_in_line.update(stored.fired_in_line)
        self._cursor = self._stored_to = place.cursor

    def resume(self) -> None:
        """Goes on where an earlier daemon stopped: actions whose outcome it did not know, then the output it did not get to match."""
        self.arrange()
        if self._matcher is None:  # what comes from now on is not matched: a trigger that is added later does not begin with it
            self._state.forget_place()
        for intent in tuple(self._state.record.intents):
            self._actions.recover(intent)
        self.save_soon()
        self.pump(self._cursor)

    def pump(self, shown_to: int) -> None:
        """Matches what has come; `shown_to` is the end of the output that viewers may have been woken for."""
        if self._matcher is None:
            return
        try:
            self._match(self._matcher, shown_to)
        except Exception:  # nobody may miss the output for a bug in what is done about it
            log.exception("session %s: what it printed up to offset %d is not matched", self._session.id, self._session.log.end)
            self.skip()

    def _match(self, matcher: Matcher, shown_to: int) -> None:
        output = self._session.log
        end = output.end
        if self._throttled_until and self._loop.time() >= self._throttled_until:
            self._throttled_until = 0.0
            matcher.match_all()
        if self._cursor < output.retained_from:
            self._go_to(output.retained_from)
        while self._cursor < end:
            silent = next(iter(output.silence.within(self._cursor, end)), None)
            if silent is not None and silent[0] <= self._cursor:
                if output.silence.opened_at is not None and silent[1] == end:
                    break  # where it will end is not known yet
                self._go_to(silent[1])
                continue
            stop = min(end if silent is None else silent[0], self._cursor + SLICE_BYTES)
            data = output.read(self._cursor, stop - self._cursor)
            for found in matcher.feed(data, self._cursor):
                if isinstance(found, Signal):
                    self.events.on_signal(found)
                elif self._on_match(found, shown_to):  # what follows is silenced
                    stop = output.silence.opened_at or stop
                    matcher.restart(stop)
                    break
            self._cursor = stop
        for trigger, times in matcher.take_counted():
            self._state.count(trigger).suppressed += times
            self._dirty = True
        for trigger, seconds in matcher.too_slow():
            self._switch_off(trigger, seconds)
        self._commit(shown_to)

    def skip(self) -> None:
        """What has come so far is not matched, again or at all: a trigger must not fire twice on one line."""
        if self._matcher is not None:
            self._go_to(self._session.log.end)
            self.note_place()

    def _go_to(self, offset: int) -> None:
        """What lies between is not matched."""
        assert self._matcher is not None
        self._matcher.restart(offset)
        self._cursor = offset

    def _on_match(self, match: Match, shown_to: int) -> bool:
        definition = self._by_id.get(match.rule.id)
        return definition is not None and self._fire(definition, Fire.of(match), shown_to)

    def suppress(self, definition: Definition, times: int) -> None:
        """Counts what it did not fire for."""
        if times:
            self._state.count(definition.id).suppressed += times
            self.save_soon()

    def fire(self, definition: Definition, fire: Fire) -> None:
        """Fires for an event, which is no match."""
        self._fire(definition, fire, self._session.log.end)
        self._commit()

    def _fire(self, definition: Definition, fire: Fire, shown_to: int) -> bool:
        """Fires, if it may; True when the output is silenced from then on."""
        spec, count, now = definition.spec, self._state.count(definition.id), time.monotonic()
        self._dirty = True
        if spec.once and count.fired:
            return False
        if spec.cooldown_s and count.fired and now < count.last_fired_clock + spec.cooldown_s:
            count.suppressed += 1
            return False
        if refused := self._throttle.take(definition.id, now):
            count.suppressed += 1
            if refused.first:
                self._tell("trigger.throttled", definition, fire, per_s=refused.per_s, scope="session" if refused.all else "trigger")
            if self._matcher is not None:
                self._matcher.only_count(definition.id)
                self._throttled_until = self._throttled_until or self._loop.time() + THROTTLED_S
            return False
        try:
            effect = self._actions.prepare(definition, fire, shown_to)
        except CoprocdError as error:
            if error.code == "coprocess_already_running":
                count.refused += 1
            else:
                self._actions.failed(definition.id, spec.action, error.code, error.message, fire.start)
            return False
        count.fired += 1
        count.last_fired_at, count.last_fired_clock = time.time(), now
        self._tell("trigger.fired", definition, fire)
        if effect is not None:
            self._effects.append(effect)
            self._urgent |= not self._actions.is_told(spec.action)
        if spec.once:
            self._loop.call_soon(self.arrange)
        return self._session.log.silence.opened_at is not None

    def _tell(self, type: str, definition: Definition, fire: Fire, **more: object) -> None:
        self._session.context.events.append(
            type, self._session.id, trigger=definition.id, name=definition.spec.name, action=definition.spec.action, **fire.told(), **more
        )

    def _switch_off(self, trigger: str, seconds: float) -> None:
        """Its matching costs too much: it is not tried any more here, until it is changed or enabled again."""
        count = self._state.count(trigger)
        count.disabled_why = "too_slow"
        self._dirty = True
        log.warning("session %s: trigger %s is switched off, a match took %.3f s", self._session.id, trigger, seconds)
        self._actions.failed(
            trigger, None, "too_slow", "matching it costs too much, so it was switched off; give a simpler regex and enable it again", None
        )

    # -- storing ------------------------------------------------------------------------------------------------------

    def _place(self) -> Place | None:
        if self._matcher is None:
            return None
        position = self._matcher.position()
        return Place(self._cursor, position.line_at, position.state << 1 | position.alternate)

    def _commit(self, shown_to: int | None = None) -> None:
        """Stores what the turn has led to, then carries it out."""
        if self._urgent:
            self.save()
        elif self._dirty:
            if self._cursor - self._stored_to > self._session.log.ring.capacity // 2:
                self.save()
            else:
                self.save_soon()
        elif shown_to is None or self._cursor - shown_to < FULL_BYTES or self._cursor - self._stored_to >= NOTE_AFTER_BYTES:
            self.note_place()

    def note_place(self) -> None:
        """Stores the place: from here on other triggers may be tried, or none of what came so far."""
        if self._matcher is None:
            return
        if self._dirty:
            self.save()
        elif (place := self._place()) is not None:
            self._state.note(place)
            self._stored_to = place.cursor

    def save_soon(self) -> None:
        """Stores the state within a moment."""
        self._dirty = True
        if self._save_due is None:
            self._save_due = self._loop.call_later(SAVE_AFTER_S, self.save)

    def save(self) -> None:
        """Stores the state as it is now, and the place; then carries out what has waited for that."""
        if self._save_due is not None:
            self._save_due.cancel()
            self._save_due = None
        self._dirty = self._urgent = False
        effects, self._effects = self._effects, []
        if self._session.dropped:
            return
        self._session.attributes.save_if_changed()
        self._state.record.fired_in_line = sorted(self._matcher.fired_in_line) if self._matcher is not None else []
        if self._state.save(self._place()):
            self._session.typing.forget_triggers(intent.key for intent in self._state.record.intents)
        self._stored_to = self._cursor
        for effect in effects:
            effect()
        if effects:
            self.save_soon()

    def close(self) -> None:
        """Fires no more."""
        self.events.close()
        while self._save_due is not None:
            self.save()
