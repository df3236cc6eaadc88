"""A job that has become root: the daemon, an ordinary user's, may not signal it. It is hung up, and every wait has an end."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.live import Live, RpcError, lives

NOBODY = 65534
SETPRIV = shutil.which("setpriv")

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or SETPRIV is None,
    reason="only root can make a program that becomes root, and setpriv(1) one that is not",
)


class Unprivileged(Live):
    """A daemon and a keeper of the user nobody."""

    def command(self, *arguments: str) -> str:
        os.chmod(self.directory, 0o755)
        for path, directories, files in os.walk(self.directory):
            for name in (path, *(os.path.join(path, name) for name in directories + files)):
                os.chown(name, NOBODY, NOBODY, follow_symlinks=False)
        # May read everything, since the interpreter may stand in root's home; may signal no more than its own.
        nobody = [str(SETPRIV), f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=+dac_read_search"]
        argv = [*nobody, "--ambient-caps=+dac_read_search", sys.executable, "-m", "coprocctl", *arguments]
        environment = self.environment | {"HOME": self.directory}
        done = subprocess.run(argv, env=environment, cwd="/", capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def daemon() -> Iterator[Unprivileged]:
    started = Unprivileged()
    yield started
    log = started.log()
    started.close()
    assert "Traceback" not in log and "never retrieved" not in log, log


@pytest.fixture
def as_root(daemon: Unprivileged) -> list[str]:
    """What to put before a command, for it to run as root, as sudo(8) does: the real user too, whom kill(2) goes by."""
    program = Path(daemon.directory) / "as-root"
    shutil.copy(SETPRIV or "", program)
    os.chown(program, 0, 0)
    program.chmod(0o4755)
    if os.statvfs(program).f_flag & os.ST_NOSUID:
        pytest.skip("the file system of /tmp ignores setuid")
    return [str(program), "--reuid=0", "--regid=0", "--clear-groups"]


@pytest.fixture
def held(daemon: Unprivileged) -> list[int]:
    """The descriptors of daemon and keeper before."""
    daemon.call("session.close", session=daemon.create("true", cwd="/"))
    return daemon.descriptors()


def user(pid: int) -> int:
    """Its real user."""
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Uid:"))


def rooted(daemon: Unprivileged, *argv: str, **params: object) -> dict[str, object]:
    """A session whose job is root by now."""
    session: dict[str, object] = daemon.call("session.create", argv=list(argv), cwd="/", **params)
    while user(int(str(session["pid"]))) != 0:
        pass
    return session


def test_it_is_hung_up_by_a_close_and_how_it_ended_is_told(daemon: Unprivileged, as_root: list[str], held: list[int]) -> None:
    """The close waited for all of its grace, and said at last that the job still ran, though the hangup had ended it."""
    session = rooted(daemon, *as_root, "sleep", "1000")
    # The grace would outlast the test: what cannot be signalled is hung up at once.
    closed = daemon.call("session.close", session=session["id"], grace_s=1000)
    assert (closed["state"], closed["signal"]) == ("exited", "SIGHUP")
    assert not lives(int(str(session["pid"])))
    assert "left_pid" not in daemon.client.event("session.closed", session=session["id"])
    assert daemon.descriptors() == held


def test_one_that_outlives_the_hangup_too_is_left_and_named(daemon: Unprivileged, as_root: list[str], held: list[int]) -> None:
    session = rooted(daemon, "/bin/sh", "-c", f"trap '' HUP; exec {shlex.join(as_root)} sleep 1000")
    pid = int(str(session["pid"]))
    try:
        closed = daemon.call("session.close", session=session["id"], grace_s=0.2)
        assert (closed["state"], closed["pid"]) == ("running", pid) and lives(pid)
        assert daemon.client.event("session.closed", session=session["id"])["left_pid"] == pid
        assert f"pid {pid}, cannot be killed" in daemon.log()
        assert daemon.call("session.list") == []
        assert os.readlink(f"/proc/{pid}/fd/0").endswith("(deleted)") or not os.path.exists(str(session["tty"]))
    finally:
        os.kill(pid, signal.SIGKILL)
    while os.path.exists(f"/proc/{pid}"):  # the keeper reaps it
        pass
    assert daemon.descriptors() == held


def test_a_signal_for_it_is_refused_with_the_reason(daemon: Unprivileged, as_root: list[str]) -> None:
    """It was `session_exited`, with exit status None, for a job that ran."""
    session = rooted(daemon, *as_root, "sleep", "1000")
    with pytest.raises(RpcError) as refused:
        daemon.call("session.signal", session=session["id"], signal="TERM")
    assert refused.value.code == "permission_denied" and str(session["pid"]) in str(refused.value)
    daemon.call("session.close", session=session["id"], grace_s=0)


def test_one_behind_a_shell_is_hung_up_with_it(daemon: Unprivileged, as_root: list[str], held: list[int]) -> None:
    session = daemon.call("session.create", shell=f"{shlex.join(as_root)} sleep 1000; :", cwd="/")
    shell = session["pid"]
    while not (children := Path(f"/proc/{shell}/task/{shell}/children").read_text().split()) or user(int(children[0])) != 0:
        pass
    closed = daemon.call("session.close", session=session["id"], grace_s=1000)
    assert (closed["state"], closed["signal"]) == ("exited", "SIGHUP")
    while os.path.exists(f"/proc/{children[0]}"):
        pass
    assert daemon.descriptors() == held


def test_a_coprocess_that_became_root_can_be_stopped_and_is_reaped_when_it_ends(
    daemon: Unprivileged, as_root: list[str], held: list[int]
) -> None:
    """It stayed a zombie for as long as its record was kept."""
    session = daemon.create("cat", cwd="/")
    pid = daemon.call("coprocess.run", session=session, argv=[*as_root, "sleep", "1000"])["pid"]
    while user(pid) != 0:
        pass
    assert daemon.call("coprocess.stop", session=session, grace_s=0.1) == {"stopped": True}
    assert daemon.call("coprocess.get", session=session)["end_reason"] == "stopped"
    os.kill(pid, signal.SIGKILL)
    while os.path.exists(f"/proc/{pid}"):
        pass
    daemon.call("session.close", session=session)
    assert daemon.descriptors() == held


def test_the_status_of_an_orphan_that_became_root_is_right_or_null_and_never_made_up(daemon: Unprivileged, as_root: list[str]) -> None:
    """/proc tells another user's exit code as 0."""
    for _ in range(5):
        session = daemon.create(*as_root, "/bin/sh", "-c", "read a; exit 5")
        keeper = daemon.pids()[1]
        os.kill(keeper, signal.SIGKILL)
        while daemon.pids()[1] == keeper:
            pass
        daemon.call("session.send_text", session=session, text="x", enter=True)
        assert daemon.client.event("session.exited", session=session)["exit_status"] in (5, None)
        daemon.call("session.close", session=session)
