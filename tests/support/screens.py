"""What tests of the screen ask of it, and what they do to those that it depends on."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

from support.faulty import await_true
from support.live import Live

VIM = ["vim", "-u", "NONE", "-N", "-i", "NONE"]

RAW = "stty raw -echo; "


def capture(daemon: Live, session: str, **params: Any) -> dict[str, Any]:
    found: dict[str, Any] = daemon.call("session.capture", session=session, **params)
    return found


def text(daemon: Live, session: str, **params: Any) -> str:
    return str(capture(daemon, session, **params)["data"])


def shows(daemon: Live, session: str, what: str) -> dict[str, Any]:
    """The screen once it shows this."""
    daemon.await_(lambda: what in text(daemon, session))
    return capture(daemon, session)


def kill_worker(daemon: Live) -> None:
    """Kills the screen worker; returns when another has taken its place."""
    old = worker(daemon)
    os.kill(old, signal.SIGKILL)
    daemon.await_(lambda: daemon.call("daemon.info")["screen_pid"] not in (None, old))


def worker(daemon: Live) -> int:
    daemon.await_(lambda: daemon.call("daemon.info")["screen_pid"])
    return int(daemon.call("daemon.info")["screen_pid"])


def kill_keeper(daemon: Live) -> None:
    old = daemon.pids()[1]
    os.kill(old, signal.SIGKILL)
    daemon.await_(lambda: daemon.pids()[1] not in (0, None, old))


def bash(daemon: Live, **params: Any) -> str:
    session = daemon.create("bash", "--norc", "-i", env={"PS1": "> ", "HISTFILE": "/dev/null"}, **params)
    daemon.output(session, b"> ")
    return session


def tmux_view(output: bytes, rows: int, cols: int, directory: Path) -> str:
    """What tmux shows of the same bytes."""
    (directory / "output").write_bytes(output)
    tmux = ["tmux", "-S", str(directory / "tmux"), "-f", "/dev/null"]
    done = f"stty raw; cat {directory}/output; tmux -S {directory}/tmux wait-for -S shown; exec sleep 60"
    environment = {name: value for name, value in os.environ.items() if name != "TMUX"} | {"LC_ALL": "C.UTF-8"}
    start = [*tmux, "new-session", "-d", "-x", str(cols), "-y", str(rows), done, ";", "set", "-g", "status", "off"]
    subprocess.run(start, check=True, env=environment)
    try:
        subprocess.run([*tmux, "wait-for", "shown"], check=True, env=environment)
        shown = [*tmux, "capture-pane", "-p"]
        view = ""

        def settled() -> bool:
            nonlocal view
            before, view = view, subprocess.run(shown, check=True, env=environment, capture_output=True, text=True).stdout
            return bool(view.strip()) and view == before

        await_true(settled, "tmux shows nothing")
        return view
    finally:
        subprocess.run([*tmux, "kill-server"], check=True, env=environment)


def lines(view: str) -> list[str]:
    return [line.rstrip() for line in view.rstrip("\n").split("\n")]
