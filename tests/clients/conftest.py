"""Fixtures of the tests of coprocctl. Each test has a place of its own under /tmp: a socket's path has at most 107 bytes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from coprocctl_command import Command, Peer, Script


@pytest.fixture
def coprocctl() -> Iterator[Command]:
    """The command, with nothing running."""
    root = Path(tempfile.mkdtemp(prefix="cc", dir="/tmp"))
    try:
        yield Command(root)
    finally:
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def peer(coprocctl: Command) -> Iterator[Callable[[Script], Peer]]:
    """Starts a Peer where `coprocctl` looks for its daemon."""
    peers: list[Peer] = []

    def start(script: Script) -> Peer:
        peers.append(Peer(coprocctl.socket, script))
        return peers[-1]

    yield start
    for started in peers:
        started.close()


@pytest.fixture
def daemon(coprocctl: Command) -> Iterator[Command]:
    """The command, with a daemon of its own, of which nothing is left afterwards."""
    limits = coprocctl.root / "config" / "coprocd" / "config.toml"
    limits.parent.mkdir(parents=True)
    limits.write_text("[limits]\nstall_timeout_s = 0.5\nnot_reading_s = 0.5\n")
    started = coprocctl("daemon", "start")
    try:
        assert started.returncode == 0, started.stderr.decode()
        yield coprocctl
    finally:
        stopped = coprocctl("daemon", "stop", "--all")
        log = (coprocctl.root / "state" / "coprocd" / "coprocd.log").read_text()
    assert stopped.returncode == 0, stopped.stderr.decode() + log
    assert "Traceback" not in log, log
