"""GET /sessions/{session}/coprocess: the websocket is the coprocess. Binary messages are its stdin (to the client) and stdout (from it).

It is the bridge of a `Remote`: between the websocket and two pipes, one task each way, nothing kept but one message. Who does not read is not
sent more than sockets hold, so its stdin fills as a job's would; and it is not read when its stdout is full. What the coprocess is, when it
stalls and why it ends is the session's to say; this tells how the connection ended.

    client → server   binary: stdout, typed · {"type": "eof"}: stdout is closed, and all before it will be typed · a close frame: its end
    server → client   binary: stdin, an exact run of the output from `started_offset` on · a close frame, whose reason is the `end_reason`
"""

from __future__ import annotations

import asyncio
import json
import os
import struct
from typing import TYPE_CHECKING, Any

from aiohttp import WSMsgType, web

from coprocd.api import query
from coprocd.api.http_protocol import HttpProtocol, cut_off
from coprocd.api.in_progress import InProgress
from coprocd.platform import pipes, sockets
from coprocd.protocol import close_codes
from coprocd.protocol.errors import CoprocdError
from coprocd.protocol.objects import CoprocessConnect, CoprocessSpec, EndReason
from coprocd.runtime.partner import CONNECTION, Remote

if TYPE_CHECKING:
    from coprocd.runtime.session import Session

ROUTE = "GET /sessions/{session}/coprocess"

MESSAGE_BYTES = 1 << 20
"""The largest message from a client: it is held whole before it is typed. A larger one ends the connection with 1009."""

_CODES: dict[EndReason, int] = {"stalled": close_codes.POLICY, "not_reading": close_codes.POLICY}
"""The codes of our close frames where they are not NORMAL."""


class CoprocessSockets:
    """All the connections of a daemon that are coprocesses, so that they can be ended together."""

    def __init__(self, daemon: Any) -> None:
        self._daemon = daemon
        self._open = InProgress[CoprocessSocket]()
        self._ending = False

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Starts the coprocess, upgrades the request, and returns when the connection has ended. What speaks against it is an HTTP error."""
        session: Session = self._daemon.sessions.resolve(request.match_info["session"])
        wanted = _query(request)
        socket = CoprocessSocket(request, self._daemon.settings.close_grace_s)
        if not socket.can_be_upgraded:
            raise CoprocdError(
                "invalid_request",
                f"{ROUTE}: the upgrade to a websocket is asked for in a way that is none (RFC 6455 §4.1)",
            )
        if self._ending:
            raise CoprocdError("session_busy", "the daemon ends; connect again")
        with self._open.during(socket):
            return await socket.serve(session, wanted)

    def end(self) -> None:
        """Every one is told that the daemon ends, and no other begins."""
        self._ending = True
        for socket in self._open:
            socket.go_away()


class CoprocessSocket:
    """One connection; the `Bridge` of a `Remote`."""

    def __init__(self, request: web.Request, patience_s: float) -> None:
        """`patience_s`: for how long what was received is typed after the connection was lost, and what was sent is waited to be taken."""
        self._request = request
        # We answer a close frame ourselves: what is read before it is typed first.
        self._socket = web.WebSocketResponse(compress=False, max_msg_size=MESSAGE_BYTES + 1, timeout=patience_s, autoclose=False)
        self._remote = Remote(self)
        self._patience_s = patience_s
        self._loop = asyncio.get_running_loop()
        self._stdin = self._stdout = -1
        self._feeding: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._blocked: asyncio.Timeout | None = None

    @property
    def can_be_upgraded(self) -> bool:
        return bool(self._socket.can_prepare(self._request))

    async def serve(self, session: Session, wanted: CoprocessSpec) -> web.StreamResponse:
        """Runs `wanted`, or raises why it cannot be, and returns when the connection has ended."""
        try:
            await session.coprocesses.run(wanted, CONNECTION, self._remote)
            await self._socket.prepare(self._request)
            protocol = self._transport.get_protocol() if self._transport is not None else None
            if isinstance(protocol, HttpProtocol):
                protocol.end_with_peer()
            self._feeding = self._loop.create_task(self._feed())
            self._reading = session.own(self._read())
            await asyncio.wait([self._reading])
        finally:
            if self._reading is None:
                self._end("connection_lost")
            elif self._blocked is not None:
                self._blocked.reschedule(self._loop.time() + self._patience_s)
            if self._socket.prepared:
                self._hang_up()
        return self._socket

    def go_away(self) -> None:
        """Tells the client that the daemon ends, and so does the coprocess."""
        self._close(close_codes.GOING_AWAY, "the daemon ends")

    @property
    def _transport(self) -> asyncio.Transport | None:
        return self._request.transport

    # -- what the coprocess asks for (`Bridge`) -----------------------------------------------------------------------

    def begin(self, stdin: int, stdout: int) -> None:
        self._stdin, self._stdout = stdin, stdout

    def close(self, reason: EndReason) -> None:
        self._close(_CODES.get(reason, close_codes.NORMAL), reason)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    @property
    def untaken(self) -> int:
        transport = self._transport
        if transport is None or transport.is_closing():
            return 0
        return transport.get_write_buffer_size() + sockets.untaken(transport.get_extra_info("socket").fileno())

    # -- stdin: from the session to the client --------------------------------------------------------------------------

    async def _feed(self) -> None:
        while True:
            try:
                data = os.read(self._stdin, pipes.CHUNK_BYTES)
            except BlockingIOError:
                await self._ready(self._stdin, self._loop.add_reader, self._loop.remove_reader)
                continue
            if not data:
                self.close("session_ended")  # before any other end we are asked to close
                return
            try:
                await self._socket.send_bytes(data)
            except ConnectionError:
                return  # that it has gone is seen where it is read

    # -- stdout: from the client to the session -------------------------------------------------------------------------

    async def _read(self) -> None:
        """Passes on what the client sends until the connection ends, and tells the coprocess of that."""
        reason: EndReason = "connection_lost"
        try:
            while True:
                message = await self._socket.receive()
                if message.type is WSMsgType.BINARY:
                    await self._type(message.data)
                elif message.type is WSMsgType.TEXT:
                    if not self._control(message.data):
                        return
                elif message.type is WSMsgType.CLOSE:
                    if self._closing is None:
                        reason = "exited"
                        self._close(close_codes.NORMAL, reason)
                    return
                else:
                    return
        finally:
            self._end(reason)

    async def _type(self, data: bytes) -> None:
        """Writes it all, unless stdout is closed, or an observer's: what that prints goes nowhere."""
        left = memoryview(data)
        while left and self._stdout >= 0:
            try:
                left = left[os.write(self._stdout, left) :]
            except BlockingIOError:
                try:
                    async with asyncio.timeout(None) as self._blocked:
                        await self._ready(self._stdout, self._loop.add_writer, self._loop.remove_writer)
                except TimeoutError:
                    self._close_stdout()
                self._blocked = None
            except BrokenPipeError:  # it has ended, and what it prints goes nowhere
                self._close_stdout()

    def _control(self, text: str) -> bool:
        """Does what a text message says; False when there is no such message, and then the connection is over."""
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            message = None
        if message == {"type": "eof"}:
            self._close_stdout()
            return True
        self._close(close_codes.UNSUPPORTED, 'a text message is for control: {"type": "eof"}; what is to be typed is binary')
        return False

    # -- its end --------------------------------------------------------------------------------------------------------

    def _close(self, code: int, reason: str) -> None:
        """Sends a close frame, once. The client's answer ends the connection, or the coprocess's patience."""
        if self._closing is None and self._socket.prepared:
            if self._feeding is not None and self._feeding is not asyncio.current_task():
                self._feeding.cancel()
            self._closing = self._loop.create_task(self._say_close(struct.pack("!H", code) + reason.encode()[: close_codes.REASON_BYTES]))

    async def _say_close(self, payload: bytes) -> None:
        try:
            await self._socket.send_frame(payload, WSMsgType.CLOSE)
        except ConnectionError:
            pass

    def _end(self, reason: EndReason) -> None:
        """The connection is no more."""
        self._close_stdout()
        if self._feeding is not None:
            self._feeding.cancel()
        if self._stdin >= 0:
            self._loop.remove_reader(self._stdin)
            os.close(self._stdin)
            self._stdin = -1
        self._remote.ended(reason)

    def _close_stdout(self) -> None:
        pipes.close(self._stdout)
        self._stdout = -1

    def _hang_up(self) -> None:
        """Closes it when the last of what was sent is taken; a client that does not take it is not waited for."""
        if self._transport is not None:
            self._transport.close()
            self._loop.call_later(self._patience_s, cut_off, self._transport)

    async def _ready(self, fd: int, add: Any, remove: Any) -> None:
        """Returns when the pipe's end `fd`, ours, can be read or written."""
        ready = asyncio.Event()
        add(fd, ready.set)
        try:
            await ready.wait()
        finally:
            if fd in (self._stdin, self._stdout):  # else it is closed, and may be another's by now
                remove(fd)


def _query(request: web.Request) -> CoprocessSpec:
    """What is wanted; a fault is `invalid_params`."""
    given = query.names(request, ROUTE)
    given.setdefault("command", request.headers.get("User-Agent", "")[:100] or CONNECTION)
    wanted = query.convert(given, CoprocessConnect, ROUTE)
    return CoprocessSpec(**{name: getattr(wanted, name) for name in CoprocessConnect.__struct_fields__})
