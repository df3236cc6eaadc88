"""The attach stream: what comes, in which order, and what a client may do."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import pytest
from support.attached import Attached, Refused
from support.live import RAW_CAT, Live, RpcError, live


@pytest.fixture(scope="module")
def daemon() -> Iterator[Live]:
    with live() as started:
        started.loaded()
        yield started


def attach(daemon: Live, session: str, **query: object) -> Attached:
    """A client that was told all that it is told first."""
    client = Attached(daemon.socket, session, **query)
    if "since" not in query:
        client.drawn()
    return client


def test_it_begins_with_attached_then_the_screen_then_what_is_printed(daemon: Live) -> None:
    session = daemon.raw_cat()
    client = Attached(daemon.socket, session, rows=30, cols=100)
    assert b"Sec-WebSocket-Protocol: coprocd.attach.v1" in client.head
    attached, snapshot, screen = client.next(), client.next(), client.next()
    assert isinstance(attached, dict) and attached["type"] == "attached"
    assert attached["session"]["id"] == session and attached["protocol"] == {"min": 1, "max": 1}
    assert (attached["session"]["rows"], attached["session"]["cols"]) == (30, 100)
    assert attached["epoch"] == attached["session"]["epoch"] and attached["offset"] == attached["session"]["output_offset"]
    assert isinstance(snapshot, dict) and (snapshot["type"], snapshot["reason"]) == ("snapshot", "attach")
    assert isinstance(screen, bytes)
    client.type(b"hello")
    client.until(b"hello")
    assert client.offset == daemon.call("session.get", session=session)["output_offset"]
    (shown,) = daemon.call("session.get", session=session)["clients"]
    assert (shown["id"], shown["mode"], shown["rows"], shown["cols"]) == (attached["client"], "rw", 30, 100)
    assert shown["offset"] == client.offset and shown["lag_bytes"] == 0
    client.close()
    assert daemon.client.event("client.detached", client=attached["client"])["by"] is None
    assert daemon.call("session.get", session=session)["clients"] == []


def test_the_session_is_named_as_everywhere_and_what_is_wrong_is_said_before_the_upgrade(daemon: Live) -> None:
    session = daemon.create("cat", name="named")
    for ref in ("named", session, session[:9]):
        client = attach(daemon, ref)
        assert client.messages[0]["session"]["id"] == session
        client.close()
    epoch = daemon.call("session.get", session=session)["epoch"]
    for query, status, code in (
        ({"rows": 0, "cols": 80}, 400, "invalid_params"),
        ({"rows": 24}, 400, "invalid_params"),
        ({"mode": "wx"}, 400, "invalid_params"),
        ({"colour": 1}, 400, "invalid_params"),
        ({"since": 0}, 400, "invalid_params"),
        ({"since": -1, "epoch": epoch}, 400, "invalid_params"),
        ({"since": 1 << 40, "epoch": epoch}, 400, "invalid_params"),
        ({"injected": 0}, 400, "invalid_params"),
    ):
        with pytest.raises(Refused) as refused:
            attach(daemon, session, **query)
        assert (refused.value.status, refused.value.error["data"]["code"]) == (status, code), query
    with pytest.raises(Refused) as refused:
        attach(daemon, "nobody")
    assert (refused.value.status, refused.value.error["data"]["code"]) == (404, "session_not_found")
    daemon.call("session.close", session=session)


def test_what_is_silent_is_passed_over_and_said_only_before_what_follows(daemon: Live) -> None:
    session = daemon.raw_cat()
    client = attach(daemon, session)
    client.type(b"before")
    client.until(b"before")
    daemon.call("coprocess.run", session=session, command="head -c 6 > /dev/null; exec sleep 100", silent=True)
    assert client.message("coprocess")["coprocess"]["silent"]
    begun = client.offset
    client.type(b"unseen")
    daemon.output(session, b"unseen")
    daemon.call("coprocess.stop", session=session)
    assert client.message("coprocess")["coprocess"] is None
    assert client.offset == begun
    client.type(b"after")
    assert client.message("offset", reason="silent")["offset"] == begun + len(b"unseen")
    client.until(b"after")
    assert b"unseen" not in client.shown
    client.close()
    daemon.call("session.close", session=session)


def test_injected_bytes_stand_between_two_offsets_that_are_equal(daemon: Live) -> None:
    session = daemon.raw_cat()
    client = attach(daemon, session)
    while client.offset < daemon.call("session.get", session=session)["output_offset"]:
        client.next()
    at = client.offset
    daemon.call("session.inject", session=session, data_b64=base64.b64encode(b"from outside").decode())
    before, data, behind = client.next(), client.next(), client.next()
    assert isinstance(before, dict) and isinstance(behind, dict)
    assert (
        before | {"injected": None} == behind | {"injected": None} == {"type": "offset", "offset": at, "reason": "inject", "injected": None}
    )
    assert data == b"from outside" and behind["injected"] == before["injected"] + 1
    again = attach(daemon, session, since=at, epoch=client.epoch, injected=before["injected"])
    again.until(b"from outside")
    later = attach(daemon, session, since=at, epoch=client.epoch, injected=behind["injected"])
    later.type(b"typed")
    later.until(b"typed")
    assert b"from outside" not in later.shown
    for each in (client, again, later):
        each.close()
    daemon.call("session.close", session=session)


def test_what_happens_to_the_session_is_told_in_its_place(daemon: Live) -> None:
    session = daemon.create(
        shell=RAW_CAT,
        triggers=[
            {"regex": "title:(.*)", "action": "set_title", "parameter": r"\1"},
            {"regex": "note:(.*)", "action": "notify", "parameter": r"\1"},
            {"regex": "alert:(.*)", "action": "alert", "parameter": r"\1"},
        ],
    )
    daemon.output(session, b"ready\n")
    client = attach(daemon, session)
    client.type(b"title:one\r\n")
    assert client.message("title")["title"] == "one" and client.shown.endswith(b"title:one\r\n")
    client.type(b"note:two\r\n")
    assert client.message("notification") == {"type": "notification", "text": "two", "alert": False}
    client.type(b"alert:three\r\n")
    assert client.message("notification")["alert"] is True
    daemon.call("session.resize", session=session, rows=33, cols=99)
    assert client.message("resize") == {"type": "resize", "rows": 33, "cols": 99}
    another = Attached(daemon.socket, session)
    kinds = [another.next() for _ in range(4)]
    assert [kind["type"] if isinstance(kind, dict) else "screen" for kind in kinds] == ["attached", "snapshot", "screen", "title"]
    for each in (client, another):
        each.close()
    daemon.call("session.close", session=session)


def test_the_coprocess_and_what_it_moves_are_told(daemon: Live) -> None:
    session = daemon.raw_cat()
    client = attach(daemon, session)
    daemon.call("coprocess.run", session=session, command="head -c 5 > /dev/null; printf typed; exec sleep 100")
    running = client.message("coprocess")["coprocess"]
    assert (running["state"], running["typed_bytes"]) == ("running", 0)
    client.type(b"hello")
    moved = client.message("coprocess")["coprocess"]
    while moved["typed_bytes"] != 5 or moved["consumed_offset"] - moved["started_offset"] < 5:
        moved = client.message("coprocess")["coprocess"]
    another = attach(daemon, session, mode="ro")
    assert another.message("coprocess")["coprocess"]["id"] == running["id"]
    daemon.call("coprocess.stop", session=session)
    for each in (client, another):
        assert each.message("coprocess")["coprocess"] is None
        each.close()
    daemon.call("session.close", session=session)


def test_why_nothing_comes_is_told_to_those_who_are_there_and_who_come(daemon: Live) -> None:
    session = daemon.create("yes", log_bytes=65536)
    client = attach(daemon, session)
    coprocess = daemon.call("coprocess.run", session=session, command="exec sleep 100", on_stall="wait")
    paused = client.message("paused")["paused"]
    assert paused == {"why": "coprocess", "by": coprocess["id"]}
    another = attach(daemon, session)
    assert another.message("paused")["paused"] == paused
    daemon.call("coprocess.stop", session=session, grace_s=0)
    for each in (client, another):
        assert each.message("paused")["paused"] is None
        each.close()
    daemon.call("session.close", session=session)


def test_one_that_only_looks_on_types_nothing_and_is_told(daemon: Live) -> None:
    session = daemon.raw_cat()
    client, looker = attach(daemon, session, rows=20, cols=70), attach(daemon, session, mode="ro", rows=50, cols=150)
    looker.type(b"from the one who looks on")
    assert looker.message("error")["code"] == "permission_denied"
    client.type(b"typed")
    looker.until(b"typed")
    assert b"looks on" not in daemon.output(session, b"typed")
    assert daemon.call("session.get", session=session)["cols"] == 70
    assert {shown["mode"]: shown["cols"] for shown in daemon.call("session.get", session=session)["clients"]} == {"rw": 70, "ro": 150}
    for each in (client, looker):
        each.close()
    daemon.call("session.close", session=session)


def test_a_message_that_makes_no_sense_is_answered_and_ends_nothing(daemon: Live) -> None:
    session = daemon.raw_cat()
    client = attach(daemon, session)
    for message in ({"type": "dance"}, {"type": "resize", "rows": 0, "cols": 1}, {"type": "ack", "offset": -1}, {"type": "ack"}):
        client.say(**message)
        assert client.message("error")["code"] == "invalid_params"
    client.type(b"typed")
    client.until(b"typed")
    client.close()
    daemon.call("session.close", session=session)


def test_what_a_client_types_is_an_event_with_its_name_and_a_line_that_would_be_cut_is_refused(daemon: Live) -> None:
    session = daemon.create("cat")
    client = attach(daemon, session)
    id = client.messages[0]["client"]
    client.type(b"hello\r")
    assert daemon.client.event("input", session=session) | {"seq": 0, "epoch": "", "time": 0} == {
        **{"seq": 0, "epoch": "", "time": 0, "type": "input", "session": session},
        **{"origin": f"client {id}", "bytes": 6},
    }
    client.type(b"x" * 10_000)
    assert client.message("error")["code"] == "line_too_long"
    client.type(b"still there\r")
    client.until(b"still there")
    client.close()
    daemon.call("session.close", session=session)


def test_the_whole_screen_is_sent_again_to_one_that_asks(daemon: Live) -> None:
    session = daemon.raw_cat()
    client, other = attach(daemon, session), attach(daemon, session)
    client.say(type="redraw")
    snapshot, screen = client.message("snapshot"), client.next()
    assert (snapshot["reason"], snapshot["offset"]) == ("attach", client.offset) and b"ready" in screen
    client.type(b"goes on")
    for one in (client, other):
        one.until(b"goes on")
        one.close()


def test_a_client_may_go_or_be_sent_away_and_the_session_goes_on(daemon: Live) -> None:
    session = daemon.raw_cat()
    one, two, three = (attach(daemon, session) for _ in range(3))
    ids = [each.messages[0]["client"] for each in (one, two, three)]
    one.say(type="detach")
    one.to_the_end()
    assert (one.messages[-1], one.closed) == ({"type": "detached", "by": "client"}, (1000, "detached"))
    assert daemon.client.event("client.detached", client=ids[0])["by"] == "client"
    with pytest.raises(RpcError) as refused:
        daemon.call("session.detach", session=session, client=ids[0])
    assert refused.value.code == "invalid_params"
    assert daemon.call("session.detach", session=session, client=ids[1]) == {"clients": [ids[1]]}
    two.to_the_end()
    assert (two.messages[-1], two.closed) == ({"type": "detached", "by": "request"}, (1000, "detached"))
    assert json.loads(daemon.command("--json", "detach", session)) == {"clients": [ids[2]]}
    three.to_the_end()
    daemon.client.event("client.detached", client=ids[2], by="request")
    assert daemon.call("session.get", session=session)["clients"] == []
    daemon.call("session.close", session=session)


@pytest.mark.parametrize(
    ("command", "how"),
    [("printf 'the last words'; exit 7", {"exit_status": 7, "signal": None}), ("kill -HUP $$", {"exit_status": None, "signal": "SIGHUP"})],
)
def test_the_end_comes_after_the_last_byte(daemon: Live, command: str, how: dict[str, object]) -> None:
    session = daemon.create(shell=f"read go; {command}")
    client, slow = attach(daemon, session), attach(daemon, session, mode="ro")
    client.type(b"\r")
    for each in (client, slow):
        each.to_the_end()
        assert each.closed == (1000, "the session has ended") and each.messages[-1] == {"type": "exit"} | how
        assert each.frames[-1] is each.messages[-1] and ("printf" not in command or each.shown.endswith(b"the last words"))
    late = attach(daemon, session)
    late.to_the_end()
    assert [message["type"] for message in late.messages] == ["attached", "snapshot", "exit"]
    again = attach(daemon, session, since=0, epoch=late.epoch)
    again.to_the_end()
    assert again.shown == daemon.output(session)
    daemon.call("session.close", session=session)


def test_a_session_that_is_closed_ends_its_clients(daemon: Live) -> None:
    session = daemon.create("cat")
    client = attach(daemon, session)
    daemon.call("session.close", session=session)
    client.to_the_end()
    assert client.messages[-1]["type"] == "exit" and client.closed == (1000, "the session has ended")
