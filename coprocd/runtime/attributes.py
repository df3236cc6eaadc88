"""What is kept of a session beside its output: title, variables, what triggers reported of its shell, and whether its input is held.

All of it stands in the session's record. Called by actions of triggers and by the API.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from coprocd.protocol.errors import CoprocdError

if TYPE_CHECKING:
    from coprocd.runtime.session import Session

TITLE_MOST = 1024
VALUE_MOST = 4096
"""Characters kept of a title, and of a variable's or a reported value."""

VARIABLES_MOST = 1000


class Attributes:
    """Those of one session."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def set_title(self, title: str) -> None:
        session, title = self._session, title[:TITLE_MOST]
        if title != session.record.title:
            session.record.title = title
            session.save_if_possible()
            session.context.events.append("session.title", session.id, title=session.record.title)

    def set_variable(self, name: str, value: str) -> None:
        """`resource_exhausted` when there are too many, and then all stand as before."""
        session, variables, value = self._session, self._session.record.variables, value[:VALUE_MOST]
        if variables.get(name) == value:
            return
        if len(variables) >= VARIABLES_MOST and name not in variables:
            raise CoprocdError(
                "resource_exhausted",
                f"session {session.record.name} has {VARIABLES_MOST} variables, and may not have more: set one that there is",
            )
        session.record.variables = variables | {name: value}
        try:
            session.save()
        except CoprocdError:
            session.record.variables = variables
            raise
        session.triggers.events.tell("variable_changed", value.encode(), name=name)

    def report(self, **reported: str) -> None:
        """The `directory`, the `user` or the `host` that a trigger has read from the output."""
        session = self._session
        for what, value in ((what, value[:VALUE_MOST]) for what, value in reported.items()):
            if getattr(session.record, what) != value:
                setattr(session.record, what, value)
                session.triggers.events.tell(f"{what}_changed", value.encode())
        session.save_if_possible()

    def hold_input(self, held: bool) -> None:
        """Holds what is typed from now on, or lets it go on."""
        session = self._session
        session.record.input_held = session.input.feed.held = held
        session.save_if_possible()
        if not held:
            session.input.feed.pump()
