"""The daemon's socket: accepts, checks whose process it is, and hands each connection to its framing.

It serves a socket that listens already (`claim.claim_socket`, or one handed over) and never closes it: who claimed it does. While nobody accepts,
as during a restart, clients wait in the kernel's backlog.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from coprocd.api.connection import Connections
from coprocd.api.lines import LineProtocol
from coprocd.api.rpc import Dispatcher
from coprocd.api.sniff import Held, Sniffer
from coprocd.platform import peer
from coprocd.platform.hangup import HangupWatch

if TYPE_CHECKING:
    from coprocd.api.http import HttpApi

logger = logging.getLogger("coprocd.api")

# Connections accepted in one turn of the loop: others get theirs.
_ACCEPTS_PER_TURN = 64

_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Listener:
    """Serves the API on a listening Unix socket: `start`, then `stop_accepting`, then `close`."""

    def __init__(self, listening: socket.socket, daemon: Any, dispatcher: Dispatcher) -> None:
        """`daemon` is what calls get to see; `dispatcher` has the table of methods and the limits."""
        self._socket = listening
        self._limits = dispatcher.limits
        self._connections = Connections(dispatcher, daemon)
        self._loop = asyncio.get_running_loop()
        self._watch = HangupWatch()
        self._http: HttpApi | None = None
        self._http_loading: asyncio.Task[HttpApi | None] | None = None
        self._held: list[Held] = []
        self._open: dict[asyncio.Transport, None] = {}
        self._none_open = asyncio.Event()
        self._arriving: set[asyncio.Task[Any]] = set()
        self._admitted = 0
        self._serving = False
        self._accepting = False
        self._pause: asyncio.TimerHandle | None = None

    @property
    def connections(self) -> int:
        """How many connections there are, of either framing, the silent ones included."""
        return self._admitted

    async def start(self) -> None:
        """Begins to accept; from here on clients are served. Those that speak HTTP wait until that is loaded."""
        self._http_loading = self._loop.create_task(self._load_http())
        self._socket.setblocking(False)
        self._socket.listen(self._limits.backlog)
        self._serving = True
        self._accept_more()

    async def loaded(self) -> None:
        """Returns when HTTP is loaded, or cannot be."""
        if self._http_loading is not None:
            await self._http_loading

    def stop_accepting(self) -> None:
        """Accepts no more. The socket stays as it is, so clients that come now wait in the backlog for whoever serves it next."""
        self._serving = False
        self._accept_no_more()

    async def close(self, grace_s: float = 1.0) -> None:
        """Ends every connection: nothing new begins, and what is in progress has `grace_s` to end and be sent. The listening socket stays open. Again, it does nothing."""
        self.stop_accepting()
        http = await self._http_loading if self._http_loading is not None else None
        if http is not None:
            http.drain()
        self._connections.drain()
        try:
            async with asyncio.timeout(grace_s):
                await self._connections.drained()
                if http is not None:
                    await http.drained()
        except TimeoutError:
            logger.info("%d connections were in use when their grace was over", self.connections)
        if self._arriving:
            await asyncio.wait(self._arriving)
        self._connections.abort()
        await self._connections.drained()
        if http is not None:
            await http.close()
        for transport in tuple(self._open):
            transport.abort()
        if self._open:
            await self._none_open.wait()
        self._watch.close()

    # -- accepting --------------------------------------------------------------------------------------------------

    def _accept_more(self) -> None:
        self._pause = None
        if self._serving and not self._accepting and self.connections < self._limits.connections:
            self._accepting = True
            self._loop.add_reader(self._socket.fileno(), self._accept)

    def _accept_no_more(self) -> None:
        if self._pause is not None:
            self._pause.cancel()
            self._pause = None
        if self._accepting:
            self._accepting = False
            self._loop.remove_reader(self._socket.fileno())

    def _accept(self) -> None:
        for _ in range(_ACCEPTS_PER_TURN):
            if self.connections >= self._limits.connections:
                logger.warning("%d connections: more wait until one has ended", self.connections)
                return self._accept_no_more()
            try:
                connected, _ = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return None
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                logger.warning("%s at %d connections: accepting pauses", error.strerror, self.connections)
                self._accept_no_more()
                self._pause = self._loop.call_later(self._limits.accept_pause_s, self._accept_more)
                return None
            self._admit(connected)
        return None

    def _admit(self, connected: socket.socket) -> None:
        """Serves a connection of this user or of root; any other is closed without a word."""
        if not peer.may_connect(connected):
            logger.warning("a connection of another user was refused")
            connected.close()
            return
        self._admitted += 1
        connected.setblocking(False)
        task = self._loop.create_task(self._loop.connect_accepted_socket(self._sniffer, connected))
        self._arriving.add(task)
        task.add_done_callback(partial(self._arrived, connected))

    def _arrived(self, connected: socket.socket, task: asyncio.Task[Any]) -> None:
        self._arriving.discard(task)
        if task.cancelled() or task.exception() is not None:  # the peer has gone already
            connected.close()
            self._left()

    # -- connections ------------------------------------------------------------------------------------------------

    def _sniffer(self) -> Sniffer:
        return Sniffer(self._lines, self._over_http, self._made, self._lost)

    def _lines(self, transport: asyncio.Transport) -> LineProtocol:
        return LineProtocol(self._connections, self._watch, partial(self._lost, transport))

    def _over_http(self, transport: asyncio.Transport) -> asyncio.Protocol:
        if self._http is None:
            held = Held(partial(self._lost, transport))
            self._held.append(held)
            if self._http_loading is not None and self._http_loading.done():
                self._loop.call_soon(held.abort)
            return held
        return self._http.protocol(partial(self._lost, transport))

    async def _load_http(self) -> HttpApi | None:
        """Makes ready for HTTP. Half of the daemon's start is the import of aiohttp: sessions, and calls by line, do not wait for it."""
        try:
            module = await asyncio.to_thread(import_module, "coprocd.api.http")
        except ImportError:
            logger.exception("HTTP cannot be served: connections that speak it are closed")
            for held in self._held:
                held.abort()
            return None
        http: HttpApi = module.HttpApi(self._connections, self._watch)
        await http.start()
        self._http = http
        for held in self._held:
            held.go_on(self._over_http)
        self._held.clear()
        return http

    def _made(self, transport: asyncio.Transport) -> None:
        self._open[transport] = None
        self._none_open.clear()

    def _lost(self, transport: asyncio.Transport) -> None:
        self._open.pop(transport, None)
        if not self._open:
            self._none_open.set()
        self._left()

    def _left(self) -> None:
        self._admitted -= 1
        if self._pause is not None:
            self._pause.cancel()
        self._accept_more()
