"""How daemon and screen worker talk: msgpack structs, each behind its length, over a Unix stream socket that both ends have from the start.

The worker is told what to do, in order, and answers in order; it asks for nothing. A terminal of the worker's has a number, which is never
used again. `Open` comes with the descriptor of the output log, which the worker closes at `Close`.

    daemon → worker    Open · Steps · Redraw · Capture · Close
    worker → daemon    Ready · Opened · Answer · Done · Redrawn · Captured · Failed

Each `Open` is answered by `Opened`, each `Steps` by `Done`, each request by its reply; or any of them by `Failed`, which ends that terminal.
"""

from __future__ import annotations

import array
import os
import socket
import struct
from collections import deque
from collections.abc import Iterator
from typing import TypeAlias

import msgspec

from coprocd.screen import emulator

_LENGTH = struct.Struct("!I")

RECEIVE_BYTES = 1 << 18
"""Taken from the socket at once; a longer message comes in parts."""

FDS_MOST = 200
"""Descriptors that may come at once; the kernel takes 253 (SCM_MAX_FD)."""


class Feed(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """The bytes of the log from `start` to `stop`."""

    start: int
    stop: int


class Show(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Bytes that are not in the log. What they ask is not answered."""

    data: bytes


class Resize(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Another size. Muted: whoever wanted to be told of it has been."""

    rows: int
    cols: int
    muted: bool


Step: TypeAlias = Feed | Show | Resize


class Open(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """A terminal of the log whose descriptor comes along, from its newest checkpoint or, `fresh`, an empty one."""

    terminal: int
    ring_at: int
    ring_bytes: int
    checkpoints_at: int
    rows: int
    cols: int
    scrollback_bytes: int
    fresh: bool


class Steps(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """What the terminal shows next, in pieces of at most `piece_bytes`; muted: what is asked there has been answered.

    `save`: a checkpoint is made behind it, which stands for this place (offset, injected).
    """

    terminal: int
    steps: list[Step]
    muted: bool
    piece_bytes: int
    save: tuple[int, int] | None = None


class Redraw(msgspec.Struct, frozen=True, tag=True):
    terminal: int


class Capture(msgspec.Struct, frozen=True, tag=True):
    terminal: int
    format: emulator.Format
    scrollback: int


class Close(msgspec.Struct, frozen=True, tag=True):
    terminal: int


Request: TypeAlias = Redraw | Capture
ToWorker: TypeAlias = Open | Steps | Redraw | Capture | Close


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The worker has begun."""


class Opened(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """The terminal is there: at this place where a checkpoint was found, else at the beginning."""

    terminal: int
    offset: int
    injected: int
    found: bool
    rows: int
    cols: int
    title: str


class Answer(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """What the terminal answers to what was asked before `offset`; None: to a change of its size."""

    terminal: int
    offset: int | None
    data: bytes


class Done(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """All steps were made. `saved`: whether there is a checkpoint, None where none was to be made."""

    terminal: int
    title: str
    saved: bool | None


class Redrawn(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    terminal: int
    rows: int
    cols: int
    data: bytes


class Captured(msgspec.Struct, frozen=True, tag=True):
    terminal: int
    capture: emulator.Capture


class Failed(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """The terminal has failed at this (`page.Work`), and is good for nothing more than to be closed."""

    terminal: int
    why: str
    kind: int
    start: int
    stop: int


FromWorker: TypeAlias = Ready | Opened | Answer | Done | Redrawn | Captured | Failed

_encoder = msgspec.msgpack.Encoder()
to_worker = msgspec.msgpack.Decoder(ToWorker)
from_worker = msgspec.msgpack.Decoder(FromWorker)


def encode(message: ToWorker | FromWorker) -> bytes:
    """The frame of a message."""
    body = _encoder.encode(message)
    return _LENGTH.pack(len(body)) + body


class Receiver:
    """The frames that come from a socket, and the descriptors that come with them."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._buffer = bytearray()
        self.fds: deque[int] = deque()
        """In the order of the messages they belong to; whoever takes one closes it."""

    def receive(self) -> bool:
        """Takes what has come, which may be nothing; False at end of file. Blocks if the socket does."""
        flags = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
        try:
            data, ancillary, _, _ = self._socket.recvmsg(RECEIVE_BYTES, socket.CMSG_SPACE(FDS_MOST * array.array("i").itemsize), flags)
        except BlockingIOError:
            return True
        except ConnectionError:
            return False
        for level, kind, payload in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds = array.array("i")
                fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
                self.fds.extend(fds)
        self._buffer += data
        return bool(data)

    def frames(self) -> Iterator[bytes]:
        """The bodies of the frames that are whole by now."""
        at, buffer = 0, self._buffer
        try:
            while len(buffer) - at >= _LENGTH.size:
                (length,) = _LENGTH.unpack_from(buffer, at)
                if len(buffer) - at < _LENGTH.size + length:
                    return
                at += _LENGTH.size + length
                yield bytes(buffer[at - length : at])
        finally:
            del buffer[:at]

    def close(self) -> None:
        """Closes descriptors that nobody has taken."""
        while self.fds:
            os.close(self.fds.popleft())
