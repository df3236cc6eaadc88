"""The attach stream: what comes, in which order, and what a client may do."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.attached import Attached
from support.live import RAW_CAT, Live, live


@pytest.fixture(scope="module")
def daemon() -> Iterator[Live]:
    with live() as started:
        started.loaded()
        yield started


def attach(daemon: Live, session: str, **query: object) -> Attached:
    return Attached(daemon.socket, session, **query)


def test_it_begins_with_attached_then_the_screen_then_what_is_printed(daemon: Live) -> None:
    session = daemon.create(shell=RAW_CAT)
    daemon.output(session, b"ready\n")
    client = attach(daemon, session, rows=30, cols=100)
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
