"""A coprocess that is a connection, as a test plays it."""

from __future__ import annotations

import json
import select
from collections.abc import Callable
from typing import Any

from coprocctl.websocket import Closed, WebSocket, target
from support.live import PATIENCE_S, Live


class Connected(WebSocket):
    """The connection to a session. `read` and `end` wait for what comes."""

    def __init__(self, daemon: Live, session: str, **query: str | int) -> None:
        query = {name.rstrip("_"): value for name, value in query.items()}
        super().__init__(daemon.socket, target("/sessions/{session}/coprocess", session, query))
        self.data = bytearray()
        """All of its stdin that was read."""
        self.last: Closed | None = None

    def read(self, until: Callable[[bytearray], bool] | bytes) -> bytearray:
        """Reads until `until` holds of all that was read, or is in it."""
        while not (until in self.data if isinstance(until, bytes) else until(self.data)):
            assert self.last is None, self.last.reason
            self._step()
        return self.data

    def end(self) -> Closed:
        """Reads to the end; the close frame."""
        while self.last is None:
            self._step()
        return self.last

    def type(self, data: bytes) -> None:
        """Sends it all as one message."""
        self.send_binary(data)
        self.sent()

    def sent(self) -> None:
        """Returns when all is with the kernel; what comes meanwhile is read."""
        while self.unsent_bytes and self.last is None:
            self._step()

    def eof(self) -> None:
        self.send_text(json.dumps({"type": "eof"}))

    def _step(self) -> None:
        poll = select.poll()
        poll.register(self.fd, select.POLLIN | (select.POLLOUT if self.unsent_bytes else 0))
        assert self.waiting or poll.poll(PATIENCE_S * 1000), f"nothing came; read so far {bytes(self.data[-200:])!r}"
        self.flush()
        for received in self.receive():
            if isinstance(received, Closed):
                self.last = received
            elif isinstance(received, bytes):
                self.data += received


def coprocess(daemon: Live, session: str) -> dict[str, Any]:
    found: dict[str, Any] = daemon.call("coprocess.get", session=session)
    return found
