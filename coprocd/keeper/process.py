"""The keeper process: one thread, one selector. It forks jobs, holds descriptors under keys, reaps, and starts the daemon.

operation                                     answer
spawn     key, kind, argv, env, cwd, …        pid, and the job's descriptors; those sent along are held with them
hold      key, names, label?, job?            {}; the descriptors are held under those names (job: an earlier keeper started it)
settle                                        {"lost": [{key, label, pid}]}: what is not held now was lost, and is ended
drop      key, names?                         {}; they are closed (all of them: and the job, if any, is killed)
signal    key, signal                         {"delivered"}; to the process group of the job
reap      key                                 {}; an ended job's pid is given back to the system
jobs                                          {"jobs": [{key, pid, status, reaped}]}
holdings                                      part after part: {"part": [key, name, …]} with descriptors, then the jobs
start                                         {}; a descriptor comes along on which the daemon's readiness is told
retire    end?                                {}; the daemon is about to end: do not start another (end: nor go on)
renew                                         {"software"}, from the same process that by then runs the installed code (`renewal`)
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterable

from coprocd import __version__
from coprocd.keeper import claim, renewal, wire
from coprocd.keeper.connection import Client
from coprocd.keeper.holdings import Holding, Holdings
from coprocd.keeper.register import Entry, Register
from coprocd.keeper.signals import Signals
from coprocd.keeper.start import Refused, start
from coprocd.keeper.strays import Strays
from coprocd.keeper.supervisor import Supervisor
from coprocd.platform import peer, pidfd

log = logging.getLogger("coprocd.keeper")

SEND_TIMEOUT_S = 5.0
"""A client that takes no bytes for so long is cut off; the daemon comes back and asks anew."""

CLOSE_TIMEOUT_S = 2.0
"""For how long the keeper, when it ends, waits for killed jobs: one in an uninterruptible sleep is left to init."""

POLL_S = 0.5
"""How often jobs are looked at whose end nothing tells."""

CLIENTS_MOST = 64
"""Connections at a time: the daemon's, and those of starts, which are short. Of more, the longest there is cut off that is no daemon."""


class Keeper:
    """Serves its clients, and owns every holding and every child."""

    def __init__(self, listener: socket.socket, lock: int, register: Register, supervisor: Supervisor, open_files: tuple[int, int]) -> None:
        """`open_files` is the limit that jobs get: the one the keeper was started with. `lock` makes the listener's path ours."""
        self.holdings = Holdings(register, self._watch_job, self._on_job_ended)
        self.supervisor = supervisor
        self.listener = listener
        self.lock = lock
        self.register = register
        self.open_files = open_files
        self.clients: list[Client] = []
        self.unclaimed: list[Entry] = register.entries()
        self.strays = Strays(lambda entry: register.drop(entry.key))
        self.signals = Signals()
        self.ending = False
        self._selector = selectors.DefaultSelector()
        self._renew_due = False
        self._operations: dict[str, Callable[[Client, wire.Message, list[int]], None]] = {
            name: getattr(self, f"_op_{name}")
            for name in ("spawn", "hold", "settle", "drop", "signal", "reap", "jobs", "holdings", "start", "retire", "renew")
        }

    def run(self) -> None:
        """Serves until there is nothing left to keep, or SIGTERM."""
        self.signals.listen()
        self._watch(self.listener, self._accept)
        self._watch(self.signals.fd, self._on_signal)
        for client in list(self.clients):
            self._watch_client(client)
        for client in list(self.clients):
            self._answer(client)
        self._watch_daemon()
        while not (self.ending and self.supervisor.pid is None) and not self._idle():
            for key, _ in self._selector.select(self._seconds_to_wake()):
                key.data()
            self.supervisor.start_if_due()
            self.strays.kill_if_due()
            if self._must_poll:
                self._look_around()
            self._watch_daemon()
            if self._renew_due and not self.ending:
                renewal.renew(self, None)
            self._renew_due = False
        self.close()

    def close(self) -> None:
        """Hangs up and kills every job that is left, and sees them end."""
        self.strays.kill()
        self.holdings.drop_all()
        deadline = time.monotonic() + CLOSE_TIMEOUT_S
        while self.holdings.jobs and time.monotonic() < deadline:
            for key, _ in self._selector.select(deadline - time.monotonic()):
                key.data()
        for client in self.clients:
            client.sock.close()
        self._selector.close()
        if not self.unclaimed:
            self.register.remove()

    def _seconds_to_wake(self) -> float | None:
        waits = (self.supervisor.seconds_to_start(), self.strays.seconds_to_kill(), POLL_S if self._must_poll else None)
        return min((wait for wait in waits if wait is not None), default=None)

    @property
    def _must_poll(self) -> bool:
        """Whether there is a process whose end nothing tells."""
        return self.holdings.must_poll or (not pidfd.AVAILABLE and self.supervisor.adopted)

    def _look_around(self) -> None:
        """Where there are no pidfds: after SIGCHLD, and now and then."""
        self._on_daemon_ended(known=False)
        self.holdings.look_at_all()

    def _idle(self) -> bool:
        """Whether there is no daemon, none to come, and nothing to keep."""
        return self.supervisor.at_rest and self.strays.seconds_to_kill() is None and not any(h.pid is not None for h in self.holdings)

    # -- connections ------------------------------------------------------------------------------------------------

    def _watch(self, source: int | socket.socket, callback: Callable[[], None]) -> None:
        self._selector.register(source, selectors.EVENT_READ, callback)

    def _unwatch(self, source: int | socket.socket) -> None:
        if source in self._selector.get_map():
            self._selector.unregister(source)

    def _accept(self) -> None:
        try:
            sock, _ = self.listener.accept()
        except OSError as error:
            log.warning("a connection was not accepted: %s", error.strerror)
            return
        if not peer.may_connect(sock):
            log.warning("a connection of user %s was refused", peer.uid(sock))
            sock.close()
            return
        if len(self.clients) >= CLIENTS_MOST:
            log.warning("%d connections: the longest there is cut off", len(self.clients))
            self._disconnect(next((c for c in self.clients if c.role != "daemon"), self.clients[0]))
        client = Client(sock)
        self.clients.append(client)
        self._watch_client(client)

    def _listen_again_if_removed(self) -> None:
        """Who tidies up /tmp may take our socket away: the next daemon must find us."""
        path = self.listener.getsockname()
        if not os.path.lexists(path):
            try:
                listener = claim.listen(path)
            except OSError as error:
                log.error("%s was removed, and cannot be made again: %s", path, error.strerror)
                return
            self._unwatch(self.listener)
            self.listener.close()
            self.listener = listener
            self._watch(listener, self._accept)

    def _watch_client(self, client: Client) -> None:
        client.sock.settimeout(SEND_TIMEOUT_S)
        self._watch(client.sock, lambda: self._on_readable(client))

    def _on_readable(self, client: Client) -> None:
        if client not in self.clients:
            return  # cut off earlier in this turn
        self._answer(client, receive=True)

    def _answer(self, client: Client, receive: bool = False) -> None:
        """Does what the whole messages of a client ask for, those included that it has sent by now."""
        alive = True
        try:
            if receive:
                alive = client.decoder.receive(client.sock)
            for message, fds in client.decoder.messages():
                self._on_message(client, message, fds)
        except (wire.WireError, OSError) as error:
            log.warning("the %s was cut off: %s", client.role or "client", error)
            self.send(client, {"error": {"code": "version_mismatch", "message": str(error)}})
            alive = False
        if not alive:
            self._disconnect(client)

    def send(self, client: Client, message: wire.Message, fds: Iterable[int] = ()) -> None:
        """Sends to one that is connected; one that cannot be sent to is cut off, for half a message may be on its way."""
        if client in self.clients:
            try:
                wire.send(client.sock, message, tuple(fds))
            except OSError as error:
                log.warning("the %s is gone: %s", client.role or "client", error)
                self._disconnect(client)

    def _disconnect(self, client: Client) -> None:
        if client in self.clients:
            self.clients.remove(client)
            self._unwatch(client.sock)
            client.decoder.close()
            client.sock.close()

    def _on_message(self, client: Client, message: wire.Message, fds: list[int]) -> None:
        try:
            if not client.role:
                self._greet(client, message)
                return
            reply: wire.Message = {"id": message.get("id")}
            try:
                operation = self._operations.get(str(message.get("op")))
                if operation is None:
                    raise Refused("unknown_operation", f"no operation is named {message.get('op')!r}")
                wire.check(message, len(fds))
                operation(client, message, fds)
            except Refused as error:
                self.send(client, reply | {"error": {"code": error.code, "message": str(error)}})
            except Exception as error:  # whatever the message was, the sessions must not go with it
                log.warning("%s was refused: %r", message.get("op"), error)
                self.send(client, reply | {"error": {"code": "bad_operation", "message": f"{message.get('op')}: {error}"}})
        finally:
            for fd in fds:
                os.close(fd)

    def _greet(self, client: Client, hello: wire.Message) -> None:
        wire.agree(hello)
        client.role = str(hello.get("role"))
        if client.role == "daemon":
            for other in [c for c in self.clients if c.role == "daemon" and c is not client]:
                self._disconnect(other)
            pid = peer.pid(client.sock)
            if pid is not None:
                self.supervisor.adopt(pid)
                self._watch_daemon()
        self.send(
            client,
            wire.greeting("keeper")
            | {"pid": os.getpid(), "open_files": self.open_files[0], "managed": self.supervisor.managed, "software": __version__},
        )

    # -- operations; `fds` are closed after each, so what is kept is taken out of the list ------------------------------

    def _op_spawn(self, client: Client, message: wire.Message, fds: list[int]) -> None:
        key, label = message["key"], message.get("label", "")
        found = self.holdings.get(key)
        if found is not None and found.pid is not None:
            raise Refused("key_taken", f"{key} has a job")
        pid, own = start(message, self.open_files, self.register)
        holding = self.holdings.take(key, self._taken(message, fds))
        holding.label = label
        self.holdings.started(holding, pid, own)
        names = [*own, *([] if holding.pidfd < 0 else ["pidfd"])]
        self.send(client, {"id": message.get("id"), "pid": pid, "names": names}, [holding.fds[name] for name in names])

    def _op_hold(self, client: Client, message: wire.Message, fds: list[int]) -> None:
        holding = self.holdings.take(message["key"], self._taken(message, fds), message.get("label"))
        if message.get("job") is not None:
            self.holdings.adopted(holding, message["job"])
        self.send(client, {"id": message.get("id")})

    def _op_settle(self, client: Client, message: wire.Message, fds: list[int]) -> None:
        lost = [entry for entry in self.unclaimed if not self.holdings.claims(entry)]
        for entry in lost:
            ended = self.strays.end(entry)
            log.warning("%s (%s) was lost with the keeper before%s", entry.key, entry.label, ": its job is ended" if ended else "")
        if self.unclaimed:
            self.unclaimed.clear()
            self.register.rewrite(self._entries())
        self.send(client, {"id": message.get("id"), "lost": [{"key": e.key, "label": e.label, "pid": e.pid} for e in lost]})

    def _op_drop(self, client: Client, message: wire.Message, fds: list[int]) -> None:
        self.holdings.drop(message["key"], message.get("names"))
        self.register.compact_if_due(self._entries)
        self.send(client, {"id": message.get("id")})

    def _entries(self) -> list[Entry]:
        """What the register has to say: what is held, what may yet be claimed, and what is being ended."""
        waiting = [entry for entry in self.unclaimed if not self.holdings.claims(entry)]
        return [*self.holdings.entries(), *waiting, *self.strays.entries()]

    def _op_signal(self, client: Client, message: wire.Message, fds: list[int]) -> None:
        self.send(client, {"id": message.get("id"), "delivered": self.holdings.signal(message["key"], message["signal"])})

    def _op_reap(self, client: Client, message: wire.Message, fds: list[int]) -> None:
        holding = self.holdings.get(message["key"])
        if holding is not None:
            self.holdings.reap(holding)
        self.send(client, {"id": message.get("id")})

    def _op_jobs(self, client: Client, message: wire.Message, fds: list[int]) -> None:
        self.send(client, {"id": message.get("id"), "jobs": [holding.job() for holding in self.holdings]})

    def _op_holdings(self, client: Client, message: wire.Message, fds: list[int]) -> None:
        reply = {"id": message.get("id")}
        everything = [(holding.key, name, fd) for holding in self.holdings for name, fd in holding.fds.items()]
        for first in range(0, len(everything), wire.FDS_MOST):
            part = everything[first : first + wire.FDS_MOST]
            self.send(client, reply | {"part": [[key, name] for key, name, _ in part]}, [fd for _, _, fd in part])
        self._op_jobs(client, message, fds)

    def _op_start(self, client: Client, message: wire.Message, fds: list[int]) -> None:
        if self.ending:
            self._disconnect(client)  # who wants a daemon waits for our lock, and becomes the next keeper
            return
        self.supervisor.start(fds.pop() if fds else None)
        self.send(client, {"id": message.get("id")})

    def _op_retire(self, client: Client, message: wire.Message, fds: list[int]) -> None:
        self.supervisor.retire()
        self.ending = bool(message.get("end"))
        self.send(client, {"id": message.get("id")})

    def _op_renew(self, client: Client, message: wire.Message, fds: list[int]) -> None:
        if self.ending:
            raise Refused("bad_operation", "the keeper ends")
        why = renewal.renew(self, (client, message.get("id")))
        raise Refused("version_mismatch", why)

    def _taken(self, message: wire.Message, fds: list[int]) -> dict[str, int]:
        """The descriptors of a message by their names; the keeper's from now on."""
        taken = dict(zip(message["names"], fds, strict=True))
        fds.clear()
        return taken

    # -- jobs, the daemon, and signals --------------------------------------------------------------------------------

    def _watch_job(self, holding: Holding) -> None:
        handle = holding.pidfd

        def on_readable() -> None:
            self._unwatch(handle)
            self.holdings.look(holding)

        if handle >= 0:
            self._watch(handle, on_readable)

    def _on_job_ended(self, holding: Holding) -> None:
        for client in [c for c in self.clients if c.role == "daemon"]:
            self.send(client, {"event": "exited"} | holding.job())

    def _watch_daemon(self) -> None:
        launched = self.supervisor.launched()
        if launched is None:
            return
        pid, status = launched

        def on_said() -> None:
            if not self.supervisor.hear():
                self._unwatch(status)

        if status >= 0:
            self._watch(status, on_said)
        if pidfd.AVAILABLE:
            try:
                handle = pidfd.open_pid(pid)
            except ProcessLookupError:
                self._on_daemon_ended(known=True)
                return

            def on_readable() -> None:
                self._unwatch(handle)
                os.close(handle)
                self._on_daemon_ended(known=True)

            self._watch(handle, on_readable)

    def _on_daemon_ended(self, known: bool) -> None:
        """Decides what follows when the daemon has ended, or unless it is `known`, may have.

        When none could be started, clients must not wait for one: its socket goes, so that they are told.
        """
        status = self.supervisor.status
        self.supervisor.reap(known)
        if status >= 0 and self.supervisor.status < 0:
            self._unwatch(status)  # at once: its number is the next one's that is opened
        self._listen_again_if_removed()
        holding = self.holdings.get(wire.DAEMON_KEY)
        if self.supervisor.gave_up and holding is not None and "socket" in holding.fds:
            self.holdings.drop(wire.DAEMON_KEY, ["socket"])
            try:
                os.unlink(self.supervisor.socket_path)
            except OSError:
                pass  # it is gone already, or its directory is

    def _on_signal(self) -> None:
        numbers = self.signals.take()
        if signal.SIGTERM in numbers:
            log.warning("SIGTERM: %d holdings end", len(self.holdings))
            self.ending = True
            self.supervisor.end()
        self._renew_due = signal.SIGHUP in numbers
        if not pidfd.AVAILABLE:
            self._look_around()
