"""Typing into a session: what must hold before, what is remembered after, and what the terminal tells of its job.

Checked and done in one turn of the loop, so that nothing changes in between; whole or not at all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from coprocd.platform import processes, terminal
from coprocd.protocol.errors import CoprocdError
from coprocd.protocol.objects import Accepted, Foreground, Precondition
from coprocd.runtime.trigger_state import TRIGGER_KEY

if TYPE_CHECKING:
    from coprocd.runtime.session import Session

_SHELLS = {"sh", "bash", "dash", "zsh", "fish", "ksh", "mksh", "ash", "busybox", "tcsh", "csh", "nu", "xonsh"}


class Typing:
    """The way in for all that is typed by request; a coprocess's stdout goes to the same queue."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def type(self, data: bytes, origin: str, key: str | None = None, condition: Precondition | None = None) -> Accepted:
        """Accepts `data` whole, to be typed in order; with a `key` seen before nothing is typed and the first answer is given again."""
        session = self._session
        record = session.record
        if key is not None:
            for known, _, accepted, offset in record.typed_keys:
                if known == key:
                    return Accepted(accepted, offset)
        if not session.running or session.master < 0:
            raise session.exited_error()
        if condition is not None:
            self._require(condition)
        session.input.check(data)
        result = Accepted(len(data), session.log.end)
        if key is not None:
            # Recorded first, with the offset at which the bytes end: a key whose bytes did not get there counts for nothing.
            record.typed_keys = self._kept_keys(key)
            record.typed_keys.append((key, session.input.ring.end + len(data), result.accepted_bytes, result.offset))
            try:
                session.save()
            except CoprocdError:
                del record.typed_keys[-1]
                raise
        if data:
            session.input.put(data)
            session.on_typed(origin, len(data))
        return result

    def _kept_keys(self, key: str) -> list[tuple[str, int, int, int]]:
        """The keys that stay when `key` is added. Those of triggers push none of a caller's out, and stay until they are forgotten."""
        keys = self._session.record.typed_keys
        callers = [entry for entry in keys if not entry[0].startswith(TRIGGER_KEY)]
        if key.startswith(TRIGGER_KEY):
            return list(keys)
        old = {entry[0] for entry in callers[: 1 - self._session.context.settings.idempotency_keys_most]}
        return [entry for entry in keys if entry[0] not in old]

    def forget_triggers(self, under_way: Iterable[str]) -> None:
        """Forgets the keys under which triggers have typed, but for those `under_way`, that the next daemon would type."""
        record, kept = self._session.record, set(under_way)
        record.typed_keys = [entry for entry in record.typed_keys if not entry[0].startswith(TRIGGER_KEY) or entry[0] in kept]

    def recover(self) -> None:
        """Forgets keys whose bytes a killed daemon did not get to accept, for good: what others type next must not stand for them."""
        record = self._session.record
        self._session.state.spoken.recover(self._session.input.ring.end)
        accepted = [entry for entry in record.typed_keys if entry[1] <= self._session.input.ring.end]
        if len(accepted) < len(record.typed_keys):
            record.typed_keys = accepted
            self._session.save()

    def foreground(self) -> Foreground | None:
        """The process group in front on the terminal."""
        session = self._session
        group = terminal.foreground(session.master) if session.master >= 0 else None
        return None if group is None else Foreground(group, [processes.shown(arg) for arg in processes.argv(group)])

    def activity(self, front: Foreground | None) -> Literal["at_prompt", "running", "awaiting_input"] | None:
        """What the job does, as far as the system tells: a shell that edits a line or reads one is at its prompt."""
        session = self._session
        line = terminal.line(session.master) if session.master >= 0 else None
        if front is None or line is None:
            return None
        shell = front.pid == session.record.pid and _is_shell(front.argv)
        if shell and not line.canonical:
            return "at_prompt"
        waits = processes.reads_terminal(front.pid)
        if not (waits or processes.descendant_reads_terminal(front.pid)) or terminal.takes_output(session.master) is False:
            return "running"
        return "at_prompt" if shell and waits else "awaiting_input"

    def awaits_line(self) -> bool:
        """Whether the job in front waits for a line to be typed: it asks, and does not edit as shells do."""
        line = terminal.line(self._session.master) if self._session.master >= 0 else None
        return line is not None and line.canonical and self.activity(self.foreground()) == "awaiting_input"

    def _require(self, condition: Precondition) -> None:
        """`precondition_failed`, naming what is not so."""
        session = self._session
        front = self.foreground()
        line = terminal.line(session.master)
        name = os.path.basename(front.argv[0]).lstrip("-") if front is not None and front.argv else None
        stands = {
            "offset": session.log.end,
            "echo": None if line is None else line.echo,
            "at_prompt": self.activity(front) == "at_prompt",
            "foreground": name,
        }
        for what, found in stands.items():
            wanted = getattr(condition, what)
            if wanted is not None and wanted != found:
                raise CoprocdError(
                    "precondition_failed",
                    f"{what} is {json.dumps(found)}, not {json.dumps(wanted)}; nothing was typed into session {session.record.name}",
                    condition=what,
                    wanted=wanted,
                    found=found,
                )


def _is_shell(argv: list[str]) -> bool:
    """Whether it is a shell that a person types at: one that runs a script or a command is a job like any other."""
    if not argv or os.path.basename(argv[0]).lstrip("-") not in _SHELLS:
        return False
    return all(arg.startswith("-") and "c" not in arg.lstrip("-")[:1] for arg in argv[1:])
