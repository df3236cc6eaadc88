"""Whatever comes, the dispatcher answers with valid JSON-RPC or with nothing, and stays whole."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from support.api_server import METHOD_TABLE, Scene, dispatcher

from coprocd.api.call import Call

NUMBERS = {-32700, -32600, -32601, -32602, -32603, -32012, -32015}

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=10), children, max_size=4),
    max_leaves=10,
)
names = st.sampled_from(sorted(set(METHOD_TABLE) - {"wait"}))
params = st.dictionaries(st.sampled_from(["session", "text", "rows", "minuend", "subtrahend", "subscription"]), values) | values
requests = st.fixed_dictionaries(
    {}, optional={"jsonrpc": st.just("2.0") | values, "method": names | values, "params": params, "id": st.integers() | st.text() | values}
)
messages = requests | values | st.lists(requests | values, max_size=6)


def check(answer: Any) -> None:
    assert answer.keys() in ({"jsonrpc", "result", "id"}, {"jsonrpc", "error", "id"})
    assert answer["jsonrpc"] == "2.0"
    assert answer["id"] is None or (isinstance(answer["id"], str | int | float) and not isinstance(answer["id"], bool))
    if "error" in answer:
        assert answer["error"]["code"] in NUMBERS
        assert answer["error"]["data"]["code"]
        assert "4711" not in answer["error"]["message"]


def answer_to(raw: bytes) -> Any:
    async def ask() -> bytes | None:
        return await dispatcher().answer(raw, Call(Scene()))

    answer = asyncio.run(ask())
    if answer is None:
        return None
    assert b"\n" not in answer
    return json.loads(answer, parse_constant=lambda constant: (_ for _ in ()).throw(AssertionError(constant)))


def check_all(raw: bytes) -> None:
    answers = answer_to(raw)
    if answers is not None:
        assert answers != []
        for answer in answers if isinstance(answers, list) else [answers]:
            check(answer)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200))
def test_arbitrary_bytes_get_a_parse_error_or_an_answer(raw: bytes) -> None:
    check_all(raw)


@settings(max_examples=300, deadline=None)
@given(messages)
def test_arbitrary_json_gets_valid_answers(message: Any) -> None:
    check_all(json.dumps(message).encode())


@settings(max_examples=150, deadline=None)
@given(messages, st.data())
def test_a_message_that_is_cut_or_altered_gets_valid_answers(message: Any, data: st.DataObject) -> None:
    raw = bytearray(json.dumps(message).encode())
    at = data.draw(st.integers(0, len(raw) - 1))
    if data.draw(st.booleans()):
        del raw[at:]
    else:
        raw[at] = data.draw(st.integers(0, 255))
    check_all(bytes(raw))
