"""A client that comes back gets exactly what it missed; one that cannot gets the screen, and is told so."""

from __future__ import annotations

import base64
import random
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress

import pytest
from support.attached import Attached
from support.live import Live, live

CUTS = 200
BURST = 256 << 10

# Prints 256 KiB of numbered lines for every byte that is typed.
BURSTS = f"""
import os, tty
tty.setraw(0)
os.write(1, b"ready\\n")
number = 0
while os.read(0, 1) != b"q":
    data = b"".join(b"%015d\\n" % line for line in range(number, number + {BURST} // 16))
    number += {BURST} // 16
    while data:
        data = data[os.write(1, data):]
"""


@pytest.fixture(scope="module")
def daemon() -> Iterator[Live]:
    with live() as started:
        started.loaded()
        yield started


class Going:
    """A client that is cut off again and again, and comes back each time: `shown` is what it was shown in all."""

    def __init__(self, daemon: Live, session: str) -> None:
        self._daemon = daemon
        self._session = session
        self.client = Attached(daemon.socket, session)
        self.client.drawn()
        self.first = self.client.offset
        self.shown = bytearray()
        self.client.shown.clear()

    def cut(self) -> None:
        """The connection ends, with whatever is in it."""
        self.client.close()
        self.shown += self.client.shown
        before = self.client
        self.client = Attached(self._daemon.socket, self._session, **before.resumes())
        attached = self.client.next()
        assert isinstance(attached, dict) and attached["offset"] == before.offset and attached["epoch"] == before.epoch

    def read(self, size: int) -> None:
        """Reads until so much more was shown."""
        until = len(self.client.shown) + size
        while len(self.client.shown) < until:
            frame = self.client.next()
            assert frame is not None
            assert not isinstance(frame, dict) or frame["type"] != "snapshot"


def the_log(daemon: Live, session: str) -> tuple[bytes, list[list[int]]]:
    """All that it has printed, and what of it is silent."""
    data, silent = b"", []
    while True:
        read = daemon.call("session.read", session=session, from_offset=len(data), max_bytes=4 << 20)
        assert read["lost_bytes"] == 0
        data += base64.b64decode(read["data_b64"])
        silent += read["silent"]
        if read["next_offset"] == daemon.call("session.get", session=session)["output_offset"]:
            return data, silent


def expected(log: bytes, first: int, silent: list[list[int]], injected: list[tuple[int, bytes]]) -> bytes:
    """What is to be shown of it from `first` on."""
    cuts = sorted({first, len(log), *(at for start_stop in silent for at in start_stop), *(offset for offset, _ in injected)})
    shown = bytearray()
    for start, stop in zip(cuts, [*cuts[1:], len(log)], strict=True):
        shown += b"".join(data for offset, data in injected if offset == start)
        if start >= first and not any(begun <= start < ended for begun, ended in silent):
            shown += log[start:stop]
    return bytes(shown)


def where_they_part(shown: bytes, wanted: bytes) -> str:
    same = next((at for at in range(min(len(shown), len(wanted))) if shown[at] != wanted[at]), min(len(shown), len(wanted)))
    return f"at {same} of {len(wanted)}: {shown[same - 40 : same + 40]!r}, not {wanted[same - 40 : same + 40]!r}"


def test_after_two_hundred_cuts_in_a_flood_it_has_every_byte_once(daemon: Live) -> None:
    """With silence and injected bytes in between. With `since` one byte off, or injections not counted, it fails at once."""
    chance = random.Random(5)
    session = daemon.create(sys.executable, "-c", BURSTS, log_bytes=2 * CUTS * BURST)
    daemon.output(session, b"ready\n")
    going = Going(daemon, session)
    injected: list[tuple[int, bytes]] = []
    for number in range(CUTS):
        daemon.call("session.send_text", session=session, text="g")
        going.read(chance.randrange(1, BURST // 4))
        if number % 5 == 0:
            data = b"[injected %d]" % number
            daemon.call("session.inject", session=session, data_b64=base64.b64encode(data).decode())
            injected.append((daemon.client.event("session.injected", session=session)["offset"], data))
        if number % 20 == 10:
            daemon.call("coprocess.run", session=session, command=f"head -c {BURST // 2} > /dev/null", silent=True)
            daemon.call("session.send_text", session=session, text="g")
            if number % 40 == 10:
                going.cut()
            daemon.ended(session)
        going.cut()
    daemon.call("session.send_text", session=session, text="q")
    going.client.to_the_end()
    assert going.client.closed == (1000, "the session has ended")
    shown = bytes(going.shown + going.client.shown)
    log, silent = the_log(daemon, session)
    wanted = expected(log, going.first, silent, injected)
    assert shown == wanted, where_they_part(shown, wanted)
    assert len(silent) >= CUTS // 20 and len(injected) == CUTS // 5
    daemon.call("session.close", session=session)


def read_to_the_end(client: Attached) -> None:
    with suppress(EOFError, ConnectionError):
        client.to_the_end()


@pytest.mark.parametrize("end", ["restart", "kill"])
def test_after_the_daemon_was_replaced_in_a_flood_it_has_exactly_what_it_missed(daemon: Live, end: str) -> None:
    session = daemon.create(sys.executable, "-c", BURSTS, log_bytes=64 << 20)
    daemon.output(session, b"ready\n")
    going = Going(daemon, session)
    daemon.call("session.inject", session=session, data_b64=base64.b64encode(b"[from before]").decode())
    going.client.until(b"[from before]")
    for _ in range(3):
        daemon.call("session.send_text", session=session, text="gggg")
        going.read(BURST)
        reader = threading.Thread(target=read_to_the_end, args=(going.client,))
        reader.start()
        getattr(daemon, end)()
        reader.join()
        assert going.client.closed == ((1001, "the daemon ends; connect again") if end == "restart" else None)
        going.cut()
    daemon.call("session.inject", session=session, data_b64=base64.b64encode(b"[from after]").decode())
    daemon.client.event("session.injected")
    going.cut()
    going.client.until(b"[from after]")
    daemon.call("session.send_text", session=session, text="q")
    going.client.to_the_end()
    shown = bytes(going.shown + going.client.shown)
    wanted, _ = the_log(daemon, session)
    for injected in (b"[from before]", b"[from after]"):
        assert shown.count(injected) == 1
        shown = shown.replace(injected, b"")
    assert shown == wanted[going.first :], where_they_part(shown, wanted[going.first :])
    daemon.call("session.close", session=session)


def test_one_whose_place_is_lost_or_of_another_epoch_gets_the_screen_and_the_reason(daemon: Live) -> None:
    session = daemon.create(sys.executable, "-c", BURSTS, log_bytes=65536)
    daemon.output(session, b"ready\n")
    client = Attached(daemon.socket, session)
    client.message("snapshot", reason="attach")
    client.next()
    place = client.resumes()
    client.close()
    daemon.call("session.send_text", session=session, text="g")
    daemon.await_(lambda: daemon.call("session.get", session=session)["output_offset"] >= place["since"] + BURST)
    lost = Attached(daemon.socket, session, **place)
    assert lost.message("attached")["offset"] == place["since"]
    assert lost.message("snapshot")["reason"] == "lag"
    foreign = Attached(daemon.socket, session, **(place | {"epoch": "another"}))
    assert foreign.message("snapshot")["reason"] == "attach"
    for each in (lost, foreign):
        each.close()
    daemon.call("session.close", session=session)
