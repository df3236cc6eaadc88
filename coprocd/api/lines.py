"""Newline-delimited JSON-RPC: a message a line, LF or CRLF, answers in the order in which they are ready.

Calls start in the order of their lines and run side by side, so one that waits holds nothing up. A peer that sends more than it reads
is not read until it does. After a half-close its pending answers are sent, and then we close; after a full close
what it sent last is still done, and what waits is cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from coprocd.api import envelope
from coprocd.api.connection import Connection, Connections
from coprocd.platform.hangup import HangupWatch
from coprocd.protocol.errors import CoprocdError


class LineProtocol(asyncio.Protocol):
    """One connection in newline framing. `on_lost` is called when the transport has gone."""

    def __init__(self, connections: Connections, watch: HangupWatch, on_lost: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._limits = connections.limits
        self._connections = connections
        self._watch = watch
        self._on_lost = on_lost
        self._connection: Connection
        self._transport: asyncio.Transport
        self._fd = -1
        self._buffer = bytearray()
        self._searched = 0  # how far the buffer is known to hold no newline
        self._scheduled = False
        self._reading = True
        self._writable = True
        self._ended = False  # the peer sends no more
        self._discard_bytes: int | None = None  # how much of a line too long may still come, once there was one
        self._lost = False

    # -- the transport's callbacks ----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=self._limits.write_bytes)
        self._connection = self._connections.open(self._ready)
        self._fd = transport.get_extra_info("socket").fileno()
        self._watch.add(self._fd, self._connection.hang_up)

    def data_received(self, data: bytes) -> None:
        if self._discard_bytes is not None:
            self._discard_bytes -= len(data)
            if self._discard_bytes < 0:
                self._transport.close()
            return
        self._buffer += data
        self._turn()

    def eof_received(self) -> bool:
        self._ended = True
        if self._buffer:
            self._buffer += b"\n"  # the last line may lack one
        self._turn()
        return True  # answers may follow; `_settle` closes

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self._turn()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._watch.remove(self._fd)
        self._connection.close()
        self._on_lost()

    # -- one turn ---------------------------------------------------------------------------------------------------

    def _ready(self) -> None:
        if not self._scheduled and not self._lost:
            self._scheduled = True
            self._loop.call_soon(self._scheduled_turn)

    def _scheduled_turn(self) -> None:
        self._scheduled = False
        self._turn()

    def _turn(self) -> None:
        """Sends what can be sent, starts what may start, and closes when all is done."""
        if self._lost:
            return
        self._send()
        if self._discard_bytes is None:
            self._start_lines()
        self._settle()

    def _send(self) -> None:
        while self._writable:
            messages = self._connection.take(self._limits.write_bytes)
            if not messages:
                return
            self._transport.write(b"\n".join(messages) + b"\n")

    def _start_lines(self) -> None:
        """Starts the calls of complete lines, as long as that may be, and reads on only when none is left over."""
        buffer, connection = self._buffer, self._connection
        begin = 0
        left_over = False
        while True:
            end = buffer.find(b"\n", max(begin, self._searched))
            if end < 0:
                self._searched = len(buffer)
                break
            if not connection.may_start:
                self._searched = end
                left_over = True
                break
            line = buffer[begin:end]
            begin = end + 1
            if len(line) > self._limits.request_bytes:
                self._refuse()
                return
            if line.strip():
                connection.start(line)
        del buffer[:begin]
        self._searched -= begin
        if len(buffer) > self._limits.request_bytes and not left_over:
            self._refuse()
            return
        self._read(not left_over and connection.may_start)

    def _refuse(self) -> None:
        """A line too long: says so, and closes once that is sent. The rest of it is read away for a while, so that the peer gets to see the answer."""
        limit = self._limits.request_bytes
        self._buffer.clear()
        self._discard_bytes = limit
        message = f"Invalid Request: a line of more than {limit} bytes; the connection is closed"
        self._connection.put(envelope.failure(None, CoprocdError("invalid_request", message, limit=limit)))
        self._connection.draining = True
        self._read(True)
        self._send()

    def _settle(self) -> None:
        """Closes when nothing is to be started or answered any more, and nothing can come."""
        over = self._ended or self._connection.draining
        if not over or not self._connection.idle or (self._ended and self._buffer and not self._connection.draining):
            return
        if self._discard_bytes is not None and not self._ended:
            if not self._transport.is_closing() and self._transport.can_write_eof():
                self._transport.write_eof()
        else:
            self._transport.close()

    def _read(self, wanted: bool) -> None:
        if wanted != self._reading and not self._ended:
            self._reading = wanted
            if wanted:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()
