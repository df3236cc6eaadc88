"""One websocket to the daemon (RFC 6455): frames over its Unix socket, never blocking once it is open.

Owns the socket. Made for a loop around poll(2) or select(2) that waits for `fd`: readable always, writable while `unsent_bytes`. Binary messages are a
stream here and handed over frame by frame; text messages are whole. Who sends must look at `unsent_bytes`: it is not bounded here.
The library costs a command some 50 ms: imported by the commands that stay connected, never by others.
"""

from __future__ import annotations

import json
import time
from urllib.parse import quote, urlencode

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import parse_uri

from coprocctl.connection import connect, refusal
from coprocctl.exits import EXIT_FAILED, EXIT_TIMED_OUT, ConnectionLost, Failure
from coprocd.protocol import close_codes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

RECEIVE_BYTES = 96 << 10
"""Taken from the socket at once: a whole frame of the attach stream (64 KiB), and messages around it."""
MESSAGE_BYTES = 32 << 20
"""The longest message; the daemon sends none that is near."""

OPENING_S = 30.0
"""How long the upgrade may take: a daemon that was just started loads HTTP last."""


class Received:
    """What came: `kind` is `binary` (a frame's `data`), `text` (whole, in `text`) or `closed` (`code`, and its reason in `text`)."""

    __slots__ = ("code", "data", "kind", "last", "text")

    def __init__(
        self, kind: Literal["binary", "text", "closed"], data: bytes = b"", text: str = "", code: int = 0, last: bool = True
    ) -> None:
        self.kind = kind
        self.data = data
        self.text = text
        self.code = code
        self.last = last
        """Whether a binary message ends with it."""


class WebSocket:
    """An open websocket. Use as a context manager, or `abort()` it."""

    def __init__(self, path: str, target: str, subprotocol: str = "", wait: bool = True) -> None:
        """Connects to the daemon at `path` and asks for `target` (see `target`). Raises NoDaemon, Refused (the answer's error), ConnectionLost, Failure.

        Without `wait` it is not open yet: `receive` opens it, and raises these, as the answer comes.
        """
        self._socket = connect(path, OPENING_S)
        self.fd = self._socket.fileno()
        """The socket, to be waited for; it is closed after `abort`."""
        subprotocols = [Subprotocol(subprotocol)] if subprotocol else None
        self._protocol = ClientProtocol(parse_uri(f"ws://localhost{target}"), subprotocols=subprotocols, max_size=MESSAGE_BYTES)
        self._unsent = b""
        self._text: list[bytes] | None = None
        """Of a text message that is coming, what has come; None while none is."""
        self._waiting: list[Received] = []
        self._target = target
        self.broken = False
        """Whether it is closed because what came is no websocket's."""
        self._opening_until = time.monotonic() + OPENING_S
        self.open = self.closed = self.closing = False
        try:
            self._ask()
            while wait and not self.open:
                self._on_answer(self._read())
            self._socket.setblocking(False)
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> WebSocket:
        return self

    def __exit__(self, *_: object) -> None:
        self.abort()

    @property
    def unsent_bytes(self) -> int:
        """How much is to be sent, once the socket is writable."""
        return len(self._unsent)

    @property
    def waiting(self) -> bool:
        """Whether `receive` has something that poll(2) and select(2) do not see: what came with the upgrade."""
        return bool(self._waiting)

    @property
    def idle(self) -> bool:
        """Whether it is open, and there is nothing to be done before the next comes from the daemon."""
        return self.open and not self._unsent and not self._waiting

    def receive(self) -> list[Received]:
        """What has come, in order; empty when nothing is there yet. After `closed` nothing comes any more."""
        found, self._waiting = self._waiting, []
        if found or self.closed:
            return found
        try:
            data = self._socket.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        if not self.open:
            self._on_answer(data)
            return []
        if not data:
            self.closed = True
            return [Received("closed", text="the daemon closed the connection", code=close_codes.ABNORMAL)]
        self._protocol.receive_data(data)
        return self._taken_all()

    def send_binary(self, data: bytes) -> None:
        """Queues a binary message, and sends what can be sent."""
        if not (self.closed or self.closing):
            self._protocol.send_binary(data)
            self._pass_on()

    def send_text(self, text: str) -> None:
        """Queues a text message, and sends what can be sent."""
        if not (self.closed or self.closing):
            self._protocol.send_text(text.encode())
            self._pass_on()

    def close(self, code: int = close_codes.NORMAL, reason: str = "") -> None:
        """Queues a close, after which nothing is sent any more; the daemon's answer to it comes as `closed`."""
        if not (self.closed or self.closing):
            self.closing = True
            self._protocol.send_close(code, reason)
            self._pass_on()

    def flush(self) -> None:
        """Sends what can be sent; where the daemon has hung up that is told by `receive`."""
        try:
            if self._unsent:
                self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            self._unsent = b""

    def abort(self) -> None:
        """Hangs up without a word."""
        self.closed = True
        self._socket.close()

    def _pass_on(self) -> None:
        """Sends what can be sent of what the protocol has for the daemon."""
        self._unsent = b"".join([self._unsent, *self._protocol.data_to_send()])
        self.flush()

    def _taken_all(self) -> list[Received]:
        """What the protocol has made of what came."""
        found = [received for event in self._protocol.events_received() if isinstance(event, Frame) and (received := self._taken(event))]
        if self._protocol.parser_exc is not None and not self.closed:
            self.closed = self.broken = True
            found.append(Received("closed", text=str(self._protocol.parser_exc), code=close_codes.ABNORMAL))
        return found

    def _taken(self, frame: Frame) -> Received | None:
        opcode = frame.opcode
        if opcode is Opcode.BINARY or (opcode is Opcode.CONT and self._text is None):
            return Received("binary", bytes(frame.data), last=frame.fin) if frame.data or frame.fin else None
        if opcode is Opcode.TEXT or opcode is Opcode.CONT:
            return self._on_text(frame)
        if opcode is Opcode.PING and len(self._unsent) > RECEIVE_BYTES:
            self._protocol.data_to_send()  # who sends pings and reads no answers gets none
        else:
            self._pass_on()  # the answer to a ping, or to a close
        if opcode is Opcode.CLOSE:
            self.closed = True
            told = Close.parse(frame.data)
            return Received("closed", text=told.reason, code=told.code)
        return None

    def _on_text(self, frame: Frame) -> Received | None:
        if self._text is None:
            self._text = []
        if frame.data:
            self._text.append(bytes(frame.data))
        if not frame.fin:
            return None
        text, self._text = b"".join(self._text), None
        return Received("text", text=text.decode(errors="replace"))

    # -- the upgrade --------------------------------------------------------------------------------------------------

    def _ask(self) -> None:
        self._protocol.send_request(self._protocol.connect())
        try:
            self._socket.sendall(b"".join(self._protocol.data_to_send()))
        except OSError:
            pass  # whoever hung up may have said why before

    def _read(self) -> bytes:
        """The next piece of the answer."""
        try:
            self._socket.settimeout(max(self._opening_until - time.monotonic(), 0.001))
            return self._socket.recv(RECEIVE_BYTES)
        except TimeoutError:
            raise Failure(f"the daemon did not answer {_path(self._target)} in time", EXIT_TIMED_OUT, "timed_out") from None
        except OSError:
            return b""

    def _on_answer(self, data: bytes) -> None:
        """Takes a piece of the answer, and what comes with its end."""
        protocol = self._protocol
        if data:
            protocol.receive_data(data)
        else:
            protocol.receive_eof()
        error = protocol.handshake_exc
        if isinstance(error, InvalidStatus):
            raise _rejection(error.response.status_code, bytes(error.response.body or b""))
        if not data:
            raise ConnectionLost(f"the daemon closed the connection before it answered {_path(self._target)}")
        if error is not None:
            raise Failure(f"what answers at {self._socket.getpeername()} speaks no websocket: is it coprocd?", EXIT_FAILED)
        if protocol.state is not State.CONNECTING:
            self.open = True
            self._waiting = self._taken_all()  # came with the upgrade


def target(path: str, session: str, query: dict[str, str | int]) -> str:
    """The target of a route of a session's, as `target("/sessions/{session}/attach", …)`."""
    filled = path.replace("{session}", quote(session, safe=""))
    return f"{filled}?{urlencode(query)}" if query else filled


def _rejection(status: int, body: bytes) -> Failure:
    """The error that came in place of the upgrade: on every route it has the shape of an RPC answer's."""
    try:
        return refusal(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return Failure(f"the daemon answered with HTTP status {status}", EXIT_FAILED)


def _path(target: str) -> str:
    return target.partition("?")[0]
