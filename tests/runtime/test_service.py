"""What the daemon tells a service manager and takes from it, with a socket in systemd's place."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.api_server import short_directory
from support.live import PATIENCE_S, Client, lives

from coprocd.platform import service

# What systemd does between fork and exec: the socket becomes descriptor 3, the environment says for whom.
AS_SYSTEMD = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
os.execv(sys.argv[2], sys.argv[2:])
"""


class FakeManager:
    """Listens for the daemon, is told by it, and starts keeper and daemon as their units do."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith(("COPROCD_", "XDG_"))} | {
            "XDG_RUNTIME_DIR": str(directory),
            "XDG_STATE_HOME": str(directory / "s"),
            "XDG_CONFIG_HOME": str(directory / "c"),
            "WATCHDOG_USEC": "300000",
        }
        (directory / "coprocd").mkdir(mode=0o700)
        self.socket = str(directory / "coprocd" / "coprocd.sock")
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(self.socket)
        self.listening.listen()
        self.started: list[subprocess.Popen[bytes]] = []
        self.told: dict[str, socket.socket] = {}

    def start(self, name: str, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        """Starts a service, with the socket as descriptor 3 where it is the daemon's."""
        told = self.told.get(name)
        if told is None:
            told = self.told[name] = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            told.bind(str(self.directory / name))
            told.settimeout(PATIENCE_S)
        command = [sys.executable, "-P", "-m", module, *arguments]
        env = self.environment | {"NOTIFY_SOCKET": str(self.directory / name)}
        if module == "coprocd":
            fd = self.listening.fileno()
            process = subprocess.Popen([sys.executable, "-c", AS_SYSTEMD, str(fd), *command], env=env, pass_fds=[fd])
        else:
            process = subprocess.Popen(command, env=env)
        self.started.append(process)
        return process

    def hear(self, name: str, line: str) -> list[str]:
        """The message that holds `line`, which is to come; others are passed over."""
        while True:
            lines = self.told[name].recv(4096).decode().split("\n")
            if line in lines:
                return lines

    def close(self) -> None:
        for process in reversed(self.started):
            process.terminate()
            process.wait(PATIENCE_S)
        for told in (*self.told.values(), self.listening):
            told.close()


@pytest.fixture
def directory() -> Iterator[Path]:
    with short_directory() as directory:
        yield directory


@pytest.fixture
def manager(directory: Path) -> Iterator[FakeManager]:
    manager = FakeManager(directory)
    try:
        manager.start("keeper", "coprocd.keeper", "--managed")
        manager.hear("keeper", "READY=1")
        yield manager
    finally:
        manager.close()


@pytest.mark.parametrize("abstract", [False, True])
def test_the_manager_is_told_at_a_path_or_an_abstract_name(abstract: bool, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"@{directory}" if abstract else str(directory / "n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(name.replace("@", "\0"))
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        assert service.notify("READY=1", "STATUS=one\ntwo")
        assert told.recv(100) == b"READY=1\nSTATUS=one two"


def test_without_a_manager_or_with_one_that_is_gone_nothing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert not service.notify("READY=1") and not service.managed()
    for gone in ("/nowhere/notify", "@coprocd-nobody", "vsock:2:1"):
        monkeypatch.setenv("NOTIFY_SOCKET", gone)
        assert not service.notify("READY=1")


@pytest.mark.parametrize(("pid", "fds"), [("1", "1"), ("ours", "x"), ("", "1"), ("ours", "0")])
def test_sockets_of_another_process_are_not_taken(pid: str, fds: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LISTEN_PID", pid.replace("ours", str(os.getpid())))
    monkeypatch.setenv("LISTEN_FDS", fds)
    assert service.listening() == []


@pytest.mark.parametrize(
    ("microseconds", "pid", "seconds"),
    [
        ("300000", None, 0.3),
        ("300000", "ours", 0.3),
        ("300000", "1", None),
        ("0", None, None),
        ("x", None, None),
        (None, None, None),
    ],
)
def test_signs_of_life_are_given_where_they_are_wanted_of_this_process(
    microseconds: str | None, pid: str | None, seconds: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("WATCHDOG_USEC", microseconds), ("WATCHDOG_PID", pid)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value.replace("ours", str(os.getpid())))
    assert service.watchdog_s() == seconds


async def test_a_loop_that_turns_gives_signs_of_life_and_one_that_hangs_gives_none(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(directory / "n"))
    monkeypatch.setenv("WATCHDOG_USEC", "30000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(directory / "n"))
        told.setblocking(False)
        loop = asyncio.get_running_loop()
        service.keep_alive(loop)
        for _ in range(3):
            assert await loop.sock_recv(told, 100) == b"WATCHDOG=1"
        while True:  # what was sent before the loop hangs, here, and now
            try:
                told.recv(100)
            except BlockingIOError:
                break
        told.settimeout(0.1)
        with pytest.raises(TimeoutError):
            told.recv(100)


def test_a_daemon_is_ready_when_it_has_taken_over_all_sessions_and_clients_waited_meanwhile(manager: FakeManager) -> None:
    daemon = manager.start("daemon", "coprocd")
    assert "STATUS=Serves " + manager.socket + "; took over 0 sessions" in manager.hear("daemon", "READY=1")
    manager.hear("daemon", "WATCHDOG=1")
    client = Client(manager.socket)
    assert client.call("daemon.info")["supervisor"] == "systemd"
    sessions = [client.call("session.create", shell="sleep 1000")["id"] for _ in range(3)]
    client.close()
    daemon.kill()
    daemon.wait()
    waiting = [Client(manager.socket) for _ in range(20)]
    for client in waiting:
        client.send("session.list")
    manager.start("daemon", "coprocd")
    assert "took over 3 sessions" in manager.hear("daemon", "READY=1")[1]
    for client in waiting:
        assert [session["id"] for session in client.answer(1)] == sessions
        client.close()


def test_an_end_is_told_and_one_on_purpose_has_a_status_of_its_own_and_leaves_the_manager_s_socket(manager: FakeManager) -> None:
    daemon = manager.start("daemon", "coprocd")
    manager.hear("daemon", "READY=1")
    daemon.send_signal(signal.SIGTERM)
    manager.hear("daemon", "STOPPING=1")
    assert daemon.wait(PATIENCE_S) == 0
    daemon = manager.start("daemon", "coprocd")
    manager.hear("daemon", "READY=1")
    client = Client(manager.socket)
    client.call("daemon.shutdown")
    client.close()
    assert daemon.wait(PATIENCE_S) == service.RETIRED
    waiting = Client(manager.socket)  # the socket is the manager's: it would start a daemon now
    waiting.close()


def test_a_start_that_fails_tells_why(manager: FakeManager) -> None:
    (manager.directory / "c" / "coprocd").mkdir(parents=True)
    (manager.directory / "c" / "coprocd" / "config.toml").write_text("[sessions]\nscope = 'sometimes'\n")
    daemon = manager.start("daemon", "coprocd")
    assert daemon.wait(PATIENCE_S) == 1
    told = manager.told["daemon"].recv(4096).decode()
    assert told.startswith("STATUS=Did not start: ") and "config.toml" in told and "sometimes" in told


def test_a_keeper_that_a_manager_runs_starts_no_daemon_and_its_successor_gets_everything(manager: FakeManager) -> None:
    daemon = manager.start("daemon", "coprocd")
    manager.hear("daemon", "READY=1")
    client = Client(manager.socket)
    session = client.call("session.create", shell="sleep 1000")
    manager.started[0].kill()
    manager.started[0].wait()
    manager.start("keeper", "coprocd.keeper", "--managed")
    manager.hear("keeper", "READY=1")
    other = client.call("session.create", shell="exit 3")
    while (shown := client.call("session.get", session=other["id"]))["state"] != "exited":
        pass
    assert shown["exit_status"] == 3 and client.call("session.get", session=session["id"])["pid"] == session["pid"]
    client.close()
    daemon.kill()
    daemon.wait()
    assert lives(manager.started[-1].pid) and lives(session["pid"])
