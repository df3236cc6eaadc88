#!/usr/bin/env python3
"""Measures what lies between a program and the terminal of one who is attached to it: coprocd, beside a bare pty, dtach and tmux, in one run.

    python tests/bench/attach.py [MIB [ROUNDS]]

flood    A job prints MIB mebibytes (default 64) of lines of 72 columns at full speed and takes the time of it itself; what the client shows
         is read and thrown away. `read` is how much of it the client was shown: tmux draws the screen now and then, coprocd sends a client
         that does not keep up a picture of the screen.
echo     A job answers each byte with itself. 400 keys are typed at the client, one every 2 ms or more: p50 and p99 of the time to the echo.

The systems take turns, ROUNDS (default 3) times; medians are printed, with the ratio to tmux in the same run: the machine's other work
counts for all. What is not installed is left out.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from support.live import Live, live

FLOOD = """
import os, sys, time, tty
tty.setraw(0)
block = b"".join(b"%06d 0123456789 the quick brown fox jumps over the lazy dog 0123456789\\r\\n" % number for number in range(14000))
os.read(0, 1)
begun, left = time.monotonic(), int(sys.argv[1]) << 20
while left > 0:
    left -= os.write(1, block[:left])
os.write(1, b"\\r\\nTOOK %.6f s\\r\\n" % (time.monotonic() - begun))
os.read(0, 1)
"""

ECHO = "import os, tty\ntty.setraw(0)\nwhile (data := os.read(0, 64)) != b'q': os.write(1, data)"

PATIENCE_S = 120.0
SETTLE_S = 1.0
PAUSE_S = 0.002
KEYS = 400


class Terminal:
    """A program on a pty of 24 rows and 80 columns, at whose other end we are."""

    def __init__(self, argv: Sequence[str]) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm-256color"
            os.execvp(argv[0], argv)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.bytes = 0

    def until(self, pattern: bytes) -> re.Match[bytes]:
        """Reads until this has come."""
        tail, deadline = b"", time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            data = os.read(self.fd, 1 << 16)
            self.bytes += len(data)
            tail += data
            if found := re.search(pattern, tail):
                return found
            tail = tail[-4096:]
        raise TimeoutError(pattern)

    def settle(self) -> None:
        """Reads until nothing has come for a while: the client is there."""
        while select.select([self.fd], [], [], SETTLE_S)[0]:
            os.read(self.fd, 1 << 16)

    def type(self, data: bytes) -> None:
        os.write(self.fd, data)

    def end_job(self) -> None:
        """Types what ends the job, and waits until whoever shows it has gone: dtach would keep it for ever."""
        self.type(b"q")
        while True:
            try:
                if not os.read(self.fd, 1 << 16):
                    break
            except OSError:
                break
        os.close(self.fd)
        os.waitpid(self.pid, 0)


class System:
    """What keeps a session; `attached` starts the job in one and gives the terminal of a client."""

    def __init__(self, name: str, attached: Callable[[list[str]], Terminal], ended: Callable[[], None] = lambda: None) -> None:
        self.name = name
        self.attached = attached
        self.ended = ended


def systems(daemon: Live, place: Path) -> list[System]:
    """Those there are here."""
    found = [System("bare pty", Terminal)]
    tmux = ["tmux", "-L", f"bench-{os.getpid()}", "-f", "/dev/null"]

    def on_tmux(job: list[str]) -> Terminal:
        subprocess.run([*tmux, "new-session", "-d", "-s", "bench", "-x", "80", "-y", "24", *job], check=True)
        return Terminal([*tmux, "attach", "-t", "bench"])

    def on_coprocd(job: list[str]) -> Terminal:
        session = daemon.create(*job, rows=24, cols=80)
        return Terminal([sys.executable, "-m", "coprocctl", "--socket", daemon.socket, "attach", session])

    def close_all() -> None:
        for session in daemon.call("session.list"):
            daemon.call("session.close", session=session["id"], grace_s=0)

    if shutil.which("dtach"):
        found.append(System("dtach", lambda job: Terminal(["dtach", "-A", tempfile.mktemp(dir=place), "-r", "none", *job])))
    if shutil.which("tmux"):
        found.append(System("tmux", on_tmux))  # whose server ends with its last session
    return [*found, System("coprocd", on_coprocd, close_all)]


def flood(system: System, mib: int) -> tuple[float, float]:
    """MiB/s, and how many MiB of it the client was shown."""
    terminal = system.attached([sys.executable, "-c", FLOOD, str(mib)])
    terminal.settle()
    terminal.bytes = 0
    terminal.type(b"g")
    took_s = float(terminal.until(rb"TOOK ([\d.]+) s")[1])
    shown = terminal.bytes / 2**20
    terminal.end_job()
    system.ended()
    return mib / took_s, shown


def echo(system: System) -> tuple[float, float]:
    """p50 and p99, in microseconds."""
    terminal = system.attached([sys.executable, "-c", ECHO])
    terminal.settle()
    took_us = []
    for number in range(KEYS):
        key = b"abcdefghij"[number % 10 : number % 10 + 1]
        begun = time.perf_counter()
        terminal.type(key)
        terminal.until(key)
        took_us.append((time.perf_counter() - begun) * 1e6)
        time.sleep(PAUSE_S)
    terminal.end_job()
    system.ended()
    took_us.sort()
    return took_us[KEYS // 2], took_us[KEYS * 99 // 100]


def main() -> int:
    mib = int(sys.argv[1]) if len(sys.argv) > 1 else 64
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    with tempfile.TemporaryDirectory() as place, live() as daemon:
        daemon.loaded()
        compared = systems(daemon, Path(place))
        floods: dict[str, list[tuple[float, float]]] = {system.name: [] for system in compared}
        echoes: dict[str, list[tuple[float, float]]] = {system.name: [] for system in compared}
        for _ in range(rounds):
            for system in compared:
                floods[system.name].append(flood(system, mib))
            for system in compared:
                echoes[system.name].append(echo(system))
    for title, measured, units in (("flood", floods, ("MiB/s", "MiB read")), ("echo", echoes, ("us p50", "us p99"))):
        medians = {name: [statistics.median(column) for column in zip(*rows, strict=True)] for name, rows in measured.items()}
        for name, (first, second) in medians.items():
            ratio = f"{first / medians['tmux'][0]:5.2f} of tmux's" if "tmux" in medians else ""
            print(f"{title}  {name:10} {first:8.1f} {units[0]}  {second:8.1f} {units[1]}  {ratio}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
