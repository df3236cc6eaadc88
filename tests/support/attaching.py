"""People at a terminal with `coprocctl attach` in it."""

from __future__ import annotations

import os
import pty
import select
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from support.live import PATIENCE_S, Live
from support.outer import Outer

COPROCCTL = f"{shlex.quote(sys.executable)} -m coprocctl"
SHELL = ["env", "PS1=inner$ ", "bash", "--norc", "--noprofile"]

PROGRAMS = {
    "vim": (["vim", "-N", "-n", "-u", "NONE", "-c", "syntax on", __file__], ["10G", "vjj"], "VISUAL"),
    "less": (["less", "-M", __file__], ["  ", "/def\n"], "lines"),
    # A row that it fills to the last column it then erases from there on: tmux leaves that cell as it is, other terminals and our screen erase it.
    "top": (["top", "-w", "79", "-d", "100", "-n", "100"], [""], "PID"),
    "htop": (["htop", "-d", "1000"], [""], "PID"),
    "colours": (
        [
            "sh",
            "-c",
            "printf '\\033[1;31mred \\033[38;5;99;48;2;1;2;3mtwo\\033[0m\\n宽字 e\\314\\201 \\033[7mends\\033[m\\n'; printf 'last'; exec sleep 600",
        ],
        [],
        "last",
    ),
}
"""Programs with a screen: how each is started, what is typed then, each time when it is quiet, and what is to be seen in the end."""


def attach(terminal: Outer, session: str, *options: str, until: str = "inner$") -> None:
    terminal.type(f"printf '\\033[H\\033[2J'; {COPROCCTL} attach {session} {' '.join(options)}; echo left=$?", "Enter")
    terminal.await_text(until)


def detach(terminal: Outer) -> None:
    terminal.type("", "C-\\")
    terminal.await_text("[detached]\nleft=0")
    terminal.await_prompt()


def client_pid(daemon: Live, session: str) -> int:
    daemon.await_(lambda: daemon.call("session.get", session=session)["clients"])
    return int(daemon.call("session.get", session=session)["clients"][0]["pid"])


def ready(daemon: Live, terminal: Outer, *argv: str) -> tuple[str, dict[str, str], str]:
    """A session, and how the terminal was before it is attached: its modes and its settings."""
    return daemon.create(*(argv or SHELL)), terminal.modes(), terminal.settings()


@contextmanager
def attached(daemon: Live, session: str) -> Iterator[int]:
    """A client on a terminal of its own, without anything around it: what it writes is read from there."""
    pid, master = pty.fork()
    if pid == 0:
        os.execvpe(sys.executable, [sys.executable, "-m", "coprocctl", "attach", session], daemon.environment)
    try:
        client_pid(daemon, session)
        yield master
    finally:
        os.close(master)
        os.waitpid(pid, 0)


def read_until(master: int, data: bytes, holds: Callable[[bytes], bool]) -> bytes:
    deadline = time.monotonic() + PATIENCE_S
    while not (data and holds(data)):
        assert select.select([master], [], [], deadline - time.monotonic())[0], data[-200:]
        try:
            data += os.read(master, 65536)
        except OSError:
            break
    return data


def show(daemon: Live, terminal: Outer, program: str, *options: str) -> tuple[str, dict[str, str], str]:
    """A session with one of PROGRAMS, attached and with its screen as it is to be; and how the terminal was before."""
    argv, keys, shown = PROGRAMS[program]
    if shutil.which(argv[0]) is None:
        pytest.skip(f"{argv[0]} is not installed")
    session, modes, settings = ready(daemon, terminal, *argv)
    attach(terminal, session, *options, until="")
    for key in keys:
        terminal.await_quiet()
        terminal.type(key.rstrip("\n"), *(["Enter"] if key.endswith("\n") else []))
    terminal.await_text(shown)
    return session, modes, settings
