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

VERSION = 2
OLDEST = 2
"""The versions of this protocol that this code speaks: OLDEST … VERSION."""

DAEMON_KEY = "daemon"
"""The key of what belongs to no session: the listening socket (`socket`), and what else the daemon has but one of."""

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

    def __init__(self, pending: bytes = b"", fds: Sequence[int] = ()) -> None:
        """`pending` and `fds` are what another decoder of this connection had received and not yet given."""
        self._buffer = bytearray(pending)
        self._fds: deque[int] = deque(fds)

    @property
    def pending(self) -> tuple[bytes, list[int]]:
        """What was received and not yet given."""
        return bytes(self._buffer), list(self._fds)

    def receive(self, sock: socket.socket) -> bool:
        """Takes what `sock` has; False at end of file. Descriptors arrive closed on exec."""
        flags = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
        data, ancillary, received, _ = sock.recvmsg(1 << 16, socket.CMSG_SPACE(FDS_MOST * array.array("i").itemsize), flags)
        for level, kind, payload in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds = array.array("i")
                fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
                for fd in fds:
                    os.set_inheritable(fd, False)
                self._fds.extend(fds)
        if received & socket.MSG_CTRUNC:
            raise WireError("descriptors were cut off: this process may have no more")
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


_FIELDS: dict[str, dict[str, Any]] = {
    "spawn": {"key": str, "names": list, "kind": str, "argv": list, "env": dict, "cwd": str},
    "hold": {"key": str, "names": list},
    "drop": {"key": str},
    "signal": {"key": str, "signal": int},
    "reap": {"key": str},
}


def check(message: Message, fds: int) -> None:
    """ValueError when a request lacks a field, or has one that its operation cannot work with."""
    operation = message.get("op")
    for name, kind in _FIELDS.get(str(operation), {}).items():
        if not isinstance(message.get(name), kind) or isinstance(message[name], bool):
            raise ValueError(f"{name} must be a {kind.__name__}, and is {message.get(name)!r}")
    names = message.get("names")
    if names is not None:
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names) or len(set(names)) < len(names):
            raise ValueError(f"names must be a list of different strings, and is {names!r}")
        if operation in ("spawn", "hold") and len(names) != fds:
            raise ValueError(f"{len(names)} names came with {fds} descriptors")
    if operation == "spawn":
        _check_spawn(message)
    if message.get("job") is not None:
        job = message["job"]
        if not isinstance(job, dict) or not {"pid", "status", "reaped"} <= job.keys() or not isinstance(job["pid"], int | None):
            raise ValueError(f"a job has pid, status and reaped, and is {job!r}")


def _check_spawn(message: Message) -> None:
    argv, env = message["argv"], message["env"]
    if not argv or not all(isinstance(arg, str) and "\0" not in arg for arg in argv):
        raise ValueError("argv must be strings, one at least, without NUL")
    if not all(isinstance(value, str) and "\0" not in name + value and name and "=" not in name for name, value in env.items()):
        raise ValueError("env must be strings by name, without NUL, and no name may hold `=`")
    if message["kind"] == "pty":
        if not all(isinstance(message.get(side), int) and 0 < message[side] < 1 << 16 for side in ("rows", "cols")):
            raise ValueError("a pty has rows and cols from 1 to 65535")
    elif message["kind"] != "pipes" or not isinstance(message.get("stdout"), bool):
        raise ValueError("kind must be pty (with rows and cols), or pipes (with stdout true or false)")


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
