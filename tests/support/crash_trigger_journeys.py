"""What the daemon does about a line that triggers match, while it is killed at a point of it; as `crash_journeys`, which has the rest."""

from __future__ import annotations

from support.crash_journeys import Journey
from support.faulty import await_true, give


class Trigger(Journey):
    """A line fires a trigger that marks, one that types, and one that runs a silent coprocess: each does so once, whatever dies."""

    BEFORE = b"ready\nnothing\n"

    def prepare(self) -> None:
        run = f"echo run >> {self.place}/ran; tee {self.place}/copy >/dev/null; true"  # the shell keeps stdout open, else it would be ended
        triggers = [
            {"regex": "^go$", "action": "annotate", "parameter": "here"},
            {"regex": "^go$", "action": "send_text", "parameter": "typed"},
            {"regex": "^go$", "action": "run_silent_coprocess", "parameter": run},
        ]
        self.session = self.daemon.raw_cat(triggers=triggers)

    def act(self) -> None:
        self.daemon.client.send("session.send_text", session=self.session, text="nothing\ngo\n")

    def check(self) -> None:
        read = b"go\ntyped"
        await_true(lambda: (self.place / "copy").exists() and (self.place / "copy").read_bytes() >= read, "the coprocess is not fed")
        coprocesses = self.client.call("coprocess.list", session=self.session)
        assert [(c["state"], c["started_offset"], c["silent_from"]) for c in coprocesses] == [("running", 14, 14)], coprocesses
        self.client.call("session.send_text", session=self.session, text=", hid")
        self.client.call("session.send_text", session=self.session, text=".", key="end")
        await_true(lambda: (self.place / "copy").read_bytes().endswith(b"."), "the coprocess is not fed")
        assert (self.place / "copy").read_bytes() == read + b", hid." and (self.place / "ran").read_text() == "run\n"
        self.client.call("coprocess.stop", session=self.session)
        end = len(self.BEFORE + read + b", hid.")
        output = self.client.call("session.read", session=self.session)
        assert (output["next_offset"], output["silent"]) == (end, [[14, end]])
        assert [(m["id"], m["offset"], m["end"], m["text"]) for m in self.client.call("session.marks", session=self.session)] == [
            ("m1", 14, 16, "here")
        ]
        triggers = self.client.call("trigger.list", session=self.session)
        assert [(t["fired"], t["suppressed"], t["refused"]) for t in triggers] == [(1, 0, 0)] * 3


class PassOver(Trigger):
    """The same, and the daemon is killed before that line comes: over output that fires nothing."""

    def act(self) -> None:
        self.daemon.client.send("session.send_text", session=self.session, text="nothing\n")

    def check(self) -> None:
        self.client.call("session.send_text", session=self.session, text="go\n", key="go")
        super().check()


class RecoverTrigger(Trigger):
    """The same; the daemon is killed when all of it is stored and nothing is done, and the next one while it does it."""

    in_the_next = True

    def prepare(self) -> None:
        super().prepare()
        give(self.daemon, "daemon KILL coprocd.runtime.trigger_state:TriggerState.save after 1", self.daemon.pids()[0])
