"""The first byte that is not white space tells a connection's framing: `{` or `[` newline-delimited JSON-RPC, anything else HTTP/1.1.

No other byte can begin a JSON-RPC message, and neither can begin a request line (RFC 9112 §3).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

_WHITE_SPACE = b" \t\r\n"


class Sniffer(asyncio.Protocol):
    """A connection that has said nothing yet. It may stay so, holding no more than its descriptor."""

    def __init__(
        self,
        lines: Callable[[asyncio.Transport], asyncio.Protocol],
        http: Callable[[asyncio.Transport], asyncio.Protocol],
        on_made: Callable[[asyncio.Transport], None],
        on_lost: Callable[[asyncio.Transport], None],
    ) -> None:
        """`lines` and `http` make the protocol that goes on, whose own end is then its own to report."""
        self._lines = lines
        self._http = http
        self._on_made = on_made
        self._on_lost = on_lost
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._on_made(self._transport)

    def data_received(self, data: bytes) -> None:
        data = data.lstrip(_WHITE_SPACE)
        if not data:
            return
        protocol = (self._lines if data[:1] in (b"{", b"[") else self._http)(self._transport)
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        protocol.data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._on_lost(self._transport)


class Held(asyncio.Protocol):
    """A connection whose framing is known and not ready yet. It is read no further, and goes on where it was."""

    def __init__(self, on_lost: Callable[[], None]) -> None:
        self._on_lost = on_lost
        self._data = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        self._data += data

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._on_lost()

    def abort(self) -> None:
        """Closes the connection: its framing will not be ready."""
        if self._transport is not None:
            self._transport.abort()

    def go_on(self, framing: Callable[[asyncio.Transport], asyncio.Protocol]) -> None:
        """Hands the connection over to the protocol that `framing` makes, unless it has gone."""
        transport = self._transport
        if transport is not None:
            protocol = framing(transport)
            transport.set_protocol(protocol)
            protocol.connection_made(transport)
            protocol.data_received(self._data)
            transport.resume_reading()
