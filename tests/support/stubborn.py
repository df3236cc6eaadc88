"""A client that does not mind how often the daemon dies: it connects again, and asks again."""

from __future__ import annotations

from typing import Any

from support.live import Client


class Stubborn:
    """Calls over one connection, and over the next when that breaks. Calls must bear being made twice: reads, or those with a key.

    A connection that is refused is an error: clients are to wait in the backlog.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.connections = 0
        self._client: Client | None = None

    def call(self, method: str, **params: Any) -> Any:
        """The answer, from whichever daemon gives it."""
        return self.finish(self.begin(method, **params))

    def begin(self, method: str, **params: Any) -> tuple[int | None, str, dict[str, Any]]:
        """Asks, without awaiting the answer: that is for `finish`."""
        try:
            if self._client is None:
                self._client = Client(self.path)
                self.connections += 1
            return self._client.send(method, **params), method, params
        except (BrokenPipeError, ConnectionResetError):
            self.close()
            return None, method, params

    def finish(self, begun: tuple[int | None, str, dict[str, Any]]) -> Any:
        number, method, params = begun
        while True:
            try:
                if number is not None and self._client is not None:
                    return self._client.answer(number)
            except (EOFError, BrokenPipeError, ConnectionResetError):
                self.close()
            number, _, _ = self.begin(method, **params)

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None
