"""Events, to subscribers on a connection and to readers of GET /events."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from support.api_server import SESSION_ID, Scene, Server, request, serving

from coprocd.api.limits import ApiLimits

QUICK = ApiLimits(hangup_grace_s=0.02)


def events_of(server: Server, query: str = "") -> Any:
    session = aiohttp.ClientSession("http://x", connector=aiohttp.UnixConnector(server.path))
    return session, session.get(f"/events{query}")


async def test_a_subscriber_gets_events_after_the_answer_that_names_its_subscription() -> None:
    async with serving() as server:
        client = await server.connect()
        server.scene.events.append("session.created", SESSION_ID)
        client.send(request("events.subscribe", {"since_seq": 0}))
        answer = await client.receive()
        assert answer["result"] == {"subscription": "events-1", "seq": 0, "epoch": "e1"}
        assert (await client.receive())["params"]["result"]["seq"] == 1
        server.scene.events.append("input", SESSION_ID, bytes=3)
        notification = await client.receive()
        assert (notification["method"], "id" in notification) == ("event", False)
        assert notification["params"]["subscription"] == "events-1"
        assert notification["params"]["result"].items() >= {"seq": 2, "type": "input", "session": SESSION_ID, "bytes": 3}.items()
        await client.close()


async def test_types_and_session_choose_and_the_session_may_be_named() -> None:
    async with serving() as server:
        client = await server.connect()
        await client.call("events.subscribe", {"types": ["session.exited"], "session": "chat"})
        server.scene.events.append("session.exited", "another")
        server.scene.events.append("input", SESSION_ID)
        server.scene.events.append("session.exited", SESSION_ID)
        assert (await client.receive())["params"]["result"]["seq"] == 3
        await client.close()


async def test_an_unknown_type_names_the_known_ones() -> None:
    async with serving() as server:
        client = await server.connect()
        error = (await client.call("events.subscribe", {"types": ["session.creatd"]}))["error"]
        assert (error["code"], "session.created" in error["message"]) == (-32602, True)
        error = (await client.call("events.subscribe", {"session": "nobody"}))["error"]
        assert error["data"]["code"] == "session_not_found"
        await client.close()


async def test_an_ended_subscription_is_silent() -> None:
    async with serving() as server:
        client = await server.connect()
        await client.call("events.subscribe")
        assert (await client.call("events.unsubscribe", {"subscription": "events-1"}))["result"] == {}
        server.scene.events.append("input")
        assert (await client.call("get_data"))["result"] == ["hello", 5]
        assert not server.scene.events._listeners
        assert (await client.call("events.unsubscribe", {"subscription": "events-1"}))["error"]["data"]["code"] == "invalid_params"
        await client.close()


async def test_subscriptions_are_bounded() -> None:
    async with serving(ApiLimits(subscriptions=2)) as server:
        client = await server.connect()
        answers = [await client.call("events.subscribe") for _ in range(3)]
        assert ["error" in answer for answer in answers] == [False, False, True]
        assert answers[2]["error"]["data"]["code"] == "resource_exhausted"
        await client.close()


async def test_a_subscriber_that_never_reads_costs_a_bound_and_is_told_what_it_missed() -> None:
    async with serving(scene=Scene(max_events=100)) as server:
        client = await server.connect()
        await client.call("events.subscribe")
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        for _ in range(2000):
            server.scene.events.append("coprocess.ended", SESSION_ID, stderr="x" * 2000)
            await asyncio.sleep(0)
        (connection,) = server.listener._connections._open
        assert connection.unsent_bytes == 0  # they wait in the log, which is bounded
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        accounted: list[int] = []
        while len(accounted) < 2000:
            event = (await client.receive())["params"]["result"]
            if event["type"] == "dropped":
                accounted += range(event["from_seq"], event["to_seq"] + 1)
            else:
                accounted.append(event["seq"])
        assert accounted == list(range(1, 2001))
        await client.close()


async def test_subscriptions_end_with_their_connection() -> None:
    async with serving(QUICK) as server:
        client = await server.connect()
        await client.call("events.subscribe")
        assert server.scene.events._listeners
        await client.close()
        while server.listener.connections:
            await asyncio.sleep(0)
        assert not server.scene.events._listeners


async def test_get_events_streams_them_a_line_each() -> None:
    async with serving() as server:
        server.scene.events.append("session.created", SESSION_ID)
        session, get = events_of(server, "?since_seq=0&types=session.created,session.exited&session=chat")
        async with session, get as response:
            assert response.content_type == "application/x-ndjson"
            assert json.loads(await response.content.readline())["seq"] == 1
            server.scene.events.append("input", SESSION_ID)
            server.scene.events.append("session.exited", SESSION_ID)
            assert json.loads(await response.content.readline()).items() >= {"seq": 3, "epoch": "e1", "type": "session.exited"}.items()


async def test_get_events_of_another_epoch_begins_with_dropped() -> None:
    async with serving(scene=Scene(max_events=1)) as server:
        server.scene.events.append("bell")
        server.scene.events.append("bell")
        session, get = events_of(server, "?since_seq=7&epoch=e0")
        async with session, get as response:
            first, second = [json.loads(await response.content.readline()) for _ in range(2)]
            assert (first["type"], first["from_seq"], first["to_seq"], second["seq"]) == ("dropped", 0, 1, 2)


@pytest.mark.parametrize("half_closed_before", [False, True])
async def test_a_reader_of_get_events_that_dies_is_freed(half_closed_before: bool) -> None:
    async with serving(QUICK) as server:
        client = await server.connect()
        client.writer.write(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
        await client.reader.readuntil(b"\r\n\r\n")
        if half_closed_before:
            client.half_close()
            server.scene.events.append("bell")
            assert b"bell" in await client.reader.readuntil(b"}\n")
        await client.close()
        while server.listener.connections or server.scene.events._listeners:
            await asyncio.sleep(0)


async def test_closing_the_listener_ends_the_streams() -> None:
    async with serving() as server:
        session, get = events_of(server)
        async with session, get as response:
            closing = asyncio.create_task(server.listener.close(grace_s=60))
            assert await response.read() == b""
            await closing
