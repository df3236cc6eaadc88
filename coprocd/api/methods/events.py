"""`events.*`: notifications of what happens, from the event log."""

from __future__ import annotations

from collections.abc import Iterable

from coprocd.api.call import Call
from coprocd.core.event_log import Cursor
from coprocd.protocol.errors import CoprocdError
from coprocd.protocol.methods import EVENT_TYPES
from coprocd.protocol.objects import EventsSubscribe, EventsUnsubscribe, Nothing, Subscription


async def subscribe(call: Call, params: EventsSubscribe) -> Subscription:
    """Sends `event` notifications on this connection, from after the answer on, until it ends or `events.unsubscribe`."""
    assert call.connection is not None  # the table says: needs a connection
    cursor = open_cursor(call, params)
    log = call.daemon.events
    return Subscription(subscription=call.connection.subscribe(call, log, cursor), seq=cursor.seq, epoch=log.epoch)


async def unsubscribe(call: Call, params: EventsUnsubscribe) -> Nothing:
    """Ends one subscription of this connection."""
    assert call.connection is not None
    call.connection.unsubscribe(params.subscription)
    return Nothing()


def open_cursor(call: Call, params: EventsSubscribe) -> Cursor:
    """A cursor on the daemon's event log for what `params` ask for; GET /events uses it too."""
    if params.types is not None:
        _check_types(params.types)
    session = None if params.session is None else call.daemon.sessions.resolve(params.session).id
    cursor: Cursor = call.daemon.events.cursor(params.since_seq, params.epoch, params.types, session)
    return cursor


def _check_types(types: Iterable[str]) -> None:
    unknown = [type for type in types if type not in EVENT_TYPES]
    if unknown:
        raise CoprocdError("invalid_params", f"no event type {unknown[0]!r}; the types are: {', '.join(EVENT_TYPES)}")
