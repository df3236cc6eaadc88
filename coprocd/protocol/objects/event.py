"""`events.*`: who is told of what happens."""

from __future__ import annotations

from msgspec import Struct

from coprocd.protocol.objects.values import Offset, Params, SessionRef


class EventsSubscribe(Params, kw_only=True):
    types: list[str] | None = None
    session: SessionRef | None = None
    since_seq: Offset | None = None
    epoch: str | None = None


class EventsUnsubscribe(Params, kw_only=True):
    subscription: str


class Subscription(Struct):
    """`seq` is the number of the last event before the subscription began; `epoch` one life of the numbering."""

    subscription: str
    seq: int
    epoch: str
