"""Signals, as something that a loop around select(2) can wait for; and those that end the client, out of a write that does not return.

Owns the handlers from `install` to `uninstall`.
"""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ENDING = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT)
LOOKED_AT = (signal.SIGWINCH, signal.SIGTSTP, signal.SIGCONT)


class Ended(Exception):
    """One of ENDING has come while something was done that may take for ever."""


class Signals:
    """All that the client minds."""

    def __init__(self) -> None:
        self.ending: int | None = None
        """The signal that ends the client, once it has come."""
        self.raising = False
        """Whether a signal that ends the client raises Ended where it comes: set around what may take for ever."""
        self._before: dict[int, Any] = {}
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._reading, False)
        os.set_blocking(self._writing, False)

    def install(self) -> None:
        """From here on they are looked at."""
        self._wakeup = signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        for number in (*ENDING, *LOOKED_AT):
            self._before[number] = signal.signal(number, self._on_signal)
        self._before[signal.SIGPIPE] = signal.signal(signal.SIGPIPE, signal.SIG_IGN)

    def uninstall(self) -> None:
        """All is as before."""
        signal.set_wakeup_fd(self._wakeup)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._reading)
        os.close(self._writing)

    def fileno(self) -> int:
        """Readable when a signal has come."""
        return self._reading

    def take(self) -> set[int]:
        """Those that have come since it was last asked."""
        came = b""
        try:
            while data := os.read(self._reading, 512):
                came += data
        except BlockingIOError:
            pass
        return set(came)

    def _on_signal(self, number: int, _: object) -> None:
        if number in ENDING:
            self.ending = number
            if self.raising:
                self.raising = False
                raise Ended


def die_of(number: int) -> None:
    """Ends as whoever does not mind the signal does, so that a shell sees why."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def stop() -> None:
    """Stops, as SIGTSTP has whoever does not mind it; returns when it goes on."""
    before = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGTSTP)
    signal.signal(signal.SIGTSTP, before)
