"""Tasks that somebody owns until they are done: none is forgotten half way, and no failure goes unseen."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

log = logging.getLogger("coprocd.tasks")

Result = TypeVar("Result")


class Tasks:
    """The tasks of one owner, who is named in the log when one fails."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._tasks: set[asyncio.Task[Any]] = set()
        self._loop = asyncio.get_running_loop()

    def start(self, work: Coroutine[Any, Any, Result], told: bool = False) -> asyncio.Task[Result]:
        """Runs `work` in a task of its own; `told` means that whoever asked for it is told how it ended."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if not told:
            task.add_done_callback(self._look)
        return task

    async def all_done(self) -> bool:
        """Waits for those that run now; False when there was none."""
        if not self._tasks:
            return False
        await asyncio.wait(list(self._tasks))
        return True

    def _look(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled() and task.exception() is not None:
            log.error("%s: a task failed", self._owner, exc_info=task.exception())
