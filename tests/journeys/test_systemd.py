"""Under a real `systemd --user`: socket, restart, kill, stop and start, and a scope for every session.

Where none can be had (not root, no cgroup that may be written) these are skipped, and say why; `tests/runtime/test_service.py`, with a
socket in systemd's place, always runs.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.live import PATIENCE_S, Client, lives
from support.user_manager import UserManager, missing

UNITS = ("coprocd.socket", "coprocd.service", "coprocd-keeper.service")
COUNTER = "stty raw -echo; n=0; while :; do echo $((n=n+1)); read -t 0.01 x; done"


@pytest.fixture
def manager() -> Iterator[UserManager]:
    """With the units installed, and the socket enabled and listening."""
    if why := missing():
        pytest.skip(why)
    with UserManager() as manager:
        manager.coprocctl("daemon", "install-units")
        manager.systemctl("daemon-reload")
        manager.systemctl("enable", "--now", "coprocd.socket")
        yield manager


def until(holds: Callable[[], object], what: str) -> None:
    """Looks until it holds: what systemd does next is told to nobody."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, f"waited for {what}"


def stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def pids(manager: UserManager) -> tuple[int, int]:
    """Of daemon and keeper, asked on a new connection: it waits in the backlog while there is no daemon."""
    info = call(manager, "daemon.info")
    assert info["supervisor"] == "systemd"
    return info["pid"], info["keeper_pid"]


def call(manager: UserManager, method: str, **params: object) -> Any:
    with closing(Client(manager.socket)) as client:
        return client.call(method, **params)


def until_ready(manager: UserManager) -> None:
    """It serves before it says that it is ready."""
    until(lambda: manager.property("coprocd.service", "ActiveState") == "active", "a daemon that is ready")


def text(manager: UserManager, session: str, end: str) -> str:
    """All the session printed, once it has printed `end`."""
    printed, offset = "", 0
    deadline = time.monotonic() + PATIENCE_S
    with closing(Client(manager.socket)) as client:
        while end not in printed:
            assert time.monotonic() < deadline, printed
            read = client.call("session.read", session=session, from_offset=offset, wait_s=1, format="text")
            printed, offset = printed + read["text"], read["next_offset"]
    return printed


def cgroup(pid: int) -> str:
    return Path(f"/proc/{pid}/cgroup").read_text()


def test_the_first_client_starts_daemon_and_keeper_and_they_are_units(manager: UserManager) -> None:
    assert manager.property("coprocd.service", "ActiveState") == "inactive"
    daemon, keeper = pids(manager)
    assert manager.property("coprocd.service", "MainPID") == str(daemon)
    assert manager.property("coprocd-keeper.service", "MainPID") == str(keeper)
    until_ready(manager)
    assert "took over 0 sessions" in manager.property("coprocd.service", "StatusText")
    assert os.stat(manager.socket).st_mode & 0o777 == 0o600
    doctor = manager.coprocctl("doctor")
    assert "this user's instance runs (running)" in doctor and "as this version writes them" in doctor


def test_a_session_outlives_a_kill_of_the_daemon_of_the_keeper_and_every_restart(manager: UserManager) -> None:
    daemon, keeper = pids(manager)
    session = str(call(manager, "session.create", argv=["/bin/bash", "-c", COUNTER])["id"])
    job = call(manager, "session.get", session=session)["pid"]
    text(manager, session, "\n10\n")

    os.kill(daemon, signal.SIGKILL)
    after = pids(manager)
    assert after[0] != daemon and after[1] == keeper

    os.kill(keeper, signal.SIGKILL)
    until(lambda: pids(manager)[1] != keeper, "the daemon's next keeper")
    daemon, keeper = pids(manager)
    assert daemon == after[0]

    manager.systemctl("restart", "coprocd.service")
    assert pids(manager)[0] != daemon and pids(manager)[1] == keeper

    manager.systemctl("reload", "coprocd-keeper.service")
    started = str(call(manager, "session.create", shell="exit 7")["id"])
    assert pids(manager)[1] == keeper

    manager.systemctl("restart", "coprocd-keeper.service")
    until(lambda: pids(manager)[1] != keeper, "the keeper that systemd has started in its place")

    until(lambda: call(manager, "session.get", session=started)["exit_status"] == 7, "its exit status")
    found = call(manager, "session.get", session=session)
    assert (found["state"], found["pid"]) == ("running", job)
    last = int(text(manager, session, "\n").split()[-1])
    numbers = text(manager, session, f"\n{last + 50}\n").split()
    assert numbers == [str(number) for number in range(1, len(numbers) + 1)]


def test_no_connection_is_refused_while_the_daemon_is_killed_and_restarted(manager: UserManager) -> None:
    pids(manager)
    refused, ended, answered = [], threading.Event(), []

    def knock() -> None:
        while not ended.is_set():
            try:
                with socket.socket(socket.AF_UNIX) as client:
                    client.settimeout(PATIENCE_S)
                    client.connect(manager.socket)
                    client.sendall(b'{"jsonrpc":"2.0","id":1,"method":"daemon.info"}\n')
                    answered.append(bool(client.recv(1)))
            except ConnectionResetError:
                answered.append(False)  # killed between accept and answer
            except OSError as error:
                refused.append(error)

    knocking = [threading.Thread(target=knock) for _ in range(4)]
    for thread in knocking:
        thread.start()
    for turn in range(6):
        daemon = pids(manager)[0]
        if turn % 2:
            manager.systemctl("restart", "coprocd.service")
        else:
            os.kill(daemon, signal.SIGKILL)
        until(lambda daemon=daemon: pids(manager)[0] != daemon, "another daemon")
    ended.set()
    for thread in knocking:
        thread.join()
    assert refused == [] and sum(answered) > 20


def test_a_daemon_that_hangs_is_replaced(manager: UserManager) -> None:
    manager.write("c/systemd/user/coprocd.service.d/test.conf", "[Service]\nWatchdogSec=1s\nTimeoutAbortSec=1s\n")
    manager.systemctl("daemon-reload")
    session = call(manager, "session.create", shell="echo up; sleep 1000")
    daemon, _ = pids(manager)
    until_ready(manager)
    os.kill(daemon, signal.SIGSTOP)
    until(lambda: stopped(daemon), "the daemon to stop")  # until then it takes connections
    assert pids(manager)[0] != daemon
    assert call(manager, "session.get", session=session["id"])["pid"] == session["pid"]


def test_stop_and_start_keep_the_sessions_and_stop_all_leaves_nothing(manager: UserManager) -> None:
    session = call(manager, "session.create", shell="echo up; sleep 1000")
    before = pids(manager)
    assert f"1 session waits with the keeper (pid {before[1]})" in manager.coprocctl("daemon", "stop")
    assert not lives(before[0]) and not os.path.exists(manager.socket)
    assert manager.property("coprocd.service", "ActiveState") == "inactive"
    assert "runs: pid" in manager.coprocctl("daemon", "start")
    after = pids(manager)
    assert after[0] != before[0] and after[1] == before[1]
    assert "1 session kept" in manager.coprocctl("daemon", "restart")
    assert call(manager, "session.get", session=session["id"])["pid"] == session["pid"]
    after = pids(manager)
    assert manager.coprocctl("daemon", "stop", "--all") == "stopped, with 1 session"
    assert not any(map(lives, (*after, int(str(session["pid"])))))
    assert [manager.property(unit, "ActiveState") for unit in UNITS] == ["inactive"] * 3
    assert not os.path.exists(manager.socket)


def test_a_daemon_told_to_end_by_rpc_stays_ended_until_a_client_comes(manager: UserManager) -> None:
    daemon, _ = pids(manager)
    call(manager, "daemon.shutdown")
    until(lambda: manager.property("coprocd.service", "ActiveState") == "inactive", "its end")
    assert manager.property("coprocd.service", "Result") == "success" and not lives(daemon)
    assert pids(manager)[0] != daemon


def test_a_session_has_a_scope_of_its_own_and_its_coprocess_is_in_it_and_nothing_else_is_changed(manager: UserManager) -> None:
    script = "import os, sys; print(os.getpid(), sys.argv, dict(os.environ), 'end')"
    argv = [sys.executable, "-c", script, "a b", ""]
    created = call(manager, "session.create", argv=argv, env={"ODD%%": "x=\n'y", "LANG": None, "LC_ALL": None}, clear_env=True)
    session = str(created["id"])
    printed = text(manager, session, "} end").replace("\r\n", "\n")
    expected = {"ODD%%": "x=\n'y", "TERM": "xterm-256color", "COPROCD_SESSION": session, "COPROCD_SOCKET": manager.socket}
    shown = eval(printed[printed.index("{") : printed.rindex("}") + 1])
    assert {name: value for name, value in shown.items() if name != "LC_CTYPE"} == expected  # which Python sets itself
    assert printed.startswith(f"{created['pid']} ['-c', 'a b', ''] ")

    created = call(manager, "session.create", shell="echo up; sleep 1000", coprocess={"command": "sleep 1000"})
    session, unit = str(created["id"]), f"coprocd-{created['id']}.scope"
    text(manager, session, "up")
    coprocess = call(manager, "coprocess.get", session=session)
    for pid in (created["pid"], coprocess["pid"]):
        until(lambda pid=pid: f"app-coprocd.slice/{unit}" in cgroup(int(str(pid))), "the scope")
    assert manager.property(unit, "ActiveState") == "active"
    call(manager, "session.close", session=session)
    until(lambda: manager.property(unit, "LoadState") == "not-found", "the end of the scope")


def test_a_job_past_its_memory_ends_alone(manager: UserManager) -> None:
    manager.write("c/coprocd/config.toml", "[sessions]\nmemory_max = 67108864\ntasks_max = 20\n")
    other = call(manager, "session.create", shell="echo up; sleep 1000")
    unit = f"coprocd-{other['id']}.scope"
    text(manager, str(other["id"]), "up")
    assert manager.property(unit, "MemoryMax") == "67108864" and manager.property(unit, "TasksMax") == "20"
    if not memory_is_bounded(int(str(other["pid"]))):
        pytest.skip("this machine lends us no memory controller")
    before = pids(manager)
    hog = str(call(manager, "session.create", argv=[sys.executable, "-c", "x = bytearray(300 << 20)"])["id"])
    until(lambda: call(manager, "session.get", session=hog)["state"] == "exited", "the end of the hog")
    assert call(manager, "session.get", session=hog)["signal"] == "SIGKILL"
    assert pids(manager) == before
    assert call(manager, "session.get", session=other["id"])["pid"] == other["pid"]


def memory_is_bounded(pid: int) -> bool:
    """Whether `pid` is in a memory cgroup of its session's, in either hierarchy."""
    for line in cgroup(pid).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "memory":
            return path.endswith(".scope")
        if not controllers and os.path.exists(f"/sys/fs/cgroup{path}/memory.max"):
            return True
    return False


def test_a_session_starts_though_systemd_does_not_answer(manager: UserManager) -> None:
    """Its private socket is taken away, and one that never answers stands in its place."""
    pids(manager)
    private = f"{manager.runtime}/systemd/private"
    os.rename(private, f"{private}.real")
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(private)
        deaf.listen()
        created = call(manager, "session.create", shell="echo up; sleep 1000")
        assert "up" in text(manager, str(created["id"]), "up")
        assert "coprocd-keeper.service" in cgroup(int(str(created["pid"])))
        until(lambda: f"session {created['id']}: its job {created['pid']} is in no scope" in manager.said(), "the log")
    os.rename(f"{private}.real", private)
