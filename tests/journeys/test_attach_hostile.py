"""Whatever a client does costs itself: others see every byte, the session goes on, and the daemon does not grow."""

from __future__ import annotations

import json
import os
import selectors
import socket
import struct
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from support.attached import BINARY, CLOSE, PING, TEXT, Attached, masked
from support.live import PATIENCE_S, Live, live, resident_bytes

VIEWERS = 100
FLOOD = 16 << 20
GROWTH_MOST = 64 << 20
TYPED = 4 << 20
WAVES = 8

NUMBERED = f"""
import os, sys, tty
tty.setraw(0)
os.write(1, b"ready\\n")
os.read(0, 1)
data = memoryview(b"".join(b"%015d\\n" % line for line in range({FLOOD} // 16)))
while data:
    data = data[os.write(1, data):]
os.read(0, 1)
"""


@pytest.fixture(scope="module")
def daemon() -> Iterator[Live]:
    with live(events_most=1000) as started:  # which fill in a moment, and then grow no more
        started.loaded()
        yield started


def ready(daemon: Live, session: str, **query: object) -> Attached:
    """A client that has been shown the screen."""
    client = Attached(daemon.socket, session, **query)
    client.drawn()
    return client


def echoes(client: Attached, text: bytes) -> None:
    client.type(text)
    client.until(text)


class Watching:
    """One of many: checks every byte against the place where it should be."""

    def __init__(self, client: Attached, content: bytes) -> None:
        self.client = client
        self.resyncs = 0
        self._content = content
        self._offset = client.offset
        self._redraw = False

    @property
    def has_all(self) -> bool:
        return self._offset == len(self._content)

    def take(self) -> None:
        for kind, payload in self.client.take():
            if kind == TEXT:
                message = json.loads(payload)
                if message["type"] == "snapshot":
                    assert message["reason"] == "lag"
                    assert message["offset"] > self._offset
                    self._offset, self._redraw = message["offset"], True
                    self.resyncs += 1
                else:
                    assert message["type"] in ("title", "paused", "coprocess"), message
            elif self._redraw:
                self._redraw = False
            else:
                assert payload == self._content[self._offset : self._offset + len(payload)], self._offset
                self._offset += len(payload)


def test_ninety_nine_have_every_byte_of_a_flood_while_one_is_stuck(daemon: Live) -> None:
    """Or are led over what they were too slow for, to the very byte. With a buffer a client that nothing bounds, the stuck one alone takes 16 MiB."""
    session = daemon.create(sys.executable, "-c", NUMBERED)
    content = b"ready\n" + b"".join(b"%015d\n" % line for line in range(FLOOD // 16))
    daemon.output(session, b"ready\n")
    stuck = Attached(daemon.socket, session)
    watchers = [Watching(ready(daemon, session), content) for _ in range(VIEWERS - 1)]
    pid = daemon.pids()[0]
    before = most = resident_bytes(pid)
    watched = selectors.DefaultSelector()
    for watcher in watchers:
        watched.register(watcher.client.socket, selectors.EVENT_READ, watcher)
    daemon.call("session.send_text", session=session, text="g")
    while not all(watcher.has_all for watcher in watchers):
        for key, _ in watched.select(30):
            key.data.take()
        most = max(most, resident_bytes(pid))
    assert most - before <= GROWTH_MOST, (most - before) >> 20
    lag = {client["id"]: client["lag_bytes"] for client in daemon.call("session.get", session=session)["clients"]}
    assert sorted(lag.values())[:-1] == [0] * (VIEWERS - 1) and max(lag.values()) > FLOOD // 2
    print([watcher.resyncs for watcher in watchers], (most - before) >> 20)
    watched.close()
    for watcher in watchers:
        watcher.client.close()
    daemon.call("session.send_text", session=session, text="q")
    stuck.message("snapshot", reason="lag")
    stuck.to_the_end()
    assert stuck.messages[-1]["type"] == "exit"
    daemon.call("session.close", session=session)


def test_those_that_never_read_a_flood_hold_up_neither_it_nor_anybody(daemon: Live, echo: str) -> None:
    session = daemon.create("yes")
    stuck = [Attached(daemon.socket, session) for _ in range(10)]
    client = ready(daemon, echo)
    for number in range(100):
        echoes(client, b"<%d>" % number)
    before = daemon.call("session.get", session=session)["output_offset"]
    daemon.await_(lambda: daemon.call("session.get", session=session)["output_offset"] > before + (4 << 20))
    for each in (*stuck, client):
        each.close()
    daemon.call("session.close", session=session)


@pytest.mark.parametrize("size", [(1 << 20), (128 << 10), (1 << 40)])
def test_a_frame_that_is_too_large_ends_its_connection_before_it_is_taken(daemon: Live, echo: str, size: int) -> None:
    client, hostile = ready(daemon, echo), ready(daemon, echo)
    before = resident_bytes(daemon.pids()[0])
    hostile.socket.sendall(bytes([0x80 | BINARY, 0xFF]) + struct.pack(">Q", size) + b"mask" + b"x" * 100_000)
    hostile.to_the_end()
    assert hostile.closed is not None and hostile.closed[0] == 1009
    echoes(client, b"still here")
    assert b"xxx" not in client.shown and resident_bytes(daemon.pids()[0]) - before < 4 << 20
    client.close()


def test_a_frame_as_large_as_it_may_be_is_typed_whole(daemon: Live, echo: str) -> None:
    client = ready(daemon, echo)
    text = bytes(97 + at % 26 for at in range((128 << 10) - 1))
    echoes(client, text)
    client.close()


def test_half_a_frame_is_not_typed_and_waits_for_nobody(daemon: Live, echo: str) -> None:
    client, hostile = ready(daemon, echo), ready(daemon, echo)
    hostile.socket.sendall(masked(BINARY, b"half a frame")[:-4])
    echoes(client, b"still here")
    hostile.close()
    daemon.client.event("client.detached")
    echoes(client, b"and later")
    assert b"half" not in client.shown
    client.close()


def test_what_comes_with_the_request_or_in_pieces_is_typed_once_and_in_order(daemon: Live) -> None:
    session = daemon.raw_cat()
    keys = [masked(BINARY, b"%d," % number) for number in range(300)]
    sent = keys[0] + keys[1][:3]
    client = Attached(daemon.socket, session, behind=sent)
    client.socket.sendall(keys[1][3:])
    for at, key in enumerate(keys[2:]):  # alone, two at a time, and cut at each of their bytes
        cut = at % len(key)
        client.socket.sendall(key[:cut])
        client.socket.sendall(key[cut:] if at % 3 else key[cut:] + masked(PING, b"?"))
    client.until(b"299,")
    assert daemon.output(session, b"299,") == b"ready\n" + b"".join(b"%d," % number for number in range(300))
    client.close()


def test_an_upgrade_that_is_refused_leaves_the_connection_as_it_was(daemon: Live, echo: str) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(daemon.socket)
        connection.settimeout(PATIENCE_S)
        stream = connection.makefile("rwb")
        for version, status in ((b"9", b"400"), (b"7.5", b"400")):
            stream.write(
                b"GET /sessions/%b/attach HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Version: %b\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" % (echo.encode(), version)
            )
            stream.flush()
            assert status in stream.readline()
            length = 0
            while (line := stream.readline()) != b"\r\n":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            assert b"invalid_request" in stream.read(length)


def test_nothing_follows_the_answer_to_a_close(daemon: Live, echo: str) -> None:
    """The echo of what came just before it did."""
    for _ in range(20):
        client = ready(daemon, echo)
        client.socket.sendall(masked(BINARY, b"abc") + masked(CLOSE, struct.pack(">H", 1000)))
        kinds = []
        with suppress(EOFError, ConnectionError):
            while True:
                kinds.append(client.frame()[0])
        assert CLOSE not in kinds[:-1]
        client.close()


def test_those_that_go_or_type_as_their_session_ends_are_no_fault_of_the_daemons(daemon: Live) -> None:
    for _ in range(5):
        flooding, echoing = daemon.create("yes"), daemon.raw_cat()
        clients = [Attached(daemon.socket, flooding) for _ in range(4)]
        typists = [ready(daemon, echoing, mode=mode) for mode in ("rw", "ro", "rw", "rw")]
        for client in clients:
            client.socket.sendall(masked(CLOSE, struct.pack(">H", 1000)))
        for typist in typists:
            typist.type(b"before")
        for session in (flooding, echoing):
            daemon.call("session.close", session=session, grace_s=0)
        for typist in typists:
            with suppress(ConnectionError):
                typist.type(b"behind")
                typist.socket.sendall(masked(TEXT, b"no message"))
            with suppress(EOFError, ConnectionError):
                typist.to_the_end()
            typist.close()
        for client in clients:
            with suppress(EOFError, ConnectionError):
                client.to_the_end()
            client.close()
    last = ready(daemon, daemon.create("true"))  # which does not answer, and so is cut off: later than all who had the same grace
    with suppress(EOFError, ConnectionError):
        while True:
            last.frame()
    last.close()
    assert "Traceback" not in daemon.log()


def test_one_that_breaks_the_protocol_is_cut_off(daemon: Live, echo: str) -> None:
    client = ready(daemon, echo)
    for frame in (
        b"\xff\xff\xff\xff",
        masked(3, b"no such kind"),
        bytes([0x80 | TEXT, 0x81]) + b"mask" + b"\xff",
        bytes([0x09, 0x80]) + b"mask",
    ):
        hostile = ready(daemon, echo)
        hostile.socket.sendall(frame)
        try:
            hostile.to_the_end()
            assert hostile.closed is not None and hostile.closed[0] in (1002, 1007)
        except (EOFError, ConnectionError):
            hostile.close()
    echoes(client, b"still here")
    client.close()


@pytest.mark.parametrize(
    "text", [b"[" * 100_000, b'{"x":' * 20_000, b"null", b'{"type": "resize", "rows": 0, "cols": 0}', b'{"type": "ack", "offset": -1}']
)
def test_a_message_that_says_nothing_is_refused_and_ends_nothing(daemon: Live, echo: str, text: bytes) -> None:
    client = ready(daemon, echo)
    client.socket.sendall(masked(TEXT, text))
    assert client.message("error")["code"] == "invalid_params"
    echoes(client, b"still here")
    client.close()


PIECES = bytes([BINARY, 0x80]) + b"mask", bytes([0, 0x80]) + b"mask"
"""Of a message that never ends, the first piece and another, both empty."""


@pytest.mark.parametrize(
    ("begin", "frame"),
    [(b"", masked(BINARY, b"{}")), (b"", masked(TEXT, b"{}")), (b"", masked(PING, b"{}")), PIECES],
    ids=["binary", "text", "ping", "pieces"],
)
def test_a_flood_of_frames_leaves_the_others_their_turn(daemon: Live, echo: str, begin: bytes, frame: bytes) -> None:
    other = daemon.raw_cat()
    client, hostile = ready(daemon, other), ready(daemon, echo)
    before = resident_bytes(daemon.pids()[0])
    hostile.socket.sendall(begin)
    hostile.socket.setblocking(False)
    flood = frame * 10_000
    sent = 0
    for number in range(50):
        try:
            while True:
                sent += hostile.socket.send(flood[sent % len(flood) :])
        except BlockingIOError:
            pass
        echoes(client, b"<%d>" % number)
    assert 1 << 16 < sent < 4 << 20  # all that was taken came between others' keys, a little at a time
    assert resident_bytes(daemon.pids()[0]) - before < 16 << 20
    for each in (client, hostile):
        each.close()
    daemon.call("session.close", session=other)


def test_what_is_typed_at_a_job_that_does_not_read_waits_in_the_socket_and_none_of_it_is_lost(daemon: Live, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    session = daemon.create(shell=f"stty raw -echo; echo ready; cat {tmp_path}/gate; exec cat")
    daemon.output(session, b"ready\n")
    typist, client = ready(daemon, session), ready(daemon, session, mode="ro")
    before = resident_bytes(daemon.pids()[0])
    text = b"".join(b"%015d\n" % line for line in range(TYPED // 16))

    def type_all() -> None:
        for at in range(0, len(text), 50_000):
            typist.type(text[at : at + 50_000])

    thread = threading.Thread(target=type_all)
    thread.start()
    daemon.await_(lambda: daemon.call("session.get", session=session)["input_bytes"] > 900_000)
    assert thread.is_alive() and resident_bytes(daemon.pids()[0]) - before < 8 << 20
    (tmp_path / "gate").write_bytes(b"")
    client.until(text[-16:])
    thread.join()
    assert bytes(client.shown).endswith(text)
    for each in (typist, client):
        each.close()
    daemon.call("session.close", session=session)


def test_two_hundred_that_come_at_once_and_vanish_leave_nothing(daemon: Live, echo: str) -> None:
    client = ready(daemon, echo)
    for wave in range(WAVES):
        many = [ready_to_come(daemon.socket) for _ in range(200)]
        for each in many:
            each.sendall(upgrade(echo))
        for _ in many:
            daemon.client.event("client.attached")
        echoes(client, b"<%d>" % wave)
        assert len(daemon.call("session.get", session=echo)["clients"]) == 201
        for each in many:
            each.close()
        for _ in many:
            daemon.client.event("client.detached")
        if wave == WAVES // 2:
            before, descriptors = resident_bytes(daemon.pids()[0]), daemon.descriptors()
    assert daemon.descriptors() == descriptors
    assert resident_bytes(daemon.pids()[0]) - before < 4 << 20
    assert len(daemon.call("session.get", session=echo)["clients"]) == 1
    client.close()


def test_a_session_that_is_closed_while_its_client_does_not_take_the_upgrade(daemon: Live) -> None:
    """The answers to so many requests fill the socket and all but the last of the transport's buffer, and the upgrade has to wait."""
    session = daemon.raw_cat()
    fill = b"GET /%b HTTP/1.1\r\nHost: localhost\r\n\r\n" % (b"x" * 100)

    def sent(count: int) -> tuple[socket.socket, bool]:
        """A connection, and whether its upgrade was sent."""
        connection = ready_to_come(daemon.socket)
        connection.sendall(fill * count + upgrade(session))
        for _ in range(300):
            if daemon.call("session.get", session=session)["clients"]:
                return connection, True
        return connection, False

    least, most = 10, 1500
    while most - least > 1:
        count = (least + most) // 2
        connection, there = sent(count)
        connection.close()
        daemon.await_(lambda: not daemon.call("session.get", session=session)["clients"])
        least, most = (count, most) if there else (least, count)
    waiting, there = sent(most)
    assert not there
    daemon.call("session.close", session=session)
    waiting.settimeout(PATIENCE_S)
    while waiting.recv(1 << 20):
        pass
    waiting.close()
    assert f"ERROR session {session}" not in daemon.log()


def upgrade(session: str) -> bytes:
    request = f"GET /sessions/{session}/attach?rows=24&cols=80 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    return request.encode() + b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"


def ready_to_come(path: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    return connection
