"""One connection to the keeper, from the daemon's end: requests with answers, descriptors both ways, and news of ended jobs."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
from collections.abc import Callable, Sequence

from coprocd.keeper import wire
from coprocd.protocol.errors import ERRORS, CoprocdError

Holdings = dict[str, dict[str, int]]
"""key → name → descriptor."""

GREETING_TIMEOUT_S = 10.0


class LinkLost(Exception):
    """The connection ended before the answer: what was asked for may have been done."""


class Link:
    """A connection on the running loop. Requests are answered in order."""

    def __init__(self, sock: socket.socket, on_event: Callable[[wire.Message], None], on_lost: Callable[[], None]) -> None:
        """`on_event(message)` is called for news, `on_lost` once when the connection has ended, but not by `close`."""
        self.hello: wire.Message = {}
        self._sock = sock
        self._on_event = on_event
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._decoder = wire.Decoder()
        self._ids = itertools.count(1)
        self._answers: dict[int, tuple[asyncio.Future[tuple[wire.Message, list[int]]], Holdings]] = {}
        self._unsent: list[tuple[bytes, Sequence[int]]] = []
        self._greeted: asyncio.Future[wire.Message] = self._loop.create_future()

    @classmethod
    async def connect(cls, path: str, on_event: Callable[[wire.Message], None], on_lost: Callable[[], None]) -> Link:
        """Connects and agrees on a version; `version_mismatch`, OSError or LinkLost when that cannot be."""
        loop = asyncio.get_running_loop()
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            await loop.sock_connect(sock, path)
        except BaseException:
            sock.close()
            raise
        link = cls(sock, on_event, on_lost)
        try:
            loop.add_reader(sock, link._on_readable)
            link._send(wire.greeting("daemon"))
            async with asyncio.timeout(GREETING_TIMEOUT_S):
                link.hello = await link._greeted
            if "error" in link.hello:
                raise CoprocdError("version_mismatch", f"the keeper refused: {link.hello['error']['message']}")
            wire.agree(link.hello)
        except BaseException as error:
            link.close()
            if isinstance(error, wire.WireError):
                raise CoprocdError("version_mismatch", f"the keeper is of another version: {error}") from error
            raise
        return link

    @property
    def alive(self) -> bool:
        """Whether the connection has not been seen to end."""
        return self._sock.fileno() >= 0

    async def request(
        self, message: wire.Message, fds: Sequence[int] = (), holdings: Holdings | None = None
    ) -> tuple[wire.Message, list[int]]:
        """The answer and its descriptors. LinkLost when it may have been done all the same; CoprocdError when it was refused."""
        if not self.alive:
            raise LinkLost("the keeper is gone")
        number = next(self._ids)
        answer: asyncio.Future[tuple[wire.Message, list[int]]] = self._loop.create_future()
        self._answers[number] = (answer, {} if holdings is None else holdings)
        self._send(message | {"id": number}, fds)
        # Shielded: whoever asked may be cancelled, but what the keeper then did must be known.
        reply, received = await asyncio.shield(answer)
        error = reply.get("error")
        if error is not None:
            raise CoprocdError(error["code"] if error["code"] in ERRORS else "internal", error["message"])
        return reply, received

    def close(self) -> None:
        """Ends the connection; once more does nothing."""
        if not self.alive:
            return
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        self._sock.close()
        self._decoder.close()
        for _, fds in self._unsent:
            for fd in fds:
                os.close(fd)
        self._unsent.clear()
        error = LinkLost("the keeper is gone")
        for answer, _ in self._answers.values():
            if not answer.done():
                answer.set_exception(error)
                answer.exception()  # whoever asked may have been cancelled: then nobody looks
        self._answers.clear()
        if not self._greeted.done():
            self._greeted.set_exception(error)
            self._greeted.exception()

    def _send(self, message: wire.Message, fds: Sequence[int] = ()) -> None:
        """Sends in order; what does not fit waits, its descriptors as duplicates, until the keeper has read on."""
        frame = wire.encode(message, fds)
        if not self._unsent:
            frame, fds = self._try(frame, fds)
        if frame:
            self._unsent.append((frame, [os.dup(fd) for fd in fds]))
            self._loop.add_writer(self._sock, self._on_writable)

    def _try(self, frame: bytes, fds: Sequence[int]) -> tuple[bytes, Sequence[int]]:
        """Sends what goes; what is left of the frame, with the descriptors if none of it has gone."""
        try:
            sent = socket.send_fds(self._sock, [frame], list(fds)) if fds else self._sock.send(frame)
        except BlockingIOError:
            return frame, fds
        except OSError:  # it is gone: the end of file that follows tells everybody
            return b"", ()
        return frame[sent:], ()

    def _on_writable(self) -> None:
        while self._unsent:
            frame, fds = self._unsent[0]
            rest, _ = self._try(frame, fds)
            if rest == frame:
                return
            for fd in fds:
                os.close(fd)
            if rest:
                self._unsent[0] = (rest, ())
                return
            del self._unsent[0]
        self._loop.remove_writer(self._sock)

    def _on_readable(self) -> None:
        try:
            alive = self._decoder.receive(self._sock)
            for message, fds in self._decoder.messages():
                self._on_message(message, fds)
        except BlockingIOError:
            return
        except (OSError, wire.WireError):
            alive = False
        if not alive and self.alive:
            self.close()
            self._on_lost()

    def _on_message(self, message: wire.Message, fds: list[int]) -> None:
        if not self._greeted.done():
            self._greeted.set_result(message)
        elif "event" in message:
            self._on_event(message)
        elif message.get("id") in self._answers:
            answer, holdings = self._answers[message["id"]]
            if "part" in message:
                for (key, name), fd in zip(message["part"], fds, strict=True):
                    holdings.setdefault(key, {})[name] = fd
                return
            del self._answers[message["id"]]
            answer.set_result((message, fds))
