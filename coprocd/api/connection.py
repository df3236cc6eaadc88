"""One peer that can be notified: its calls in progress, its subscriptions, and what is to be sent to it.

Owns no transport. A framing (`lines`, `websocket`) gives it messages with `start` while `may_start` holds, is told by `on_ready` that something has
changed, and is the one sender: it takes what is to be sent when its transport can take more. Answers wait in a bounded
outbox, since calls are not started while it is full; events wait in the event log, where a cursor costs nothing: a peer that never
reads is overtaken and told so (`dropped`). All that a peer has here ends with it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from coprocd.api import envelope
from coprocd.api.call import Call
from coprocd.api.limits import ApiLimits
from coprocd.api.rpc import Dispatcher
from coprocd.core.event_log import Cursor, EventLog
from coprocd.protocol.errors import CoprocdError

logger = logging.getLogger("coprocd.api")

# Turns of the loop after which a call that has not ended is taken to wait for something: one that does not is answered after five.
_TURNS_TO_END = 8


class Subscription:
    """Events that a peer asked for. Silent until the answer that names it is on its way."""

    __slots__ = ("active", "cursor", "id")

    def __init__(self, id: str, cursor: Cursor) -> None:
        self.id = id
        self.cursor = cursor
        self.active = False

    def take(self) -> list[bytes]:
        """The next event as a notification, or nothing."""
        if not self.active:
            return []
        return [envelope.notification("event", {"subscription": self.id, "result": event}) for event in self.cursor.take(1)]


class Connection:
    """What one peer has with us. Made by `Connections.open`."""

    def __init__(self, dispatcher: Dispatcher, daemon: Any, on_ready: Callable[[], None], on_ended: Callable[[Connection], None]) -> None:
        self._dispatcher = dispatcher
        self._daemon = daemon
        self.limits: ApiLimits = dispatcher.limits
        self._on_ready = on_ready
        self._on_ended = on_ended
        self._loop = asyncio.get_running_loop()
        self._calls: dict[asyncio.Task[bytes | None], None] = {}
        self._young: set[asyncio.Task[bytes | None]] = set()  # calls that may be answered at any moment
        self._ageing = False
        self._answers: deque[bytes] = deque()
        self._subscriptions: dict[str, Subscription] = {}
        self._subscribed = 0
        self._events: EventLog | None = None
        self._reaper: asyncio.TimerHandle | None = None
        self._gone = False
        self._closed = False
        self.draining = False
        self.unsent_bytes = 0

    # -- calls ------------------------------------------------------------------------------------------------------

    @property
    def calls_in_progress(self) -> int:
        """How many of its calls run or wait."""
        return len(self._calls)

    @property
    def may_start(self) -> bool:
        """False while it has too much in progress or unsent, and once nothing more is to begin: read no more from the peer."""
        return (
            len(self._calls) < self.limits.calls_in_progress
            and len(self._young) < self.limits.calls_at_once
            and self.unsent_bytes < self.limits.unsent_bytes
            and not self._closed
            and not self.draining
        )

    @property
    def idle(self) -> bool:
        """Nothing runs, waits, or is to be answered."""
        return not self._calls and not self._answers

    def start(self, message: bytes | bytearray | str) -> None:
        """Begins to answer a message. Tasks take their first steps in the order they were made, so calls start in the order of their messages."""
        call = Call(self._daemon, self)
        task = self._loop.create_task(self._dispatcher.answer(message, call))
        self._calls[task] = None
        self._young.add(task)
        self._age_if_full()
        task.add_done_callback(partial(self._answered, call))

    def _age_if_full(self) -> None:
        if len(self._young) >= self.limits.calls_at_once and not self._ageing:
            self._ageing = True
            self._age(_TURNS_TO_END, tuple(self._young))

    def _age(self, turns: int, calls: tuple[asyncio.Task[bytes | None], ...]) -> None:
        if turns:
            self._loop.call_soon(self._age, turns - 1, calls)
        else:
            self._ageing = False
            self._young.difference_update(calls)
            self._age_if_full()
            self._on_ready()

    def _answered(self, call: Call, task: asyncio.Task[bytes | None]) -> None:
        del self._calls[task]
        self._young.discard(task)
        if not task.cancelled():
            error = task.exception()
            if error is not None:
                logger.error("a call ended without an answer", exc_info=error)
            else:
                answer = task.result()
                if answer is not None:
                    self.put(answer)
                call.finish()
        if self._closed and not self._calls:
            self._end()
        self._on_ready()

    # -- what is to be sent -----------------------------------------------------------------------------------------

    def put(self, message: bytes) -> None:
        """Adds a message to the outbox; to a peer that is gone nothing is said."""
        if not self._gone:
            self._answers.append(message)
            self.unsent_bytes += len(message)
            self._on_ready()

    def take(self, most_bytes: int) -> list[bytes]:
        """What to send now: answers first, then events, each subscription in its turn. At least one message if there is any."""
        taken: list[bytes] = []
        size = 0
        while self._answers and size < most_bytes:
            answer = self._answers.popleft()
            self.unsent_bytes -= len(answer)
            size += len(answer)
            taken.append(answer)
        found = True
        while found and size < most_bytes:
            found = False
            for subscription in self._subscriptions.values():
                for event in subscription.take():
                    found = True
                    size += len(event)
                    taken.append(event)
        return taken

    # -- subscriptions ----------------------------------------------------------------------------------------------

    def subscribe(self, call: Call, log: EventLog, cursor: Cursor) -> str:
        """Sends the cursor's events from the answer to `call` on; returns the subscription's id."""
        if len(self._subscriptions) >= self.limits.subscriptions:
            message = f"this connection has {len(self._subscriptions)} subscriptions, as many as it may: end one with events.unsubscribe"
            raise CoprocdError("resource_exhausted", message)
        self._subscribed += 1
        subscription = Subscription(f"events-{self._subscribed}", cursor)
        self._subscriptions[subscription.id] = subscription
        self._events = log
        log.listen(self._on_ready)
        call.after.append(partial(self._activate, subscription))
        return subscription.id

    def unsubscribe(self, id: str) -> None:
        """Ends a subscription: no event of it follows the answer."""
        if self._subscriptions.pop(id, None) is None:
            known = ", ".join(self._subscriptions) or "none"
            raise CoprocdError("invalid_params", f"this connection has no subscription {id!r}; it has: {known}")
        if not self._subscriptions:
            self._unsubscribe_all()

    def _activate(self, subscription: Subscription) -> None:
        subscription.active = True
        self._on_ready()

    def _unsubscribe_all(self) -> None:
        self._subscriptions.clear()
        if self._events is not None:
            self._events.unlisten(self._on_ready)

    # -- the end ----------------------------------------------------------------------------------------------------

    def hang_up(self) -> None:
        """The peer is gone. What it sent may still begin, since it may have said its last word and left; what waits is cancelled after a grace."""
        if self._gone:
            return
        self._gone = True
        self._answers.clear()
        self.unsent_bytes = 0
        self._unsubscribe_all()
        self._reap(frozenset())
        self._on_ready()

    def close(self) -> None:
        """The transport is gone, or will read no more: nothing begins here again."""
        self._closed = True
        self.hang_up()
        if not self._calls:
            self._end()

    def abort(self) -> None:
        """Cancels what is in progress, without a grace."""
        self.close()
        for task in tuple(self._calls):
            task.cancel()

    def _reap(self, overdue: frozenset[asyncio.Task[bytes | None]]) -> None:
        """Cancels the calls that were there a grace ago, and comes back for those that are there now."""
        for task in overdue:
            task.cancel()
        if self._calls or not self._closed:
            self._reaper = self._loop.call_later(self.limits.hangup_grace_s, self._reap, frozenset(self._calls))

    def _end(self) -> None:
        if self._reaper is not None:
            self._reaper.cancel()
            self._reaper = None
        self._on_ended(self)


class Connections:
    """All connections of a daemon that can be notified."""

    def __init__(self, dispatcher: Dispatcher, daemon: Any) -> None:
        """`daemon` is what calls get to see: the composition root."""
        self.dispatcher = dispatcher
        self.daemon = daemon
        self.limits: ApiLimits = dispatcher.limits
        self._open: dict[Connection, None] = {}
        self._none_left: asyncio.Event | None = None

    def __len__(self) -> int:
        return len(self._open)

    def open(self, on_ready: Callable[[], None]) -> Connection:
        """A connection for a peer; `on_ready` is called, often, when there may be something to send or to start."""
        connection = Connection(self.dispatcher, self.daemon, on_ready, self._ended)
        connection.draining = self._none_left is not None
        self._open[connection] = None
        return connection

    def drain(self) -> None:
        """Nothing new begins; a framing closes its connection once that is idle."""
        self._none_left = asyncio.Event()
        for connection in tuple(self._open):
            connection.draining = True
            connection._on_ready()
        self._check()

    async def drained(self) -> None:
        """Waits, after `drain`, until every connection has ended and every call with it."""
        assert self._none_left is not None
        await self._none_left.wait()

    def abort(self) -> None:
        """Cancels every call; `drained` follows as soon as they have seen it."""
        for connection in tuple(self._open):
            connection.abort()

    def _ended(self, connection: Connection) -> None:
        self._open.pop(connection, None)
        self._check()

    def _check(self) -> None:
        if self._none_left is not None and not self._open:
            self._none_left.set()
