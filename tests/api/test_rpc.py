"""The dispatcher, given bytes: every message gets the right answer, always valid JSON, and never a word of an exception."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from support.api_server import HANDLERS, METHOD_TABLE, TYPES, Scene, dispatcher, notice, request

from coprocd.api.call import Call
from coprocd.api.limits import ApiLimits
from coprocd.api.methods import handlers
from coprocd.api.rpc import Dispatcher
from coprocd.protocol.methods import METHODS, Method


async def ask(message: Any, scene: Scene | None = None, limits: ApiLimits | None = None) -> Any:
    raw = message if isinstance(message, bytes) else json.dumps(message).encode()
    answer = await dispatcher(limits).answer(raw, Call(scene or Scene()))
    return None if answer is None else json.loads(answer)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b" ",
        b"hello",
        b"NaN",
        b'{"jsonrpc": "2.0", "method": "subtract", "params": [NaN, 1], "id": 1}',
        b'{"jsonrpc": "2.0", "method": "subtract", "params": [Infinity, 1], "id": 1}',
        b'{"jsonrpc": "2.0", "method": "subtract", "params": [1e999, 1], "id": 1}',
        b'{"jsonrpc": "2.0", "method": "\xff", "id": 1}',
        b'{"jsonrpc": "2.0", "method": "\\ud800", "id": 1}',
        b'{"jsonrpc": "2.0"} {"jsonrpc": "2.0"}',
        b"\xef\xbb\xbf{}",
        b"[" * 1_000_000,
        b'{"a":' * 1_000_000,
        b"[" * 100_000 + b"]" * 100_000,
        b"\x00" * 100,
    ],
    ids=lambda raw: repr(raw[:40]),
)
async def test_what_is_no_json_is_a_parse_error(raw: bytes) -> None:
    answer = await ask(raw)
    assert (answer["error"]["code"], answer["error"]["message"], answer["id"]) == (-32700, "Parse error", None)
    assert answer["error"]["data"]["code"] == "parse_error"


@pytest.mark.parametrize(
    "message",
    [
        1,
        "subtract",
        None,
        {},
        {"jsonrpc": "1.0", "method": "get_data", "id": 1},
        {"jsonrpc": 2.0, "method": "get_data", "id": 1},
        {"method": "get_data", "id": 1},
        {"jsonrpc": "2.0", "id": 1},
        {"jsonrpc": "2.0", "method": None, "id": 1},
        {"jsonrpc": "2.0", "method": "get_data", "params": "x", "id": 1},
        {"jsonrpc": "2.0", "method": "get_data", "params": None, "id": 1},
        {"jsonrpc": "2.0", "method": "get_data", "id": True},
        {"jsonrpc": "2.0", "method": "get_data", "id": [1]},
        {"jsonrpc": "2.0", "method": "get_data", "id": {"a": 1}},
    ],
)
async def test_json_that_is_no_request_is_an_invalid_request(message: Any) -> None:
    answer = await ask(message)
    assert (answer["error"]["code"], answer["error"]["message"]) == (-32600, "Invalid Request")
    assert answer["error"]["data"]["code"] == "invalid_request"
    assert answer["id"] in (1, None)


@pytest.mark.parametrize("id", ["a", "", 0, -1, 1.5, 2**70, None])
async def test_an_id_comes_back_as_it_was(id: Any) -> None:
    assert await ask(request("get_data", id=id)) == {"jsonrpc": "2.0", "result": ["hello", 5], "id": id}


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"session": "chat", "rows": "80"}, "$.rows"),
        ({"session": "chat", "rows": 0}, "$.rows"),
        ({"session": "chat", "rows": 2**80}, "$.rows"),
        ({"session": "chat", "row": 1}, "`row`"),
        ({"text": "x"}, "`session`"),
        ({"session": 3}, "$.session"),
        ({"session": "chat", "text": [[[]]]}, "$.text"),
        ([], "`session`"),
        (["chat", "text"], "only `session` may stand in a list; give params as an object, by name"),
        ([3], "$.session"),
    ],
)
async def test_params_of_the_wrong_kind_are_named(params: Any, told: str) -> None:
    error = (await ask(request("note", params)))["error"]
    assert error["code"] == -32602
    assert error["data"]["code"] == "invalid_params"
    assert error["message"].startswith("note: ")
    assert told in error["message"]


async def test_session_may_stand_alone_in_a_list() -> None:
    scene = Scene()
    assert (await ask(request("note", ["chat"]), scene))["result"] == ""
    assert scene.done == [""]


async def test_a_method_where_session_does_not_come_first_takes_no_list() -> None:
    table = Dispatcher(HANDLERS, methods=METHOD_TABLE, types=TYPES)  # type: ignore[arg-type]
    answer = json.loads(await table.answer(json.dumps(request("events.subscribe", ["chat"])).encode(), Call(Scene(), object())) or b"")  # type: ignore[arg-type]
    assert "takes no params by position" in answer["error"]["message"]


async def test_a_method_without_params_refuses_params() -> None:
    assert (await ask(request("get_data", {})))["result"] == ["hello", 5]
    assert (await ask(request("get_data", [])))["result"] == ["hello", 5]
    assert (await ask(request("get_data", {"a": 1})))["error"]["message"] == "get_data takes no params"


async def test_an_error_carries_its_code_its_number_and_its_data() -> None:
    assert (await ask(request("refuse")))["error"] == {
        "code": -32012,
        "message": "session chat is busy: vim is in front",
        "data": {"code": "session_busy", "foreground": "vim"},
    }


@pytest.mark.parametrize("method", ["fail", "give_up", "refuse_badly", "no_such_code", "no_json", "lone_surrogate"])
async def test_a_bug_of_ours_is_an_incident_whose_text_only_the_log_has(method: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "coprocd.api"):
        answer = await ask(request(method))
    error = answer["error"]
    assert (error["code"], error["data"]["code"], answer["id"]) == (-32603, "internal", 1)
    assert "4711" not in json.dumps(answer)
    assert "object" not in json.dumps(answer)
    assert error["data"]["incident"] in caplog.text
    assert "Traceback" in caplog.text


async def test_a_notification_is_run_and_never_answered() -> None:
    scene = Scene()
    assert await ask(notice("note", {"session": "chat", "text": "a"}), scene) is None
    assert await ask(notice("note", {"text": "a"}), scene) is None
    assert await ask(notice("fail"), scene) is None
    assert await ask(notice("no_such_method"), scene) is None
    assert scene.done == ["a"]


async def test_a_batch_runs_in_order_one_after_the_other() -> None:
    scene = Scene()
    scene.released.set()
    batch = [request(method, {"session": "chat", "text": str(id)}, id) for id, method in enumerate(["note", "wait", "note"])]
    assert [answer["id"] for answer in await ask(batch, scene)] == [0, 1, 2]
    assert scene.done == ["0", "wait 1", "2"]


async def test_a_batch_of_20_000_is_refused_whole() -> None:
    scene = Scene()
    answer = await ask([request("note", ["chat"], id) for id in range(20_000)], scene)
    assert (answer["error"]["code"], answer["id"]) == (-32600, None)
    assert "20000 requests; at most 1000" in answer["error"]["message"]
    assert scene.done == []


async def test_the_answers_of_a_batch_are_bounded() -> None:
    scene = Scene()
    answers = await ask([request("big", {"size": 600}, id) for id in range(10)], scene, ApiLimits(batch_answer_bytes=1000))
    assert scene.done == ["big", "big"]
    assert ["error" in answer for answer in answers] == [False] * 2 + [True] * 8
    assert [answer["id"] for answer in answers] == list(range(10))
    assert answers[2]["error"]["data"]["code"] == "resource_exhausted"


async def test_a_method_that_needs_a_connection_says_where_it_works() -> None:
    error = (await ask(request("events.subscribe")))["error"]
    assert error["data"]["code"] == "invalid_request"
    assert "newline-delimited JSON or the websocket" in error["message"]


def test_a_method_without_a_function_is_an_error_at_the_start() -> None:
    with pytest.raises(KeyError, match="missing"):
        Dispatcher(HANDLERS, methods={"missing": Method("missing", None, "None", (), "")})


def test_every_method_in_the_table_has_its_function() -> None:
    pytest.importorskip("coprocd.api.methods.daemon")
    found = handlers()
    assert found.keys() == METHODS.keys()
    assert all(function.__name__.rstrip("_") == name.split(".")[1] for name, function in found.items())
