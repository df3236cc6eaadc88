"""What is asked of a session's screen: redraws and captures, each of the terminal as it is once it has shown all that had been printed by then."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from coprocd.core.timeline import Place
from coprocd.protocol.errors import CoprocdError
from coprocd.screen import wire

if TYPE_CHECKING:
    from coprocd.runtime.session import Session

REPLY_MOST_S = 5.0
"""Time for a worker that hangs to be ended, and for the next one to draw the screen again."""

TRIES_MOST = 2
"""A worker that has died of the same request so often does not get it again."""

Reply: TypeAlias = wire.Redrawn | wire.Captured


class Request(msgspec.Struct, eq=False):
    """One that is made of the terminal of a number, at `target` or behind it."""

    message: Callable[[int], wire.Request]
    target: Place
    reply: asyncio.Future[tuple[Place, Reply]]
    tries: int = 0


class Requests:
    """Those of one session that wait, in order."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Request] = deque()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    @property
    def target(self) -> Place | None:
        """Where the terminal has to be for the first."""
        return self._waiting[0].target if self._waiting else None

    def take(self) -> Request:
        """The first, which is asked now."""
        return self._waiting.popleft()

    async def ask(self, message: Callable[[int], wire.Request], on_asked: Callable[[], None]) -> tuple[Place, Reply]:
        """The reply, and where the terminal was; `on_asked` is called once the request waits."""
        session = self._session
        if session.dropped:
            raise self.closed()
        request = Request(message, session.display.place_at_end(), self._loop.create_future())
        self._waiting.append(request)
        on_asked()
        try:
            async with asyncio.timeout(REPLY_MOST_S):
                return await request.reply
        except TimeoutError:
            raise self.unavailable(f"it did not answer within {REPLY_MOST_S:g} s") from None
        finally:
            if request in self._waiting:
                self._waiting.remove(request)

    def lost(self, request: Request, culprit: bool) -> None:
        """The worker died while it was asked this, `culprit`: of this session. It is asked again, unless it dies of it each time."""
        request.tries += culprit
        if request.tries < TRIES_MOST:
            self._waiting.appendleft(request)
        elif not request.reply.done():
            request.reply.set_exception(self.unavailable("it died of what was asked of it"))

    def refuse(self, error: Callable[[], CoprocdError], under_way: Request | None) -> None:
        """Tells all who wait, and whoever asked what is under way."""
        for request in [*([under_way] if under_way is not None else []), *self._waiting]:
            if not request.reply.done():
                request.reply.set_exception(error())
        self._waiting.clear()

    def unavailable(self, why: str = "what it prints has ended its screen several times") -> CoprocdError:
        """That there is no screen."""
        session = self._session
        return CoprocdError("screen_unavailable", f"session {session.record.name} has no screen now: {why}; try again", session=session.id)

    def closed(self) -> CoprocdError:
        """That the session is no more."""
        session = self._session
        return CoprocdError("session_not_found", f"session {session.record.name} was closed meanwhile", session=session.id)
