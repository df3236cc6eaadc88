"""A system without pidfds, memfds and splice(2): what must be as right as elsewhere, and what is honestly less."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.live import RAW_CAT, Live, live, lives


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Live]:
    (tmp_path / "sitecustomize.py").write_text(
        "import os, signal\n"
        "for owner, name in ((os, 'pidfd_open'), (signal, 'pidfd_send_signal'), (os, 'memfd_create'), (os, 'splice'), (os, 'posix_fallocate')):\n"
        "    if hasattr(owner, name):\n        delattr(owner, name)\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep))
    with live() as started:
        assert not started.call("daemon.info")["platform"]["memfd"]
        yield started
        assert "Traceback" not in started.log()


def next_daemon(daemon: Live) -> None:
    pid = daemon.pids()[0]
    daemon.client.close()
    os.kill(pid, signal.SIGKILL)
    while lives(pid):
        pass
    daemon.subscribe()


def test_daemons_and_jobs_come_and_go_with_their_statuses(daemon: Live) -> None:
    kept = daemon.raw_cat()
    for number in range(5):
        next_daemon(daemon)
        session = daemon.create(shell=f"read a; exit {number}")
        coprocess = daemon.call("coprocess.run", session=session, command=f"cat; exit {number}", input=False)
        daemon.call("session.send_text", session=session, text="x", enter=True)
        assert daemon.client.event("session.exited", session=session)["exit_status"] == number
        ended = daemon.ended(session)
        assert (ended["id"], ended["exit_status"]) == (coprocess["id"], number)
    daemon.call("session.send_text", session=kept, text="hello")
    daemon.output(kept, b"hello")


def test_a_killed_keeper_is_followed_by_one_that_starts_no_second_daemon_while_the_first_lives(daemon: Live) -> None:
    """The end of any job was taken for that of the daemon: a second was started, refused, and the socket removed as if there were none."""
    orphan, kept = daemon.create(shell="read a; exit 4"), daemon.create(shell=RAW_CAT)
    daemon.output(kept, b"ready\n")
    pid, keeper = daemon.pids()
    os.kill(keeper, signal.SIGKILL)
    while daemon.pids()[1] == keeper:
        pass
    for number in range(3):
        session = daemon.create(shell=f"exit {number}")
        assert daemon.client.event("session.exited", session=session)["exit_status"] == number
    daemon.call("session.send_text", session=orphan, text="x", enter=True)
    assert daemon.client.event("session.exited", session=orphan)["exit_status"] is None, "only its parent was told"
    assert daemon.pids()[0] == pid and f"daemon {pid} ended" not in daemon.log()
    next_daemon(daemon)
    daemon.call("session.send_text", session=kept, text="hello")
    daemon.output(kept, b"hello")
