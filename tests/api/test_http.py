"""HTTP/1.1: the routes, their errors, half-close, and clients that die."""

from __future__ import annotations

import asyncio
import json
from io import BytesIO
from typing import Any

import aiohttp
import pytest
from support.api_server import Server, request, serving

from coprocd.api.limits import ApiLimits

QUICK = ApiLimits(hangup_grace_s=0.02)


def session_to(server: Server) -> aiohttp.ClientSession:
    return aiohttp.ClientSession("http://x", connector=aiohttp.UnixConnector(server.path))


async def raw(server: Server, *lines: str, body: bytes = b"") -> bytes:
    """The answer to a hand-written request that is followed by a half-close."""
    client = await server.connect()
    client.writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    client.half_close()
    answer = await client.rest()
    await client.close()
    return answer


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded", ""])
async def test_a_post_is_taken_whatever_its_content_type(content_type: str) -> None:
    async with serving() as server, session_to(server) as http:
        headers = {"Content-Type": content_type}
        async with http.post("/rpc", data=json.dumps(request("subtract", [42, 23])).encode(), headers=headers) as response:
            assert response.status == 200
            assert response.content_type == "application/json"
            assert await response.json() == {"jsonrpc": "2.0", "result": 19, "id": 1}


async def test_a_body_of_10_mb_is_taken_and_one_byte_more_is_413() -> None:
    async with serving() as server, session_to(server) as http:
        async with http.post("/rpc", data=BytesIO(b" " * 10_000_000)) as response:
            assert (response.status, (await response.json())["error"]["code"]) == (200, -32700)
        async with http.post("/rpc", data=BytesIO(b" " * 10_000_001)) as response:
            error = (await response.json())["error"]
            assert (response.status, error["code"], error["data"]["limit"]) == (413, -32600, 10_000_000)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "method_not_found"),
        ("PUT", "/rpc", 405, "method_not_found"),
        ("GET", "/rpc", 426, "invalid_request"),
        ("GET", "/sessions/chat/attach", 426, "invalid_request"),
        ("GET", "/sessions/chat/coprocess", 426, "invalid_request"),
        ("POST", "/sessions/chat/coprocess", 405, "method_not_found"),
        ("GET", "/events?types=no.such.type", 400, "invalid_params"),
        ("GET", "/events?since_seq=x", 400, "invalid_params"),
        ("GET", "/events?since_seq=-1", 400, "invalid_params"),
        ("GET", "/events?colour=red", 400, "invalid_params"),
        ("GET", "/events?types=input&types=bell", 400, "invalid_params"),
        ("GET", "/events?session=nobody", 404, "session_not_found"),
    ],
)
async def test_every_http_error_is_json_with_a_code_and_a_remedy(method: str, path: str, status: int, code: str) -> None:
    async with serving() as server, session_to(server) as http, http.request(method, path) as response:
        error = (await response.json())["error"]
        assert (response.status, error["data"]["code"]) == (status, code)
        assert len(error["message"]) > 15


async def test_health_and_the_openrpc_document() -> None:
    async with serving() as server, session_to(server) as http:
        async with http.get("/healthz") as response:
            assert (response.status, await response.text()) == (200, "ok\n")
        async with http.get("/openrpc.json") as response:
            assert (await response.json())["openrpc"] == "1.3.2"


async def test_after_a_half_close_the_answer_is_sent_and_then_we_close() -> None:
    body = json.dumps(request("wait", ["chat"])).encode()
    async with serving(QUICK) as server:
        answer = asyncio.create_task(raw(server, "POST /rpc HTTP/1.1", "Host: x", f"Content-Length: {len(body)}", body=body))
        await server.scene.waiting.acquire()
        server.scene.released.set()
        assert b'"result":""' in await answer


async def test_a_half_close_right_behind_the_request_loses_no_answer() -> None:
    async with serving(QUICK) as server:
        for _ in range(50):
            assert (await raw(server, "GET /healthz HTTP/1.1", "Host: x")).endswith(b"ok\n")
        pipelined = await raw(server, "GET /healthz HTTP/1.1", "Host: x", "", "GET /healthz HTTP/1.1", "Host: x")
        assert pipelined.count(b"ok\n") == 2


async def test_what_is_neither_json_nor_http_is_a_400() -> None:
    async with serving(QUICK) as server:
        assert (await raw(server, "hello daemon")).startswith(b"HTTP/1.0 400 Bad Request")


async def test_a_post_whose_client_dies_is_cancelled() -> None:
    async with serving(QUICK) as server:
        for _ in range(2):
            process = await asyncio.create_subprocess_exec(
                "curl", "-s", "--unix-socket", server.path, "http://x/rpc", "-d", json.dumps(request("wait", ["chat"]))
            )
            await server.scene.waiting.acquire()
            process.kill()
            await process.wait()
            await server.scene.cancelled.acquire()


async def test_an_error_of_ours_tells_the_client_an_incident_and_nothing_else() -> None:
    async with serving() as server, session_to(server) as http:
        server.scene.sessions = None  # type: ignore[assignment]
        async with http.get("/events?session=chat") as response:
            assert response.status == 500
            error = (await response.json())["error"]
            assert error["data"].keys() == {"code", "incident"}
            assert "NoneType" not in json.dumps(error)


# -- websocket --------------------------------------------------------------------------------------------------------


async def test_calls_over_a_websocket_run_side_by_side() -> None:
    async with serving() as server, session_to(server) as http, http.ws_connect("/rpc") as socket:
        await socket.send_json(request("wait", ["chat"], "slow"))
        await socket.send_bytes(json.dumps(request("get_data", id="quick")).encode())
        assert (await socket.receive_json())["id"] == "quick"
        server.scene.released.set()
        assert (await socket.receive_json())["id"] == "slow"


async def test_calls_over_a_websocket_start_in_order() -> None:
    async with serving() as server, session_to(server) as http, http.ws_connect("/rpc") as socket:
        texts = [str(number) for number in range(500)]
        for text in texts:
            await socket.send_json(request("note", {"session": "chat", "text": text}, text))
        assert [(await socket.receive_json())["id"] for _ in texts] == texts
        assert server.scene.done == texts


async def test_a_websocket_message_too_large_ends_the_connection() -> None:
    async with serving(ApiLimits(request_bytes=1000)) as server, session_to(server) as http, http.ws_connect("/rpc") as socket:
        await socket.send_bytes(b"x" * 1001)
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
        assert socket.close_code == 1009


@pytest.mark.parametrize("politely", [True, False])
async def test_what_waits_on_a_websocket_ends_with_it(politely: bool) -> None:
    async with serving(QUICK) as server, session_to(server) as http:
        socket = await http.ws_connect("/rpc")
        await socket.send_json(request("wait", ["chat"]))
        await socket.send_json(request("events.subscribe"))
        await socket.receive_json()
        await server.scene.waiting.acquire()
        if politely:
            await socket.close()
        else:
            socket._response.connection.transport.abort()  # type: ignore[union-attr]
        await server.scene.cancelled.acquire()
        while server.listener.connections:
            await asyncio.sleep(0)
        assert not server.scene.events._listeners


async def test_a_websocket_that_never_reads_is_not_read_and_does_not_hold_the_end_up() -> None:
    limits = ApiLimits(unsent_bytes=200_000, hangup_grace_s=0.02)
    async with serving(limits) as server, session_to(server) as http:
        socket = await http.ws_connect("/rpc")
        socket._response.connection.transport.pause_reading()  # type: ignore[union-attr]

        async def flood() -> None:
            while True:
                await socket.send_json(request("big", {"size": 50_000}))

        flooding = asyncio.create_task(flood())
        other = await server.connect()
        before = -1
        while len(server.scene.done) > before:
            before = len(server.scene.done)
            for _ in range(100):
                await other.call("get_data")
        assert 4 <= len(server.scene.done) < 60
        flooding.cancel()
        await asyncio.wait([flooding])
        await server.listener.close(grace_s=0.02)
        socket._response.connection.transport.abort()  # type: ignore[union-attr]
        await socket.close()
        await other.close()


async def test_closing_the_listener_says_so_on_a_websocket() -> None:
    async with serving(QUICK) as server, session_to(server) as http, http.ws_connect("/rpc") as socket:
        closing = asyncio.create_task(server.listener.close(grace_s=60))
        message: Any = await socket.receive()
        assert (message.type, socket.close_code) == (aiohttp.WSMsgType.CLOSE, 1001)
        await closing
