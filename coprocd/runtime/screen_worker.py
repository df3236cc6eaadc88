"""The process of a screen worker and the connection to it: started, told, listened to, killed and reaped."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable

import msgspec

from coprocd.platform import memory
from coprocd.screen import wire
from coprocd.screen.page import BYTES as PAGE_BYTES
from coprocd.screen.page import Page, Work

log = logging.getLogger("coprocd.screens")


class ScreenWorker:
    """One process. `on_message` gets what it says, `on_end` is called once, in a turn of its own, when it says no more."""

    def __init__(self, on_message: Callable[[wire.FromWorker], None], on_end: Callable[[], None]) -> None:
        """Starts it; OSError or NoMemory when the system has no room for it."""
        self._on_message = on_message
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        ours, its = socket.socketpair()
        page_fd = memory.create("coprocd-screen", PAGE_BYTES)
        try:
            memory.reserve(page_fd, 0, PAGE_BYTES)  # a page that is not there would end us with SIGBUS
            self._page = Page(page_fd)
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "coprocd.screen"),
                    *("--socket-fd", str(its.fileno()), "--page-fd", str(page_fd), "--daemon", str(os.getpid())),
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                cwd="/",
                pass_fds=(its.fileno(), page_fd),
                start_new_session=True,
            )
        except (OSError, memory.NoMemory):
            ours.close()
            raise
        finally:
            its.close()
            os.close(page_fd)
        self._socket = ours
        self._receiver = wire.Receiver(ours)
        self._unsent: deque[tuple[memoryview, list[int]]] = deque()
        """What the socket has not taken, with duplicates of the descriptors that go with it. Bounded, as each session has one message under way."""
        ours.setblocking(False)
        self._loop.add_reader(ours, self._on_readable)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def moves(self) -> int:
        """A number that is another one whenever it has begun or ended something."""
        return self._page.count

    @property
    def work(self) -> Work | None:
        """What it is at, or was when it died."""
        return self._page.work

    def send(self, message: wire.ToWorker, fd: int | None = None) -> None:
        """Tells it; `fd` goes along, and stays the caller's."""
        frame, fds = memoryview(wire.encode(message)), [fd] if fd is not None else []
        if not self._unsent:
            frame, fds = self._write(frame, fds)
            if not frame:
                return
            self._loop.add_writer(self._socket, self._on_writable)
        self._unsent.append((frame, [os.dup(fd) for fd in fds]))

    def kill(self) -> None:
        """Ends it, however it is; `on_end` follows."""
        self._process.kill()

    async def close(self) -> int:
        """Ends it and lets go of everything; the status it ended with."""
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()
        self._receiver.close()
        self._page.close()
        while self._unsent:
            for fd in self._unsent.popleft()[1]:
                os.close(fd)
        self._process.kill()
        return await self._loop.run_in_executor(None, self._process.wait)

    def _write(self, frame: memoryview, fds: list[int]) -> tuple[memoryview, list[int]]:
        """What of it the socket did not take."""
        try:
            sent = socket.send_fds(self._socket, [frame], fds) if fds else self._socket.send(frame)
        except BlockingIOError:
            return frame, fds
        except ConnectionError:
            return frame[len(frame) :], []  # it has died, and the end of what it said tells so
        return frame[sent:], []

    def _on_writable(self) -> None:
        while self._unsent:
            frame, fds = self._unsent[0]
            rest, left = self._write(frame, fds)
            if not left:
                for fd in fds:
                    os.close(fd)
            if rest:
                self._unsent[0] = rest, left
                return
            self._unsent.popleft()
        self._loop.remove_writer(self._socket)

    def _on_readable(self) -> None:
        alive = self._receiver.receive()
        try:
            for frame in self._receiver.frames():
                self._on_message(wire.from_worker.decode(frame))
        except msgspec.MsgspecError as error:  # what it emulates has got hold of it
            log.error("the screen worker says what is no message: %s", error)
            alive = False
        if not alive:
            self._loop.remove_reader(self._socket)
            self._on_end()
