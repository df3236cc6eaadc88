"""The websocket of coprocctl, against the daemon's JSON-RPC route, which answers each message with one."""

from __future__ import annotations

import json
import select
from collections.abc import Iterator

import pytest
from coprocctl.exits import NoDaemon, Refused
from coprocctl.websocket import Closed, Received, WebSocket, target
from support.live import PATIENCE_S, Live, live

from coprocd.protocol import close_codes


@pytest.fixture(scope="module")
def daemon() -> Iterator[Live]:
    with live() as daemon:
        yield daemon


def received(socket: WebSocket) -> Received:
    """The next that comes; what is unsent is sent meanwhile."""
    poll = select.poll()
    while True:
        poll.register(socket.fd, select.POLLIN | (select.POLLOUT if socket.unsent_bytes else 0))
        assert socket.waiting or poll.poll(PATIENCE_S * 1000)
        socket.flush()
        if found := socket.receive():
            assert len(found) == 1
            return found[0]


def call(method: str, number: int = 1, **params: object) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params})


def test_text_and_binary_messages_are_sent_and_what_comes_is_whole(daemon: Live) -> None:
    with WebSocket(daemon.socket, "/rpc") as socket:
        assert socket.receive() == []
        socket.send_text(call("daemon.info"))
        answer = received(socket)
        assert isinstance(answer, str) and json.loads(answer)["result"]["pid"] == daemon.pids()[0]
        socket.send_binary(call("daemon.info", 2).encode())
        answer = received(socket)
        assert isinstance(answer, str) and json.loads(answer)["id"] == 2


def test_a_message_larger_than_the_sockets_buffer_is_queued_and_sent_bit_by_bit(daemon: Live) -> None:
    with WebSocket(daemon.socket, "/rpc") as socket:
        socket.send_text(call("daemon.info") + " " * (4 << 20))
        assert socket.unsent_bytes > 0
        answer = received(socket)
        assert isinstance(answer, str) and json.loads(answer)["result"] and socket.unsent_bytes == 0


def test_a_close_is_answered_and_nothing_is_sent_after_it(daemon: Live) -> None:
    with WebSocket(daemon.socket, "/rpc") as socket:
        socket.close()
        socket.send_text(call("daemon.info"))
        end = received(socket)
        assert isinstance(end, Closed) and end.code == close_codes.NORMAL
        assert socket.receive() == []


def test_a_daemon_that_dies_closes_it_without_a_word(daemon: Live) -> None:
    with WebSocket(daemon.socket, "/rpc") as socket:
        daemon.kill()
        end = received(socket)
        assert isinstance(end, Closed) and end.code == close_codes.ABNORMAL


def test_an_error_in_place_of_the_upgrade_is_raised_as_the_refusal_that_it_is(daemon: Live) -> None:
    with pytest.raises(Refused) as refused:
        WebSocket(daemon.socket, "/nowhere")
    assert refused.value.code == "method_not_found" and "/nowhere" in refused.value.message


def test_where_no_daemon_runs_it_says_so() -> None:
    with pytest.raises(NoDaemon):
        WebSocket("/tmp/none/coprocd.sock", "/rpc")


def test_a_target_holds_the_session_and_the_query_quoted() -> None:
    assert target("/sessions/{session}/attach", "a b%", {"rows": 2, "mode": "r&w"}) == "/sessions/a%20b%25/attach?rows=2&mode=r%26w"
    assert target("/sessions/{session}/attach", "x", {}) == "/sessions/x/attach"
