"""Accepting: whose process it is, which framing, and when no more can be taken."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import resource
import socket
import struct
import sys
import threading
from types import ModuleType

import pytest
from support.api_server import Scene, dispatcher, request, serving

from coprocd.api.limits import ApiLimits
from coprocd.api.listener import Listener
from coprocd.platform import peer

GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
CALL = b'{"jsonrpc":"2.0","method":"get_data","id":1}\n'

# Becomes another user, connects, and prints what comes back.
AS_NOBODY = """
import os, socket, sys
os.setgid(65534); os.setuid(65534)
client = socket.socket(socket.AF_UNIX)
client.connect(sys.argv[1])
try:
    client.sendall(b'{"jsonrpc":"2.0","method":"get_data","id":1}\\n')
    print(client.recv(1000))
except ConnectionError:
    print(b"")
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
async def test_another_user_is_refused_even_where_the_modes_let_him_in() -> None:
    async with serving() as server:
        os.chmod(server.path, 0o777)
        os.chmod(os.path.dirname(server.path), 0o777)
        os.chmod(os.path.dirname(os.path.dirname(server.path)), 0o777)
        process = await asyncio.create_subprocess_exec(sys.executable, "-IS", "-c", AS_NOBODY, server.path, stdout=asyncio.subprocess.PIPE)
        output, _ = await process.communicate()
        assert (process.returncode, output) == (0, b"b''\n")
        client = await server.connect()
        assert (await client.call("get_data"))["result"] == ["hello", 5]
        await client.close()


async def test_http_that_is_not_loaded_yet_is_waited_for_and_calls_by_line_do_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = threading.Event()

    def late(name: str) -> ModuleType:
        loaded.wait()
        return importlib.import_module(name)

    monkeypatch.setattr("coprocd.api.listener.import_module", late)
    async with serving() as server:
        early, gone, client = [await server.connect() for _ in range(3)]
        for each in (early, gone):
            each.writer.write(GET)
        assert (await client.call("get_data"))["result"] == ["hello", 5]
        await gone.close()
        loaded.set()
        assert (await early.rest()).startswith(b"HTTP/1.1 200")
        await early.close()
        await client.close()


async def test_where_http_cannot_be_loaded_its_connections_are_closed_and_calls_by_line_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> ModuleType:
        raise ImportError(name)

    monkeypatch.setattr("coprocd.api.listener.import_module", broken)
    async with serving() as server:
        for _ in range(2):
            early, client = await server.connect(), await server.connect()
            early.writer.write(GET)
            assert (await client.call("get_data"))["result"] == ["hello", 5]
            with contextlib.suppress(ConnectionResetError):
                assert await early.rest() == b""
            await early.close()
            await client.close()


def test_the_peer_of_a_socket_pair_is_this_user() -> None:
    left, right = socket.socketpair(socket.AF_UNIX)
    with left, right:
        assert peer.uid(left) == os.getuid()
        assert peer.may_connect(left)


def test_an_xucred_is_read_and_a_system_that_tells_nothing_is_refused() -> None:
    assert peer.xucred_uid(struct.pack("=IIh", 0, 501, 1) + bytes(66)) == 501
    with pytest.raises(OSError, match="no credentials"):
        peer.xucred_uid(b"")


@pytest.mark.parametrize("white_space", [b"", b" ", b"\r\n", b" \t\r\n" * 10_000])
@pytest.mark.parametrize(("sent", "expected"), [(CALL, b'"hello"'), (b"[" + CALL.strip() + b"]\n", b'"hello"'), (GET, b"HTTP/1.1 200 OK")])
async def test_the_first_byte_that_is_not_white_space_tells_the_framing(white_space: bytes, sent: bytes, expected: bytes) -> None:
    async with serving() as server:
        client = await server.connect()
        client.writer.write(white_space + sent)
        client.half_close()
        assert expected in await client.rest()
        await client.close()


@pytest.mark.parametrize(("sent", "expected"), [(CALL, b'"hello"'), (GET, b"ok\n")])
async def test_no_byte_is_lost_when_they_come_one_by_one(sent: bytes, expected: bytes) -> None:
    async with serving() as server:
        client = await server.connect()
        for byte in b"\r\n " + sent:
            client.writer.write(bytes([byte]))
            await asyncio.sleep(0)
        client.half_close()
        assert expected in await client.rest()
        await client.close()


@pytest.mark.parametrize("said", [b"", b" \n"])
async def test_a_connection_that_says_nothing_ends_at_its_end_of_file(said: bytes) -> None:
    async with serving() as server:
        client = await server.connect()
        client.writer.write(said)
        client.half_close()
        assert await client.rest() == b""
        await client.close()


async def test_past_the_limit_connections_wait_until_one_has_ended() -> None:
    async with serving(ApiLimits(connections=2)) as server:
        first, second, third = [await server.connect() for _ in range(3)]
        assert (await first.call("get_data"))["id"] == 1
        assert (await second.call("get_data"))["id"] == 1
        third.send(request("note", ["chat"]))
        for _ in range(20):
            await first.call("get_data")
        assert server.scene.done == []
        await second.close()
        assert (await third.receive())["result"] == ""
        await first.close()
        await third.close()


async def test_clients_that_come_while_nobody_accepts_are_served_by_the_next() -> None:
    async with serving() as server:
        server.listener.stop_accepting()
        client = await server.connect()
        client.send(request("get_data"))
        await server.listener.close(grace_s=0)
        successor = Listener(server.claim.socket, Scene(), dispatcher())
        await successor.start()
        assert (await client.receive())["result"] == ["hello", 5]
        await client.close()
        await successor.close(grace_s=0)


async def test_closing_leaves_no_descriptor_open() -> None:
    before = os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else []
    async with serving() as server:
        clients = [await server.connect() for _ in range(20)]
        for client, sent in zip(clients, (CALL, GET, b"", b"{") * 5, strict=True):
            client.writer.write(sent)
        await clients[0].receive()
    for client in clients:
        await client.close()
    assert len(os.listdir("/proc/self/fd") if before else []) == len(before)


async def test_when_descriptors_run_out_accepting_pauses_and_recovers_by_itself(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(ApiLimits(accept_pause_s=0.02)) as server:
        plain = socket.socket(socket.AF_UNIX)
        plain.connect(server.path)  # waits in the backlog: the loop has not turned
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (1 + max(map(int, os.listdir("/proc/self/fd"))), hard))
        spare = [os.dup(plain.fileno()) for _ in range(_free_below_the_limit())]
        try:
            while "accepting pauses" not in caplog.text:
                await asyncio.sleep(0)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            for fd in spare:
                os.close(fd)
        reader, writer = await asyncio.open_unix_connection(sock=plain)
        writer.write(CALL)
        assert b"hello" in await reader.readline()
        writer.close()
        await writer.wait_closed()


def _free_below_the_limit() -> int:
    """How many descriptors can still be made."""
    taken = []
    try:
        while True:
            taken.append(os.dup(0))
    except OSError:
        return len(taken)
    finally:
        for fd in taken:
            os.close(fd)
