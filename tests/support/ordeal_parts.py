"""The loads of an ordeal, each with its checks. State of a new kind joins as a part of its own."""

from __future__ import annotations

import base64
from typing import Any

from support.live import RpcError
from support.numbered import END, PROGRAM, RECORD_BYTES, Check, content, raised
from support.ordeal import Part, Tally


class Flood(Part):
    """A job that prints numbered bytes at full speed, to a coprocess, an observer and a reader by offset. Each knows every byte."""

    def begin(self) -> None:
        self._check = Check()
        self.session = self.live.create(
            *PROGRAM, "print", str(self.place / "printed"), name="flood", coprocess={"argv": [*PROGRAM, "check", str(self.place / "read")]}
        )
        self.live.call("coprocess.run", session=self.session, argv=[*PROGRAM, "check", str(self.place / "observed")], from_=0, input=False)

    def looks(self) -> dict[str, Any]:
        return self.identity(self.session)

    def go_on(self) -> None:
        self.look_once()
        self._read()

    def _read(self) -> bool:
        read = self.client.call("session.read", session=self.session, from_offset=self._next, max_bytes=1 << 20)
        self._check.skip(read["lost_bytes"])
        data = base64.b64decode(read["data_b64"])
        self._check.feed(data)
        self._next = read["next_offset"]
        return not read["eof"]

    _next = 0

    def finish(self) -> list[Tally]:
        self.live.call("session.send_text", session=self.session, text="g")
        while self._read():
            pass
        printed = self.report(self.place / "printed")
        tallies = [Tally("output log", self._check.bytes, self._check.lost, self._check.repeated, self._check.offset == printed["bytes"])]
        for name in ("read", "observed"):
            found = self.report(self.place / name)
            tallies.append(
                Tally(name, found["bytes"], found["lost"], found["repeated"], [found[k] for k in printed] == list(printed.values()))
            )
        assert self.live.call("session.get", session=self.session)["exit_status"] == 0
        return tallies


class Typed(Part):
    """A job into which a coprocess types numbered bytes, and a client others that are acknowledged: each sent again until it is, under one key."""

    def begin(self) -> None:
        self._sent = 0
        self.session = self.live.create(*PROGRAM, "collect", str(self.place / "typed"), name="typed")
        self.live.output(self.session, b"ready\n")
        self.live.call("coprocess.run", session=self.session, argv=[*PROGRAM, "type", str(self.place / "gate")], name="typist")

    def looks(self) -> dict[str, Any]:
        return self.identity(self.session)

    def go_on(self) -> None:
        self.look_once()
        size = self.random.randint(1, 3000)
        self._send(content(self._sent, size), f"at {self._sent}")
        self._sent += size

    def _send(self, data: bytes, key: str) -> None:
        while True:
            try:
                accepted = self.client.call(
                    "session.send_bytes", session=self.session, data_b64=base64.b64encode(raised(data)).decode(), key=key
                )
                assert accepted["accepted_bytes"] == len(data)
                return
            except RpcError as error:
                assert error.code == "input_full", error

    def finish(self) -> list[Tally]:
        (self.place / "gate").touch()
        while (coprocess := self.live.call("coprocess.get", session=self.session))["state"] != "ended":
            pass
        self._send(END, "the end")
        while not (self.place / "typed").exists() and self.live.call("session.get", session=self.session)["input_bytes"]:
            pass
        self.live.call("session.signal", session=self.session, signal="TERM")  # for where the end was lost
        found = self.report(self.place / "typed")
        lines = coprocess["stderr"].splitlines()[1:]
        typed = int(lines[-1]) * RECORD_BYTES
        told = lines == [f"{number:015d}" for number in range(int(lines[0]), int(lines[-1]) + 1, 4)]
        counted = coprocess["typed_bytes"] - len(END) == typed
        return [
            Tally(
                "typed by the coprocess",
                found["low"]["bytes"],
                found["low"]["lost"],
                found["low"]["repeated"],
                found["low"]["bytes"] == typed,
            ),
            Tally(
                "typed by the client",
                found["high"]["bytes"],
                found["high"]["lost"],
                found["high"]["repeated"],
                found["high"]["bytes"] == self._sent,
            ),
            Tally("stderr", len(coprocess["stderr"]), 0, 0, told and counted and coprocess["exit_status"] == 0),
        ]


class Still(Part):
    """What nobody touches: names, sizes, labels, variables, silent ranges, a silent coprocess, and a session that has ended."""

    def begin(self) -> None:
        self.ended = self.live.create(shell="echo bye; exit 9", name="gone")
        self.live.client.event("session.exited", session=self.ended)
        self.session = self.live.create(shell="stty raw -echo; echo ready; exec cat", name="before", labels={"a": "b"}, cols=99)
        self.live.output(self.session, b"ready\n")
        self.live.call("coprocess.run", session=self.session, command="head -c 3 >/dev/null; echo noted >&2", silent=True)
        self.live.call("session.send_text", session=self.session, text="hid")
        self.live.ended(self.session)
        self.live.call("coprocess.run", session=self.session, command="cat >/dev/null", silent=True)
        self.live.call("session.send_text", session=self.session, text="also hid", key="once")
        self._end = len(self.live.output(self.session, b"also hid"))
        while self.live.call("coprocess.get", session=self.session)["undelivered_bytes"]:
            pass
        self.live.call("session.resize", session=self.session, rows=33, cols=44)
        self.live.call("session.rename", session=self.session, name="after")

    def go_on(self) -> None:
        self.look_once()
        self.client.call("session.read", session="after", from_offset=self._end, wait_s=0.1)

    def looks(self) -> dict[str, Any]:
        again = self.client.call("session.send_text", session=self.session, text="also hid", key="once")
        ended = self.client.call("session.get", session="gone")
        return {
            "session": self.identity(self.session),
            "ended": {name: ended[name] for name in ("id", "state", "exit_status", "epoch", "output_offset", "ended_at")},
            "read": [self.client.call("session.read", session=name) for name in ("after", "gone")],
            "coprocesses": self.client.call("coprocess.list", session="after"),
            "again": again,
        }


class Crowd(Part):
    """Many sessions that do nothing: all are there, as they were, in every daemon."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    def begin(self) -> None:
        for _ in range(self.number):
            self.live.create("cat", labels={"crowd": ""})

    def go_on(self) -> None:
        self.look_once()
        self.client.call("session.read", session=self._last, from_offset=0, wait_s=0.1)

    def looks(self) -> dict[str, Any]:
        found = self.client.call("session.list", labels={"crowd": ""})
        self._last = found[-1]["id"]
        assert len(found) == self.number
        return {session["id"]: [session[name] for name in ("name", "pid", "state", "epoch", "tty")] for session in found}
