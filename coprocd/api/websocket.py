"""JSON-RPC over a websocket (GET /rpc): a message a frame, text or binary; ours are text.

One receive loop, one sender. The loop waits while the connection has too much in progress, so a peer that never reads is not
read either. A stuck peer's transport is aborted: closing would wait for it.
"""

from __future__ import annotations

import asyncio

from aiohttp import WSMsgType, web

from coprocd.api.connection import Connection, Connections
from coprocd.protocol import close_codes


async def serve(request: web.Request, connections: Connections) -> web.WebSocketResponse:
    """Upgrades the request and serves it until either side ends it."""
    limits = connections.limits
    socket = web.WebSocketResponse(compress=False, max_msg_size=limits.request_bytes, timeout=limits.hangup_grace_s)
    await socket.prepare(request)
    unsent, room = asyncio.Event(), asyncio.Event()

    def ready() -> None:
        unsent.set()
        room.set()

    connection = connections.open(ready)
    sender = asyncio.create_task(_send(socket, connection, unsent))
    try:
        await _receive(socket, connection, room)
    finally:
        sender.cancel()
        connection.close()
        if request.transport is not None and not socket.closed:
            request.transport.abort()
    return socket


async def _receive(socket: web.WebSocketResponse, connection: Connection, room: asyncio.Event) -> None:
    while True:
        message = await socket.receive()
        if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
            return  # closed, closing, or broken
        while not connection.may_start:
            room.clear()
            await room.wait()
        connection.start(message.data)


async def _send(socket: web.WebSocketResponse, connection: Connection, unsent: asyncio.Event) -> None:
    """The one sender: takes what is to be sent when the last of it has gone."""
    while True:
        unsent.clear()
        while messages := connection.take(connection.limits.write_bytes):
            for message in messages:
                await socket.send_frame(message, WSMsgType.TEXT)
        if connection.draining and connection.idle:
            await socket.close(code=close_codes.GOING_AWAY, message=b"the daemon ends; connect again")
            return
        await unsent.wait()
