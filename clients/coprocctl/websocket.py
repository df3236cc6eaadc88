"""One websocket to the daemon (RFC 6455): frames over its Unix socket, never blocking once it is open.

Owns the socket. Made for a loop around poll(2) that waits for `fileno()`: readable always, writable while `unsent_bytes`. Binary messages are a
stream here and handed over in the pieces in which they arrive; text messages are whole. Who sends must look at `unsent_bytes`: it is not bounded here.
wsproto costs a command some 40 ms: imported by the commands that stay connected, never by others.
"""

from __future__ import annotations

import json
from collections import deque
from urllib.parse import quote, urlencode

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Message,
    Ping,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)
from wsproto.utilities import RemoteProtocolError

from coprocctl.connection import connect, refusal
from coprocctl.exits import EXIT_FAILED, EXIT_TIMED_OUT, ConnectionLost, Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal

RECEIVE_BYTES = 96 << 10
REJECTION_BYTES = 1 << 20
"""The most that is read of an error in place of the upgrade."""

TEXT_CHARACTERS = 8 << 20
"""The longest text message; the daemon sends none that is near."""

NORMAL, ABNORMAL = 1000, 1006
"""Close codes: done; and what stands for a connection that ended without a word (RFC 6455 §7.4.1)."""

OPENING_S = 30.0
"""How long the upgrade may take: a daemon that was just started loads HTTP last."""


class Received:
    """What came: `kind` is `binary` (a piece in `data`), `text` (whole, in `text`) or `closed` (`code`, and its reason in `text`)."""

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
        """The socket, for select(2)."""
        self._protocol = WSConnection(ConnectionType.CLIENT)
        self._unsent: deque[memoryview] = deque()
        self._text: list[str] = []
        self._waiting: list[Received] = []
        self._target = target
        self._rejection: tuple[int, bytes] | None = None
        self.unsent_bytes = 0
        self.open = self.closed = self.closing = False
        try:
            self._ask(subprotocol)
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

    def fileno(self) -> int:
        """The socket, for poll(2)."""
        return self._socket.fileno()

    @property
    def waiting(self) -> bool:
        """Whether `receive` has something that poll(2) does not see: what came with the upgrade."""
        return bool(self._waiting)

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
            return [Received("closed", text="the daemon closed the connection", code=ABNORMAL)]
        self._protocol.receive_data(data)
        return [received for event in self._protocol.events() if (received := self._taken(event))]

    def send_binary(self, data: bytes) -> None:
        """Queues a binary message, and sends what can be sent."""
        self._send(BytesMessage(data=data))

    def send_text(self, text: str) -> None:
        """Queues a text message, and sends what can be sent."""
        self._send(TextMessage(data=text))

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Queues a close, after which nothing is sent any more; the daemon's answer to it comes as `closed`."""
        self._send(CloseConnection(code=code, reason=reason))
        self.closing = True

    def flush(self) -> None:
        """Sends what can be sent; where the daemon has hung up that is told by `receive`."""
        while self._unsent:
            first = self._unsent[0]
            try:
                size = self._socket.send(first)
            except BlockingIOError:
                return
            except OSError:
                self._unsent.clear()
                self.unsent_bytes = 0
                return
            self.unsent_bytes -= size
            if size == len(first):
                self._unsent.popleft()
            else:
                self._unsent[0] = first[size:]

    def abort(self) -> None:
        """Hangs up without a word."""
        self.closed = True
        self._socket.close()

    def _send(self, event: Event) -> None:
        if self.closed or self.closing:
            return
        data = self._protocol.send(event)
        self._unsent.append(memoryview(data))
        self.unsent_bytes += len(data)
        self.flush()

    def _taken(self, event: Event) -> Received | None:
        if isinstance(event, BytesMessage):
            last = event.message_finished
            return Received("binary", data=bytes(event.data), last=last) if event.data or last else None
        if isinstance(event, TextMessage):
            return self._on_text(event)
        if isinstance(event, Ping):
            self._send(event.response())
        elif isinstance(event, CloseConnection):
            if self._protocol.state.name == "REMOTE_CLOSING":
                self._send(event.response())
            self.closed = True
            return Received("closed", text=event.reason or "", code=int(event.code))
        return None

    def _on_text(self, event: Message[str]) -> Received | None:
        self._text.append(event.data)
        if sum(map(len, self._text)) > TEXT_CHARACTERS:
            self.closed = True
            return Received("closed", text="a text message is too long", code=ABNORMAL)
        if not event.message_finished:
            return None
        text, self._text = "".join(self._text), []
        return Received("text", text=text)

    # -- the upgrade --------------------------------------------------------------------------------------------------

    def _ask(self, subprotocol: str) -> None:
        request = Request(host="localhost", target=self._target, subprotocols=[subprotocol] if subprotocol else [])
        try:
            self._socket.sendall(self._protocol.send(request))
        except OSError:
            pass  # whoever hung up may have said why before

    def _read(self) -> bytes:
        """The next piece of the answer."""
        try:
            return self._socket.recv(RECEIVE_BYTES)
        except TimeoutError:
            raise Failure(f"the daemon did not answer {_path(self._target)} in time", EXIT_TIMED_OUT, "timed_out") from None
        except OSError:
            return b""

    def _on_answer(self, data: bytes) -> None:
        """Takes a piece of the answer, and what comes with its end."""
        if not data:
            raise ConnectionLost(f"the daemon closed the connection before it answered {_path(self._target)}")
        try:
            self._protocol.receive_data(data)
            for event in self._protocol.events():
                if isinstance(event, AcceptConnection):
                    self.open = True
                elif self.open:  # came with the upgrade
                    self._keep(event)
                elif isinstance(event, RejectConnection):
                    self._rejection = (event.status_code, b"")
                elif isinstance(event, RejectData) and self._rejection is not None:
                    status, body = self._rejection
                    self._rejection = (status, body + event.data)
                    if event.body_finished or len(body) > REJECTION_BYTES:
                        raise _rejection(*self._rejection)
        except RemoteProtocolError:
            raise Failure(f"what answers at {self._socket.getpeername()} speaks no websocket: is it coprocd?", EXIT_FAILED) from None

    def _keep(self, event: Event) -> None:
        received = self._taken(event)
        if received is not None:
            self._waiting.append(received)


def target(path: str, session: str, query: dict[str, str | int]) -> str:
    """The target of a route of a session's, as `target("/sessions/{session}/attach", …)`."""
    filled = path.replace("{session}", quote(session, safe=""))
    return f"{filled}?{urlencode(query)}" if query else filled


def _rejection(status: int, body: bytes) -> Failure:
    """The error that came in place of the upgrade: on every route it has the shape of an RPC answer's."""
    try:
        return refusal(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError):
        return Failure(f"the daemon answered with HTTP status {status}", EXIT_FAILED)


def _path(target: str) -> str:
    return target.partition("?")[0]
