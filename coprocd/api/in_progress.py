"""What is in progress on a route: each can be reached so that it can be told to end, and whoever ends the daemon waits until there is none."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

Item = TypeVar("Item")


class InProgress(Generic[Item]):
    """Those of one route, in the order in which they began."""

    def __init__(self) -> None:
        self._all: dict[int, Item] = {}
        """By its identity: a request has no hash."""
        self._none = asyncio.Event()

    def __iter__(self) -> Iterator[Item]:
        return iter(tuple(self._all.values()))

    @contextmanager
    def during(self, item: Item) -> Iterator[None]:
        """`item` is in progress for as long as this context."""
        self._all[id(item)] = item
        try:
            yield
        finally:
            del self._all[id(item)]
            if not self._all:
                self._none.set()

    async def ended(self) -> None:
        """Returns when none is in progress."""
        while self._all:
            self._none.clear()
            await self._none.wait()
