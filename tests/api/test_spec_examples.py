"""Every example of the JSON-RPC 2.0 specification (§7), over each framing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from support.api_server import Server, serving

Exchange = Callable[[Server, bytes, bool], Awaitable[Any]]

PARSE_ERROR = {"jsonrpc": "2.0", "error": {"code": -32700, "message": "Parse error"}, "id": None}
INVALID = {"jsonrpc": "2.0", "error": {"code": -32600, "message": "Invalid Request"}, "id": None}

EXAMPLES = {
    "positional": ('{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}', {"jsonrpc": "2.0", "result": 19, "id": 1}),
    "positional, turned": (
        '{"jsonrpc": "2.0", "method": "subtract", "params": [23, 42], "id": 2}',
        {"jsonrpc": "2.0", "result": -19, "id": 2},
    ),
    "named": (
        '{"jsonrpc": "2.0", "method": "subtract", "params": {"subtrahend": 23, "minuend": 42}, "id": 3}',
        {"jsonrpc": "2.0", "result": 19, "id": 3},
    ),
    "named, turned": (
        '{"jsonrpc": "2.0", "method": "subtract", "params": {"minuend": 42, "subtrahend": 23}, "id": 4}',
        {"jsonrpc": "2.0", "result": 19, "id": 4},
    ),
    "notification": ('{"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]}', None),
    "notification of no method": ('{"jsonrpc": "2.0", "method": "foobar"}', None),
    "no such method": (
        '{"jsonrpc": "2.0", "method": "foobar", "id": "1"}',
        {"jsonrpc": "2.0", "error": {"code": -32601, "message": "Method not found"}, "id": "1"},
    ),
    "invalid JSON": ('{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]', PARSE_ERROR),
    "invalid request": ('{"jsonrpc": "2.0", "method": 1, "params": "bar"}', INVALID),
    "batch, invalid JSON": (
        '[ {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"}, {"jsonrpc": "2.0", "method" ]',
        PARSE_ERROR,
    ),
    "empty batch": ("[]", INVALID),
    "invalid batch, not empty": ("[1]", [INVALID]),
    "invalid batch": ("[1,2,3]", [INVALID, INVALID, INVALID]),
    "batch": (
        '[ {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"}, {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]},'
        ' {"jsonrpc": "2.0", "method": "subtract", "params": [42,23], "id": "2"}, {"foo": "boo"},'
        ' {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"}, {"jsonrpc": "2.0", "method": "get_data", "id": "9"} ]',
        [
            {"jsonrpc": "2.0", "result": 7, "id": "1"},
            {"jsonrpc": "2.0", "result": 19, "id": "2"},
            INVALID,
            {"jsonrpc": "2.0", "error": {"code": -32601, "message": "Method not found"}, "id": "5"},
            {"jsonrpc": "2.0", "result": ["hello", 5], "id": "9"},
        ],
    ),
    "batch of notifications": (
        '[ {"jsonrpc": "2.0", "method": "notify_sum", "params": [1,2,4]}, {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]} ]',
        None,
    ),
}


def without_data(answer: Any) -> Any:
    """The answer as the spec prints it: `data` is ours to add."""
    if isinstance(answer, list):
        return [without_data(each) for each in answer]
    if answer and "error" in answer:
        assert answer["error"].pop("data")["code"]
    return answer


async def by_line(server: Server, raw: bytes, answered: bool) -> Any:
    client = await server.connect()
    client.send(raw)
    client.half_close()
    answer = await client.rest()
    await client.close()
    return json.loads(answer) if answer else None


async def by_post(server: Server, raw: bytes, answered: bool) -> Any:
    async with (
        aiohttp.ClientSession(connector=aiohttp.UnixConnector(server.path)) as session,
        session.post("http://x/rpc", data=raw) as response,
    ):
        body = await response.read()
        assert response.status == (200 if body else 204)
        return json.loads(body) if body else None


async def by_websocket(server: Server, raw: bytes, answered: bool) -> Any:
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(server.path)) as session, session.ws_connect("http://x/rpc") as socket:
        await socket.send_str(raw.decode())
        await socket.send_bytes(b'{"jsonrpc": "2.0", "method": "get_data", "id": "the last"}')
        last = {"jsonrpc": "2.0", "result": ["hello", 5], "id": "the last"}
        answers = [await socket.receive_json()]
        if answered or answers != [last]:  # calls run side by side: a batch may be ready after the last
            answers.append(await socket.receive_json())
        answers.remove(last)
        return answers[0] if answers else None


async def by_curl(server: Server, raw: bytes, answered: bool) -> Any:
    return await _piped(raw, "curl", "-s", "--unix-socket", server.path, "http://x/rpc", "--data-binary", "@-")


async def by_socat(server: Server, raw: bytes, answered: bool) -> Any:
    return await _piped(raw + b"\n", "socat", "-t5", "-", f"UNIX-CONNECT:{server.path}")


async def _piped(raw: bytes, *argv: str) -> Any:
    process = await asyncio.create_subprocess_exec(*argv, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
    answer, _ = await process.communicate(raw)
    assert process.returncode == 0
    return json.loads(answer) if answer else None


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("exchange", [by_line, by_post, by_websocket, by_curl, by_socat])
async def test_every_example_of_the_specification_is_answered_as_it_says(exchange: Exchange, name: str) -> None:
    sent, expected = EXAMPLES[name]
    async with serving() as server:
        assert without_data(await exchange(server, sent.encode(), expected is not None)) == expected
