"""Newline framing: order, pipelining, half-close, hang-up, and peers that never read."""

from __future__ import annotations

import asyncio
import json
import socket

import pytest
from support.api_server import Scene, notice, request, serving

from coprocd.api.limits import ApiLimits
from coprocd.platform import hangup

QUICK = ApiLimits(hangup_grace_s=0.02)


async def test_calls_start_in_the_order_of_their_lines() -> None:
    async with serving() as server:
        client = await server.connect()
        texts = [str(number) for number in range(1000)]
        client.send(*(request("note", {"session": "chat", "text": text}, text) for text in texts))
        answers = [await client.receive() for _ in texts]
        assert server.scene.done == texts
        assert [answer["id"] for answer in answers] == texts
        await client.close()


async def test_a_call_that_waits_holds_up_none_after_it() -> None:
    async with serving() as server:
        client = await server.connect()
        client.send(request("wait", ["chat"], "slow"), request("get_data", id="quick"))
        assert (await client.receive())["id"] == "quick"
        server.scene.released.set()
        assert (await client.receive())["id"] == "slow"
        await client.close()


async def test_crlf_and_empty_lines_and_a_missing_last_newline_are_taken() -> None:
    async with serving() as server:
        client = await server.connect()
        first, second = (json.dumps(request("get_data", id=id)).encode() for id in (1, 2))
        client.writer.write(b"\r\n \n" + first + b"\r\n\n\r\n" + second)
        client.half_close()
        assert [json.loads(line)["id"] for line in (await client.rest()).splitlines()] == [1, 2]
        await client.close()


@pytest.mark.parametrize(
    "message", [b'{"jsonrpc":"2.0","method":"get_data","id":1}', b' \r\n\t [{"jsonrpc":"2.0","method":"get_data","id":1}]']
)
async def test_a_message_may_come_byte_by_byte(message: bytes) -> None:
    async with serving() as server:
        client = await server.connect()
        for byte in message + b"\n":
            client.writer.write(bytes([byte]))
            await client.writer.drain()
            await asyncio.sleep(0)
        assert b"hello" in await client.reader.readline()
        await client.close()


async def test_after_a_half_close_pending_answers_are_sent_and_then_we_close() -> None:
    async with serving(QUICK) as server:
        client = await server.connect()
        client.send(request("wait", ["chat"]), notice("note", ["chat"]))
        client.half_close()
        await server.scene.waiting.acquire()
        server.scene.released.set()
        assert json.loads(await client.rest())["result"] == ""
        await client.close()


@pytest.mark.parametrize("epoll", [True, False])
@pytest.mark.parametrize("half_closed_before", [False, True])
async def test_after_a_full_close_waiting_calls_are_cancelled(
    half_closed_before: bool, epoll: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hangup, "AVAILABLE", epoll)
    async with serving(QUICK) as server:
        client = await server.connect()
        client.send(request("wait", ["chat"], 1), request("wait", ["chat"], 2))
        if half_closed_before:
            client.half_close()
        await server.scene.waiting.acquire()
        await server.scene.waiting.acquire()
        await client.close()
        await server.scene.cancelled.acquire()
        await server.scene.cancelled.acquire()


async def test_a_peer_that_goes_while_it_is_not_read_is_noticed() -> None:
    async with serving(ApiLimits(hangup_grace_s=0.02, calls_in_progress=2)) as server:
        client = await server.connect()
        client.send(*(request("wait", ["chat"], id) for id in range(4)))
        for _ in range(2):
            await server.scene.waiting.acquire()
        await client.close()
        for _ in range(4):  # the last two were sent, so they begin, and end too
            await server.scene.cancelled.acquire()


async def test_what_was_sent_before_a_close_is_done() -> None:
    """A script says its last word and leaves: `printf … | socat -u - UNIX-CONNECT:…`. Cancelling at the hang-up lost it."""
    async with serving(QUICK) as server:
        with socket.socket(socket.AF_UNIX) as plain:
            plain.connect(server.path)
            texts = [str(number) for number in range(200)]
            plain.sendall(b"".join(json.dumps(notice("note", {"session": "chat", "text": text})).encode() + b"\n" for text in texts))
        while server.listener.connections or len(server.scene.done) < len(texts):
            await asyncio.sleep(0)
        assert server.scene.done == texts


async def test_a_line_too_long_is_refused_and_the_connection_closed() -> None:
    async with serving(ApiLimits(request_bytes=1000)) as server:
        client = await server.connect()
        client.send(request("get_data"), b'{"a": "' + b"x" * 1500)
        client.half_close()
        refusal, answer = sorted((json.loads(line) for line in (await client.rest()).splitlines()), key=lambda each: "result" in each)
        assert answer["result"] == ["hello", 5]
        assert refusal["error"]["message"] == "Invalid Request: a line of more than 1000 bytes; the connection is closed"
        await client.close()


async def test_a_line_too_long_is_refused_before_it_ends_and_what_follows_is_not_run() -> None:
    async with serving(ApiLimits(request_bytes=100_000)) as server:
        client = await server.connect()
        client.writer.write(b'{"a": "' + b"x" * 150_000)
        assert (await client.receive())["error"]["data"]["limit"] == 100_000
        assert await client.reader.read() == b""
        client.send(b'"}', request("note", ["chat"]))
        await client.close()
        assert server.scene.done == []


async def test_a_10_mb_line_is_answered_with_one_error() -> None:
    async with serving() as server:
        client = await server.connect()
        client.writer.write(b'{"a": "' + b"x" * 10_000_000 + b'"}\n')
        assert (await client.receive())["error"]["code"] == -32600
        assert await client.rest() == b""
        await client.close()


async def test_a_peer_that_never_reads_costs_a_bound_and_nobody_else() -> None:
    limits = ApiLimits(unsent_bytes=200_000)
    async with serving(limits) as server:
        stuck = await server.connect()
        stuck.writer.transport.pause_reading()  # type: ignore[attr-defined]
        stuck.send(*(request("big", {"size": 50_000}, id) for id in range(1000)))
        other = await server.connect()
        before = -1
        while len(server.scene.done) > before:  # until the stuck peer is not read any more
            before = len(server.scene.done)
            for _ in range(100):
                await other.call("get_data")
        # The kernel's buffer, the transport's, the outbox, and one turn's worth of answers.
        most = (limits.unsent_bytes + limits.write_bytes + limits.calls_at_once * 50_000 + 1_000_000) // 50_000
        assert 4 <= len(server.scene.done) <= most
        (connection,) = [each for each in server.listener._connections._open if each.unsent_bytes]
        assert connection.unsent_bytes <= limits.unsent_bytes + limits.calls_at_once * 51_000
        stuck.writer.transport.resume_reading()  # type: ignore[attr-defined]
        answers = [await stuck.receive() for _ in range(1000)]
        assert [answer["id"] for answer in answers] == list(range(1000))
        assert connection.unsent_bytes == 0
        await stuck.close()
        await other.close()


async def test_calls_in_progress_are_bounded_and_the_rest_follow() -> None:
    async with serving(ApiLimits(calls_in_progress=3)) as server:
        client = await server.connect()
        other = await server.connect()
        client.send(*(request("wait", ["chat"], id) for id in range(10)))
        for _ in range(3):
            await server.scene.waiting.acquire()
        for _ in range(20):
            await other.call("get_data")
        assert server.scene.done == ["wait "] * 3
        server.scene.released.set()
        assert [(await client.receive())["id"] for _ in range(10)] == list(range(10))
        await client.close()
        await other.close()


async def test_closing_the_listener_gives_answers_in_progress_their_grace() -> None:
    async with serving() as server:
        client = await server.connect()
        idle = await server.connect()
        client.send(request("wait", ["chat"]))
        await server.scene.waiting.acquire()
        closing = asyncio.create_task(server.listener.close(grace_s=60))
        client.send(request("note", ["chat"], 2))
        server.scene.released.set()
        assert (await client.receive())["id"] == 1
        assert await client.rest() == b""
        await closing
        assert await idle.rest() == b""
        assert server.scene.done == ["wait "]
        await client.close()
        await idle.close()


async def test_closing_the_listener_ends_what_waits_when_the_grace_is_over() -> None:
    async with serving() as server:
        client = await server.connect()
        client.send(request("wait", ["chat"]))
        await server.scene.waiting.acquire()
        await server.listener.close(grace_s=0.02)
        await server.scene.cancelled.acquire()
        assert await client.rest() == b""
        await client.close()


async def test_uvloop_serves_the_same() -> None:
    uvloop = pytest.importorskip("uvloop")

    async def conversation() -> None:
        async with serving(QUICK, Scene()) as server:
            client = await server.connect()
            assert (await client.call("subtract", [5, 3]))["result"] == 2
            client.send(request("wait", ["chat"]))
            client.half_close()
            await server.scene.waiting.acquire()
            server.scene.released.set()
            assert json.loads(await client.rest())["result"] == ""
            await client.close()

    def run() -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(conversation())

    await asyncio.to_thread(run)
