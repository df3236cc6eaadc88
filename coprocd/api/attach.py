"""GET /sessions/{session}/attach: the stream of a session to one who watches it and types (docs/attach.md).

One receive loop and one sender a client. The sender takes what its `Viewer` has for it when the transport can take more, so that a client that
does not read has a frame or two waiting for it and no more. What is typed waits in the socket while the session has no room for it. A key and its
echo go past both: typed in the turn in which it comes, and sent in the pump's, where nothing else waits. A client that is to go and is stuck is cut
off, never waited for.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import WSMsgType, web
from websockets.frames import Frame, Opcode

from coprocd.api import envelope, query
from coprocd.api.http_protocol import HttpProtocol, cut_off
from coprocd.api.in_progress import InProgress
from coprocd.api.limits import ApiLimits
from coprocd.platform import peer
from coprocd.protocol import close_codes
from coprocd.protocol.attach import INPUT_FRAME_BYTES, SUBPROTOCOL
from coprocd.protocol.errors import CoprocdError
from coprocd.protocol.messages import MessageReader
from coprocd.protocol.objects import Attach, AttachAck, AttachDetach, AttachRedraw, AttachResize
from coprocd.runtime.viewer import Message, Viewer

if TYPE_CHECKING:
    from coprocd.runtime.session import Session

log = logging.getLogger("coprocd.api")

UNSENT_BYTES = 64 << 10
"""A transport that holds more than this is given no more."""

TURN_BYTES = 64 << 10
MESSAGE_COSTS_BYTES = 4 << 10
"""So much of what a client sends is taken before others have their turn, each message counted as so much more than it holds."""

GOING_S = 0.3
"""A client has so long to take the word that the daemon ends; it will be back, and nothing is lost to it."""

ROOM_S = 1.0
"""How often it is looked whether there is room for what is typed, when nothing tells."""

_Control = AttachResize | AttachAck | AttachRedraw | AttachDetach


class AttachStreams:
    """All the attach streams of a daemon, so that they can be ended together."""

    def __init__(self, daemon: Any, limits: ApiLimits) -> None:
        self._daemon = daemon
        self._limits = limits
        self._open = InProgress[AttachStream]()
        self._ending = False

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Upgrades the request and serves it until either side ends it. What is wrong with the request is a CoprocdError."""
        session: Session = self._daemon.sessions.resolve(request.match_info["session"])
        params = _query(request, session)
        transport = request.transport
        protocol = transport.get_protocol() if transport is not None else None
        socket = web.WebSocketResponse(compress=False, autoping=False, autoclose=False, protocols=(SUBPROTOCOL,))
        if transport is None or not isinstance(protocol, HttpProtocol):
            return socket
        reader = MessageReader(masked=True, most_bytes=INPUT_FRAME_BYTES - 1)
        if socket.can_prepare(request):
            transport.pause_reading()
            protocol.hand_over(reader.feed)
        await socket.prepare(request)
        if session.dropped:  # a client that did not read has had the upgrade wait for so long
            transport.close()
            return socket
        transport.set_write_buffer_limits(high=UNSENT_BYTES)
        size = (params.rows, params.cols) if params.rows is not None and params.cols is not None else None
        viewer = session.viewers.attach(peer.pid(transport.get_extra_info("socket")), params.mode, size, params.lag_bytes)
        if params.since is not None and params.epoch == session.log.epoch:
            viewer.resume(session.injections.resumed(params.since, params.injected))
        stream = AttachStream(socket, transport, reader, session, viewer, self._limits.hangup_grace_s)
        protocol.hand_over(stream.on_data)
        with self._open.during(stream):
            if self._ending:
                viewer.leave("daemon")
            await stream.run(self._daemon.describe().protocol)
        return socket

    def end(self) -> None:
        """Ends them all, and every one that comes: the daemon goes."""
        self._ending = True
        for stream in self._open:
            stream.viewer.leave("daemon")

    async def ended(self) -> None:
        """Returns when there is none: each has been told, or cut off."""
        await self._open.ended()


class AttachStream:
    """One client's, for as long as it `run`s."""

    def __init__(
        self,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport,
        reader: MessageReader,
        session: Session,
        viewer: Viewer,
        grace_s: float,
    ) -> None:
        """One that is to go and does not take what is sent for `grace_s` is cut off."""
        self.viewer = viewer
        self._closing = False
        """Whether the client was told that nothing follows."""
        self._socket = socket
        self._transport = transport
        self._reader = reader
        self._waiting: asyncio.Future[Frame | None] | None = None
        """What `_receive` waits for: the next message. While it does not wait the transport is not read."""
        self._session = session
        self._grace_s = grace_s
        self._loop = asyncio.get_running_loop()
        self._origin = f"client {viewer.id}"
        viewer.on_leave = self._on_leave
        viewer.can_send_now, viewer.send_now = self._can_send_now, self._send_now

    async def run(self, protocol: object) -> None:
        """Sends and receives side by side, until the client has ended the connection or was cut off."""
        self._sender = asyncio.create_task(self._send(protocol))
        try:
            # In a task of its own, so that a key does not wake every coroutine that awaits this one.
            await asyncio.create_task(self._receive())
        except CoprocdError as error:
            log.info("session %s: a client was cut off: %s", self._session.id, error)
        except ConnectionError:  # the client has gone before it was answered
            pass
        except Exception:  # the connection is a websocket now: there is nothing else to answer
            log.exception("session %s: receiving from a client failed", self._session.id)
        finally:
            self._sender.cancel()
            self._session.viewers.detach(self.viewer)
            self._transport.close()
            self._cut_off_later()

    def _on_leave(self) -> None:
        if self.viewer.leaves_for == "daemon":
            self._loop.call_later(GOING_S, cut_off, self._transport)
        else:
            self._cut_off_later()

    def _cut_off_later(self) -> None:
        self._loop.call_later(self._grace_s, cut_off, self._transport)

    # -- to the client -----------------------------------------------------------------------------------------------------

    async def _send(self, protocol: object) -> None:
        """Sends what the viewer has, until it has all or is to go; the client then closes the connection, or is cut off."""
        try:
            code, why = await self._send_all(protocol)
            self._closing = True
            self._cut_off_later()
            await self._say_close(code, why)
        except ConnectionError:
            cut_off(self._transport)
        except CoprocdError as error:
            log.info("session %s: a client was cut off: %s", self._session.id, error)
            cut_off(self._transport)
        except Exception:
            log.exception("session %s: sending to a client failed", self._session.id)
            cut_off(self._transport)

    async def _say_close(self, code: int, why: bytes = b"") -> None:
        await self._socket.send_frame(struct.pack(">H", code) + why, WSMsgType.CLOSE)

    async def _send_all(self, protocol: object) -> tuple[int, bytes]:
        """… and with what code and words the connection is to be closed."""
        session, viewer = self._session, self.viewer
        await self._put(viewer.attached(protocol))
        await self._resync()
        if not viewer.leaving:
            for greeting in viewer.greeting():
                await self._put(greeting)
        while not (viewer.leaving or viewer.has_all):
            await self._resync()
            if viewer.leaving:
                break
            for message in viewer.take():
                await self._put(message)
            if not viewer.has_all:
                await viewer.wait()
        if viewer.leaves_for == "daemon":
            return close_codes.GOING_AWAY, b"the daemon ends; connect again"
        if viewer.leaves_for is not None:
            await self._put({"type": "detached", "by": viewer.leaves_for})
            return close_codes.NORMAL, b"detached"
        await self._put({"type": "exit", "exit_status": session.record.exit_status, "signal": session.record.signal})
        return close_codes.NORMAL, b"the session has ended"

    async def _resync(self) -> None:
        """Sends a snapshot, where one is needed."""
        viewer = self.viewer
        while not viewer.leaving and (reason := viewer.behind()):
            redraw = await self._session.viewers.snapshot(viewer.offset if viewer.has_place else 0)
            if redraw is not None and not viewer.leaving:
                for message in viewer.resync(redraw, reason):
                    await self._put(message)

    async def _put(self, message: Message | bytes) -> None:
        """Returns when the transport can take more."""
        if isinstance(message, bytes):
            await self._socket.send_frame(message, WSMsgType.BINARY)
        else:
            await self._socket.send_frame(envelope.encode(message), WSMsgType.TEXT)

    def _can_send_now(self) -> bool:
        """Whether something may follow, and the transport has passed on all that it was given: then it takes more without waiting."""
        return not self._closing and not self._transport.get_write_buffer_size()

    def _send_now(self, output: bytes) -> None:
        """Sends a little output where it `can`, without waiting for the loop to come round to the sender."""
        self._transport.write(Frame(Opcode.BINARY, output).serialize(mask=False))

    # -- from the client ---------------------------------------------------------------------------------------------------

    def on_data(self, data: bytes) -> None:
        """What the client sends. A key is typed in the turn in which it comes, and past the task that takes all else."""
        waiting, reader = self._waiting, self._reader
        if waiting is None or waiting.done():
            reader.feed(data)
            return
        message = reader.take(data)
        if message is not None and message.opcode is Opcode.BINARY:
            try:
                self._type_now(bytes(message.data))
            except CoprocdError:
                pass  # the task meets it again, and sees to it
            else:
                message = reader.take()
        if message is not None or reader.broken is not None:
            self._waiting = None
            self._transport.pause_reading()
            waiting.set_result(message)

    async def _message(self) -> Frame | None:
        """The next that the client sends; None once it has sent what is no websocket's."""
        message = self._reader.take()
        if message is None and self._reader.broken is None:
            self._waiting = self._loop.create_future()
            self._transport.resume_reading()
            message = await self._waiting
        return message

    async def _receive(self) -> None:
        """Takes what the client sends, until it ends."""
        taken_bytes = 0
        while (message := await self._message()) is not None:
            taken_bytes += MESSAGE_COSTS_BYTES
            if taken_bytes > TURN_BYTES:
                taken_bytes = 0
                await asyncio.sleep(0)
            if message.opcode is Opcode.BINARY:
                taken_bytes += len(message.data)
                await self._type(bytes(message.data))
            elif message.opcode is Opcode.TEXT:
                self._control(bytes(message.data))
            elif message.opcode is Opcode.PING:
                await self._socket.pong(bytes(message.data))
            elif message.opcode is Opcode.CLOSE:
                break
        if not self._closing:
            self._closing = True
            self._sender.cancel()
            code, why = self._reader.broken or (close_codes.NORMAL, "")
            await self._say_close(code, why.encode()[: close_codes.REASON_BYTES])

    def _type_now(self, data: bytes) -> None:
        """Types it whole; what is in the way is a CoprocdError."""
        if self.viewer.mode == "ro":
            raise CoprocdError("permission_denied", "this client only looks on (mode=ro): nothing was typed; attach with mode=rw to type")
        self._session.viewers.window_size.on_typed(self.viewer)
        self._session.typing.type(data, self._origin)

    async def _type(self, data: bytes) -> None:
        """Types it, as soon as there is room."""
        most = self._session.input.ring.capacity
        while True:
            try:
                self._type_now(data[:most])
            except CoprocdError as error:
                if error.code != "input_full":
                    self._refuse(error)
                    return
                await self._session.input_moved(ROOM_S)
                if self._closing:
                    return
            else:
                data = data[most:]
                if not data:
                    return

    def _control(self, text: bytes) -> None:
        viewer = self.viewer
        try:
            control = msgspec.json.decode(text, type=_Control)
        except (msgspec.DecodeError, RecursionError) as error:
            self._refuse(CoprocdError("invalid_params", f"{error}: a text frame is a JSON object of type resize, ack, redraw or detach"))
            return
        match control:
            case AttachAck(offset=offset):
                viewer.ack(offset)
            case AttachResize(rows=rows, cols=cols):
                viewer.size = (rows, cols)
                self._session.viewers.window_size.on_active(viewer)
            case AttachRedraw():
                viewer.redraw()
            case AttachDetach():
                viewer.leave("client")

    def _refuse(self, error: CoprocdError) -> None:
        """Tells the client; of many that are refused at a time, the last."""
        self.viewer.tell({"type": "error", "code": error.code, "message": error.message}, "error")


def _query(request: web.Request, session: Session) -> Attach:
    """The query of the request to `session`; `invalid_params` names what is wrong with it."""
    params = query.convert(query.names(request, "attach"), Attach, "attach")
    if (params.rows is None) != (params.cols is None):
        raise CoprocdError("invalid_params", "attach: rows and cols go together")
    if (params.since is None) != (params.epoch is None) or (params.injected is not None and params.since is None):
        raise CoprocdError(
            "invalid_params", "attach: since and epoch go together, and injected with them: as `attached` and `offset` gave them"
        )
    if params.epoch == session.log.epoch and params.since is not None and params.since > session.log.end:
        raise CoprocdError(
            "invalid_params",
            f"attach: session {session.record.name} has printed {session.log.end} bytes in epoch {params.epoch}, and since is {params.since}; "
            "leave since and epoch out to begin with the screen",
            output_offset=session.log.end,
        )
    return params
