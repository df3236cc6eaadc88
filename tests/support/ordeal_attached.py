"""What an ordeal is to those who look on: an attached client that comes back to where it was, and the screen, which is as if nothing had happened."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
from support.attached import Attached
from support.live import RpcError
from support.numbered import PROGRAM, Check
from support.ordeal import Part, Tally

from coprocd.screen import ghostty

FRAMES = 20
"""Taken before it is looked whether the ordeal is over."""


PAUSE_S = 0.01
"""After 64 KiB: so that what watches it, beside all else in this process, keeps up and comes back for what it missed."""


class Watched(Part):
    """A job that prints numbered bytes to an attached client. What a snapshot passes over is told, and so not lost."""

    def begin(self) -> None:
        self._check = Check()
        self._viewer: Attached | None = None
        self._place: dict[str, Any] = {}
        self.passed_over = 0
        self.session = self.live.create(*PROGRAM, "print", str(self.place / "watched"), str(PAUSE_S), name="watched")

    def looks(self) -> dict[str, Any]:
        return self.identity(self.session)

    def go_on(self) -> None:
        self.look_once()
        self._watch(FRAMES)

    def _watch(self, frames: int) -> bool:
        """Takes so many frames; False when the session has ended."""
        try:
            if self._viewer is None:
                self._viewer = Attached(self.live.socket, self.session, **self._place)
            return all(self._take(self._viewer) for _ in range(frames))
        except (OSError, EOFError):  # the daemon was killed
            if self._viewer is not None:
                self._viewer.close()
            self._viewer = None
            return True

    def _take(self, viewer: Attached) -> bool:
        before = viewer.offset
        frame = viewer.next()
        if frame is None:
            self._viewer = None
            return viewer.closed is not None and viewer.closed[0] != 1000
        del viewer.frames[:-1], viewer.messages[:-1]
        viewer.shown.clear()
        if isinstance(frame, bytes) and viewer.offset > before:
            self._check.feed(frame)
        elif isinstance(frame, dict) and frame["type"] == "snapshot":
            passed_over = frame["offset"] - self._check.offset
            self._check.skip(passed_over)
            self.passed_over += passed_over
        assert viewer.offset == self._check.offset or isinstance(frame, dict)
        self._place = viewer.resumes() if viewer.epoch and self._check.offset == viewer.offset else self._place
        return True

    def finish(self) -> list[Tally]:
        self.live.call("session.send_text", session=self.session, text="g")
        while self._watch(FRAMES):
            pass
        printed = self.report(self.place / "watched")
        return [Tally("attached", self._check.bytes, self._check.lost, self._check.repeated, self._check.offset == printed["bytes"])]


class Drawn(Part):
    """A job that draws. Whatever has died meanwhile, its screen and what has scrolled off it are what a terminal shows that was given all of its output."""

    ROWS, COLS = 24, 80

    def begin(self) -> None:
        self.session = self.live.create(*PROGRAM, "draw", str(self.place / "drawn"), name="drawn", rows=self.ROWS, cols=self.COLS)

    def looks(self) -> dict[str, Any]:
        return self.identity(self.session)

    def go_on(self) -> None:
        self.look_once()
        self._captured()

    def _captured(self) -> dict[str, Any]:
        try:
            captured: dict[str, Any] = self.client.call("session.capture", session=self.session, format="json", scrollback=100_000)
        except RpcError as error:
            assert error.code == "screen_unavailable", error
            return {}
        assert (captured["rows"], captured["cols"]) == (self.ROWS, self.COLS)
        return captured

    def finish(self) -> list[Tally]:
        self.live.call("session.send_text", session=self.session, text="g")
        self.report(self.place / "drawn")
        self.live.client.event("session.exited", session=self.session)
        found = self._captured()
        read = self.live.call("session.read", session=self.session, from_offset=0, max_bytes=4 << 20)
        assert not read["lost_bytes"], "the log is to hold all of it"
        terminal = ghostty.new(self.ROWS, self.COLS)
        output = base64.b64decode(read["data_b64"])
        terminal.feed(output)
        expected = msgspec.to_builtins(terminal.capture("json", 100_000))
        lines = expected["lines"]
        wrong = sum(a != b for a, b in zip(lines, found["data"], strict=False)) + abs(len(lines) - len(found["data"]))
        exact = found["cursor"] == expected["cursor"] and found["offset"] == len(output)
        return [Tally("rows of the screen", len(lines), wrong, 0, exact)]
