"""HTTP's bytes, between the transport and aiohttp: makes a half-close mean "answer, then end", and notices a peer that has gone.

aiohttp closes the transport when the peer has sent its last, also while an answer is being made; and a handler that waits, or a websocket
that is not read, sees no hang-up. All else passes through.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from aiohttp import web

from coprocd.platform.hangup import HangupWatch


def cut_off(transport: asyncio.Transport) -> None:
    """Ends the connection at once, if it has not ended: asyncio's transport may not be aborted after that."""
    if transport.get_protocol() is not None:
        transport.abort()


class HttpProtocol(asyncio.Protocol):
    """One HTTP connection. `on_lost` is called when the transport has gone."""

    def __init__(self, inner: web.RequestHandler, watch: HangupWatch, grace_s: float, on_lost: Callable[[], None]) -> None:
        """After a hang-up, what was asked for has `grace_s` to be done."""
        self._inner = inner
        self._watch = watch
        self._grace_s = grace_s
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._fd = -1
        self._end: asyncio.TimerHandle | None = None
        self._look: asyncio.TimerHandle | None = None
        self._half_closed = False
        self._ends_with_peer = False
        # As they are: the transport calls them for every chunk.
        self.data_received = inner.data_received  # type: ignore[method-assign]
        self.pause_writing = inner.pause_writing  # type: ignore[method-assign]
        self.resume_writing = inner.resume_writing  # type: ignore[method-assign]

    @property
    def last_request(self) -> bool:
        """True when the peer sends no more, and the request being answered is the last that it sent."""
        return self._half_closed and not self._inner._messages

    def end_with_peer(self) -> None:
        """From now on, a websocket's messages end where the peer has sent its last byte."""
        self._ends_with_peer = True

    def hand_over(self, receive: Callable[[bytes], None]) -> None:
        """From now on what the peer sends goes to `receive`, past aiohttp; what came behind the request first."""
        self.data_received = receive  # type: ignore[method-assign,assignment]
        self._transport.set_protocol(self)  # which looks up what it calls
        came, self._inner._message_tail = self._inner._message_tail, b""
        if came:
            receive(came)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._fd = transport.get_extra_info("socket").fileno()
        self._watch.add(self._fd, self._hung_up)
        self._inner.connection_made(transport)

    def eof_received(self) -> bool:
        self._half_closed = True
        if self._ends_with_peer and self._inner._payload_parser is not None:
            self._inner._payload_parser.feed_eof()
            return True
        if self._idle():
            return False  # closes
        self._close_when_idle()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._watch.remove(self._fd)
        for timer in (self._end, self._look):
            if timer is not None:
                timer.cancel()
        self._inner.connection_lost(exc)
        self._on_lost()

    def _hung_up(self) -> None:
        self._end = self._loop.call_later(self._grace_s, self._transport.abort)

    def _close_when_idle(self) -> None:
        """`last_request` ends most connections with their last answer; this, those whose answer had begun before the half-close."""
        if self._idle():
            self._transport.close()
        else:
            self._look = self._loop.call_later(self._grace_s, self._close_when_idle)

    def _idle(self) -> bool:
        """aiohttp waits for a request: nothing is queued, and nothing is being answered."""
        waiter = self._inner._waiter
        return waiter is not None and not waiter.done() and not self._inner._messages
