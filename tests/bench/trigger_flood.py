#!/usr/bin/env python3
"""Measures what triggers cost a session that floods, through a real daemon, and what another session's echo takes meanwhile.

    python tests/bench/trigger_flood.py [MB [ROUNDS]]

A job with its terminal in raw mode (`stty raw`, so that the kernel adds nothing) writes MB megabytes (default 64) of a file, and takes
the time of it itself: it is held back until the daemon has taken what is in the terminal, so the speed is the daemon's. The kinds take
turns, ROUNDS (default 5) times; the median of each is printed, with its ratio to the same output without triggers in the same round.
The CPU time of the daemon for a megabyte says more than the speed where the machine has other work.
During each flood another session, which runs `cat`, is typed a character at a time: p50, p99 and the longest time to its echo.

The 300 triggers of which one line in twenty matches one are a quarter each of mark, notify, set_variable and annotate.
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from bench.triggers import coloured, plain
from support.live import Client, Live, live

LINES = 20_000
"""In the file that is printed again and again."""

ECHO_EVERY_S = 0.01

FLOOD = """
import os, sys, time, tty
tty.setraw(0)
data = open(sys.argv[1], "rb").read()
os.read(0, 1)
begun, left = time.monotonic(), int(sys.argv[2])
while left > 0:
    view = memoryview(data)[:left]
    while view:
        view = view[os.write(1, view[:65536]):]
    left -= len(data)
with open(sys.argv[3], "w") as file:
    file.write(str(time.monotonic() - begun))
"""

ECHO = "import os, tty; tty.setraw(0)\nwhile data := os.read(0, 4096): os.write(1, data)"

FORMS = ("ERR-{}- code (\\d+)", "^Zz{}\\w+ failed with (\\S+)", "(?i)warning {}:.* at line (\\d+)")
ACTIONS: tuple[tuple[str, str | None], ...] = (
    ("mark", None),
    ("notify", "code \\1"),
    ("set_variable", "code=\\1"),
    ("annotate", "code \\1 here"),
)


def triggers(count: int) -> list[dict[str, Any]]:
    """300 match what `plain` says when it is to match; 1,000 of three forms match nothing."""
    given = []
    for number in range(count):
        action, parameter = ACTIONS[number % len(ACTIONS)]
        form = FORMS[0] if count == 300 else FORMS[number % len(FORMS)]
        given.append({"regex": form.format(number), "action": action, "parameter": parameter})
    return given


class Echo(threading.Thread):
    """Types into a session until it is told to stop, and takes the times to the echo."""

    def __init__(self, path: str, session: str) -> None:
        super().__init__()
        self._client = Client(path)
        self._session = session
        self._stopped = threading.Event()
        self.took_s: list[float] = []

    def run(self) -> None:
        offset = int(self._client.call("session.get", session=self._session)["output_offset"])
        while not self._stopped.wait(ECHO_EVERY_S):
            begun = time.monotonic()
            self._client.call("session.send_text", session=self._session, text="x")
            while (read := self._client.call("session.read", session=self._session, from_offset=offset, wait_s=5))["next_offset"] == offset:
                pass
            self.took_s.append(time.monotonic() - begun)
            offset = read["next_offset"]

    def stop(self) -> list[float]:
        self._stopped.set()
        self.join()
        self._client.close()
        return self.took_s


def cpu_s(pid: int) -> float:
    """What the process has taken, in user and system mode."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def flood(daemon: Live, echo: str, file: Path, size: int, given: list[dict[str, Any]]) -> tuple[float, float, list[float], int]:
    """MB/s, the daemon's ms of CPU for each MB, the times to the echo meanwhile, and how often triggers fired."""
    took = file.with_suffix(".took")
    session = daemon.create(sys.executable, "-c", FLOOD, str(file), str(size), str(took), triggers=given)
    typing = Echo(daemon.socket, echo)
    pid = daemon.pids()[0]
    before = cpu_s(pid)
    daemon.go(session, "g")
    typing.start()
    while daemon.call("session.get", session=session)["state"] == "running":
        time.sleep(0.1)
    spent = cpu_s(pid) - before
    echoes = typing.stop()
    fired = sum(trigger["fired"] for trigger in daemon.call("trigger.list", session=session))
    assert not any(trigger["disabled_why"] for trigger in daemon.call("trigger.list", session=session))
    daemon.call("session.close", session=session)
    return size / float(took.read_text()) / 1e6, spent / size * 1e9, echoes, fired


def main() -> int:
    size = int(sys.argv[1] if len(sys.argv) > 1 else 64) * 1_000_000
    rounds = int(sys.argv[2] if len(sys.argv) > 2 else 5)
    seed = random.Random(4)
    kinds = (  # name, output, how many triggers, which kind it is compared with, the least ratio
        ("plain, no triggers", "quiet", 0, 0, 0.0),
        ("plain, 1,000 triggers, none matches", "quiet", 1000, 0, 0.70),
        ("plain with matches, no triggers", "loud", 0, 2, 0.0),
        ("plain, 300 triggers, one line in twenty matches", "loud", 300, 2, 0.40),
        ("coloured, no triggers", "colours", 0, 4, 0.0),
        ("coloured, 1,000 triggers, none matches", "colours", 1000, 4, 0.40),
    )
    speeds: list[list[float]] = [[] for _ in kinds]
    echoes: list[list[float]] = [[] for _ in kinds]
    costs: list[list[float]] = [[] for _ in kinds]
    fires: list[list[float]] = [[] for _ in kinds]
    with live() as daemon:
        daemon.client.close()
        daemon.client = Client(daemon.socket)  # subscribed to nothing
        printed = {"quiet": plain(seed, LINES, False), "loud": plain(seed, LINES, True), "colours": coloured(seed, LINES)}
        files = {name: Path(daemon.directory) / name for name in printed}
        for name, output in printed.items():
            files[name].write_bytes(output + b"\r\n")
        echo = daemon.create(sys.executable, "-c", ECHO)
        daemon.go(echo, "x")
        for _ in range(rounds):
            for number, (_name, output_name, count, _against, _least) in enumerate(kinds):
                speed, cost, took, fired = flood(daemon, echo, files[output_name], size, triggers(count))
                speeds[number].append(speed)
                costs[number].append(cost)
                echoes[number] += took
                fires[number].append(fired * speed * 1e6 / size)
    failed = False
    for number, (name, _output, _count, against, least) in enumerate(kinds):
        ratio = statistics.median(speed / other for speed, other in zip(speeds[number], speeds[against], strict=True))
        took = sorted(each * 1000 for each in echoes[number])
        told = f"p50 {took[len(took) // 2]:.1f} p99 {took[len(took) * 99 // 100]:.1f} max {took[-1]:.1f} ms of {len(took)}"
        rates = f"{statistics.median(speeds[number]):6.1f} MB/s {ratio:.2f}  {statistics.median(costs[number]):5.1f} ms/MB"
        print(f"{name:48} {rates}  {statistics.median(fires[number]):6.0f} fires/s  echo {told}")
        failed |= ratio < least or took[-1] >= 50
    print("FAILED" if failed else "as it must be")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
