"""What triggers do: one function an action.

`prepare` does in the turn of the match what must be exact: a coprocess's cursor and silence, marks, what is stored of the session. What
reaches the world outside is an `Effect`, carried out once the match is stored; its intent stands in the record until its outcome is known,
so that the next daemon can tell. Sent text and coprocesses have names of their own there: they are completed, and never done twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from coprocd.core import substitution
from coprocd.core.definition import Definition
from coprocd.core.trigger_matcher import Match
from coprocd.protocol.errors import CoprocdError
from coprocd.protocol.objects import CoprocessSpec
from coprocd.runtime import launch
from coprocd.runtime.coprocess import Coprocess
from coprocd.runtime.trigger_state import Intent

if TYPE_CHECKING:
    from coprocd.runtime.session import Session

log = logging.getLogger("coprocd.triggers")

Effect = Callable[[], None]
Groups = tuple[bytes | None, ...]

TOLD_LINE_MOST = 4096
"""Characters of a line, or of one capture, that an event carries."""

_MARKS = {"mark": "mark", "prompt": "prompt", "named_mark": "named_mark", "annotate": "annotation", "capture": "capture"}
_DRAWN = ("highlight", "highlight_line", "sgr", "hyperlink")
_TOLD = {"notify": "notification", "alert": "notification", "bell": "bell", "call": "call", "password": "password"}
"""Actions that are an event: clients and subscribers act on it."""


class Fire(NamedTuple):
    """What a trigger fires on: a match, or an event (`line` is empty then). Offsets are of the output."""

    groups: Groups
    line: bytes
    start: int
    end: int
    line_start: int
    truncated: bool = False

    @classmethod
    def of(cls, match: Match) -> Fire:
        return cls(match.groups, match.line, match.start, match.end, match.line_start, match.truncated)

    def told(self) -> dict[str, object]:
        """What an event says of it."""
        return {
            "offset": self.start,
            "end": self.end,
            "line_offset": self.line_start,
            "line": shown(self.line),
            "groups": [shown(group) for group in self.groups],
            "truncated": self.truncated,
        }


def shown(text: bytes | None) -> str:
    """As text, no longer than an event may be."""
    return substitution.shown(text[:TOLD_LINE_MOST].split(b"\0", 1)[0]) if text else ""


class Actions:
    """Those of one session's triggers."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def prepare(self, definition: Definition, fire: Fire, shown_to: int) -> Effect | None:
        """Does what must be done in this turn; what is left to carry out, if anything. CoprocdError: it cannot be done."""
        action = definition.spec.action
        if action in ("run_coprocess", "run_silent_coprocess"):
            return self._open_coprocess(definition, fire, shown_to)
        if action in _MARKS or action in _DRAWN:
            self._mark(definition, fire)
            return None
        if action in _TOLD:
            return self._announce(definition, fire)
        prepare: Callable[[Definition, Fire], Effect | None] = getattr(self, f"_{action}")
        return prepare(definition, fire)

    @staticmethod
    def is_told(action: str) -> bool:
        """Whether what is left to carry out of it is an event and no more."""
        return action in _TOLD

    def failed(self, trigger: str, action: str | None, reason: str, message: str, offset: int | None) -> None:
        """Tells that an action could not be done."""
        self._session.context.events.append(
            "trigger.failed", self._session.id, trigger=trigger, action=action, reason=reason, message=message, offset=offset
        )

    def recover(self, intent: Intent) -> None:
        """An action that an earlier daemon was about to run: completes it where that cannot be twice, else tells that nobody knows."""
        session, data = self._session, intent.data
        if "coprocess" in data:
            if not any(coprocess.record.id == data["coprocess"] for coprocess in session.coprocesses):
                try:
                    spec = msgspec.convert(data["spec"], CoprocessSpec)
                    coprocess = session.coprocesses.open(spec, intent.trigger, data["shown_to"], data["coprocess"])
                    session.own(self._spawn(intent, coprocess, spec))
                    return
                except CoprocdError as error:
                    self.failed(intent.trigger, intent.action, error.code, error.message, intent.offset)
        elif "typed" in data:
            self._type(intent)
            return
        elif not any(command.record.id == data.get("command") for command in session.context.commands.list(session.id)):
            self.failed(
                intent.trigger, intent.action, "crash", "the daemon was killed as it ran: whether it did is not known", intent.offset
            )
        session.state.triggers.forget(intent)

    # -- coprocesses and commands ---------------------------------------------------------------------------------------

    def _open_coprocess(self, definition: Definition, fire: Fire, shown_to: int) -> Effect:
        session, spec = self._session, definition.spec
        command, argv = self._command_line(spec.parameter, fire.groups)
        start = max(fire.start, session.log.retained_from)
        wanted = CoprocessSpec(
            command=command,
            argv=argv,
            silent=spec.action == "run_silent_coprocess",
            from_=start,
            env=dict(substitution.environment(fire.groups, fire.line)),
        )
        data = {"coprocess": "", "spec": msgspec.to_builtins(wanted), "shown_to": shown_to}
        session.state.triggers.require_room(data)
        coprocess = session.coprocesses.open(wanted, definition.id, shown_to)
        data["coprocess"] = coprocess.record.id
        intent = session.state.triggers.intend(definition.id, spec.action, fire.start, data)

        def spawn() -> None:
            session.own(self._spawn(intent, coprocess, wanted))

        return spawn

    async def _spawn(self, intent: Intent, coprocess: Coprocess, spec: CoprocessSpec) -> None:
        try:
            await self._session.coprocesses.spawn(coprocess, spec)
        except CoprocdError as error:
            self.failed(intent.trigger, intent.action, error.code, error.message, intent.offset)
            if spec.silent:
                self._session.triggers.skip()
        self._session.state.triggers.forget(intent)
        self._session.triggers.save()

    def _run_command(self, definition: Definition, fire: Fire) -> Effect:
        session = self._session
        command, argv = self._command_line(definition.spec.parameter, fire.groups)
        env = launch.overlay(session.job_environment(), dict(substitution.environment(fire.groups, fire.line)))
        known_as = session.context.commands.new_id()
        intent = session.state.triggers.intend(definition.id, definition.spec.action, fire.start, {"command": known_as})

        def start() -> None:
            line = argv if argv is not None else launch.in_shell(command or "")
            label = command if command is not None else " ".join(line)
            begun = session.context.commands.run(session, definition.id, line, label, env, session.current_directory(), known_as).begun
            begun.add_done_callback(lambda _: self._on_begun(intent))

        return start

    def _on_begun(self, intent: Intent) -> None:
        """A command's process runs, or its failure has been told. While it waits for its turn no other daemon knows of it."""
        self._session.state.triggers.forget(intent)
        self._session.triggers.save_soon()

    def _command_line(self, parameter: Any, groups: Groups) -> tuple[str | None, list[str] | None]:
        """(command, None) or (None, argv); `invalid_params` where a capture would be taken for an option."""
        if refusal := substitution.refusal(parameter, groups):
            raise CoprocdError("invalid_params", refusal)
        if isinstance(parameter, list):
            return None, substitution.argv(parameter, groups)
        return substitution.command(parameter, groups), None

    # -- what is typed and shown ------------------------------------------------------------------------------------------

    def _send_text(self, definition: Definition, fire: Fire) -> Effect:
        typed = substitution.typed(definition.spec.parameter or "", fire.groups)  # type: ignore[arg-type]
        data = {"typed": typed.decode("latin-1")}
        intent = self._session.state.triggers.intend(definition.id, definition.spec.action, fire.start, data)
        return partial(self._type, intent)

    def _type(self, intent: Intent) -> None:
        """Types it under a key of its own, so that it is typed once."""
        session = self._session
        try:
            session.typing.type(intent.data["typed"].encode("latin-1"), f"trigger {intent.trigger}", intent.key)
        except CoprocdError as error:
            self.failed(intent.trigger, intent.action, error.code, error.message, intent.offset)
        session.state.triggers.forget(intent)

    def _inject(self, definition: Definition, fire: Fire) -> Effect:
        data = substitution.data(definition.spec.parameter or "", fire.groups)  # type: ignore[arg-type]
        intent = self._session.state.triggers.intend(definition.id, definition.spec.action, fire.start, {})

        def inject() -> None:
            try:
                self._session.injections.put(data)
            except CoprocdError as error:
                self.failed(definition.id, "inject", error.code, error.message, fire.start)
            self._session.state.triggers.forget(intent)

        return inject

    def _buffer_input(self, definition: Definition, fire: Fire) -> None:
        self._session.attributes.hold_input(self._text(definition, fire) != "stop")

    def _stop(self, definition: Definition, fire: Fire) -> None:
        """The matcher has stopped."""

    # -- what is kept of the session ------------------------------------------------------------------------------------

    def _set_title(self, definition: Definition, fire: Fire) -> None:
        self._session.attributes.set_title(self._text(definition, fire))

    def _set_variable(self, definition: Definition, fire: Fire) -> None:
        self._session.attributes.change_variable(*substitution.variable(definition.spec.parameter, fire.groups), definition.id)

    def _set_directory(self, definition: Definition, fire: Fire) -> None:
        self._session.attributes.report(directory=self._text(definition, fire))

    def _set_host(self, definition: Definition, fire: Fire) -> None:
        user, at, host = self._text(definition, fire).rpartition("@")
        self._session.attributes.report(host=host, **({"user": user} if at else {}))

    def _mark(self, definition: Definition, fire: Fire) -> None:
        spec = definition.spec
        bare = spec.action in substitution.BARE or (spec.action in _DRAWN and not spec.parameter)
        text = self._text(definition, fire) if isinstance(spec.parameter, str) and not bare else None
        said: dict[str, Any] = {"name": text} if spec.action == "named_mark" else {"text": text}
        if spec.action == "capture":  # the line, and what is run when somebody jumps to it
            said = {"text": shown(fire.line), "name": text or None}
        elif spec.action in _DRAWN and not isinstance(spec.parameter, str) and spec.parameter is not None:
            said = {"text": msgspec.json.encode(spec.parameter).decode()}
        self._session.marks.add(
            _MARKS.get(spec.action, spec.action), fire.start, end=fire.end, line_offset=fire.line_start, trigger=definition.id, **said
        )
        if spec.action == "prompt":
            self._session.triggers.events.tell("prompt", b"")

    # -- what others act on -----------------------------------------------------------------------------------------------

    def _announce(self, definition: Definition, fire: Fire) -> Effect:
        spec, session = definition.spec, self._session
        text = self._text(definition, fire)
        more: dict[str, object] = {"text": text, "alert": spec.action == "alert"} if spec.action in ("notify", "alert") else {}
        if spec.action == "call":
            more = {"call": text, **fire.told()}
        elif spec.action == "password":
            more = {"account": text}
        intent = session.state.triggers.intend(definition.id, spec.action, fire.start, {})

        def announce() -> None:
            session.context.events.append(_TOLD[spec.action], session.id, trigger=definition.id, **{"offset": fire.start} | more)
            session.state.triggers.forget(intent)

        return announce

    def _text(self, definition: Definition, fire: Fire) -> str:
        """The parameter as text, with captures; without one, what matched."""
        parameter = definition.spec.parameter
        return substitution.text(parameter if isinstance(parameter, str) and parameter else r"\0", fire.groups)
