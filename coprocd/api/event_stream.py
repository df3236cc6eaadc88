"""GET /events: events as newline-delimited JSON, until either side ends it.

A cursor on the event log and one writer: a reader that does not keep up is overtaken and gets `dropped`.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from coprocd.api import envelope, query
from coprocd.api.call import Call
from coprocd.api.in_progress import InProgress
from coprocd.api.methods.events import open_cursor
from coprocd.core.event_log import Cursor, EventLog
from coprocd.protocol.objects import EventsSubscribe

# Events encoded and written at a time.
_EVENTS_AT_ONCE = 16


class EventStreams:
    """All the event streams of a daemon, so that they can be ended together."""

    def __init__(self, daemon: Any) -> None:
        self._daemon = daemon
        self._wakes = InProgress[asyncio.Event]()
        self._ending = False

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answers a request with the events that its query asks for: types (comma-separated), session, since_seq, epoch."""
        cursor = open_cursor(Call(self._daemon), _params(request))
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson", "Cache-Control": "no-store"})
        await response.prepare(request)
        await self._write(response, cursor, self._daemon.events)
        return response

    def end(self) -> None:
        """Every stream ends after what it is writing, and no other begins."""
        self._ending = True
        for wake in self._wakes:
            wake.set()

    async def _write(self, response: web.StreamResponse, cursor: Cursor, log: EventLog) -> None:
        wake = asyncio.Event()
        listener = wake.set
        log.listen(listener)
        try:
            with self._wakes.during(wake):
                while not self._ending:
                    events = cursor.take(_EVENTS_AT_ONCE)
                    if events:
                        await response.write(b"".join(envelope.encode(event) + b"\n" for event in events))
                    elif not cursor.behind:
                        wake.clear()
                        await wake.wait()
        finally:
            log.unlisten(listener)


def _params(request: web.Request) -> EventsSubscribe:
    """The query as the params of `events.subscribe`; what is wrong with it is `invalid_params`."""
    given = query.names(request, "GET /events", "; types are separated by commas")
    if "types" in given:
        given["types"] = [type for type in given["types"].split(",") if type]
    return query.convert(given, EventsSubscribe, "GET /events", "types, session, since_seq and epoch")
