"""`daemon restart`: another daemon, the same sessions, not a byte lost or twice."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest
from support.live import Live, live, lives

# Prints numbered lines in raw mode until it is sent a byte, and then their SHA-256 to a file.
NUMBERED = """
import hashlib, os, select, sys, tty
tty.setraw(0); digest, number = hashlib.sha256(), 0
while not select.select([0], [], [], 0)[0]:
    data = b"".join(b"%012d\\n" % n for n in range(number, number + 500)); number += 500
    while data:
        size = os.write(1, data); digest.update(data[:size]); data = data[size:]
with open(sys.argv[1], "w") as file: file.write(digest.hexdigest())
"""


@pytest.fixture
def daemon() -> object:
    with live() as started:
        yield started


def test_a_flood_through_a_coprocess_and_an_observer_is_exact_over_restarts(daemon: Live, tmp_path: Path) -> None:
    job = [sys.executable, "-c", NUMBERED, str(tmp_path / "printed")]
    session = daemon.create(*job, coprocess={"command": f"sha256sum > {tmp_path}/read"})
    daemon.call("coprocess.run", session=session, command=f"sha256sum > {tmp_path}/observed", from_=0, input=False)
    before = daemon.call("session.get", session=session)
    for _ in range(5):
        daemon.restart()
        after = daemon.call("session.get", session=session)
        assert (after["pid"], after["epoch"], after["state"]) == (before["pid"], before["epoch"], "running")
        assert (after["coprocess"]["pid"], after["observers"]) == (before["coprocess"]["pid"], 1)
    daemon.go(session)
    assert daemon.client.event("session.exited", session=session)["exit_status"] == 0
    daemon.ended(session), daemon.ended(session)
    assert (
        (tmp_path / "read").read_text().split()[0] == (tmp_path / "observed").read_text().split()[0] == (tmp_path / "printed").read_text()
    )


def test_what_was_accepted_is_typed_once_though_the_daemon_is_replaced(daemon: Live) -> None:
    session = daemon.create(shell="stty raw -echo; echo ready; sleep 3; head -c 400000 | sha256sum")
    daemon.output(session, b"ready\n")
    data = "".join(f"{number:07d}\n" for number in range(50_000))
    for start in range(0, len(data), 100_000):
        daemon.call("session.send_text", session=session, text=data[start : start + 100_000], key=f"part {start}")
        daemon.restart()
        daemon.call("session.send_text", session=session, text=data[start : start + 100_000], key=f"part {start}")
    assert hashlib.sha256(data.encode()).hexdigest().encode() in daemon.output(session)


def test_a_typing_coprocess_is_exact_over_restarts(daemon: Live, tmp_path: Path) -> None:
    session = daemon.create(shell=f"stty raw -echo; echo ready; head -c 3000000 > {tmp_path}/typed; sync; echo done")
    daemon.output(session, b"ready\n")
    # A counter in the shape of lines, slow enough to last.
    program = "import sys,time\nfor n in range(300):\n sys.stdout.write('%09999d\\n' % n); sys.stdout.flush(); time.sleep(0.005)\nprint('e'*9999, file=sys.stderr)"
    daemon.call("coprocess.run", session=session, argv=[sys.executable, "-c", program])
    for _ in range(4):
        daemon.restart()
    daemon.output(session, b"done")
    assert (tmp_path / "typed").read_bytes() == b"".join(b"%09999d\n" % number for number in range(300))
    while (shown := daemon.call("coprocess.get", session=session))["state"] != "ended":
        pass
    assert shown["typed_bytes"] == 3_000_000 and shown["stderr"] == "e" * 9999 + "\n"


def test_names_labels_silence_and_ended_sessions_are_kept(daemon: Live) -> None:
    ended = daemon.create(shell="echo bye; exit 9", name="gone")
    daemon.client.event("session.exited", session=ended)
    session = daemon.raw_cat(name="here", labels={"a": "b"})
    daemon.call("coprocess.run", session=session, command="head -c 3 >/dev/null; echo noted >&2; sleep 100", silent=True)
    daemon.call("session.send_text", session=session, text="hid")
    daemon.output(session, b"hid")
    daemon.call("session.resize", session=session, rows=33, cols=44)
    before = daemon.call("session.list")
    daemon.restart()
    after = daemon.call("session.list")
    unsteady = ("foreground", "activity", "coprocess")
    assert [{k: v for k, v in s.items() if k not in unsteady} for s in after] == [
        {k: v for k, v in s.items() if k not in unsteady} for s in before
    ]
    daemon.call("coprocess.stop", session="here")
    stopped = daemon.call("coprocess.get", session="here")
    assert stopped["stderr"] == "noted\n" and daemon.call("session.read", session="here")["silent"] == [[6, stopped["silent_to"]]]
    assert daemon.output(ended) == b"bye\r\n" and daemon.call("session.get", session="gone")["exit_status"] == 9


def test_jobs_that_end_while_no_daemon_runs_have_their_statuses(daemon: Live) -> None:
    sessions = [daemon.create(shell=f"stty raw -echo; echo up; sleep 1.5; echo late; exit {number}") for number in range(5)]
    observed = daemon.call("coprocess.run", session=sessions[0], command="sleep 1; exit 6", input=False)
    for session in sessions:
        daemon.output(session, b"up\n")
    keeper = daemon.pids()[1]
    daemon.client.close()
    assert "5 sessions wait" in daemon.command("daemon", "stop")
    jobs = [int(pid) for pid in Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split()]
    while any(lives(pid) for pid in jobs):
        pass
    daemon.command("daemon", "start")
    daemon.subscribe()
    for number, session in enumerate(sessions):
        assert daemon.output(session) == b"up\nlate\n"
        while (shown := daemon.call("session.get", session=session))["state"] != "exited":
            pass
        assert shown["exit_status"] == number
    found = next(c for c in daemon.call("coprocess.list", session=sessions[0]) if c["id"] == observed["id"])
    assert (found["state"], found["exit_status"]) == ("ended", 6)
