"""What runs out: descriptors, terminals, memory for logs. The call fails with counts, the rest goes on, and there is room again."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.live import RAW_CAT, Client, Live, RpcError, descriptors, live

NAMESPACES = subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode == 0
needs_namespaces = pytest.mark.skipif(not NAMESPACES, reason="needs a mount namespace of its own: root, or CAP_SYS_ADMIN")


@contextmanager
def started_under(wrapper: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Live]:
    """A daemon whose keeper and daemon are started by a shell that has run `wrapper` first."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\n{wrapper}\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    site = tmp_path / "site"
    site.mkdir()
    # What starts the keeper is coprocctl, with its own interpreter: this makes it ours, once; the keeper's own is real again.
    (site / "sitecustomize.py").write_text(
        "import os, sys\nif sys.argv[:1] == ['-m'] and os.environ.pop('COPROCD_TEST_PYTHON', ''):\n"
        f"    sys.executable = {str(python)!r}\n"
        "if 'COPROCD_TEST_NO_MEMFD' in os.environ and hasattr(os, 'memfd_create'):\n    del os.memfd_create\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep))
    monkeypatch.setenv("COPROCD_TEST_PYTHON", "1")
    with live() as daemon:
        monkeypatch.delenv("COPROCD_TEST_PYTHON")
        daemon.environment.pop("COPROCD_TEST_PYTHON")
        yield daemon


@contextmanager
def little_memory(size: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[tuple[Live, str]]:
    """A daemon whose logs are files, as on a system without memfds, on a file system of `size`; and a path in it, reached through its own root."""
    small = f"{tmp_path}/small"
    os.mkdir(small)
    inside = (
        f"export TMPDIR={small} COPROCD_TEST_NO_MEMFD=1; "
        f'exec unshare --mount sh -c \'mount -t tmpfs -o size={size},mode=700 none {small} || exit 1; exec {sys.executable} "$@"\' sh "$@"'
    )
    with started_under(inside, monkeypatch, tmp_path) as daemon:
        yield daemon, f"/proc/{daemon.pids()[0]}/root{small}/hog"


def fill(path: str) -> None:
    """Writes a file until the file system is full."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        while True:
            os.write(fd, bytes(4096))
    except OSError:
        os.close(fd)


def test_without_descriptors_sessions_are_refused_with_counts_and_those_there_are_go_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with started_under("ulimit -n 400", monkeypatch, tmp_path) as daemon:
        first = daemon.create(shell=RAW_CAT)
        sessions = []
        with pytest.raises(RpcError, match=r"\d+ of 400 are in use") as refused:
            while True:
                sessions.append(daemon.create(shell="cat"))
        assert refused.value.code == "resource_exhausted" and len(sessions) > 20
        assert refused.value.data["descriptors_used"] > 200
        with pytest.raises(RpcError, match="no descriptors for a coprocess"):
            daemon.call("coprocess.run", session=first, command="cat")
        others = [Client(daemon.socket) for _ in range(20)]
        daemon.call("session.send_text", session=first, text="alive")
        daemon.output(first, b"alive")
        for other in others:
            assert other.call("session.get", session=first)["state"] == "running"
            other.close()
        daemon.restart()
        daemon.call("session.send_text", session=first, text="and kept")
        daemon.output(first, b"and kept")
        for session in sessions[:3]:
            daemon.call("session.close", session=session, grace_s=0)
        assert daemon.create(shell="cat")


def test_more_connections_than_there_is_room_for_wait_and_are_answered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with started_under("ulimit -n 400", monkeypatch, tmp_path) as daemon:
        daemon.loaded()
        before = descriptors(daemon.pids()[0])
        crowd = [Client(daemon.socket) for _ in range(300)]
        numbers = [client.send("daemon.info") for client in crowd]
        for client, number in zip(crowd, numbers, strict=True):
            assert client.answer(number)["pid"]
            client.close()
        session = daemon.create(shell="exit 3")
        assert daemon.client.event("session.exited", session=session)["exit_status"] == 3
        daemon.call("session.close", session=session)
        while descriptors(daemon.pids()[0]) > before:
            pass


@needs_namespaces
def test_without_terminals_a_session_is_refused_with_counts_and_coprocesses_still_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    private = "mount -t devpts -o newinstance,max=2,ptmxmode=0666 devpts /dev/pts && mount --bind /dev/pts/ptmx /dev/ptmx || exit 1"
    inside = f'exec unshare --mount sh -c \'{private}; exec {sys.executable} "$@"\' sh "$@"'
    with started_under(inside, monkeypatch, tmp_path) as daemon:
        sessions = [daemon.create(shell=RAW_CAT) for _ in range(2)]
        with pytest.raises(
            RpcError, match=r"no terminal is left \(\d+ of \d+ descriptors of the keeper, \d+ of \d+ terminals in use\)"
        ) as refused:
            daemon.create(shell="cat")
        assert refused.value.code == "resource_exhausted"
        assert len(daemon.call("session.list")) == 2
        assert daemon.call("coprocess.run", session=sessions[0], command="exit 0")["pid"]
        daemon.call("session.close", session=sessions[1], grace_s=0)
        assert daemon.create(shell="cat")


@needs_namespaces
def test_without_memory_for_logs_the_session_waits_and_not_one_byte_is_lost(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with little_memory("3m", monkeypatch, tmp_path) as (daemon, hog):
        session = daemon.create(shell="stty raw -echo; echo ready; head -c 1 >/dev/null; head -c 1500000 /dev/zero | tr '\\0' x; echo end")
        other = daemon.create(shell=RAW_CAT)
        daemon.output(session, b"ready\n"), daemon.output(other, b"ready\n")
        fill(hog)
        daemon.call("session.send_text", session=session, text="g")
        paused = daemon.client.event("session.paused", session=session)
        assert (paused["why"], paused["by"]) == ("memory", None)
        assert daemon.call("session.get", session=session)["paused"] == {"why": "memory", "by": None}
        with pytest.raises(RpcError) as refused:
            daemon.create(shell="cat")
        assert refused.value.code == "resource_exhausted"
        daemon.call("session.send_text", session=other, text="still here")
        daemon.output(other, b"still here")
        os.unlink(hog)
        daemon.client.event("session.resumed", session=session)
        assert daemon.output(session) == b"ready\n" + b"x" * 1_500_000 + b"end\n"
        assert daemon.create(shell="cat")


@needs_namespaces
def test_what_a_coprocess_types_waits_for_memory_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with little_memory("2m", monkeypatch, tmp_path) as (daemon, hog):
        session = daemon.create(shell="stty raw -echo; echo ready; head -c 300000 | sha256sum; cat")
        daemon.output(session, b"ready\n")
        daemon.call(
            "coprocess.run",
            session=session,
            command=f"until [ -e {tmp_path}/go ]; do sleep 0.05; done; head -c 300000 /dev/zero | tr '\\0' y",
        )
        fill(hog)
        with pytest.raises(RpcError) as refused:
            daemon.call("session.send_bytes", session=session, data_b64=base64.b64encode(bytes(200_000)).decode())
        assert refused.value.code == "resource_exhausted"
        (tmp_path / "go").touch()
        while daemon.call("coprocess.get", session=session)["typed_bytes"] == 0:  # the first page, which was there from the beginning
            pass
        os.unlink(hog)
        daemon.output(session, hashlib.sha256(b"y" * 300_000).hexdigest().encode())
