"""Questions to the person who is attached: a script asks which file to send, for a password, or whether it may go on.

They wait, in the order in which they were asked, until they are answered, their time is over, their session's job has ended, or whoever
asked has gone. Of a session's the oldest is shown to all who are attached and to whoever attaches; any can be answered by its id. Nothing
of them outlives the daemon: whoever asked sees the connection end, and asks again. An answer goes to the asker alone and is not logged, kept or told.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import TYPE_CHECKING, Any

from coprocd.protocol import objects
from coprocd.protocol.errors import CoprocdError

if TYPE_CHECKING:
    from coprocd.runtime.session import Session

Answer = str | bool | None

PROMPTS_MOST = 16
"""Questions of one session that wait at once: nobody answers more."""


class _Question:
    """One that waits."""

    def __init__(self, session: Session, kind: objects.PromptKind, message: str) -> None:
        self.id = "p" + secrets.token_hex(5)
        self.session = session
        self.kind: objects.PromptKind = kind
        self.message = message
        self.asked_at = time.time()
        self.answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()


class Prompts:
    """Those of all sessions."""

    def __init__(self) -> None:
        self._open: dict[str, _Question] = {}

    def current(self, session: Session) -> objects.Prompt | None:
        """The one that whoever is attached is asked now."""
        waiting = self._of(session)
        if not waiting:
            return None
        first = waiting[0]
        return objects.Prompt(
            id=first.id, session=session.id, kind=first.kind, message=first.message, asked_at=first.asked_at, waiting=len(waiting) - 1
        )

    async def ask(self, session: Session, kind: objects.PromptKind, message: str, timeout_s: float | None) -> Answer:
        """The answer, None when it was refused. `timed_out`, `session_exited`; `resource_exhausted` where too many wait."""
        if not session.job_lives or session.closing:
            raise session.exited_error()
        if len(self._of(session)) >= PROMPTS_MOST:
            raise CoprocdError(
                "resource_exhausted",
                f"{PROMPTS_MOST} questions of session {session.record.name} wait for an answer; ask when some have theirs",
            )
        question = _Question(session, kind, _shown(message))
        self._open[question.id] = question
        how = "gone"
        session.context.events.append("prompt.asked", session.id, prompt=question.id, kind=kind, message=question.message)
        self._show(session)
        try:
            over: list[asyncio.Future[Any]] = [question.answer, session.job_ended]
            await asyncio.wait(over, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if question.answer.done():
                value = question.answer.result()
                how = "refused" if value is None else "answered"
                return value
            if session.job_ended.done():
                how = "session_ended"
                raise session.exited_error()
            how = "timed_out"
            raise CoprocdError("timed_out", f"nobody answered within {timeout_s:.3g} s: {question.message}", prompt=question.id)
        finally:
            del self._open[question.id]
            session.context.events.append("prompt.ended", session.id, prompt=question.id, how=how)
            self._show(session)

    def answer(self, prompt: str, value: Answer) -> None:
        """Gives the question with the id `prompt` its answer; `prompt_not_found` when it waits no more."""
        question = self._open.get(prompt)
        if question is None or question.answer.done():
            raise CoprocdError(
                "prompt_not_found", f"no question {prompt!r} waits: it was answered, or is over; session.get shows the one that is asked"
            )
        if value is not None and isinstance(value, bool) != (question.kind == "confirm"):
            wanted = "true or false" if question.kind == "confirm" else "text"
            raise CoprocdError("invalid_params", f"the answer to a question of kind {question.kind} is {wanted}, or null to refuse it")
        question.answer.set_result(value)

    def _of(self, session: Session) -> list[_Question]:
        return [question for question in self._open.values() if question.session is session]

    def _show(self, session: Session) -> None:
        """Tells those who are attached what is asked now, and how many wait after it."""
        current = self.current(session)
        if current is not None:
            session.viewers.stand("prompt", {"type": "prompt", "prompt": current})
        else:
            session.viewers.withdraw("prompt", {"type": "prompt", "prompt": None})


def _shown(message: str) -> str:
    """A message of which every character prints: it comes from a program and goes to a terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode() for char in message)
