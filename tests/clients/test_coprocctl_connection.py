"""What a command does when the other end refuses, hangs up, is replaced, or is no coprocd at all."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from coprocctl.__main__ import main
from coprocctl.connection import Connection, answers
from coprocctl.exits import ConnectionLost, Failure, NoDaemon, Refused
from coprocctl_command import Command, Peer, Script

from coprocd.protocol.errors import ERRORS

StartPeer = Callable[[Script], Peer]


def refusal(code: str, message: str = "because") -> dict[str, Any]:
    """An answer that refuses."""
    return {"error": {"code": ERRORS.get(code, (-32099, 1))[0], "message": message, "data": {"code": code}}}


def test_a_result_is_returned_and_notifications_are_kept_for_later(peer: StartPeer) -> None:
    event = {"method": "event", "params": {"result": {"seq": 1}}}
    server = peer(lambda request: [event, {"result": request.get("params")}, event])
    with Connection(server.path) as connection:
        assert connection.call("m", {"a": "ü"}) == {"a": "ü"}
        assert connection.call("m") is None
        events = connection.notifications("event")
        assert [next(events)["result"]["seq"] for _ in range(3)] == [1, 1, 1]
    assert server.requests[0] == {"jsonrpc": "2.0", "id": 1, "method": "m", "params": {"a": "ü"}}
    assert "params" not in server.requests[1]


@pytest.mark.parametrize("code", [code for code in ERRORS if code != "session_ambiguous"])
def test_each_error_code_has_its_exit_status(code: str, peer: StartPeer, coprocctl: Command, capsys: pytest.CaptureFixture[str]) -> None:
    peer(lambda request: refusal(code, "the thing, its state, the remedy\x1b[31m"))
    assert main(["--socket", str(coprocctl.socket), "list"]) == ERRORS[code][1]
    assert capsys.readouterr().err == "coprocctl: the thing, its state, the remedy\\e[31m\n"


def test_an_error_goes_to_stderr_as_an_object_with_json(peer: StartPeer, coprocctl: Command, capsys: pytest.CaptureFixture[str]) -> None:
    peer(lambda request: refusal("session_not_found", "no session x"))
    assert main(["--socket", str(coprocctl.socket), "rpc", "session.get", '["x"]', "--json"]) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert json.loads(captured.err) == {
        "error": {"code": "session_not_found", "message": "no session x", "data": {"code": "session_not_found"}}
    }


def test_an_error_of_a_newer_daemon_fails_plainly(peer: StartPeer) -> None:
    server = peer(lambda request: refusal("out_of_cheese"))
    with Connection(server.path) as connection, pytest.raises(Refused) as refused:
        connection.call("m")
    assert (refused.value.code, refused.value.status) == ("out_of_cheese", 1)


def test_an_error_without_data_is_known_by_its_number(peer: StartPeer) -> None:
    server = peer(lambda request: {"id": None, "error": {"code": -32700, "message": "no JSON"}})
    with Connection(server.path) as connection, pytest.raises(Refused) as refused:
        connection.call("m")
    assert refused.value.code == "parse_error"


def test_a_read_is_asked_again_when_the_connection_breaks_before_the_answer(peer: StartPeer) -> None:
    replies: list[Any] = [None, None, {"result": []}]
    server = peer(lambda request: replies.pop(0))
    with Connection(server.path) as connection:
        assert connection.call("session.list") == []
    assert len(server.requests) == 3


def test_what_changes_something_is_not_asked_again(peer: StartPeer) -> None:
    server = peer(lambda request: None)
    with Connection(server.path) as connection, pytest.raises(ConnectionLost):
        connection.call("session.rename", {"session": "a", "name": "b"})
    assert len(server.requests) == 1


def test_a_read_is_not_asked_for_ever(peer: StartPeer, coprocctl: Command, capsys: pytest.CaptureFixture[str]) -> None:
    server = peer(lambda request: None)
    assert main(["--socket", str(coprocctl.socket), "list"]) == 1
    assert "before it answered session.list" in capsys.readouterr().err
    assert 1 < len(server.requests) < 20


def test_input_is_typed_once_when_the_connection_breaks(peer: StartPeer, coprocctl: Command) -> None:
    replies: list[Any] = [None, {"result": {"accepted_bytes": 2, "offset": 0}}]
    server = peer(lambda request: replies.pop(0))
    assert main(["--socket", str(coprocctl.socket), "send", "chat", "hi", "--enter"]) == 0
    first, second = (request["params"] for request in server.requests)
    assert first == second
    assert first.pop("key")
    assert first == {"session": "chat", "text": "hi", "enter": True}


def test_an_answer_that_does_not_come_in_time_is_status_124(peer: StartPeer) -> None:
    server = peer(lambda request: {"jsonrpc": "2.0", "id": 99, "result": 1, "method": 7})
    with Connection(server.path) as connection, pytest.raises(Failure) as failure:
        connection.call("m", timeout_s=0.05)
    assert failure.value.status == 124


def test_a_parameter_that_is_not_utf8_is_refused_before_it_is_sent(peer: StartPeer) -> None:
    server = peer(lambda request: {"result": None})
    with Connection(server.path) as connection, pytest.raises(Failure) as failure:
        connection.call("m", {"text": "\udcff"})
    assert failure.value.status == 2
    assert not server.requests


def test_nothing_at_a_path_too_long_for_a_socket(tmp_path: Any) -> None:
    with pytest.raises(NoDaemon) as failure:
        Connection(str(tmp_path / ("x" * 120)))
    assert failure.value.status == 5
    assert not answers(str(tmp_path / "nothing"))


class Terminal:
    """A session's input of a given size that somebody empties now and then; it takes all or nothing."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.held = 0
        self.typed = b""
        self.refused = 0

    def __call__(self, request: dict[str, Any]) -> dict[str, Any]:
        if request["method"] == "session.get":
            return {"result": {"id": "5e55"}}
        assert request["params"]["session"] == "5e55"
        data = base64.b64decode(request["params"]["data_b64"])
        if self.held + len(data) > self.capacity:
            self.refused += 1
            if self.refused % 3 == 0:
                self.held = 0  # the job has read
            return refusal("input_full")
        self.held += len(data)
        self.typed += data
        return {"result": {"accepted_bytes": len(data), "offset": len(self.typed)}}


@pytest.mark.parametrize("capacity", [600, 4096, 65536, 1 << 20])
def test_standard_input_of_any_size_is_typed_whole_and_in_order(capacity: int, peer: StartPeer, coprocctl: Command) -> None:
    terminal = Terminal(capacity)
    server = peer(terminal)
    data = bytes(range(256)) * 400
    assert coprocctl.json("send", "chat", "-", "--enter", stdin=data)["accepted_bytes"] == len(data) + 1
    assert terminal.typed == data + b"\r"
    keys = [request["params"]["key"] for request in server.requests if request["method"] == "session.send_bytes"]
    assert len(set(keys)) == len(keys)


def test_a_session_that_ends_amid_standard_input_is_told_with_what_was_typed(peer: StartPeer, coprocctl: Command) -> None:
    replies: list[Any] = [{"result": {"id": "5e55"}}, {"result": {"accepted_bytes": 3, "offset": 0}}]
    peer(lambda request: replies.pop(0) if replies else refusal("session_exited", "session chat has exited"))
    done = coprocctl("send", "chat", "-", "--enter", stdin=b"abc")
    assert done.returncode == 4
    assert done.stderr.decode() == "coprocctl: 3 bytes were typed before this:\ncoprocctl: session chat has exited\n"


@pytest.mark.parametrize(
    ("argv", "where"),
    [
        (["new", "--name", "caf\udce9"], r"name 'caf\udce9'"),
        (["new", "--", "cat", "\udcff"], r"argv.1 '\udcff'"),
        (["new", "--env", "A=\udcff"], r"env.A '\udcff'"),
        (["rename", "x", "\udcff"], r"name '\udcff'"),
    ],
)
def test_what_is_no_utf8_is_named(
    argv: list[str], where: str, peer: StartPeer, coprocctl: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was "a parameter"."""
    peer(lambda request: {"result": {}})
    assert main(["--socket", str(coprocctl.socket), *argv]) == 2
    assert where in capsys.readouterr().err


def test_a_method_that_there_is_not_is_named_with_the_nearest(
    peer: StartPeer, coprocctl: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    peer(lambda request: refusal("method_not_found", "Method not found"))
    assert main(["--socket", str(coprocctl.socket), "rpc", "session.lst"]) == 2
    assert "there is no method 'session.lst'; did you mean session.list?" in capsys.readouterr().err


def test_of_sessions_that_cannot_be_closed_each_is_told_in_order(
    peer: StartPeer, coprocctl: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first came last, and with --json the others were text."""
    peer(lambda request: refusal("session_not_found", f"no session {request['params']['session']}"))
    assert main(["--socket", str(coprocctl.socket), "close", "a", "b", "c"]) == 3
    assert capsys.readouterr().err == "coprocctl: no session a\nno session b\nno session c\n"
    assert main(["--socket", str(coprocctl.socket), "--json", "close", "a", "b", "c"]) == 3
    error = json.loads(capsys.readouterr().err)["error"]
    assert error["code"] == "session_not_found"
    assert [other["message"] for other in error["data"]["others"]] == ["no session b", "no session c"]


def test_text_of_another_encoding_is_typed_as_the_bytes_it_was(peer: StartPeer, coprocctl: Command) -> None:
    server = peer(lambda request: {"result": {"accepted_bytes": 5, "offset": 0}})
    assert coprocctl("send", "chat", b"caf\xe9", "--enter").returncode == 0
    assert server.requests[0]["method"] == "session.send_bytes"
    assert base64.b64decode(server.requests[0]["params"]["data_b64"]) == b"caf\xe9\r"


def test_paste_takes_words_or_standard_input_and_only_text(peer: StartPeer, coprocctl: Command) -> None:
    server = peer(lambda request: {"result": {"accepted_bytes": 1, "offset": 0}})
    for done in (
        coprocctl("paste", "chat", "a", "b"),
        coprocctl("paste", "chat", "-", stdin="ü\n".encode()),
        coprocctl("paste", "chat", stdin=b"c"),
    ):
        assert done.returncode == 0
    assert [request["params"]["text"] for request in server.requests] == ["a b", "ü\n", "c"]
    assert coprocctl("paste", "chat", stdin=b"\xff").returncode == 2


def session(**more: Any) -> dict[str, Any]:
    """A session as `session.list` has it."""
    coprocess = {"command": "./answer.py", "state": "running", "silent": True, "stalled": False}
    return {
        **{
            "id": "5e551011",
            "name": "chat",
            "argv": ["sh", "-c", "echo hi"],
            "pid": 7,
            "state": "running",
            "exit_status": None,
            "signal": None,
        },
        **{"rows": 24, "cols": 80, "created_at": 0.0, "paused": None, "coprocess": coprocess, "observers": 2, **more},
    }


def test_a_name_with_control_and_bidi_characters_is_listed_escaped(peer: StartPeer, coprocctl: Command) -> None:
    hostile = session(
        name="\x1b]0;x\x07\u202e",
        argv=["sh", "\x9b31m"],
        coprocess={"command": "a\nb", "state": "running", "silent": False, "stalled": False},
    )
    peer(lambda request: {"result": [hostile]})
    lines = coprocctl.text("list").splitlines()
    assert len(lines) == 2
    assert "\\e]0;x\\x07\\u202e" in lines[1] and "a\\nb, 2 observers" in lines[1] and "'\\x9b31m'" in lines[1]
    assert coprocctl("--json", "list").stdout.isascii()


def test_the_table_of_sessions_names_state_size_and_coprocess(peer: StartPeer, coprocctl: Command) -> None:
    gone = session(id="dead0000", name="old", state="exited", exit_status=3, pid=None, coprocess=None, observers=0)
    peer(lambda request: {"result": [session(), gone]})
    head, first, second = coprocctl.text("list").splitlines()
    assert head.split() == ["ID", "NAME", "STATE", "PID", "SIZE", "AGE", "COPROCESS", "COMMAND"]
    assert first.startswith("5e551011  chat  running   7    24x80")
    assert first.endswith("./answer.py (silent), 2 observers  sh -c 'echo hi'")
    assert "exited 3  -" in second
    assert coprocctl.text("list", "--names").split() == ["chat", "old"]


def test_close_closes_all_and_fails_as_the_first_failure_did(peer: StartPeer, coprocctl: Command) -> None:
    def script(request: dict[str, Any]) -> dict[str, Any]:
        name = request["params"]["session"]
        return {"result": {"id": name}} if name == "b" else refusal("session_not_found", f"no session {name}")

    server = peer(script)
    done = coprocctl("--json", "close", "a", "b", "c", "--grace", "0.5")
    assert done.returncode == 3
    assert json.loads(done.stdout) == [{"id": "b"}]
    assert [request["params"] for request in server.requests] == [{"session": name, "grace_s": 0.5} for name in "abc"]


def test_events_go_on_where_they_were_after_a_restart(peer: StartPeer, coprocctl: Command) -> None:
    def event(seq: int) -> dict[str, Any]:
        return {
            "method": "event",
            "params": {
                "subscription": "s",
                "result": {"seq": seq, "epoch": "e", "time": 0.0, "type": "input", "session": "5e55", "bytes": 3},
            },
        }

    def script(request: dict[str, Any]) -> list[dict[str, Any]] | None:
        if len(server.requests) == 1:
            return [{"result": {"subscription": "s", "seq": 4, "epoch": "e"}}, event(5)]
        if len(server.requests) == 2:
            return None
        return [{"result": {"subscription": "t", "seq": 5, "epoch": "e"}}, event(6)]

    server = peer(script)
    with coprocctl.spawn("events", "--types", "input,bell", "--json") as process:
        assert process.stdout and process.stderr
        assert json.loads(process.stdout.readline())["seq"] == 5
        process.send_signal(2)
        assert process.wait(30) == 130
        assert process.stderr.read() == b""
    assert server.requests[0]["params"] == {"types": ["input", "bell"]}


def test_an_event_is_one_line_that_nothing_in_it_can_break() -> None:
    from coprocctl.commands.events import line

    event = {
        "seq": 12,
        "epoch": "e",
        "time": 0.0,
        "type": "coprocess.ended",
        "session": "5e55",
        "stderr": "a b\n\x1b[31m",
        "exit_status": 0,
        "signal": None,
    }
    shown = line(event, False)
    assert shown.isprintable()
    assert shown.endswith('coprocess.ended     5e55  stderr="a b\\n\\u001b[31m" exit_status=0')
    assert json.loads(line(event, True)) == event
