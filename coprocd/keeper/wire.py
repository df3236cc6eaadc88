"""How daemon and keeper talk: JSON objects with file descriptors, over a Unix stream socket.

A frame is a 4-byte length (network order) and a JSON object; its key `fds` is the number of descriptors that came with
the frame's first byte (SCM_RIGHTS). The first message is {"version", "min", "role"}; it is answered in kind. After it,
{"op", "id", …} is answered by {"id", …} or {"id", "error": {"code", "message"}}, and {"event": …} may come at any time.
"""

from __future__ import annotations

import array
import json
import os
import socket
import struct
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

VERSION = 1
OLDEST = 1
"""The versions of this protocol that this code speaks: OLDEST … VERSION."""

FDS_MOST = 200
"""Descriptors in one frame; the kernel takes 253 (SCM_MAX_FD)."""

FRAME_MOST = 16 << 20
"""Bytes of one frame: a job's arguments and environment (ARG_MAX is 2 MiB on Linux) with room for JSON's escapes."""

_LENGTH = struct.Struct("!I")

Message = dict[str, Any]


class WireError(Exception):
    """The peer does not speak this protocol."""


def encode(message: Message, fds: Sequence[int] = ()) -> bytes:
    """The frame for `message`, to be sent together with `fds`."""
    body = json.dumps({**message, "fds": len(fds)} if fds else message, separators=(",", ":")).encode()
    return _LENGTH.pack(len(body)) + body


def send(sock: socket.socket, message: Message, fds: Sequence[int] = ()) -> None:
    """Sends one frame whole, waiting for room as long as the socket's timeout allows."""
    frame = encode(message, fds)
    sent = socket.send_fds(sock, [frame], list(fds)) if fds else sock.send(frame)
    if sent < len(frame):
        sock.sendall(frame[sent:])


class Decoder:
    """Bytes and descriptors in, messages out."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._fds: deque[int] = deque()

    def receive(self, sock: socket.socket) -> bool:
        """Takes what `sock` has; False at end of file. Descriptors arrive closed on exec."""
        flags = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
        data, ancillary, _, _ = sock.recvmsg(1 << 16, socket.CMSG_SPACE(FDS_MOST * array.array("i").itemsize), flags)
        for level, kind, payload in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds = array.array("i")
                fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
                for fd in fds:
                    os.set_inheritable(fd, False)
                self._fds.extend(fds)
        self._buffer += data
        return bool(data)

    def messages(self) -> Iterator[tuple[Message, list[int]]]:
        """The messages that are whole by now, each with its descriptors, which are the caller's to close."""
        while len(self._buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer)
            if length > FRAME_MOST:
                raise WireError(f"a frame of {length} bytes; at most {FRAME_MOST} are taken")
            if len(self._buffer) < _LENGTH.size + length:
                return
            body = bytes(self._buffer[_LENGTH.size : _LENGTH.size + length])
            del self._buffer[: _LENGTH.size + length]
            try:
                message = json.loads(body)
                fds = [self._fds.popleft() for _ in range(message.get("fds", 0))]
            except (ValueError, AttributeError, TypeError, IndexError, OverflowError, RecursionError) as error:
                raise WireError(f"no message of this protocol: {body[:80]!r}") from error
            yield message, fds

    def close(self) -> None:
        """Closes descriptors that no message has claimed."""
        while self._fds:
            os.close(self._fds.popleft())


def greeting(role: str) -> Message:
    """The first message of either side."""
    return {"version": VERSION, "min": OLDEST, "role": role}


def agree(hello: Message) -> int:
    """The version both sides speak; WireError, naming the side to upgrade, when there is none."""
    try:
        version, oldest = int(hello["version"]), int(hello["min"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise WireError(f"the first message must hold version and min, and is {hello!r}") from error
    if version < OLDEST:
        raise WireError(f"the peer speaks keeper protocol {oldest} to {version}, this side {OLDEST} to {VERSION}: upgrade the peer")
    if oldest > VERSION:
        raise WireError(f"the peer speaks keeper protocol {oldest} to {version}, this side {OLDEST} to {VERSION}: upgrade this side")
    return min(version, VERSION)
