"""Starting the daemon and waiting until it is ready; ending it.

A start is a keeper: it starts the daemon, and writes `READY` and a newline to the pipe it was given when the daemon
answers, or else the reason why it does not, and closes the pipe. Only `new`, `demo` and `daemon start` start one. Where
the units for systemd are installed, systemd is asked instead: a keeper of ours would be in the way of its.
"""

from __future__ import annotations

import os
import sys
import time

from coprocctl.connection import Connection, answers, socket_path_too_long
from coprocctl.exits import EXIT_FAILED, EXIT_TIMED_OUT, ConnectionLost, Failure, NoDaemon
from coprocctl.processes import POLL_S, Ends
from coprocd.protocol import places

START_TIMEOUT_S = 60.0  # a machine that is busy installing things is slow; a start takes 0.3 s otherwise
STOP_TIMEOUT_S = 30.0
READY = b"READY\n"


def connect_or_start(socket: str) -> tuple[Connection, bool]:
    """A connection, and whether the daemon had to be started for it."""
    try:
        return Connection(socket), False
    except NoDaemon:
        if too_long := socket_path_too_long(socket):
            raise Failure(too_long, EXIT_FAILED, "not_started") from None
        start(socket)
        return Connection(socket), True


def start(socket: str) -> None:
    """Starts keeper and daemon, and returns when the daemon answers at `socket`. Raises Failure with the reason if it does not."""
    import subprocess

    from coprocctl import units
    from coprocctl.environment import inherited

    if units.answer_for(socket):
        units.start()
        return
    read_end, write_end = os.pipe()
    log = open_log()
    try:
        command = [sys.executable, "-P", "-m", "coprocd.keeper", "--socket", socket, "--status-fd", str(write_end)]
        keeper = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=inherited(),
            start_new_session=True,
            pass_fds=(write_end,),
        )
    except OSError as error:
        os.close(read_end)
        raise Failure(f"cannot start the daemon with {sys.executable}: {error.strerror}") from None
    finally:
        os.close(write_end)
        os.close(log)
    keeper.returncode = 0  # it outlives us: no ResourceWarning, no wait
    try:
        reason = _read_status(read_end)
    finally:
        os.close(read_end)
    if reason == READY or _another_start_won(socket):
        return
    said = reason.decode("utf-8", "replace").strip() or "it ended without a word"
    raise Failure(f"the daemon did not start: {said}\n(its log: {places.log_path()})", EXIT_FAILED, "not_started")


def open_log() -> int:
    """The log, open for appending, made where it does not exist yet."""
    path = places.log_path()
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise Failure(f"cannot write the log {path}: {error.strerror}") from None


def stop_all(connection: Connection) -> int:
    """Ends every session, the daemon and the keeper; returns, when all have ended, how many sessions there were."""
    from coprocctl import units

    socket = connection.path
    info = connection.call("daemon.info")
    by_systemd = info.get("supervisor") == "systemd" and units.answer_for(socket)
    if by_systemd:
        units.systemctl("stop", units.SOCKET)  # whoever connected to see whether all has ended would start a daemon
    with Ends(info["pid"]) as daemon, Ends(info["keeper_pid"]) as keeper:
        sessions = _shutdown(connection, True, info["sessions"])
        deadline = time.monotonic() + STOP_TIMEOUT_S
        for name, process in (("daemon", daemon), ("keeper", keeper)):
            if not process.within(deadline - time.monotonic()):
                raise Failure(f"the {name} (pid {process.pid}) has not ended within {STOP_TIMEOUT_S:g} s", EXIT_TIMED_OUT, "timed_out")
    if by_systemd:
        units.systemctl("stop", units.DAEMON, units.KEEPER)
    for path in (socket, places.keeper_socket_path(socket)):
        _until_silent(path)
    return sessions


def stop_daemon(connection: Connection) -> tuple[int, int]:
    """Ends the daemon alone; returns how many sessions wait with the keeper, and the keeper's pid."""
    from coprocctl import units

    info = connection.call("daemon.info")
    if info.get("supervisor") == "systemd" and units.answer_for(connection.path):
        units.systemctl("stop", units.SOCKET, units.DAEMON)
        return info["sessions"], info["keeper_pid"]
    with Ends(info["pid"]) as daemon:
        sessions = _shutdown(connection, False, info["sessions"])
        if not daemon.within(STOP_TIMEOUT_S):
            raise Failure(f"the daemon (pid {daemon.pid}) has not ended within {STOP_TIMEOUT_S:g} s", EXIT_TIMED_OUT, "timed_out")
    _until_silent(connection.path)
    return sessions, info["keeper_pid"]


def _shutdown(connection: Connection, sessions: bool, otherwise: int) -> int:
    """Asks for the end; `otherwise` is the answer where the daemon is gone before it gives one."""
    try:
        return int(connection.call("daemon.shutdown", {"sessions": sessions})["sessions"])
    except ConnectionLost:
        return otherwise


def _until_silent(path: str) -> None:
    """Waits until nobody answers at the socket `path`."""
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while answers(path):
        if time.monotonic() > deadline:
            raise Failure(f"{path} still answers after {STOP_TIMEOUT_S:g} s", EXIT_TIMED_OUT, "timed_out")
        time.sleep(POLL_S)


def _read_status(fd: int) -> bytes:
    """What the keeper wrote until it closed the pipe, or until it said READY."""
    import select

    status = b""
    deadline = time.monotonic() + START_TIMEOUT_S
    while status != READY:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        if not poll.poll(max(deadline - time.monotonic(), 0) * 1000):
            return b"it has not said that it is ready within %d s" % START_TIMEOUT_S
        data = os.read(fd, 4096)
        if not data:
            break
        status += data
    return status


def _another_start_won(socket: str) -> bool:
    """Two commands may start the daemon at once: one keeper gives up, and the other's daemon is as good."""
    deadline = time.monotonic() + 10
    while True:
        if answers(socket):
            return True
        if not answers(places.keeper_socket_path(socket)) or time.monotonic() > deadline:
            return False
        time.sleep(POLL_S)
