"""A slow, stuck or looping coprocess costs its own session at most, and no memory."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.live import EVERY_BYTE, Live, RpcError, live, resident_bytes

GROWTH_MOST = 16 << 20


@pytest.fixture(scope="module")
def hasty() -> Iterator[Live]:
    """A daemon that loses patience soon."""
    with live(stall_timeout_s=1, not_reading_s=1, close_grace_s=0.5) as started:
        yield started


def echoes(daemon: Live, session: str) -> bool:
    """Whether the raw cat in `session` sends a key back."""
    offset = daemon.call("session.get", session=session)["output_offset"]
    daemon.call("session.send_text", session=session, text="k")
    return bool(daemon.call("session.read", session=session, from_offset=offset, wait_s=10)["next_offset"] > offset)


def test_a_ring_of_a_writer_and_cat_is_ended_and_the_session_lives(hasty: Live) -> None:
    other = hasty.raw_cat()
    session = hasty.create(shell="stty raw -echo; exec yes")
    hasty.call("coprocess.run", session=session, command="cat")
    stalled = hasty.client.event("coprocess.stalled", session=session)["coprocess"]
    assert stalled["stalled"] and stalled["state"] == "running"
    assert echoes(hasty, other)
    end = hasty.ended(session)
    assert (end["end_reason"], end["signal"]) == ("stalled", "SIGTERM") and end["undelivered_bytes"] > 0
    offset = hasty.call("session.get", session=session)["output_offset"]
    assert hasty.call("session.read", session=session, from_offset=offset, wait_s=10)["next_offset"] > offset
    for each in (session, other):
        hasty.call("session.close", session=each)


def test_on_stall_wait_leaves_the_ring_to_whoever_breaks_it(hasty: Live) -> None:
    session = hasty.create(shell="stty raw -echo; exec yes")
    hasty.call("coprocess.run", session=session, command="cat", on_stall="wait", name="loop")
    hasty.client.event("coprocess.stalled", session=session)
    shown = hasty.call("coprocess.get", session=session)
    assert shown["stalled"] and shown["state"] == "running"
    hasty.call("coprocess.stop", session=session, name="loop")
    assert hasty.call("coprocess.get", session=session)["end_reason"] in ("stopped", "not_reading")
    hasty.call("session.close", session=session)


def test_one_that_never_reads_pauses_its_session_alone_and_is_ended(hasty: Live) -> None:
    other = hasty.raw_cat()
    session = hasty.create("yes", log_bytes=65536)
    started = hasty.call("coprocess.run", session=session, command="exec sleep 100")
    while not (paused := hasty.call("session.get", session=session)["paused"]):
        pass
    assert paused == {"why": "coprocess", "by": started["id"]} and echoes(hasty, other)
    assert hasty.ended(session)["end_reason"] == "not_reading"
    while hasty.call("session.get", session=session)["paused"]:
        pass
    for each in (session, other):
        hasty.call("session.close", session=each)


def test_one_that_does_not_read_is_left_alone_while_it_holds_nothing_up(hasty: Live) -> None:
    session = hasty.create(shell="stty -echo; head -c 500000 /dev/zero; echo done; read a; echo $a")
    hasty.call("coprocess.run", session=session, command="sleep 3; echo typed", from_=0)
    assert b"typed" in hasty.output(session, b"typed")


def test_a_slow_reader_gets_every_byte_and_its_session_goes_on(hasty: Live, tmp_path: Path) -> None:
    slow = "import hashlib,sys,time\nd=hashlib.sha256()\nwhile b:=sys.stdin.buffer.read1(200000):\n d.update(b); time.sleep(0.001)\nsys.stderr.write(d.hexdigest())"
    job = [sys.executable, "-c", EVERY_BYTE, "4", str(tmp_path / "sum")]
    session = hasty.create(*job, log_bytes=65536, coprocess={"argv": [sys.executable, "-c", slow]})
    hasty.go(session)
    assert hasty.ended(session)["stderr"] == (tmp_path / "sum").read_text()


def test_an_observer_may_drop_and_says_what_it_lost(daemon: Live, tmp_path: Path) -> None:
    session = daemon.create(shell="stty raw -echo; read a; head -c 3000000 /dev/zero; sleep 0.2; printf end", log_bytes=65536)
    gate = tmp_path / "gate"
    command = f"while [ ! -e {gate} ]; do sleep 0.05; done; wc -c >&2"
    daemon.call("coprocess.run", session=session, command=command, input=False, on_full="drop", from_=0)
    daemon.call("session.send_text", session=session, text="\n")
    daemon.client.event("session.exited", session=session)
    gate.touch()
    end = daemon.ended(session)
    lost = sum(to - begun for begun, to in end["lost"])
    assert lost > 0 and int(end["stderr"]) == 3_000_003 - lost


def test_an_observer_may_end_when_it_is_full(daemon: Live) -> None:
    session = daemon.create("yes", log_bytes=65536)
    daemon.call("coprocess.run", session=session, command="exec sleep 100", input=False, on_full="end")
    assert daemon.ended(session)["end_reason"] == "not_reading"
    daemon.call("session.close", session=session)


def test_one_that_types_may_not_drop(daemon: Live) -> None:
    session = daemon.create("cat")
    with pytest.raises(RpcError) as refused:
        daemon.call("coprocess.run", session=session, command="cat", on_full="drop")
    assert refused.value.code == "invalid_params"
    daemon.call("session.close", session=session)


def test_memory_is_flat_whether_it_reads_or_not(daemon: Live, tmp_path: Path) -> None:
    pids = daemon.pids()
    before = [resident_bytes(pid) for pid in pids]
    stuck = daemon.create("yes")
    daemon.call("coprocess.run", session=stuck, command="exec sleep 100")
    job = [sys.executable, "-c", EVERY_BYTE, "48", str(tmp_path / "sum")]
    session = daemon.create(*job, coprocess={"command": f"sha256sum > {tmp_path}/read"})
    daemon.go(session)
    daemon.ended(session)
    grown = [resident_bytes(pid) - size for pid, size in zip(pids, before, strict=True)]
    assert max(grown) < GROWTH_MOST, grown
    assert (tmp_path / "read").read_text().split()[0] == (tmp_path / "sum").read_text()
    daemon.call("session.close", session=stuck)


def test_a_flood_that_is_typed_arrives_whole(daemon: Live) -> None:
    session = daemon.create(shell="stty raw -echo; echo ready; head -c 20000000 | sha256sum")
    daemon.output(session, b"ready\n")
    daemon.call("coprocess.run", session=session, command="yes 0123456789abcdef | head -c 20000000")
    data = (b"0123456789abcdef\n" * (20_000_000 // 17 + 1))[:20_000_000]
    assert hashlib.sha256(data).hexdigest().encode() in daemon.output(session)
