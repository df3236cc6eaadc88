"""One websocket to the daemon (RFC 6455): frames over its Unix socket, never blocking once it is open.

Owns the socket. Made for a loop around poll(2) or select(2) that waits for `fd`: readable always, writable while `unsent_bytes`. Who sends must look at
`unsent_bytes`: it is not bounded here.
The library costs a command some 50 ms: imported by the commands that stay connected, never by others.
"""

from __future__ import annotations

import json
import time
from typing import NamedTuple, TypeAlias
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
from coprocd.protocol.messages import MessageReader

RECEIVE_BYTES = 96 << 10
"""Taken from the socket at once: a whole frame of the attach stream (64 KiB), and messages around it."""
MESSAGE_BYTES = 32 << 20
"""The longest message; the daemon sends none that is near."""

_HEAD_ENDS = b"\r\n\r\n"

OPENING_S = 30.0
"""How long the upgrade may take: a daemon that was just started loads HTTP last."""


class Closed(NamedTuple):
    """The end of a websocket."""

    code: int
    reason: str


Received: TypeAlias = bytes | str | Closed
"""What comes: a binary message, a text message, or the end."""


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
        self._upgrade = ClientProtocol(parse_uri(f"ws://localhost{target}"), subprotocols=subprotocols)
        """What asks for the websocket, and knows the answer; of no use once it is there."""
        self._answered = b""
        """The last of the answer to that."""
        self._reader = MessageReader(masked=False, most_bytes=MESSAGE_BYTES)
        self._unsent = b""
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
        """What has come, in order; empty when nothing is there yet. After the end nothing comes any more."""
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
            return [Closed(close_codes.ABNORMAL, "the daemon closed the connection")]
        return self._taken(data)

    def send_binary(self, data: bytes) -> None:
        """Queues a binary message, and sends what can be sent."""
        if not (self.closed or self.closing):
            self._send(Opcode.BINARY, data)

    def send_text(self, text: str) -> None:
        """Queues a text message, and sends what can be sent."""
        if not (self.closed or self.closing):
            self._send(Opcode.TEXT, text.encode())

    def close(self, code: int = close_codes.NORMAL, reason: str = "") -> None:
        """Queues a close, after which nothing is sent any more; the daemon's answer to it is the end."""
        if not (self.closed or self.closing):
            self.closing = True
            self._send(Opcode.CLOSE, Close(code, reason).serialize())

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

    def _send(self, opcode: Opcode, data: bytes) -> None:
        """Queues a frame, and sends what can be sent."""
        self._unsent += Frame(opcode, data).serialize(mask=True)
        self.flush()

    def _taken(self, data: bytes) -> list[Received]:
        """What has come whole with `data`."""
        found: list[Received] = []
        reader = self._reader
        frame = reader.take(data)
        while frame is not None and not self.closed:
            if frame.opcode is Opcode.BINARY:
                found.append(bytes(frame.data))
            elif frame.opcode is Opcode.TEXT:
                found.append(bytes(frame.data).decode())
            elif frame.opcode is Opcode.CLOSE:
                found.append(self._on_close(frame))
            elif frame.opcode is Opcode.PING and len(self._unsent) <= RECEIVE_BYTES:  # who reads no answers gets none
                self._send(Opcode.PONG, bytes(frame.data))
            frame = reader.take()
        if reader.broken is not None and not self.closed:
            self.closed = self.broken = True
            found.append(Closed(close_codes.ABNORMAL, reader.broken[1]))
        return found

    def _on_close(self, frame: Frame) -> Closed:
        if not self.closing:
            self._send(Opcode.CLOSE, bytes(frame.data))
        self.closed = True
        told = Close.parse(frame.data)
        return Closed(told.code, told.reason)

    # -- the upgrade --------------------------------------------------------------------------------------------------

    def _ask(self) -> None:
        self._upgrade.send_request(self._upgrade.connect())
        try:
            self._socket.sendall(b"".join(self._upgrade.data_to_send()))
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
        """Takes a piece of the answer, and what comes behind it."""
        upgrade = self._upgrade
        head, behind = self._divided(data)
        if data:
            upgrade.receive_data(head)
            if behind and upgrade.state is State.CONNECTING:  # the body of an answer that is another
                upgrade.receive_data(behind)
        else:
            upgrade.receive_eof()
        error = upgrade.handshake_exc
        if isinstance(error, InvalidStatus):
            raise _rejection(error.response.status_code, bytes(error.response.body or b""))
        if not data:
            raise ConnectionLost(f"the daemon closed the connection before it answered {_path(self._target)}")
        if error is not None:
            raise Failure(f"what answers at {self._socket.getpeername()} speaks no websocket: is it coprocd?", EXIT_FAILED)
        if upgrade.state is not State.CONNECTING:
            self.open = True
            self._waiting = self._taken(behind)

    def _divided(self, data: bytes) -> tuple[bytes, bytes]:
        """What belongs to the head of the answer, and what comes behind that."""
        before = len(self._answered)
        seen = self._answered + data
        self._answered = seen[1 - len(_HEAD_ENDS) :]
        ends = seen.find(_HEAD_ENDS)
        at = len(data) if ends < 0 else ends + len(_HEAD_ENDS) - before
        return data[:at], data[at:]


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
