"""The ordeal: a daemon under load that is killed again and again, at instants that a seed decides.

`Ordeal` kills. A `Part` (`ordeal_parts` has those there are) is a load and its checks: what it starts, what it does meanwhile in a thread of its own, and what must be true
at the end. A new kind of state joins by a new part: `begin`, `go_on`, `finish`, and `looks` for what must never change.
"""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.live import PATIENCE_S, Live, lives
from support.stubborn import Stubborn

IN_START_ONE_OF = 10
"""One daemon of so many is killed before it is ready: the keeper waits after such an end, and gives up after five in a row."""

STOPPED_ONE_OF = 30
"""One of so many is stopped (SIGSTOP) for up to a second first; half of these go on for a while before they are killed."""


def seed() -> int:
    """The seed of this run: `$COPROCD_SEED`, else another each time."""
    return int(os.environ.get("COPROCD_SEED") or random.SystemRandom().randrange(1 << 32))


@dataclass
class Tally:
    """What became of one stream of bytes."""

    name: str
    bytes: int
    lost: int
    repeated: int
    exact: bool = True
    """Whether it ended where it should, and its hash is the right one."""

    @property
    def whole(self) -> bool:
        return self.exact and not self.lost and not self.repeated


class Part:
    """A load and its checks. Its thread runs `go_on` until it is told to stop; what that raises is raised by the ordeal."""

    def __init__(self) -> None:
        self.live: Live
        self.place: Path
        self.client: Stubborn
        self.random: random.Random
        self._fixed: dict[str, Any] = {}
        self._looked = -1

    def begin(self) -> None:
        """Starts what is to live through it all."""

    def go_on(self) -> None:
        """Does a little; is called again and again while daemons die."""

    def finish(self) -> list[Tally]:
        """Ends what was started, and tells what became of the bytes."""
        return []

    def looks(self) -> dict[str, Any]:
        """What must be the same in every daemon."""
        return {}

    def look_once(self) -> None:
        """Looks, once at each daemon."""
        if self._looked != self.client.connections:
            self.look()
            self._looked = self.client.connections

    def look(self) -> None:
        found = self.looks()
        self._fixed = self._fixed or found
        assert found == self._fixed, f"{type(self).__name__} was {self._fixed} and is {found}"

    def identity(self, session: str) -> dict[str, Any]:
        """What of a running session with a coprocess must never change."""
        shown = self.client.call("session.get", session=session)
        fixed = (
            "id",
            "name",
            "argv",
            "pid",
            "state",
            "rows",
            "cols",
            "tty",
            "created_at",
            "epoch",
            "observers",
            "variables",
            "labels",
            "log_bytes",
        )
        ended = [c["id"] for c in self.client.call("coprocess.list", session=session) if c["state"] == "ended"]
        return {name: shown[name] for name in fixed} | {
            "coprocess": {name: (shown["coprocess"] or {}).get(name) for name in ("id", "pid", "command", "silent_from", "started_offset")},
            "ended": ended,
        }

    def report(self, path: Path) -> dict[str, Any]:
        """What a program of `numbered` wrote at its end."""
        deadline = time.monotonic() + PATIENCE_S
        while not (path.exists() and path.read_text().endswith("}")):
            assert time.monotonic() < deadline, f"{path.name} was not written"
        found: dict[str, Any] = json.loads(path.read_text())
        return found


@dataclass
class Ordeal:
    """Kills the daemon of `live` `kills` times while `parts` go on."""

    live: Live
    kills: int
    seed: int
    parts: Sequence[Part]
    started_s: list[float] = field(default_factory=list)
    """Of each kill that a ready daemon followed: how long until it answered."""

    def run(self) -> list[Tally]:
        """What became of every stream; a check that fails raises."""
        for number, part in enumerate(self.parts):
            part.live, part.place, part.client = self.live, Path(self.live.directory), Stubborn(self.live.socket)
            part.random = random.Random(self.seed + number + 1)
            part.begin()
        threads = [_Thread(part) for part in self.parts]
        for thread in threads:
            thread.start()
        try:
            self._kill(threads)
        finally:
            for thread in threads:
                thread.stopped.set()
            for thread in threads:
                thread.join()
        for thread in threads:
            thread.check()
        self.live.client.close()
        self.live.subscribe()
        for part in self.parts:
            part.look()
        tallies = [tally for part in self.parts for tally in part.finish()]
        for part in self.parts:
            part.client.close()
        return tallies

    def _kill(self, threads: Sequence[_Thread]) -> None:
        instants = random.Random(self.seed)
        pid, keeper = self.live.pids()
        client = Stubborn(self.live.socket)
        for number in range(self.kills):
            _pass(instants.choice((0.02, 0.05, 0.15)) * instants.random())
            if number % STOPPED_ONE_OF == STOPPED_ONE_OF - 1:
                os.kill(pid, signal.SIGSTOP)
                _pass(instants.random())
                if instants.random() < 0.5:
                    os.kill(pid, signal.SIGCONT)
                    _pass(0.1 * instants.random())
            os.kill(pid, signal.SIGKILL)
            if number % IN_START_ONE_OF == IN_START_ONE_OF - 1:
                pid = _started(keeper, pid)
                _pass(0.05 + 0.25 * instants.random())
                os.kill(pid, signal.SIGKILL)
            killed = time.monotonic()
            client.close()
            pid = client.call("daemon.info")["pid"]
            self.started_s.append(time.monotonic() - killed)
            for thread in threads:
                thread.check()
        client.close()


class _Thread(threading.Thread):
    """Lets one part go on, until it is stopped or its check has failed."""

    def __init__(self, part: Part) -> None:
        super().__init__(name=type(part).__name__)
        self._part = part
        self.stopped = threading.Event()
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.stopped.is_set():
                self._part.go_on()
        except BaseException as error:
            self._error = error

    def check(self) -> None:
        if self._error is not None:
            raise self._error


def _pass(seconds: float) -> None:
    """Lets time pass. Nothing is waited for: its end is the instant that the seed has named."""
    time.sleep(seconds)


def _started(keeper: int, before: int) -> int:
    """The pid of the daemon that the keeper has started after `before` ended, as soon as there is one."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        for pid in children(keeper):
            if pid != before and is_daemon(pid):
                return pid
    raise AssertionError("the keeper has started no daemon")


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_daemon(pid: int) -> bool:
    try:
        argv = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"coprocd" in argv and lives(pid)
