"""The list of a session's triggers: its own come first, then its profile's.

The own ones stand in the session's record and are changed here; those of the profile are given by `Profiles`. Called by the API; `Triggers`
asks it what is to be tried, and is told of every change, before and after. Whether a trigger fires is no matter of this list.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from coprocd.core.definition import Definition
from coprocd.protocol import objects
from coprocd.protocol.errors import CoprocdError

if TYPE_CHECKING:
    from coprocd.runtime.session import Session


class TriggerList:
    """Of one session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._profile: list[Definition] = []

    # -- what there is ------------------------------------------------------------------------------------------------

    def definitions(self) -> Sequence[Definition]:
        """All that apply, in the order in which they are tried."""
        return [*self._session.record.triggers, *self._profile]

    def list(self) -> Sequence[objects.Trigger]:
        """The same, with what they have done here."""
        return [*self.own(lambda _: True), *self.of_profile(lambda _: True)]

    def own(self, which: Callable[[Definition], bool]) -> Sequence[objects.Trigger]:
        """The session's own for which this holds."""
        return [self._describe(d, None, position) for position, d in enumerate(self._session.record.triggers) if which(d)]

    def of_profile(self, which: Callable[[Definition], bool]) -> Sequence[objects.Trigger]:
        """Its profile's for which this holds."""
        profile = self._session.record.profile
        return [self._describe(d, profile, position) for position, d in enumerate(self._profile) if which(d)]

    def _found(self, trigger: str) -> objects.Trigger:
        return self.own(lambda definition: definition.id == trigger)[0]

    def _describe(self, definition: Definition, profile: str | None, position: int) -> objects.Trigger:
        count = self._session.state.triggers.record.counts.get(definition.id)
        fields = {name: getattr(definition.spec, name) for name in definition.spec.__struct_fields__}
        done = (
            {}
            if count is None
            else {name: getattr(count, name) for name in ("fired", "suppressed", "refused", "last_fired_at", "disabled_why")}
        )
        return objects.Trigger(
            **fields, **done, id=definition.id, session=self._session.id if profile is None else None, profile=profile, position=position
        )

    # -- the session's own --------------------------------------------------------------------------------------------

    def add(self, spec: objects.TriggerSpec, position: int | None = None) -> objects.Trigger:
        """Adds one, at `position` or last."""
        definition = Definition("t" + secrets.token_hex(5), spec)
        own = [*self._session.record.triggers]
        own.insert(len(own) if position is None else position, definition)
        self._set_own(own)
        return self._found(definition.id)

    def update(self, trigger: str, spec: objects.TriggerSpec, position: int | None = None) -> objects.Trigger:
        """Gives the one with this id another definition, and another position where one is given."""
        own = [*self._session.record.triggers]
        at = next(index for index, definition in enumerate(own) if definition.id == trigger)
        del own[at]
        own.insert(at if position is None else position, Definition(trigger, spec))
        self._set_own(own)
        self.rearm(trigger, used_up=False)
        return self._found(trigger)

    def remove(self, trigger: str) -> None:
        """Takes the one with this id away, with its counts."""
        self._set_own([definition for definition in self._session.record.triggers if definition.id != trigger])
        if self._session.state.triggers.record.counts.pop(trigger, None) is not None:
            self._session.triggers.save_soon()

    def set_enabled(self, trigger: str, enabled: bool) -> objects.Trigger:
        """Switches the one with this id; one that was used up (`once`) may fire again once it is enabled."""
        found = next(definition for definition in self._session.record.triggers if definition.id == trigger)
        self.update(trigger, msgspec.structs.replace(found.spec, enabled=enabled))
        if enabled:
            self.rearm(trigger)
        return self._found(trigger)

    def _set_own(self, definitions: Sequence[Definition]) -> None:
        self._session.triggers.note_place()
        record, before = self._session.record, self._session.record.triggers
        record.triggers = [*definitions]
        try:
            self._session.save()
        except CoprocdError:
            record.triggers = before
            raise
        self._session.triggers.arrange()

    # -- all ----------------------------------------------------------------------------------------------------------

    def set_profile(self, definitions: Iterable[Definition]) -> None:
        """The profile's triggers are these now. One that was changed, and switched off here for what it cost, is tried again."""
        self._session.triggers.note_place()
        before = {definition.id: definition for definition in self._profile}
        self._profile = [*definitions]
        for definition in self._profile:
            count = self._session.state.triggers.record.counts.get(definition.id)
            if count is not None and before.get(definition.id, definition) != definition:
                count.disabled_why = None
                self._session.triggers.save_soon()
        self._session.triggers.arrange()

    def rearm(self, trigger: str, used_up: bool = True) -> None:
        """One that was switched off here for what it cost is tried again, and with `used_up` one that had its turn (`once`) too."""
        definition = next((definition for definition in self.definitions() if definition.id == trigger), None)
        count = self._session.state.triggers.record.counts.get(trigger)
        if definition is None or count is None:
            return
        count.disabled_why = None
        if used_up and definition.spec.once:
            count.fired = 0
        self._session.triggers.save_soon()
        self._session.triggers.arrange()
