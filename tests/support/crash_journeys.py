"""What the daemon does while it is killed at a point of it (`journeys/test_crash_points.py` has the points), and what must be true afterwards."""

from __future__ import annotations

import base64
import json
import os
import signal
from pathlib import Path
from typing import Any, ClassVar

from support.faulty import await_true, is_screen, processes
from support.live import RAW_CAT, Live, RpcError, lives
from support.numbered import END, PROGRAM, content, raised
from support.stubborn import Stubborn


class Journey:
    """One thing that the daemon does, from its beginning (`prepare`) over the crash (`act`) to what must be true (`check`)."""

    def __init__(self, daemon: Live, place: Path) -> None:
        self.daemon = daemon
        self.place = place
        self.client = Stubborn(daemon.socket)
        self.session = ""
        self.seen = 0
        place.mkdir()

    in_the_next: ClassVar[bool] = False
    """Whether it is the daemon after the one that `act` has killed which comes to the point."""

    def prepare(self) -> None:
        pass

    def act(self) -> None:
        """Sends what leads to the crash; nothing is awaited."""

    def check(self) -> None:
        pass

    def close(self) -> None:
        for session in self.client.call("session.list"):
            try:
                self.client.call("session.close", session=session["id"], grace_s=0)
            except RpcError as error:
                assert error.code == "session_not_found"
        self.client.close()

    def get(self) -> dict[str, Any]:
        found: dict[str, Any] = self.client.call("session.get", session=self.session)
        return found

    def await_coprocess(self, state: str) -> dict[str, Any]:
        while (found := self.client.call("coprocess.get", session=self.session))["state"] != state:
            pass
        return dict(found)

    def report(self, name: str) -> dict[str, Any]:
        await_true(lambda: (self.place / name).exists() and (self.place / name).read_text().endswith("}"), f"no {name}")
        found: dict[str, Any] = json.loads((self.place / name).read_text())
        return found


class Create(Journey):
    """A session with a coprocess is created, with a key."""

    ASKED: ClassVar[dict[str, Any]] = {"name": "made", "key": "k", "shell": RAW_CAT, "coprocess": {"command": "cat >/dev/null"}, "rows": 30}

    def act(self) -> None:
        self.daemon.client.send("session.create", **self.ASKED)

    def check(self) -> None:
        created = self.create()
        self.whole(created)
        assert [session["id"] for session in self.client.call("session.list")] == [created["id"]]
        daemon, keeper = self.daemon.pids()
        ours = {daemon, keeper, created["pid"], created["coprocess"]["pid"]}
        orphans = [pid for pid in processes(self.daemon) - ours if not is_screen(pid) and os.getsid(pid) not in ours]
        assert not orphans

    def create(self) -> dict[str, Any]:
        """Asks again; where the first call is still in progress, and the keeper was killed in it, both are told so."""
        try:
            created: dict[str, Any] = self.client.call("session.create", **self.ASKED)
        except RpcError as error:
            assert error.code == "spawn_failed" and "try again" in str(error)
            created = self.client.call("session.create", **self.ASKED)
        return created

    def whole(self, session: dict[str, Any]) -> None:
        assert (session["name"], session["rows"], session["state"]) == ("made", 30, "running") and lives(session["pid"])
        assert session["tty"] == os.readlink(f"/proc/{session['pid']}/fd/0")
        assert session["coprocess"] and lives(session["coprocess"]["pid"])


class RunCoprocess(Journey):
    """A silent coprocess is run from the first byte."""

    def prepare(self) -> None:
        self.session = self.daemon.raw_cat()

    def act(self) -> None:
        self.daemon.client.send("coprocess.run", session=self.session, command=f"tee {self.place}/copy >/dev/null", from_=0, silent=True)

    def check(self) -> None:
        found = self.client.call("coprocess.get", session=self.session)
        if found is None:
            assert self.client.call("session.read", session=self.session)["silent"] == [] and not (self.place / "copy").exists()
            self.act()
            found = self.await_coprocess("running")
        assert found["state"] == "running" and lives(found["pid"]) and (found["silent_from"], found["started_offset"]) == (6, 0)
        self.client.call("session.send_text", session=self.session, text="hid")
        await_true(lambda: (self.place / "copy").exists() and (self.place / "copy").read_bytes() == b"ready\nhid", "not fed")
        self.client.call("coprocess.stop", session=self.session)
        assert self.client.call("session.read", session=self.session)["silent"] == [[6, 9]]


class Print(Journey):
    """A job prints numbered bytes to a coprocess and an observer."""

    def prepare(self) -> None:
        job = [*PROGRAM, "print", str(self.place / "printed")]
        self.session = self.daemon.create("/bin/sh", "-c", 'stty raw -echo; read go; exec "$@"', "sh", *job)
        for name in ("read", "observed"):
            argv = [*PROGRAM, "check", str(self.place / name)]
            self.daemon.call("coprocess.run", session=self.session, argv=argv, input=name == "read", from_=0)

    def act(self) -> None:
        self.daemon.client.send("session.send_text", session=self.session, text="\n", if_={"echo": False})

    def check(self) -> None:
        while self.get()["output_offset"] < 1 << 20:
            pass
        self.client.call("session.send_text", session=self.session, text="e", key="end")
        printed = self.report("printed")
        for name in ("read", "observed"):
            found = self.report(name)
            assert (found["bytes"], found["sha256"], found["lost"], found["repeated"]) == (printed["bytes"], printed["sha256"], 0, 0)
        assert self.get()["output_offset"] == printed["bytes"]
        end = self.await_coprocess("ended")
        assert (end["end_reason"], end["consumed_offset"], end["undelivered_bytes"]) == ("session_ended", printed["bytes"], 0)


class Type(Journey):
    """A client types under a key; a coprocess types too, and tells of it on stderr."""

    def prepare(self) -> None:
        self.session = self.daemon.create(*PROGRAM, "collect", str(self.place / "typed"))
        self.daemon.output(self.session, b"ready\n")
        wait = 'while [ ! -e "$0" ]; do sleep 0.01; done; exec "$@"'
        argv = ["/bin/sh", "-c", wait, str(self.place / "go"), *PROGRAM, "type", str(self.place / "gate")]
        self.daemon.call("coprocess.run", session=self.session, argv=argv)

    def send(self, client: Any, data: bytes, key: str) -> Any:
        return client("session.send_bytes", session=self.session, data_b64=base64.b64encode(raised(data)).decode(), key=key)

    def act(self) -> None:
        self.send(self.daemon.client.send, content(0, 9000), "first")

    def check(self) -> None:
        # Others type in between, and the daemon is killed once more, before the call is made again.
        (self.place / "go").touch()
        while self.client.call("coprocess.get", session=self.session)["typed_bytes"] < 1 << 17:
            pass
        os.kill(self.client.call("daemon.info")["pid"], signal.SIGKILL)
        assert self.send(self.client.call, content(0, 9000), "first")["accepted_bytes"] == 9000
        (self.place / "gate").touch()
        end = self.await_coprocess("ended")
        self.send(self.client.call, END, "end")
        found = self.report("typed")
        assert [(found[of]["lost"], found[of]["repeated"]) for of in ("low", "high")] == [(0, 0), (0, 0)]
        typed = int(end["stderr"].splitlines()[-1]) * 1024
        assert (found["high"]["bytes"], found["low"]["bytes"], end["typed_bytes"] - len(END)) == (9000, typed, typed)


class TypeByCoprocess(Type):
    """The same, and it is the coprocess's bytes that are being typed."""

    def act(self) -> None:
        (self.place / "go").touch()


class Exit(Journey):
    """A job prints its last and ends, with a silent coprocess."""

    def prepare(self) -> None:
        self.session = self.daemon.create(shell="stty raw -echo; echo ready; read go; head -c 100000 /dev/zero; exit 7")
        self.daemon.output(self.session, b"ready\n")
        self.daemon.call("coprocess.run", session=self.session, command="wc -c >&2; exit 5", from_=0, silent=True)

    def act(self) -> None:
        self.daemon.client.send("session.send_text", session=self.session, text="\n")

    def check(self) -> None:
        end = self.await_coprocess("ended")
        assert (int(end["stderr"]), end["exit_status"], end["end_reason"]) == (100_006, 5, "session_ended")
        assert (end["consumed_offset"], end["undelivered_bytes"], end["silent_from"], end["silent_to"]) == (100_006, 0, 6, 100_006)
        shown = self.get()
        assert (shown["state"], shown["exit_status"], shown["signal"], shown["output_offset"]) == ("exited", 7, None, 100_006)
        read = self.client.call("session.read", session=self.session, max_bytes=1 << 20)
        assert read["eof"] and read["silent"] == [[6, 100_006]]


class Stop(Journey):
    """A silent coprocess is stopped."""

    def prepare(self) -> None:
        self.session = self.daemon.raw_cat()
        self.daemon.call("coprocess.run", session=self.session, command="cat >/dev/null; sleep 100", silent=True)
        self.daemon.call("session.send_text", session=self.session, text="hid")
        self.daemon.output(self.session, b"hid")

    def act(self) -> None:
        self.daemon.client.send("coprocess.stop", session=self.session, grace_s=0.5)

    def check(self) -> None:
        if self.client.call("coprocess.get", session=self.session)["state"] == "running":
            try:
                self.client.call("coprocess.stop", session=self.session)
            except RpcError as error:  # what was asked before the crash has ended it meanwhile
                assert error.code == "no_coprocess"
        end = self.await_coprocess("ended")
        assert (end["end_reason"], end["silent_from"], end["silent_to"]) == ("stopped", 6, 9)
        self.client.call("session.send_text", session=self.session, text="shown")
        self.daemon.output(self.session, b"shown")
        assert self.client.call("session.read", session=self.session)["silent"] == [[6, 9]]


class Close(Stop):
    """A session with a coprocess is closed."""

    def act(self) -> None:
        self.daemon.client.send("session.close", session=self.session, grace_s=0.5)

    def check(self) -> None:
        for session in self.client.call("session.list"):
            assert self.client.call("coprocess.list", session=session["id"]), "the session is there without its coprocess"
            self.client.call("session.close", session=session["id"], grace_s=0.5)
        assert self.client.call("session.list") == []


class RunCommand(Journey):
    """A trigger starts a command, which prints and fails."""

    def prepare(self) -> None:
        self.session = self.daemon.create(shell=RAW_CAT)

    def act(self) -> None:
        script = 'echo ran >>"$0/ran"; echo before; while [ ! -e "$0/go" ]; do sleep 0.01; done; seq 20000; exit 5'
        argv = ["/bin/sh", "-c", script, str(self.place)]
        self.daemon.client.send("test.run_command", session=self.session, trigger="t", argv=argv)

    def check(self) -> None:
        (self.place / "go").touch()
        found = self.client.call("command.list", session=self.session)
        for command in found:
            ended = self.client.call("command.wait", command_id=command["command_id"])
            assert (ended["state"], ended["session"], ended["started_by"]) == ("completed", self.session, "t")
            if ended["failure"] == "spawn_failed":  # the keeper was killed in it
                assert ended["exit_status"] is None and not (ended["pid"] and lives(ended["pid"]))
                continue
            assert (ended["exit_status"], ended["failure"]) == (5, "exit_status") and (self.place / "ran").read_text() == "ran\n"
            printed = "before\n" + "".join(f"{n}\n" for n in range(1, 20001))
            left_out = len(printed) - (64 << 10)
            assert ended["output"] == f"{printed[: 16 << 10]}\n[{left_out} bytes left out]\n{printed[-48 << 10 :]}"
        self.without(len(found))

    def without(self, commands: int) -> None:
        """What is true when there are so many."""
        assert commands or not (self.place / "ran").exists()


class EndCommand(RunCommand):
    """The same, and it runs already."""

    def prepare(self) -> None:
        super().prepare()
        super().act()
        await_true(lambda: (self.place / "ran").exists(), "it does not run")
        self.daemon.client.event("command.started")

    def act(self) -> None:
        (self.place / "go").touch()

    def without(self, commands: int) -> None:
        pass  # it has ended, and was told of


class Resize(Journey):
    """A terminal is resized."""

    def prepare(self) -> None:
        self.session = self.daemon.create(shell="stty raw -echo; echo ready; while read go; do stty size; done")
        self.daemon.output(self.session, b"ready\n")

    def act(self) -> None:
        self.daemon.client.send("session.resize", session=self.session, rows=33, cols=44)

    def check(self) -> None:
        shown = self.get()
        assert (shown["rows"], shown["cols"]) in ((24, 80), (33, 44))
        self.client.call("session.send_text", session=self.session, text="\n")
        self.daemon.output(self.session, f"{shown['rows']} {shown['cols']}\n".encode())


class Rename(Journey):
    """A session is renamed."""

    def prepare(self) -> None:
        self.session = self.daemon.create(shell=RAW_CAT, name="old")

    def act(self) -> None:
        self.daemon.client.send("session.rename", session=self.session, name="new")

    def check(self) -> None:
        assert self.get()["name"] in ("old", "new")
        assert self.client.call("session.rename", session=self.session, name="new")["name"] == "new"


class Restart(Print):
    """The daemon is replaced while a job prints."""

    def act(self) -> None:
        super().act()
        self.daemon.client.send("daemon.restart")


class Recover(Print):
    """A daemon that was killed is followed by one that is killed while it takes over."""

    in_the_next = True

    def prepare(self) -> None:
        super().prepare()
        self.deaths = self.daemon.log().count("ended with signal 9")

    def check(self) -> None:
        super().check()
        assert self.daemon.log().count("ended with signal 9") == self.deaths + 2

    def act(self) -> None:
        super().act()
        while self.get()["output_offset"] < 1 << 18:
            pass
        self.client.close()
        os.kill(self.daemon.pids()[0], signal.SIGKILL)
