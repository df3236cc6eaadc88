"""Faults for a running daemon (`faults/sitecustomize.py` puts them in), and what must not be left behind."""

from __future__ import annotations

import os
import re
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

from support.live import PATIENCE_S, Live, lives

FAULTS = str(Path(__file__).parent / "faults")


def environment(**more: str) -> dict[str, str]:
    """What has a daemon and its keeper take faults, laid over the environment that they are started with."""
    return {"PYTHONPATH": os.pathsep.join([FAULTS, *filter(None, [os.environ.get("PYTHONPATH")])]), **more}


def give(daemon: Live, fault: str, pid: int | None = None) -> None:
    """Gives `fault` to the process `pid`; without, to the next that starts."""
    path = Path(daemon.directory, "fault")
    path.with_suffix(".new").write_text(fault)
    path.with_suffix(".new").rename(path)
    if pid is not None:
        os.kill(pid, signal.SIGUSR2)
        await_true(lambda: not path.exists(), f"{fault} was not taken")


def await_true(condition: Any, otherwise: str) -> None:
    """Returns when `condition()` holds, which an event elsewhere brings about."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, otherwise
        os.sched_yield()


def processes(daemon: Live) -> set[int]:
    """Every process that lives and was started by the daemon or its keeper, these included: jobs inherit the runtime directory's name."""
    mark = f"COPROCD_RUNTIME_DIR={daemon.directory}/r".encode()
    found = set()
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            environ = Path("/proc", entry, "environ").read_bytes()
        except OSError:
            continue
        if mark in environ.split(b"\0") and lives(int(entry)):
            found.add(int(entry))
    return found


def is_screen(pid: int) -> bool:
    """Whether it is a daemon's screen worker, which comes and goes with its daemon; also one that has just ended."""
    try:
        return b"coprocd.screen" in Path(f"/proc/{pid}/cmdline").read_bytes() or not lives(pid)
    except OSError:
        return True


def remains(daemon: Live) -> dict[str, Any]:
    """What daemon and keeper hold on to: descriptors by kind, children, zombies among them, processes in all, files."""
    pids = daemon.pids()
    children = Path(f"/proc/{pids[1]}/task/{pids[1]}/children").read_text().split()
    return {
        "daemon": _kinds(pids[0]),
        "keeper": _kinds(pids[1]),
        "children": len(children),
        "zombies": sum(not lives(int(child)) for child in children),
        "processes": len(processes(daemon)),
        "files": sorted(os.listdir(f"{daemon.directory}/r")),
    }


def await_remains(daemon: Live, expected: dict[str, Any]) -> None:
    """Returns when nothing else remains: the last of it goes after the answer to whoever asked. A daemon that had no session yet gets its worker first."""
    daemon.loaded()
    deadline = time.monotonic() + PATIENCE_S
    while (found := remains(daemon)) != expected:
        assert time.monotonic() < deadline, "\n".join(
            f"{name}: {found[name]} instead of {expected[name]}" for name in expected if found[name] != expected[name]
        )


def _kinds(pid: int) -> Counter[str]:
    """How many descriptors of each kind the process has open."""
    kinds: Counter[str] = Counter()
    for entry in os.listdir(f"/proc/{pid}/fd"):
        try:
            kinds[re.sub(r"[0-9a-f]{8,}|\d+", "N", os.readlink(f"/proc/{pid}/fd/{entry}"))] += 1
        except FileNotFoundError:
            pass
    return kinds
