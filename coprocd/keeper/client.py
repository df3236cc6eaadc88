"""The daemon's end of the keeper: requests with answers, descriptors both ways, and news of jobs that ended."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
from collections.abc import Callable, Sequence
from typing import Any

from coprocd.keeper import wire
from coprocd.protocol.errors import CoprocdError

Holdings = dict[str, dict[str, int]]
"""key → name → descriptor."""

_MISSING = "the keeper is gone"


class KeeperClient:
    """One connection to the keeper, on the running loop. Requests are answered in order."""

    def __init__(self, sock: socket.socket, on_exited: Callable[[str, dict[str, Any]], None], on_lost: Callable[[], None]) -> None:
        """`on_exited(key, job)` is called when a job has ended, `on_lost` when the connection has."""
        self.pid = 0
        self._sock = sock
        self._on_exited = on_exited
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._decoder = wire.Decoder()
        self._ids = itertools.count(1)
        self._answers: dict[int, tuple[asyncio.Future[tuple[wire.Message, list[int]]], Holdings]] = {}
        self._unsent: list[tuple[bytes, Sequence[int]]] = []
        self._greeted: asyncio.Future[wire.Message] = self._loop.create_future()

    @classmethod
    async def connect(cls, path: str, on_exited: Callable[[str, dict[str, Any]], None], on_lost: Callable[[], None]) -> KeeperClient:
        """Connects and agrees on a version; `version_mismatch` or OSError when that cannot be."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, path)
        except BaseException:
            sock.close()
            raise
        client = cls(sock, on_exited, on_lost)
        client._loop.add_reader(sock, client._on_readable)
        client._send(wire.greeting("daemon"))
        hello = await client._greeted
        if "error" in hello:
            raise CoprocdError("version_mismatch", f"the keeper refused: {hello['error']['message']}")
        try:
            wire.agree(hello)
        except wire.WireError as error:
            raise CoprocdError("version_mismatch", str(error)) from error
        client.pid = int(hello["pid"])
        return client

    async def spawn(self, key: str, held: dict[str, int], **job: Any) -> tuple[int, dict[str, int]]:
        """Starts a job under `key`, with the descriptors `held` held beside it: its pid, and its own descriptors.

        `job` is kind `pty` (argv, env, cwd, rows, cols) or `pipes` (argv, env, cwd, stdout). `spawn_failed` says why not.
        """
        message, fds = await self._request({"op": "spawn", "key": key, "names": list(held), **job}, list(held.values()))
        return int(message["pid"]), dict(zip(message["names"], fds, strict=True))

    async def hold(self, key: str, held: dict[str, int]) -> None:
        """Has descriptors held under `key`, beside what is there."""
        await self._request({"op": "hold", "key": key, "names": list(held)}, list(held.values()))

    async def drop(self, key: str, *names: str) -> None:
        """Has descriptors under `key` closed; without names all of them, and what is left of the job killed."""
        await self._request({"op": "drop", "key": key, **({"names": names} if names else {})})

    async def signal(self, key: str, number: int) -> bool:
        """Signals the process group of the job under `key`; whether there was one."""
        message, _ = await self._request({"op": "signal", "key": key, "signal": number})
        return bool(message["delivered"])

    async def reap(self, key: str) -> None:
        """Gives the pid of the ended job under `key` back to the system; its group can be signalled no more."""
        await self._request({"op": "reap", "key": key})

    async def holdings(self) -> tuple[Holdings, list[dict[str, Any]]]:
        """All that is held, as descriptors of our own, and all jobs: {key, pid, status, reaped}."""
        holdings: Holdings = {}
        message, _ = await self._request({"op": "holdings"}, holdings=holdings)
        return holdings, message["jobs"]

    async def retire(self, end: bool) -> None:
        """Tells that this daemon ends on purpose; with `end` the keeper follows it."""
        await self._request({"op": "retire", "end": end})

    def close(self) -> None:
        """Ends the connection; once more does nothing."""
        if self._sock.fileno() < 0:
            return
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        self._sock.close()
        self._decoder.close()

    # -- moving messages --------------------------------------------------------------------------------------------

    async def _request(
        self, message: wire.Message, fds: Sequence[int] = (), holdings: Holdings | None = None
    ) -> tuple[wire.Message, list[int]]:
        number = next(self._ids)
        answer: asyncio.Future[tuple[wire.Message, list[int]]] = self._loop.create_future()
        self._answers[number] = (answer, {} if holdings is None else holdings)
        self._send(message | {"id": number}, fds)
        # Shielded: whoever asked may be cancelled, but what the keeper then did must be known.
        reply, received = await asyncio.shield(answer)
        error = reply.get("error")
        if error is not None:
            raise CoprocdError("spawn_failed" if error["code"] == "spawn_failed" else "internal", error["message"])
        return reply, received

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
        except OSError as error:
            raise CoprocdError("internal", f"{_MISSING}: {error.strerror}") from error
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
        if not alive:
            self._lose()

    def _on_message(self, message: wire.Message, fds: list[int]) -> None:
        if not self._greeted.done():
            self._greeted.set_result(message)
        elif message.get("event") == "exited":
            self._on_exited(message["key"], message)
        elif message.get("id") in self._answers:
            answer, holdings = self._answers[message["id"]]
            if "part" in message:
                for (key, name), fd in zip(message["part"], fds, strict=True):
                    holdings.setdefault(key, {})[name] = fd
                return
            del self._answers[message["id"]]
            answer.set_result((message, fds))

    def _lose(self) -> None:
        self.close()
        error = CoprocdError("internal", f"{_MISSING}; coprocctl daemon restart starts another")
        for answer, _ in self._answers.values():
            answer.set_exception(error)
        self._answers.clear()
        if not self._greeted.done():
            self._greeted.set_exception(error)
        self._on_lost()
