"""The loads of an ordeal, each with its checks. State of a new kind joins as a part of its own."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

from support.live import RpcError
from support.numbered import END, OVER, PROGRAM, RECORD_BYTES, Check, content, raised
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
        try:
            self.live.call("session.signal", session=self.session, signal="TERM")  # for where the end was lost
        except RpcError as error:
            assert error.code == "session_exited", error  # it was not
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


class Triggered(Part):
    """A job whose lines, which are long unfinished, fire triggers of all kinds; that the daemon died does not show in what they did.

    Marks and typed text come exactly once for each line, and so does what an instant trigger does while the line is unfinished.
    A command runs at most once: `not_run` are those that a daemon took with it.
    """

    LIMITS: ClassVar[dict[str, float]] = {"trigger_fires_per_s": 100_000, "session_fires_per_s": 100_000}
    """What its daemon is to have: lines that came while there was none are matched all at once."""

    COOLDOWN_S = 1.5

    def begin(self) -> None:
        self._marked: dict[int, tuple[int, int]] = {}
        self._end = 0
        self.not_run: set[int] = set()
        whole = r"^line (\d+) \.\.\. end$"
        append = ["/bin/sh", "-c", 'echo "$1" >> "$0"', str(self.place / "run"), r"\1"]
        triggers = [
            {"name": "mark", "regex": whole, "action": "capture", "parameter": r"\1"},
            {"name": "type", "regex": whole, "action": "send_text", "parameter": r"[\1]"},
            {"name": "instant", "regex": r"^line (\d+) ", "action": "send_text", "parameter": r"<\1>", "instant": True},
            {"name": "once", "regex": r"^line (\d*7) ", "action": "send_text", "parameter": r"{\1}", "once": True},
            {"name": "cooldown", "regex": whole, "action": "annotate", "parameter": r"\1", "cooldown_s": self.COOLDOWN_S},
            {"name": "run", "regex": r"^line (\d*[05]) ", "action": "run_command", "parameter": append},
        ]
        self.session = self.live.create(*PROGRAM, "lines", str(self.place / "lines"), name="triggered", triggers=triggers)

    def looks(self) -> dict[str, Any]:
        triggers = self.client.call("trigger.list", session=self.session)
        return self.identity(self.session) | {"triggers": [(trigger["id"], trigger["name"]) for trigger in triggers]}

    def go_on(self) -> None:
        self.look_once()
        self._look_at_marks()
        self._end = self.client.call("session.read", session=self.session, from_offset=self._end, wait_s=0.1)["next_offset"]

    def _look_at_marks(self) -> None:
        """Those that are kept now: of each line one, in order, and where it was before."""
        marks = self.client.call("session.marks", session=self.session)
        found = {int(mark["name"]): (mark["offset"], mark["end"]) for mark in marks if mark["kind"] == "capture"}
        numbers = [int(mark["name"]) for mark in marks if mark["kind"] == "capture"]
        assert numbers == list(range(min(numbers, default=0), max(numbers, default=-1) + 1)), f"marks of the lines {numbers}"
        assert min(numbers, default=0) <= len(self._marked), "marks have gone that were not looked at"
        assert all(self._marked.get(number, place) == place for number, place in found.items())
        self._marked |= found
        cooled = [mark["created_at"] for mark in marks if mark["kind"] == "annotation"]
        assert all(after - before >= self.COOLDOWN_S - 0.01 for before, after in pairwise(cooled)), f"fired at {cooled}"

    def finish(self) -> list[Tally]:
        self.live.call("session.send_text", session=self.session, text=END.decode(), key="no more")
        self.live.output(self.session, OVER)
        self.live.call("session.send_text", session=self.session, text=END.decode(), key="the end")
        self._look_at_marks()
        fired = {trigger["name"]: trigger["fired"] for trigger in self.live.call("trigger.list", session=self.session)}
        while any(command["state"] == "running" for command in self.live.call("command.list", session=self.session)):
            pass
        done = self.report(self.place / "lines")
        starts = done["starts"]
        lines = range(len(starts))
        typed = {kind: [int(number) for number in re.findall(kind, done["typed"])] for kind in (r"\[(\d+)\]", r"<(\d+)>", r"\{(\d+)\}")}
        each, instant, once = typed.values()
        ran = [int(number) for number in (self.place / "run").read_text().split()]
        self.not_run = {number for number in lines if number % 5 == 0} - set(ran)
        places = [(start, start + len(f"line {number} ... end")) for number, start in enumerate(starts)]
        return [
            _counted("marks", list(self._marked), lines, [self._marked.get(number) for number in lines] == places),
            _counted("typed by a trigger", each, lines, fired["type"] == len(lines)),
            _counted("typed by an instant one", instant, lines, fired["instant"] == len(lines)),
            _counted("typed once", once, range(7, 8), fired["once"] == 1),
            Tally("commands", len(ran), 0, len(ran) - len(set(ran))),
        ]


def _counted(name: str, found: Sequence[int], expected: Sequence[int], exact: bool) -> Tally:
    """A tally of numbers, in place of bytes."""
    lost = len(set(expected) - set(found))
    return Tally(name, len(found), lost, len(found) - len(set(found)), exact and list(found) == list(expected))
