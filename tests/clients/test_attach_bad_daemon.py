"""What answers at the socket is no daemon, or one that has gone mad: the client says so, and gives the terminal back."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import json
import os
import pty
import select
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.attached import BINARY, CLOSE, PING, TEXT
from support.live import PATIENCE_S

ATTACHED = {
    "type": "attached",
    "session": {"id": "s1", "name": "name"},
    "client": "c1",
    "protocol": {"min": 1, "max": 1},
    "epoch": "e",
    "offset": 0,
    "injected": 0,
}
SNAPSHOT = {"type": "snapshot", "offset": 0, "injected": 0, "reason": "attach", "rows": 24, "cols": 80}
EXIT = {"type": "exit", "exit_status": 0, "signal": None}
HEAD = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Protocol: coprocd.attach.v1\r\n"
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

Answer = Callable[[bytes], bytes]


def frame(kind: int, data: bytes, last: bool = True) -> bytes:
    size = len(data)
    length = bytes([size]) if size < 126 else struct.pack(">BH", 126, size) if size < 65536 else struct.pack(">BQ", 127, size)
    return bytes([(0x80 if last else 0) | kind]) + length + data


def says(*messages: object) -> bytes:
    return b"".join(frame(TEXT, json.dumps(message).encode()) for message in messages)


def upgrade(request: bytes) -> bytes:
    key = next(line.split(b":")[1].strip() for line in request.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key"))
    return HEAD + b"Sec-WebSocket-Accept: " + base64.b64encode(hashlib.sha1(key + GUID).digest()) + b"\r\n\r\n"


def upgraded(sent: bytes) -> Answer:
    return lambda request: upgrade(request) + sent


def shown(sent: bytes) -> Answer:
    """One that has been shown the screen."""
    return upgraded(says(ATTACHED, SNAPSHOT) + frame(BINARY, b"screen") + sent)


@contextmanager
def serving(path: str, answer: Answer, hangs_up: bool = False) -> Iterator[list[socket.socket]]:
    """Whoever connects is sent that, and then nothing more: the connections."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(16)
    open_: list[socket.socket] = []

    def serve() -> None:
        while True:
            connection, _ = listener.accept()
            open_.append(connection)
            request = connection.recv(65536)
            if not request:
                return
            try:
                connection.sendall(answer(request))
            except ConnectionError:  # it has heard enough
                pass
            if hangs_up:
                connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield open_
    finally:
        with socket.socket(socket.AF_UNIX) as last:
            last.connect(path)
        thread.join()
        for each in (listener, *open_):
            each.close()


@contextmanager
def client(path: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """The process, and its terminal, which outlives it."""
    master, terminal = pty.openpty()
    try:
        argv = [sys.executable, "-m", "coprocctl", "--socket", path, "attach", "name"]
        with subprocess.Popen(argv, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True) as process:
            yield process, master
    finally:
        os.close(master)
        os.close(terminal)


def read(master: int, until: Callable[[bytes], bool]) -> bytes:
    data = b""
    while not until(data):
        assert select.select([master], [], [], PATIENCE_S)[0], data
        data += os.read(master, 65536)
    return data


def await_read(process: subprocess.Popen[bytes]) -> None:
    """Returns when the client has read all that was typed."""
    terminal = os.open(f"/proc/{process.pid}/fd/0", os.O_RDONLY | os.O_NOCTTY)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while struct.unpack("i", fcntl.ioctl(terminal, termios.FIONREAD, bytes(4)))[0]:
            assert time.monotonic() < deadline
    finally:
        os.close(terminal)


def outcome(path: str, answer: Answer) -> tuple[int, str]:
    """With what status the client ends, and what it has written."""
    with serving(path, answer), client(path) as (process, master):
        settings = termios.tcgetattr(master)[:4]
        data = read(master, lambda data: (b"coprocctl: " in data[:-1] and data.endswith(b"\n")) or b" ended, " in data or b"Error" in data)
        status = process.wait(PATIENCE_S)
        assert termios.tcgetattr(master)[:4] == settings
        return status, data.decode()


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: b"SSH-2.0-OpenSSH_9.9\r\n",
        lambda _: b"HTTP/1.1 101 x\r\n" + b"X-Header: x\r\n" * 10_000,
        lambda _: b"HTTP/1.1 500 x\r\nContent-Length: 100000\r\n\r\n" + b"[" * 100_000,
        lambda request: upgrade(request).replace(b"Accept: ", b"Accept: x"),
        upgraded(says(SNAPSHOT)),
        upgraded(frame(TEXT, b"no JSON")),
        upgraded(says({"type": "attached"})),
        upgraded(says(ATTACHED | {"protocol": {"min": "1", "max": 1}})),
        upgraded(says(ATTACHED | {"session": {"id": "s1"}})),
        upgraded(b"\x82\x7f" + struct.pack(">Q", 1 << 50)),
        shown(b"\x82\x7f" + struct.pack(">Q", 1 << 50)),
        shown(b"\xff" * 100),
        shown(b"\x82\x85mask" + b"words"),
        shown(frame(CLOSE, b"x")),
        shown(frame(PING, b"x" * 200)),
        shown(frame(TEXT, b"no JSON")),
        shown(frame(TEXT, b"[" * 200_000)),
        shown(says([1, 2])),
        shown(says({})),
        shown(says({"type": "snapshot", "offset": 0})),
        shown(says(SNAPSHOT | {"rows": "24"})),
        shown(says({"type": "offset", "offset": "x"})),
        shown(says({"type": "coprocess", "coprocess": {"id": "c1"}})),
        shown(says({"type": "paused", "paused": "x"})),
        shown(says({"type": "notification"})),
        shown(says({"type": "prompt", "prompt": {"id": "p1"}})),
    ],
)
def test_what_is_wrong_is_said_and_the_terminal_given_back(tmp_path: Path, answer: Answer) -> None:
    status, text = outcome(str(tmp_path / "s"), answer)
    assert status == 1 and "Traceback" not in text and "coprocctl: " in text, text


@pytest.mark.parametrize(
    "message",
    [
        {"type": "title", "title": "\x1b]52;c;eA==\x07"},
        {"type": "notification", "text": "\x1b]52;c;eA==\x07", "alert": False},
        {"type": "prompt", "prompt": {"id": "p1", "kind": "text", "message": "\x1b]52;c;eA==\x07"}},
        {"type": "paused", "paused": {"why": "\x1b]52;c;eA==\x07", "by": "\x1b]52;c;eA==\x07"}},
        EXIT | {"exit_status": "\x1b]52;c;eA==\x07"},
        {"type": "not known yet", "text": "\x1b]52;c;eA==\x07"},
    ],
)
def test_no_message_brings_a_sequence_to_the_terminal(tmp_path: Path, message: dict[str, object]) -> None:
    status, text = outcome(str(tmp_path / "s"), shown(says(message, EXIT)))
    assert status == 0 and "\x1b]52" not in text


def test_one_that_ends_each_connection_at_once_is_not_run_down(tmp_path: Path) -> None:
    """Without a pause it was thousands of connections a second, and nothing was ever said of it."""
    path = str(tmp_path / "s")
    with serving(path, shown(b""), hangs_up=True), client(path) as (process, master):
        read(master, lambda data: b"connecting again" in data)
        os.write(master, b"\x1c")
        read(master, lambda data: b"[detached]" in data)
        process.wait(PATIENCE_S)


def test_pieces_without_end_leave_the_key_its_turn(tmp_path: Path) -> None:
    """With a list that was copied for each the client took minutes for a second's worth of them."""
    path = str(tmp_path / "s")
    with serving(path, shown(frame(TEXT, b"", last=False) + frame(0, b"", last=False) * 300_000)), client(path) as (process, master):
        read(master, lambda data: b"screen" in data)
        os.write(master, b"\x1c")
        read(master, lambda data: b"[detached]" in data)
        process.wait(PATIENCE_S)


def test_what_is_typed_without_a_connection_outlives_one_that_ends_as_it_begins(tmp_path: Path) -> None:
    """As that to a daemon which is about to end, and says both at once."""
    path = str(tmp_path / "s")
    typed = threading.Event()
    going = frame(CLOSE, struct.pack(">H", 1001))

    def second(request: bytes) -> bytes:
        typed.wait(PATIENCE_S)
        return upgraded(says(ATTACHED) + going)(request)

    answers = iter([shown(going), second])
    with serving(path, lambda request: next(answers, shown(b""))(request)) as connections, client(path) as (process, master):
        read(master, lambda data: b"connecting again" in data)
        os.write(master, b"HELLO")
        await_read(process)
        typed.set()
        read(master, lambda data: b"screen" in data)
        connections[2].settimeout(PATIENCE_S)
        sent = connections[2].recv(100)
        assert sent[:2] == b"\x82\x85" and bytes(byte ^ sent[2 + at % 4] for at, byte in enumerate(sent[6:])) == b"HELLO"
        os.write(master, b"\x1c")
        process.wait(PATIENCE_S)
