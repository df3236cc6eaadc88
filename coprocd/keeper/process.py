"""The keeper process: one thread, one selector. It forks jobs, holds descriptors under keys, reaps, and starts the daemon.

A *holding* is a key with named descriptors and, for a job, its pid. A job that has ended stays a zombie until the daemon
has said `reap`: so its pid and process group cannot be anybody else's when a signal is sent to them.

    operation                                     answer
    spawn     key, kind, argv, env, cwd, …        pid, and the job's descriptors; those sent along are held with them
    hold      key, names                          {}; the descriptors are held under those names
    drop      key, names?                         {}; they are closed (all of them: and the job, if any, is killed)
    signal    key, signal                         {"delivered"}; to the process group of the job
    reap      key                                 {}; an ended job's pid is given back to the system
    holdings                                      part after part: {"part": [key, name, …]} with descriptors, then the jobs
    start                                         {}; a descriptor comes along on which the daemon's readiness is told
    retire    end?                                {}; the daemon is about to end: do not start another (end: nor go on)
"""

from __future__ import annotations

import fcntl
import logging
import os
import resource
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from coprocd.keeper import spawn, wire
from coprocd.keeper.supervisor import Supervisor
from coprocd.platform import peer

log = logging.getLogger("coprocd.keeper")

SEND_TIMEOUT_S = 5.0
"""A client that takes no bytes for so long is cut off; the daemon comes back and asks anew."""


@dataclass
class Holding:
    """Descriptors under one key, and the job they belong to."""

    fds: dict[str, int] = field(default_factory=dict)
    pid: int | None = None
    status: dict[str, int | str | None] | None = None
    reaped: bool = False
    dropped: bool = False

    def job(self, key: str) -> dict[str, Any]:
        return {"key": key, "pid": self.pid, "status": self.status, "reaped": self.reaped}


class Client:
    """One connection: the daemon, or somebody who wants it started."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.decoder = wire.Decoder()
        self.role = ""

    def send(self, message: wire.Message, fds: Iterable[int] = ()) -> None:
        try:
            wire.send(self.sock, message, tuple(fds))
        except OSError as error:
            log.warning("the %s is gone: %s", self.role or "client", error)


CLOSE_TIMEOUT_S = 2.0
"""For how long the keeper, when it ends, waits for killed jobs: one in an uninterruptible sleep is left to init."""


class Refused(Exception):
    """An operation that cannot be done; the text goes to the client."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Keeper:
    """Owns every holding and every child."""

    def __init__(self, listener: socket.socket, supervisor: Supervisor, open_files: tuple[int, int]) -> None:
        """`open_files` is the limit that jobs get: the one the keeper was started with."""
        self.holdings: dict[str, Holding] = {}
        self.supervisor = supervisor
        self._listener = listener
        self._open_files = open_files
        self._selector = selectors.DefaultSelector()
        self._clients: list[Client] = []
        self._children: dict[int, tuple[str, Holding]] = {}
        self._ending = False
        self._operations: dict[str, Callable[[Client, wire.Message, list[int]], None]] = {
            name: getattr(self, f"_op_{name}") for name in ("spawn", "hold", "drop", "signal", "reap", "holdings", "start", "retire")
        }

    def run(self) -> None:
        """Serves until there is nothing left to keep, or SIGTERM."""
        wake = self._wake_on_signals()
        self._watch(self._listener, self._accept)
        self._watch(wake, lambda: self._on_signal(wake))
        self._watch_daemon()
        while not (self._ending and self.supervisor.pid is None) and not self._idle():
            for key, _ in self._selector.select(self.supervisor.seconds_to_start()):
                key.data()
            self.supervisor.start_if_due()
            self._watch_daemon()
        self.close()

    def close(self) -> None:
        """Hangs up and kills every job that is left, and sees them end."""
        for name in list(self.holdings):
            self._drop(name)
        deadline = time.monotonic() + CLOSE_TIMEOUT_S
        while self._children and time.monotonic() < deadline:
            for key, _ in self._selector.select(deadline - time.monotonic()):
                key.data()
        for client in self._clients:
            client.sock.close()
        self._selector.close()

    def _idle(self) -> bool:
        """Whether there is no daemon, none to come, and nothing to keep."""
        return self.supervisor.at_rest and not any(h.pid is not None for h in self.holdings.values())

    # -- connections ------------------------------------------------------------------------------------------------

    def _watch(self, source: int | socket.socket, callback: Callable[[], None]) -> None:
        self._selector.register(source, selectors.EVENT_READ, callback)

    def _accept(self) -> None:
        sock, _ = self._listener.accept()
        if not peer.may_connect(sock):
            log.warning("a connection of user %s was refused", peer.uid(sock))
            sock.close()
            return
        sock.settimeout(SEND_TIMEOUT_S)
        client = Client(sock)
        self._clients.append(client)
        self._watch(sock, lambda: self._on_readable(client))

    def _on_readable(self, client: Client) -> None:
        try:
            alive = client.decoder.receive(client.sock)
            for message, fds in client.decoder.messages():
                self._on_message(client, message, fds)
        except (wire.WireError, OSError) as error:
            log.warning("a client was cut off: %s", error)
            client.send({"error": {"code": "version_mismatch", "message": str(error)}})
            alive = False
        if not alive:
            self._disconnect(client)

    def _disconnect(self, client: Client) -> None:
        if client in self._clients:
            self._clients.remove(client)
            self._selector.unregister(client.sock)
            client.decoder.close()
            client.sock.close()

    def _on_message(self, client: Client, message: wire.Message, fds: list[int]) -> None:
        if not client.role:
            wire.agree(message)
            client.role = str(message.get("role"))
            if client.role == "daemon":
                for other in [c for c in self._clients if c.role == "daemon" and c is not client]:
                    self._disconnect(other)
            client.send(wire.greeting("keeper") | {"pid": os.getpid()})
            return
        reply: wire.Message = {"id": message.get("id")}
        try:
            operation = self._operations.get(str(message.get("op")))
            if operation is None:
                raise Refused("unknown_operation", f"no operation is named {message.get('op')!r}")
            operation(client, message, fds)
        except Refused as error:
            client.send(reply | {"error": {"code": error.code, "message": str(error)}})
        except Exception as error:  # whatever the message was, the sessions must not go with it
            client.send(reply | {"error": {"code": "bad_operation", "message": f"{message.get('op')}: {error!r}"}})
        finally:
            for fd in fds:
                os.close(fd)

    # -- operations; `fds` are closed after each, so what is kept is taken out of the list ------------------------------

    def _op_spawn(self, client: Client, message: wire.Message, fds: list[int]) -> None:
        key, names = message["key"], message.get("names", [])
        if key in self.holdings and self.holdings[key].pid is not None:
            raise Refused("key_taken", f"{key} has a job")
        argv, env, cwd = message["argv"], message["env"], message["cwd"]
        try:
            if message["kind"] == "pty":
                pid, own = spawn.on_pty(argv, env, cwd, message["rows"], message["cols"], self._open_files)
            else:
                pid, own = spawn.on_pipes(argv, env, cwd, message["stdout"], self._open_files)
        except OSError as error:
            raise Refused("spawn_failed", f"{error.strerror or error}") from error
        holding = self.holdings.setdefault(key, Holding())
        holding.pid = pid
        holding.fds |= own
        self._take(holding, names, fds)
        self._children[pid] = (key, holding)
        self._watch_child(pid, lambda: self._on_child_exit(pid))
        client.send({"id": message.get("id"), "pid": pid, "names": list(own)}, own.values())

    def _op_hold(self, client: Client, message: wire.Message, fds: list[int]) -> None:
        self._take(self.holdings.setdefault(message["key"], Holding()), message["names"], fds)
        client.send({"id": message.get("id")})

    def _op_drop(self, client: Client, message: wire.Message, fds: list[int]) -> None:
        self._drop(message["key"], message.get("names"))
        client.send({"id": message.get("id")})

    def _op_signal(self, client: Client, message: wire.Message, fds: list[int]) -> None:
        holding = self.holdings.get(message["key"])
        delivered = False
        if holding is not None and holding.pid is not None and not holding.reaped:
            try:
                os.killpg(holding.pid, message["signal"])
                delivered = True
            except (ProcessLookupError, PermissionError):
                pass
        client.send({"id": message.get("id"), "delivered": delivered})

    def _op_reap(self, client: Client, message: wire.Message, fds: list[int]) -> None:
        holding = self.holdings.get(message["key"])
        if holding is not None and holding.status is not None:
            self._reap(holding)
        client.send({"id": message.get("id")})

    def _op_holdings(self, client: Client, message: wire.Message, fds: list[int]) -> None:
        reply = {"id": message.get("id")}
        everything = [(key, name, fd) for key, holding in self.holdings.items() for name, fd in holding.fds.items()]
        for start in range(0, len(everything), wire.FDS_MOST):
            part = everything[start : start + wire.FDS_MOST]
            client.send(reply | {"part": [[key, name] for key, name, _ in part]}, [fd for _, _, fd in part])
        client.send(reply | {"jobs": [holding.job(key) for key, holding in self.holdings.items()]})

    def _op_start(self, client: Client, message: wire.Message, fds: list[int]) -> None:
        self.supervisor.start(fds.pop() if fds else None)
        client.send({"id": message.get("id")})

    def _op_retire(self, client: Client, message: wire.Message, fds: list[int]) -> None:
        self.supervisor.retire()
        self._ending = bool(message.get("end"))
        client.send({"id": message.get("id")})

    def _take(self, holding: Holding, names: list[str], fds: list[int]) -> None:
        for name in names:
            old = holding.fds.pop(name, None)
            if old is not None:
                os.close(old)
            holding.fds[name] = fds.pop(0)

    def _drop(self, key: str, names: list[str] | None = None) -> None:
        holding = self.holdings.get(key)
        if holding is None:
            return
        for name in list(holding.fds) if names is None else names:
            fd = holding.fds.pop(name, None)
            if fd is not None:
                os.close(fd)
        if names is None:
            del self.holdings[key]
            holding.dropped = True
            if holding.pid is not None and not holding.reaped:
                try:
                    os.killpg(holding.pid, signal.SIGKILL)
                except PermissionError:
                    pass  # it has become root: the hangup is all that reaches it
                if holding.status is not None:
                    self._reap(holding)

    # -- children ---------------------------------------------------------------------------------------------------

    def _watch_child(self, pid: int, callback: Callable[[], None]) -> None:
        if hasattr(os, "pidfd_open"):
            pidfd = os.pidfd_open(pid)

            def on_exit() -> None:
                self._selector.unregister(pidfd)
                os.close(pidfd)
                callback()

            self._watch(pidfd, on_exit)

    def _watch_daemon(self) -> None:
        launched = self.supervisor.launched()
        if launched is None:
            return
        pid, status = launched

        def on_said() -> None:
            if not self.supervisor.hear():
                self._selector.unregister(status)

        def on_exit() -> None:
            if status in self._selector.get_map():
                self._selector.unregister(status)
            self.supervisor.reap()

        self._watch(status, on_said)
        self._watch_child(pid, on_exit)

    def _on_child_exit(self, pid: int) -> None:
        """Notes how the child ended; it stays a zombie until it is reaped or dropped."""
        key, holding = self._children[pid]
        if holding.status is not None:
            return
        info = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if info is None:
            return
        holding.status = spawn.status_of(info)
        if holding.dropped:
            self._reap(holding)
            return
        for client in self._clients:
            if client.role == "daemon":
                client.send({"event": "exited"} | holding.job(key))

    def _reap(self, holding: Holding) -> None:
        if holding.pid is not None and not holding.reaped:
            os.waitpid(holding.pid, 0)
            holding.reaped = True
            del self._children[holding.pid]

    def _wake_on_signals(self) -> int:
        """A descriptor that becomes readable at SIGTERM, and at SIGCHLD where there are no pidfds."""
        read_end, write_end = os.pipe()
        os.set_blocking(read_end, False)
        os.set_blocking(write_end, False)
        signal.set_wakeup_fd(write_end)
        for number in (signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        for number in (signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        return read_end

    def _on_signal(self, wake: int) -> None:
        numbers = os.read(wake, 4096)
        if signal.SIGTERM in numbers:
            log.warning("SIGTERM: %d holdings end", len(self.holdings))
            self._ending = True
            self.supervisor.end()
        if not hasattr(os, "pidfd_open"):
            self.supervisor.reap()
            for pid in list(self._children):
                self._on_child_exit(pid)


def raise_open_files() -> tuple[int, int]:
    """Raises the soft limit of open files to the hard one; the limit as it was, which jobs get back."""
    original = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (original[1], original[1]))
    return original


def claim(path: str, timeout_s: float) -> tuple[socket.socket, int] | None:
    """A listening socket at `path` and the locked descriptor that makes it ours; None when another keeper has it."""
    lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(lock)
                return None
            time.sleep(0.01)
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    umask = os.umask(0o177)
    try:
        listener.bind(path)
    finally:
        os.umask(umask)
    listener.listen(16)
    return listener, lock
