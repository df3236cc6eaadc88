"""How much a client is sent that is slow to read, or to acknowledge."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import pytest
from support.attached import Attached
from support.live import Live, live
from test_attach_resume import BURST, BURSTS

from coprocd.protocol.attach import ACK_WINDOW_BYTES


@pytest.fixture(scope="module")
def daemon() -> Iterator[Live]:
    with live() as started:
        started.loaded()
        yield started


@pytest.fixture
def session(daemon: Live) -> Iterator[str]:
    """One that prints 256 KiB for each byte that is typed."""
    session = daemon.create(sys.executable, "-c", BURSTS)
    daemon.output(session, b"ready\n")
    yield session
    daemon.call("session.close", session=session)


def ready(daemon: Live, session: str, **query: object) -> Attached:
    client = Attached(daemon.socket, session, **query)
    client.drawn()
    while client.offset < printed(daemon, session):
        client.next()
    return client


def printed(daemon: Live, session: str) -> int:
    return int(daemon.call("session.get", session=session)["output_offset"])


def flood(daemon: Live, session: str, bursts: int) -> int:
    """Has it print so much; where its output ends then."""
    end = printed(daemon, session) + bursts * BURST
    daemon.call("session.send_text", session=session, text="g" * bursts)
    daemon.await_(lambda: printed(daemon, session) == end)
    return end


def sent(daemon: Live, session: str) -> int:
    (client,) = daemon.call("session.get", session=session)["clients"]
    return int(client["offset"])


def test_who_acks_is_sent_no_more_than_a_window_beyond(daemon: Live, session: str) -> None:
    client = ready(daemon, session)
    start = client.offset
    client.say(type="ack", offset=start)
    end = flood(daemon, session, 12)
    while client.offset < start + ACK_WINDOW_BYTES:
        assert isinstance(client.next(), bytes)
    assert sent(daemon, session) == client.offset == start + ACK_WINDOW_BYTES
    client.say(type="ack", offset=start + 1)
    assert client.next() is not None and client.offset == start + ACK_WINDOW_BYTES + 1
    client.say(type="ack", offset=1 << 60)
    while client.offset < end:
        assert isinstance(client.next(), bytes)
    client.close()


def test_who_does_not_ack_in_time_is_shown_the_screen_once_it_does_and_its_window_goes_on(daemon: Live, session: str) -> None:
    client = ready(daemon, session)
    start = client.offset
    client.say(type="ack", offset=start)
    flood(daemon, session, 12)
    while client.offset < start + ACK_WINDOW_BYTES:
        assert isinstance(client.next(), bytes)
    end = flood(daemon, session, 20)
    assert sent(daemon, session) == start + ACK_WINDOW_BYTES
    client.say(type="ack", offset=start + 1000)
    snapshot = client.next()
    assert isinstance(snapshot, dict) and (snapshot["type"], snapshot["reason"], snapshot["offset"]) == ("snapshot", "lag", end)
    client.next()
    flood(daemon, session, 1)
    while client.offset < end + 1000:  # so much was acked of the window, and no more
        assert isinstance(client.next(), bytes)
    assert sent(daemon, session) == end + 1000
    client.say(type="ack", offset=end + 1000)
    while client.offset < end + BURST:
        assert isinstance(client.next(), bytes)
    client.close()


def test_one_that_wants_to_be_no_further_behind_is_not(daemon: Live, session: str) -> None:
    client = ready(daemon, session, lag_bytes=1 << 16)
    flood(daemon, session, 8)
    assert client.message("snapshot")["reason"] == "lag"
    client.close()


def test_one_that_is_stuck_can_be_sent_away_and_keeps_no_daemon_from_its_end(daemon: Live, session: str) -> None:
    stuck = [ready(daemon, session) for _ in range(2)]
    flood(daemon, session, 8)
    client = stuck[0].messages[0]["client"]
    daemon.call("session.detach", session=session, client=client)
    assert daemon.client.event("client.detached", client=client)["by"] == "request"
    begun = time.monotonic()
    daemon.restart()
    assert time.monotonic() - begun < 15
    for each in stuck:
        each.close()


TRICKLE = """
import sys, time
sys.stdin.readline()
for number in range(6000):
    print("%0199d" % number, flush=True)
    time.sleep(0.0001)
"""


def test_what_trickles_past_one_that_does_not_read_is_all_there_when_it_does(daemon: Live) -> None:
    """Pieces small enough to be sent in the turn in which they come, which is why the job takes a breath after each; in all more than socket and
    transport take."""
    session = daemon.create(sys.executable, "-c", TRICKLE)
    client = ready(daemon, session)
    start = client.offset
    daemon.call("session.send_text", session=session, text="\n")
    daemon.client.event("session.exited", session=session)
    output = daemon.output(session)
    client.shown.clear()
    client.to_the_end()
    assert client.closed is not None and client.closed[0] == 1000
    assert len(output) > 1_000_000
    assert client.shown == output[start:]
    assert all(message["type"] != "snapshot" for message in client.messages[2:])
    client.close()
