"""Questions to the person who is attached: asked, shown one at a time, answered, refused, over."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest
from support.live import Client, Live, RpcError, live

SECRET = "correct horse battery staple"


@pytest.fixture
def session(daemon: Live) -> str:
    return daemon.create("cat")


def asked(daemon: Live, session: str, kind: str = "text", message: str = "What?", **params: Any) -> tuple[int, str]:
    """The call that waits for the answer, and the question's id."""
    call = daemon.client.send("prompt.ask", session=session, kind=kind, message=message, **params)
    return call, daemon.client.event("prompt.asked", session=session)["prompt"]


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("text", "a word"),
        ("file", "/tmp/grüße an alle"),
        ("password", SECRET),
        ("confirm", True),
        ("confirm", False),
        ("text", ""),
        ("file", None),
    ],
)
def test_the_answer_goes_to_whoever_asked(daemon: Live, session: str, kind: str, value: str | bool | None) -> None:
    call, prompt = asked(daemon, session, kind)
    shown = daemon.call("session.get", session=session)["prompt"]
    assert (shown["id"], shown["kind"], shown["message"], shown["waiting"]) == (prompt, kind, "What?", 0)
    assert daemon.call("prompt.answer", prompt=prompt, value=value) == {}
    assert daemon.client.answer(call) == {"value": value}
    assert daemon.client.event("prompt.ended", prompt=prompt)["how"] == ("refused" if value is None else "answered")
    assert daemon.call("session.get", session=session)["prompt"] is None
    with pytest.raises(RpcError) as late:
        daemon.call("prompt.answer", prompt=prompt, value="again")
    assert late.value.code == "prompt_not_found"


@pytest.mark.parametrize(("kind", "value"), [("confirm", "yes"), ("text", True), ("password", False), ("file", 3)])
def test_an_answer_of_another_kind_is_no_answer(daemon: Live, session: str, kind: str, value: Any) -> None:
    call, prompt = asked(daemon, session, kind)
    with pytest.raises(RpcError) as wrong:
        daemon.call("prompt.answer", prompt=prompt, value=value)
    assert wrong.value.code == "invalid_params"
    daemon.call("prompt.answer", prompt=prompt, value=None)
    assert daemon.client.answer(call) == {"value": None}


def test_several_are_asked_one_after_the_other_and_can_be_answered_in_any_order(daemon: Live, session: str) -> None:
    questions = [asked(daemon, session, message=f"{number}?") for number in range(3)]
    shown = daemon.call("session.get", session=session)["prompt"]
    assert (shown["message"], shown["waiting"]) == ("0?", 2)
    daemon.call("prompt.answer", prompt=questions[1][1], value="one")
    daemon.call("prompt.answer", prompt=questions[0][1], value="zero")
    assert daemon.client.answer(questions[0][0]) == {"value": "zero"} and daemon.client.answer(questions[1][0]) == {"value": "one"}
    assert daemon.call("session.get", session=session)["prompt"]["message"] == "2?"
    daemon.call("prompt.answer", prompt=questions[2][1], value="two")
    assert daemon.client.answer(questions[2][0]) == {"value": "two"}


def test_16_wait_and_no_more(daemon: Live, session: str) -> None:
    questions = [asked(daemon, session) for _ in range(16)]
    with pytest.raises(RpcError) as refused:
        daemon.call("prompt.ask", session=session, kind="text", message="Another?")
    assert refused.value.code == "resource_exhausted"
    for call, prompt in questions:
        daemon.call("prompt.answer", prompt=prompt, value="x")
        daemon.client.answer(call)


def test_when_its_time_is_over_that_is_an_error(daemon: Live, session: str) -> None:
    with pytest.raises(RpcError) as late:
        daemon.call("prompt.ask", session=session, kind="text", message="What?", timeout_s=0.05)
    assert late.value.code == "timed_out"
    assert daemon.client.event("prompt.ended", session=session)["how"] == "timed_out"


def test_when_its_session_ends_that_is_an_error_and_an_ended_one_is_not_asked(daemon: Live, session: str) -> None:
    call, _ = asked(daemon, session)
    daemon.call("session.signal", session=session, signal="KILL")
    with pytest.raises(RpcError) as ended:
        daemon.client.answer(call)
    assert ended.value.code == "session_exited"
    daemon.client.event("session.exited", session=session)
    with pytest.raises(RpcError) as over:
        daemon.call("prompt.ask", session=session, kind="text", message="What?")
    assert over.value.code == "session_exited"


def test_it_ends_with_the_connection_of_whoever_asked(daemon: Live, session: str) -> None:
    asker = Client(daemon.socket)
    asker.send("prompt.ask", session=session, kind="text", message="What?")
    prompt = daemon.client.event("prompt.asked", session=session)["prompt"]
    asker.close()
    assert daemon.client.event("prompt.ended", prompt=prompt)["how"] == "gone"
    assert daemon.call("session.get", session=session)["prompt"] is None


def test_a_message_is_shown_with_what_does_not_print_escaped(daemon: Live, session: str) -> None:
    call, prompt = asked(daemon, session, message="\x1b[2J\x07é\n\u202eok\x9b")
    assert daemon.call("session.get", session=session)["prompt"]["message"] == "\\x1b[2J\\x07é\\n\\u202eok\\x9b"
    daemon.call("prompt.answer", prompt=prompt, value="")
    daemon.client.answer(call)


def test_a_password_is_in_no_event_log_or_record(tmp_path: Any) -> None:
    with live() as daemon:
        session = daemon.create("cat")
        call, prompt = asked(daemon, session, "password")
        daemon.call("prompt.answer", prompt=prompt, value=SECRET)
        assert daemon.client.answer(call) == {"value": SECRET}
        with pytest.raises(RpcError) as refused:
            daemon.call("prompt.answer", prompt=prompt, value=SECRET)
        assert SECRET not in str(refused.value)
        later = Client(daemon.socket)
        later.call("events.subscribe", since_seq=0)
        daemon.call("session.close", session=session)
        seen = ""
        while "session.closed" not in seen:
            seen += json.dumps(later.next_event())
        later.close()
        assert SECRET not in seen and SECRET not in daemon.log()


async def test_those_who_are_attached_are_shown_it_and_those_who_come_later_too(daemon: Live, session: str) -> None:
    async with aiohttp.ClientSession("http://x", connector=aiohttp.UnixConnector(daemon.socket)) as http:

        async def shown(socket: aiohttp.ClientWebSocketResponse) -> Any:
            while True:
                message = await asyncio.wait_for(socket.receive(), 30)
                if message.type is aiohttp.WSMsgType.TEXT and message.json()["type"] == "prompt":
                    return message.json()["prompt"]

        route = f"/sessions/{session}/attach"
        async with http.ws_connect(route) as first:
            call, prompt = asked(daemon, session, "file", "Which?")
            assert (await shown(first))["id"] == prompt
            async with http.ws_connect(route) as second:
                question = await shown(second)
                assert (question["id"], question["kind"], question["message"]) == (prompt, "file", "Which?")
                daemon.call("prompt.answer", prompt=prompt, value="/etc/motd")
                assert await shown(first) is None and await shown(second) is None
            assert daemon.client.answer(call) == {"value": "/etc/motd"}
