"""Noticing that a peer has closed its socket, also where nothing is read from it any more.

After a half-close (shutdown(2)), or while reading is paused, an event loop has no interest in a socket's input and so does not see the peer
go. EPOLLHUP is reported without any interest (epoll_ctl(2)), and an epoll descriptor can itself be watched by a loop. The portable
path asks poll(2) twice a second; where a half-close too is reported as POLLHUP (macOS), it cannot tell the two apart.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable

AVAILABLE = hasattr(select, "epoll")

# Seconds between two looks of the portable path.
_POLL_S = 0.5


class HangupWatch:
    """Calls back once for every watched socket whose peer has closed it in both directions. One for a whole listener."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._watched: dict[int, Callable[[], None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._epoll: select.epoll | None = None
        if AVAILABLE:
            self._epoll = select.epoll()
            self._loop.add_reader(self._epoll.fileno(), self._look)

    def add(self, fd: int, hung_up: Callable[[], None]) -> None:
        """Watches a descriptor until `remove`, which must come before it is closed."""
        self._watched[fd] = hung_up
        if self._epoll is not None:
            self._epoll.register(fd, 0)
        elif self._timer is None:
            self._timer = self._loop.call_later(_POLL_S, self._look_again)

    def remove(self, fd: int) -> None:
        """Watches it no more; one that is not watched is no error."""
        if self._watched.pop(fd, None) is not None and self._epoll is not None:
            self._epoll.unregister(fd)

    def close(self) -> None:
        """Ends the watch."""
        self._watched.clear()
        if self._epoll is not None:
            self._loop.remove_reader(self._epoll.fileno())
            self._epoll.close()
            self._epoll = None
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        if self._epoll is not None:
            self._report([fd for fd, _ in self._epoll.poll(0)])

    def _look_again(self) -> None:
        self._timer = None
        poll = select.poll()
        for fd in self._watched:
            poll.register(fd, 0)
        self._report([fd for fd, _ in poll.poll(0)])
        if self._watched and self._timer is None:
            self._timer = self._loop.call_later(_POLL_S, self._look_again)

    def _report(self, gone: list[int]) -> None:
        for fd in gone:
            hung_up = self._watched.get(fd)
            self.remove(fd)
            if hung_up is not None:
                hung_up()
