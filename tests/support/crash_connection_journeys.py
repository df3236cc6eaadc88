"""What the daemon does about a connection that is a coprocess, while it is killed at a point of it; as `crash_journeys`, which has the rest."""

from __future__ import annotations

from coprocctl.exits import Failure
from support.connected import Connected
from support.crash_journeys import Journey


class Connect(Journey):
    """A client connects as a silent coprocess, from the first byte."""

    def prepare(self) -> None:
        self.session = self.daemon.raw_cat()

    def act(self) -> None:
        try:
            Connected(self.daemon, self.session, from_=0, silent="true").abort()
        except Failure:
            pass  # the daemon died before it answered

    def check(self) -> None:
        found = self.client.call("coprocess.get", session=self.session)
        assert found is None or (found["state"], found["end_reason"]) in (("ended", "spawn_failed"), ("ended", "connection_lost"))
        assert self.client.call("session.read", session=self.session)["silent"] == []
        with Connected(self.daemon, self.session, from_=0, silent="true") as bot:
            bot.type(b"hid")
            assert bot.read(b"hid") == b"ready\nhid"
            bot.close()
            bot.end()
        assert self.await_coprocess("ended")["end_reason"] == "exited"
        assert self.client.call("session.read", session=self.session)["silent"] == [[6, 9]]


class Disconnect(Connect):
    """Such a client closes its connection."""

    def prepare(self) -> None:
        super().prepare()
        self.bot = Connected(self.daemon, self.session, silent="true")
        self.bot.type(b"hid")
        self.bot.read(b"hid")

    def act(self) -> None:
        self.bot.close()

    def check(self) -> None:
        self.bot.abort()
        end = self.await_coprocess("ended")
        assert end["end_reason"] in ("exited", "connection_lost") and (end["typed_bytes"], end["silent_from"], end["silent_to"]) == (
            3,
            6,
            9,
        )
        self.client.call("session.send_text", session=self.session, text="shown")
        while self.get()["output_offset"] < len("ready\nhidshown"):
            pass
        assert self.client.call("session.read", session=self.session)["silent"] == [[6, 9]]
