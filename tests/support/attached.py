"""A client of the attach stream, small and with nothing between it and the bytes: RFC 6455's frames on a Unix socket.

It can do what no decent client does: send half a frame, never read, vanish.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

from support.live import PATIENCE_S

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
_KEY = "dGhlIHNhbXBsZSBub25jZQ=="


class Refused(Exception):
    """The answer was no upgrade: its status and the error in it."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(status, body)
        self.status = status
        self.error = json.loads(body)["error"]


class Attached:
    """One connection. `shown` is all output that came, injected bytes and snapshots included in their order."""

    def __init__(self, path: str, session: str, headers: str = "", behind: bytes = b"", **query: object) -> None:
        """`behind`: what is sent with the request, not waiting for the upgrade."""
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE_S)
        self._buffer = bytearray()
        self.messages: list[dict[str, Any]] = []
        self.frames: list[dict[str, Any] | bytes] = []
        """All that came."""
        self.shown = bytearray()
        self.offset = 0
        """Where its next binary frame belongs."""
        self.injected = 0
        self.epoch = ""
        self.closed: tuple[int, str] | None = None
        target = f"/sessions/{session}/attach?{urlencode(query)}"
        try:
            self.socket.connect(path)
            self.socket.sendall(
                f"GET {target} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                f"Sec-WebSocket-Key: {_KEY}\r\nSec-WebSocket-Protocol: coprocd.attach.v1\r\n{headers}\r\n".encode()
                + behind
            )
            self.head = self._until(b"\r\n\r\n")
        except BaseException:
            self.socket.close()
            raise
        status = int(self.head.split()[1])
        if status != 101:
            length = next(int(line.split(b":")[1]) for line in self.head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
            body = self._exactly(length)
            self.socket.close()
            raise Refused(status, body)

    # -- reading -----------------------------------------------------------------------------------------------------------

    def next(self) -> dict[str, Any] | bytes | None:
        """The next message, or binary frame; None when the connection was closed, in `closed` how."""
        while True:
            kind, payload = self.frame()
            if kind == BINARY:
                self._show(payload)
                return payload
            if kind == TEXT:
                message: dict[str, Any] = json.loads(payload)
                self._note(message)
                return message
            if kind == CLOSE:
                self.closed = (struct.unpack(">H", payload[:2])[0], payload[2:].decode())
                with suppress(OSError):
                    self.socket.sendall(masked(CLOSE, payload))
                self.socket.close()
                return None

    def frame(self) -> tuple[int, bytes]:
        """The next frame, of any kind. EOFError when there is none."""
        head = self._exactly(2)
        assert head[0] & 0xF0 == 0x80 and not head[1] & 0x80
        length = head[1]
        if length >= 126:
            length = int.from_bytes(self._exactly(2 if length == 126 else 8), "big")
        return head[0] & 0x0F, self._exactly(length)

    def take(self) -> list[tuple[int, bytes]]:
        """Reads once, and gives the frames that are whole; for those who watch many at a time and look at them themselves."""
        self._more()
        frames, at, buffer = [], 0, self._buffer
        while len(buffer) >= at + 2:
            length, head = buffer[at + 1], 2
            if length >= 126:
                head = 4 if length == 126 else 10
                length = int.from_bytes(buffer[at + 2 : at + head], "big") if len(buffer) >= at + head else len(buffer)
            if len(buffer) < at + head + length:
                break
            frames.append((buffer[at] & 0x0F, bytes(buffer[at + head : at + head + length])))
            at += head + length
        del buffer[:at]
        return frames

    def message(self, type: str, **fields: Any) -> dict[str, Any]:
        """The next message of this type with these fields; what comes before is passed over, and kept in `frames`."""
        while True:
            message = self.next()
            assert message is not None, f"closed: {self.closed}"
            if isinstance(message, dict) and message["type"] == type and all(message.get(name) == value for name, value in fields.items()):
                return message

    def drawn(self) -> None:
        """Reads until the screen is there that one who attaches is sent first."""
        self.message("snapshot")
        assert isinstance(self.next(), bytes)

    def until(self, data: bytes) -> None:
        """Reads until `data` was shown."""
        while data not in self.shown:
            assert self.next() is not None, self.closed

    def to_the_end(self) -> None:
        """Reads until the connection is closed."""
        while self.next() is not None:
            pass

    def _note(self, message: dict[str, Any]) -> None:
        self.messages.append(message)
        self.frames.append(message)
        if message["type"] in ("attached", "snapshot", "offset"):
            self.offset, self.injected = message["offset"], message["injected"]
            self.epoch = message.get("epoch", self.epoch)

    def _show(self, data: bytes) -> None:
        snapshot = bool(self.messages) and self.frames[-1] is self.messages[-1] and self.messages[-1]["type"] == "snapshot"
        self.frames.append(data)
        self.shown += data
        if not snapshot:
            self.offset += len(data)

    def _until(self, end: bytes) -> bytes:
        while end not in self._buffer:
            self._more()
        head, _, rest = bytes(self._buffer).partition(end)
        self._buffer = bytearray(rest)
        return head

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._more()
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def _more(self) -> None:
        data = self.socket.recv(1 << 18)
        if not data:
            raise EOFError
        self._buffer += data

    # -- writing -----------------------------------------------------------------------------------------------------------

    def type(self, data: bytes) -> None:
        self.socket.sendall(masked(BINARY, data))

    def say(self, **message: Any) -> None:
        self.socket.sendall(masked(TEXT, json.dumps(message).encode()))

    def close(self) -> None:
        """Vanishes."""
        self.socket.close()

    def resumes(self) -> dict[str, Any]:
        """The query with which it goes on where it is."""
        return {"since": self.offset, "epoch": self.epoch, "injected": self.injected}


def masked(kind: int, data: bytes) -> bytes:
    """A frame as clients send them."""
    mask = os.urandom(4)
    size = len(data)
    length = bytes([0x80 | size]) if size < 126 else struct.pack(">BH", 0xFE, size) if size < 65536 else struct.pack(">BQ", 0xFF, size)
    whole = int.from_bytes(data, "big") ^ int.from_bytes((mask * (size // 4 + 1))[:size], "big")
    return bytes([0x80 | kind]) + length + mask + whole.to_bytes(size, "big")
