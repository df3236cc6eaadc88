"""What is kept of a session beside its output: title, variables, what triggers reported of its shell, and whether its input is held.

All of it stands in the session's record. Called by actions of triggers and by the API. What a trigger changes is stored by `save_if_changed`,
which `Triggers` calls before it stores that it has fired: a flood changes a variable thousands of times a second.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from coprocd.protocol.errors import CoprocdError

if TYPE_CHECKING:
    from coprocd.runtime.session import Session

log = logging.getLogger("coprocd.triggers")

TITLE_MOST = 1024
VALUE_MOST = 4096
"""Characters kept of a title, and of a variable's or a reported value."""

VARIABLES_MOST = 1000


class Attributes:
    """Those of one session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._changed = False
        self._stored_variables: dict[str, str] | None = None
        """Those that are stored, when a trigger has changed some since."""
        self._changed_by = ""

    def save_if_changed(self) -> None:
        """Stores what triggers have changed. Where that cannot be, variables are what they were, which is told."""
        if not self._changed:
            return
        session, before = self._session, self._stored_variables
        self._changed, self._stored_variables = False, None
        try:
            session.save()
        except CoprocdError as error:
            log.error("session %s: %s", session.id, error)
            if before is not None:
                session.record.variables = before
                failed = {"trigger": self._changed_by, "action": "set_variable", "reason": error.code, "message": error.message}
                session.context.events.append("trigger.failed", session.id, **failed, offset=None)

    def set_title(self, title: str) -> None:
        session, title = self._session, title[:TITLE_MOST]
        if title != session.record.title:
            session.record.title = title
            self._changed = True
            session.context.events.append("session.title", session.id, title=session.record.title)

    def set_variable(self, name: str, value: str) -> None:
        """`resource_exhausted` when there are too many or there is no room, and then all stand as before."""
        session, variables, value = self._session, self._session.record.variables, value[:VALUE_MOST]
        if not self._is_new(name, value):
            return
        session.record.variables = variables | {name: value}
        try:
            session.save()
        except CoprocdError:
            session.record.variables = variables
            raise
        self._stored_variables = None
        session.triggers.events.tell("variable_changed", value.encode(), name=name)

    def change_variable(self, name: str, value: str, trigger: str) -> None:
        """The same for a trigger: it is stored a moment later."""
        session, value = self._session, value[:VALUE_MOST]
        if not self._is_new(name, value):
            return
        if self._stored_variables is None:
            self._stored_variables = session.record.variables
            session.record.variables = dict(session.record.variables)
        session.record.variables[name] = value
        self._changed, self._changed_by = True, trigger
        session.triggers.events.tell("variable_changed", value.encode(), name=name)

    def _is_new(self, name: str, value: str) -> bool:
        """Whether it changes anything; `resource_exhausted` where there is no place for it."""
        variables = self._session.record.variables
        if len(variables) >= VARIABLES_MOST and name not in variables:
            raise CoprocdError(
                "resource_exhausted",
                f"session {self._session.record.name} has {VARIABLES_MOST} variables, and may not have more: set one that there is",
            )
        return variables.get(name) != value

    def report(self, **reported: str) -> None:
        """The `directory`, the `user` or the `host` that a trigger has read from the output."""
        session = self._session
        for what, value in ((what, value[:VALUE_MOST]) for what, value in reported.items()):
            if getattr(session.record, what) != value:
                setattr(session.record, what, value)
                session.triggers.events.tell(f"{what}_changed", value.encode())
                self._changed = True

    def hold_input(self, held: bool) -> None:
        """Holds what is typed from now on, or lets it go on."""
        session = self._session
        session.record.input_held = session.input.feed.held = held
        session.save_if_possible()
        if not held:
            session.input.feed.pump()
