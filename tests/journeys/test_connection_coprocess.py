"""A connection that is a coprocess: the same slot, start, silence, backpressure and end as a job's."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from coprocctl.exits import Refused
from support.connected import Connected, coprocess
from support.live import EVERY_BYTE, Live, live

MIB = 1 << 20
PAGE = (Path(__file__).parent.parent.parent / "docs/coprocesses.md").read_text()
BOTS = [block for block in re.findall(r"^```python\n(.*?)^```", PAGE, re.M | re.S) if "/coprocess?" in block]
BIG = 64


@pytest.fixture(scope="module")
def hasty() -> Iterator[Live]:
    """A daemon that loses patience soon."""
    with live(stall_timeout_s=1, not_reading_s=1, close_grace_s=0.5) as started:
        yield started


def test_it_answers_what_the_session_asks(daemon: Live) -> None:
    session = daemon.create(shell='while :; do echo "Are you there?"; read a; echo "got: $a"; sleep 1; done')
    with Connected(daemon, session, from_=0) as bot:
        bot.read(b"there?\r\n")
        bot.type(b"Yes\n")
        daemon.output(session, b"got: Yes")
    assert daemon.ended(session)["typed_bytes"] == 4
    daemon.call("session.close", session=session)


@pytest.mark.parametrize("bot", BOTS, ids=["with aiohttp", "with the standard library"])
def test_the_bots_of_the_page_answer(daemon: Live, bot: str) -> None:
    session = daemon.create(shell='while :; do echo "Are you there?"; read a; echo "got: $a"; sleep 1; done')
    daemon.output(session, b"there?")
    with subprocess.Popen([sys.executable, "-c", bot, session], env=daemon.environment | {"SOCK": daemon.socket}) as running:
        daemon.output(session, b"got: Yes")
        daemon.call("coprocess.stop", session=session)
        assert running.wait(30) == 0
    assert coprocess(daemon, session)["command"] == "bot"
    daemon.call("session.close", session=session)


def test_it_is_shown_and_told_of_as_a_coprocess_of_a_connection(daemon: Live, echo: str) -> None:
    with Connected(daemon, echo, name="bot", command="a bot", on_stall="wait") as bot:
        started = daemon.client.event("coprocess.started", session=echo)["coprocess"]
        shown = coprocess(daemon, echo)
        assert shown["id"] == started["id"] == daemon.call("session.get", session=echo)["coprocess"]["id"]
        assert (shown["command"], shown["name"], shown["pid"], shown["started_by"]) == ("a bot", "bot", None, "connection")
        assert (shown["state"], shown["started_offset"]) == ("running", len(b"ready\n"))
        bot.type(b"hello")
        bot.read(b"hello")
    end = daemon.ended(echo)
    assert (end["end_reason"], end["consumed_offset"], end["undelivered_bytes"]) == ("connection_lost", len(b"ready\nhello"), 0)
    assert (end["exit_status"], end["signal"], end["stderr"]) == (None, None, "")


def test_64_mb_of_every_byte_value_come_as_an_exact_run_from_byte_0(daemon: Live, tmp_path: Path) -> None:
    session = daemon.create(sys.executable, "-c", EVERY_BYTE, str(BIG), str(tmp_path / "sum"))
    with Connected(daemon, session, from_=0) as bot:
        daemon.go(session)
        assert bot.end().reason == "session_ended"
        assert hashlib.sha256(bot.data).hexdigest() == (tmp_path / "sum").read_text()
    end = daemon.ended(session)
    assert (end["end_reason"], end["consumed_offset"], end["undelivered_bytes"]) == ("session_ended", BIG * MIB, 0)


def test_64_mb_of_every_byte_value_are_typed_whole_and_eof_says_when(daemon: Live) -> None:
    session = daemon.create(shell=f"stty raw -echo; echo ready; head -c {BIG * MIB} | sha256sum; sleep 100")
    daemon.output(session, b"ready\n")
    block = bytes(range(256)) * 4096
    with Connected(daemon, session) as bot:
        for _ in range(BIG):
            bot.type(block)
        bot.eof()
        assert bot.end().reason == "stdout_closed"
    end = daemon.ended(session)
    assert (end["end_reason"], end["typed_bytes"]) == ("stdout_closed", BIG * MIB)
    assert hashlib.sha256(block * BIG).hexdigest().encode() in daemon.output(session, b"-\n")
    daemon.call("session.close", session=session)


def test_what_it_sent_before_its_close_frame_is_typed(daemon: Live) -> None:
    session = daemon.create(shell=f"stty raw -echo; echo ready; head -c {MIB} | sha256sum")
    daemon.output(session, b"ready\n")
    data = os.urandom(MIB)
    with Connected(daemon, session) as bot:
        bot.type(data)
        bot.close()
        assert bot.end().code == 1000
    end = daemon.ended(session)
    assert (end["end_reason"], end["typed_bytes"]) == ("exited", MIB)
    assert hashlib.sha256(data).hexdigest().encode() in daemon.output(session)


@pytest.mark.parametrize(
    ("start", "seen"), [("now", b"new\n"), ("line", b"half new\n"), (0, b"one\ntwo\nhalf new\n"), (4, b"two\nhalf new\n")]
)
def test_it_begins_where_it_was_told(daemon: Live, start: str | int, seen: bytes) -> None:
    session = daemon.create(shell="stty raw -echo; printf 'one\\ntwo\\nhalf '; read a; printf 'new\\n'")
    daemon.output(session, b"half ")
    with Connected(daemon, session, from_=start) as bot:
        bot.type(b"\n")
        bot.end()
        assert bot.data == seen
    daemon.ended(session)


def test_a_second_that_types_is_refused_before_the_upgrade_and_observers_are_not(daemon: Live, echo: str) -> None:
    with Connected(daemon, echo), Connected(daemon, echo, input="false", name="looker") as observer:
        with pytest.raises(Refused) as refused:
            Connected(daemon, echo)
        assert refused.value.code == "coprocess_already_running" and "a connection" in refused.value.message
        with pytest.raises(Refused) as taken:
            Connected(daemon, echo, input="false", name="looker")
        assert taken.value.code == "name_taken"
        observer.type(b"an observer types nothing")
        daemon.call("session.send_text", session=echo, text="seen")
        observer.read(b"seen")
        assert observer.data == b"seen"
        daemon.call("coprocess.stop", session=echo, name="looker")
        assert observer.end().reason == "stopped"
    for _ in range(2):
        daemon.ended(echo)


@pytest.mark.parametrize(
    ("session", "query", "code"),
    [
        ("nobody", {}, "session_not_found"),
        ("echo", {"from": "soon"}, "invalid_params"),
        ("echo", {"from": 10**6}, "invalid_params"),
        ("echo", {"colour": "red"}, "invalid_params"),
        ("echo", {"silent": "true", "input": "false"}, "invalid_params"),
    ],
)
def test_what_cannot_be_is_an_error_as_json_before_the_upgrade(
    daemon: Live, echo: str, session: str, query: dict[str, str | int], code: str
) -> None:
    with pytest.raises(Refused) as refused:
        Connected(daemon, echo if session == "echo" else session, **query)
    assert refused.value.code == code
    assert coprocess(daemon, echo) is None


@pytest.mark.parametrize(("headers", "status"), [("", 426), ("Upgrade: websocket\r\nConnection: Upgrade\r\n", 400)])
def test_a_request_that_is_no_upgrade_starts_nothing(daemon: Live, echo: str, headers: str, status: int) -> None:
    with socket.socket(socket.AF_UNIX) as plain:
        plain.connect(daemon.socket)
        plain.sendall(f"GET /sessions/{echo}/coprocess HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n".encode())
        answer = b"".join(iter(lambda: plain.recv(65536), b""))
    assert int(answer.split()[1]) == status and b'"invalid_request"' in answer
    assert coprocess(daemon, echo) is None


async def test_200_that_come_at_once_get_one_place_and_199_refusals_and_leave_nothing(daemon: Live, echo: str) -> None:
    before = daemon.descriptors()
    async with aiohttp.ClientSession("http://x", connector=aiohttp.UnixConnector(daemon.socket, limit=0)) as http:

        async def connect(query: str) -> aiohttp.ClientWebSocketResponse | None:
            try:
                return await http.ws_connect(f"/sessions/{echo}/coprocess{query}")
            except aiohttp.WSServerHandshakeError as error:
                assert error.status == 409
                return None

        (placed,) = [connected for connected in await asyncio.gather(*(connect("") for _ in range(200))) if connected is not None]
        observers = await asyncio.gather(*(connect("?input=false") for _ in range(200)))
        await placed.send_bytes(b"to all of them")
        for connected in (placed, *observers):
            assert connected is not None and (await connected.receive_bytes()) == b"to all of them"
    for _ in range(201):
        daemon.ended(echo)
    daemon.await_(lambda: daemon.descriptors() <= [before[0] + 2 * 9, before[1] + 9])  # those of the coprocesses that are remembered


def test_silence_has_an_exact_boundary_and_ends_with_a_connection_that_vanishes_in_the_middle(daemon: Live, echo: str) -> None:
    daemon.call("session.send_text", session=echo, text="before")
    daemon.output(echo, b"before")
    with Connected(daemon, echo, silent="true") as bot:
        daemon.call("session.send_text", session=echo, text="hidden")
        bot.read(b"hidden")
    end = daemon.ended(echo)
    assert (end["silent_from"], end["silent_to"], end["end_reason"]) == (12, 18, "connection_lost")
    daemon.call("session.send_text", session=echo, text="after")
    assert daemon.output(echo, b"after") == b"ready\nbeforehiddenafter"
    assert daemon.call("session.read", session=echo)["silent"] == [[12, 18]]


def test_a_close_frame_in_the_middle_of_silence_ends_it_before_the_line_that_answers(daemon: Live) -> None:
    session = daemon.create(shell="PS1='$ ' sh -i")
    daemon.output(session, b"$ ")
    with Connected(daemon, session, silent="true") as bot:
        bot.type(b"echo hidden\n")
        bot.read(b"hidden\r\n$ ")
        bot.type(b"\n")
        bot.close()
        bot.end()
    end = daemon.ended(session)
    printed = daemon.output(session, b"$ ")
    assert end["silent_from"] == 2 and printed[end["silent_to"] :] == b"$ "
    daemon.call("session.close", session=session)


def test_half_a_frame_is_its_end_and_is_not_typed(daemon: Live, echo: str) -> None:
    with Connected(daemon, echo) as bot:
        bot.type(b"whole")
        bot._socket.sendall(b"\x82\xfe\x10\x00\x00\x00\x00\x00half of it")
    end = daemon.ended(echo)
    assert (end["end_reason"], end["typed_bytes"]) == ("connection_lost", 5)
    assert daemon.output(echo, b"whole") == b"ready\nwhole"


@pytest.mark.parametrize("rubbish", [b"\xf2\x80\x00\x00\x00\x00", b"\x82\xff\x00\x00\x00\x00\x00\x20\x00\x00\x00\x00\x00\x00"])
def test_frames_that_are_none_or_too_large_end_it(daemon: Live, echo: str, rubbish: bytes) -> None:
    with Connected(daemon, echo) as bot:
        bot._socket.sendall(rubbish)
        assert bot.end().code in (1002, 1009)
    assert daemon.ended(echo)["end_reason"] == "connection_lost"


@pytest.mark.parametrize("text", ["Yes\n", "[" * 100_000])
def test_a_text_message_that_says_nothing_known_ends_it_and_says_why(daemon: Live, echo: str, text: str) -> None:
    with Connected(daemon, echo) as bot:
        bot.send_text(text)
        end = bot.end()
        assert end.code == 1003 and "binary" in end.reason
    assert daemon.ended(echo)["typed_bytes"] == 0


@pytest.mark.parametrize("politely", [True, False])
def test_stop_closes_the_connection_and_says_so(hasty: Live, politely: bool) -> None:
    session = hasty.create("cat")
    with Connected(hasty, session) as bot:
        call = hasty.client.send("coprocess.stop", session=session)
        if politely:
            assert (bot.end().code, bot.last and bot.last.reason) == (1000, "stopped")
        assert hasty.client.answer(call) == {"stopped": True}
    assert coprocess(hasty, session)["end_reason"] == "stopped"
    hasty.call("session.close", session=session)


def test_one_that_never_reads_pauses_its_session_alone_and_is_ended(hasty: Live) -> None:
    other = hasty.raw_cat()
    session = hasty.create("yes", log_bytes=65536)
    with Connected(hasty, session):
        while not (paused := hasty.call("session.get", session=session)["paused"]):
            pass
        assert paused == {"why": "coprocess", "by": coprocess(hasty, session)["id"]}
        hasty.call("session.send_text", session=other, text="alive")
        hasty.output(other, b"alive")
        end = hasty.ended(session)
    assert end["end_reason"] == "not_reading" and end["undelivered_bytes"] > 0
    while hasty.call("session.get", session=session)["paused"]:
        pass
    for each in (session, other):
        hasty.call("session.close", session=each)


def test_a_ring_of_a_writer_and_an_echoing_client_is_ended_as_stalled(hasty: Live) -> None:
    session = hasty.create(shell="stty raw -echo; exec yes")
    with Connected(hasty, session) as bot:
        while not bot.unsent_bytes:
            bot.send_binary(b"y\n" * 4096)  # and reads nothing
        assert hasty.client.event("coprocess.stalled", session=session)["coprocess"]["stalled"]
        assert hasty.ended(session)["end_reason"] == "stalled"
    hasty.call("session.close", session=session)


def test_what_the_session_printed_last_is_waited_for_though_the_client_is_slow_to_take_it(hasty: Live, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.write_bytes(os.urandom(600_000))
    session = hasty.create(shell=f"stty raw -echo; read a; cat {data}")
    with Connected(hasty, session, from_=0) as bot:
        hasty.go(session, "\n")
        hasty.client.event("session.exited", session=session)
        assert bot.end().reason == "session_ended"
        assert bot.data == data.read_bytes()
    end = hasty.ended(session)
    assert (end["consumed_offset"], end["undelivered_bytes"]) == (600_000, 0)


def test_when_the_daemon_is_killed_the_connection_is_lost_and_the_session_goes_on(tmp_path: Path) -> None:
    with live() as daemon:
        session = daemon.raw_cat()
        before = daemon.descriptors()
        with Connected(daemon, session, silent="true") as bot:
            daemon.call("session.send_text", session=session, text="hidden")
            bot.read(b"hidden")
            daemon.kill()
            assert bot.end().code == 1006
        end = coprocess(daemon, session)
        assert (end["end_reason"], end["state"], end["silent_from"], end["silent_to"]) == ("connection_lost", "ended", 6, 12)
        with Connected(daemon, session) as bot:
            bot.type(b"again")
            bot.read(b"again")
        daemon.ended(session)
        assert daemon.call("session.read", session=session)["silent"] == [[6, 12]]
        daemon.await_(lambda: daemon.descriptors() <= [before[0] + 2 * 2, before[1] + 2])  # those of the two that are remembered


def test_when_the_daemon_is_restarted_the_client_is_told(tmp_path: Path) -> None:
    with live() as daemon:
        session = daemon.create("cat")
        with Connected(daemon, session) as bot:
            daemon.restart()
            assert bot.end().code == 1001
        assert coprocess(daemon, session)["end_reason"] == "connection_lost"


def test_when_the_keeper_is_killed_it_goes_on_and_the_next_keeper_knows_of_it() -> None:
    with live() as daemon:
        session = daemon.raw_cat()
        with Connected(daemon, session, silent="true") as bot:
            keeper = daemon.pids()[1]
            os.kill(keeper, signal.SIGKILL)
            daemon.await_(lambda: daemon.pids()[1] != keeper)
            bot.type(b"still")
            bot.read(b"still")
            daemon.kill()
            assert bot.end().code == 1006
        end = coprocess(daemon, session)
        assert (end["end_reason"], end["silent_from"], end["silent_to"], end["typed_bytes"]) == ("connection_lost", 6, 11, 5)
