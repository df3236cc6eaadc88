"""The hold that the client has on the terminal: taken, written to, and given back as it was.

Owns raw mode, and the guardian that gives the terminal back where the client cannot. `attachment` has one for as long as it runs.
"""

from __future__ import annotations

from coprocctl.terminal.guardian import Guardian
from coprocctl.terminal.signals import Ended, Signals
from coprocctl.terminal.tty import TerminalGone, Tty

PATIENCE_S = 2.0
"""A terminal that takes nothing for so long when it is given back is left as it is."""


class Hold:
    """That on one terminal."""

    def __init__(self, tty: Tty, signals: Signals) -> None:
        self._tty = tty
        self._signals = signals
        self._guardian = Guardian(tty)

    def take(self, begin: bytes, reset: bytes) -> None:
        """Raw mode, and what is written first; `reset` undoes that."""
        self.expect(reset)
        self._tty.raw()
        self.write(begin)

    def expect(self, reset: bytes) -> None:
        """What is written next sets something that `reset` undoes."""
        self._guardian.tell(reset)

    def write(self, data: bytes) -> None:
        """Writes it all. Raises TerminalGone, and Ended: a signal ends the wait for a terminal that takes nothing."""
        if not data:
            return
        signals = self._signals
        signals.raising = True
        try:
            if signals.ending is not None:
                raise Ended
            self._tty.write(data)
        finally:
            signals.raising = False

    def give_back(self, end: bytes, flush: bool) -> None:
        """The terminal is as it was. `flush`: what it has sent and nobody has typed is forgotten."""
        flush = flush and self._signals.ending is None
        try:
            if self._tty.takes(PATIENCE_S):
                self._tty.write(end)
        except (TerminalGone, OSError):
            flush = False
        self._tty.restore(flush)
        self._guardian.tell(None)

    def close(self) -> None:
        """It was given back for good."""
        self._guardian.dismiss()
