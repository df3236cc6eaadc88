"""The size of a session's terminal, as those who are attached to it have theirs: the setting `window_size`.

`latest`: that of the client that last attached, typed or was resized. `smallest`: as many rows and columns as all of them have. `fixed`:
no client changes it. Those that only look on, and those that have not told their size, do not count. `Viewers` calls it.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from coprocd.protocol.errors import CoprocdError

if TYPE_CHECKING:
    from coprocd.runtime.viewer import Viewer
    from coprocd.runtime.viewers import Viewers

log = logging.getLogger("coprocd.sessions")

RESIZE_EVERY_S = 0.05
"""A terminal changes its size so often at most: each is a signal to the job and is stored, and a window that is dragged sends hundreds."""


class WindowSize:
    """That of one session."""

    def __init__(self, viewers: Viewers) -> None:
        self._viewers = viewers
        self._active: list[Viewer] = []
        """Who counts, the latest last."""
        self._loop = asyncio.get_running_loop()
        self._not_before = 0.0
        self._due: asyncio.TimerHandle | None = None

    def on_active(self, viewer: Viewer) -> None:
        """It has attached, typed, or has another size. One that types again and again is the latest already."""
        if viewer.mode == "ro" or viewer.size is None:
            return
        if viewer in self._active:
            self._active.remove(viewer)
        self._active.append(viewer)
        self.apply()

    def on_typed(self, viewer: Viewer) -> None:
        """The same for one that types; cheap for the latest."""
        if self._active and self._active[-1] is not viewer:
            self.on_active(viewer)

    def on_detached(self, viewer: Viewer) -> None:
        """It counts no more. When it is the last the size stays."""
        if viewer in self._active:
            self._active.remove(viewer)
            self.apply()

    def close(self) -> None:
        """Changes nothing any more."""
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def apply(self) -> None:
        """Has the terminal be as it should, now or in a moment."""
        if self._due is not None or self._wanted() is None:
            return
        if self._loop.time() < self._not_before:
            self._due = self._loop.call_at(self._not_before, self._resize)
        else:
            self._resize()

    def _resize(self) -> None:
        self._due = None
        session, wanted = self._viewers.session, self._wanted()
        if wanted is None or not session.connected or wanted == (session.record.rows, session.record.cols):
            return
        self._not_before = self._loop.time() + RESIZE_EVERY_S
        try:
            session.resize(*wanted)
        except CoprocdError as error:
            log.error("session %s: its size: %s", session.id, error)

    def _wanted(self) -> tuple[int, int] | None:
        policy = self._viewers.session.context.settings.sessions.window_size
        sizes = [viewer.size for viewer in self._active if viewer.size is not None]
        if not sizes or policy == "fixed":
            return None
        if policy == "smallest":
            return min(rows for rows, _ in sizes), min(cols for _, cols in sizes)
        return sizes[-1]
