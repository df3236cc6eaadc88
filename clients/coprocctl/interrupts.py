"""^C while a command changes something step by step: it takes effect between two steps, so that what was done is known."""

from __future__ import annotations

import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Interrupts:
    """As a context, raises KeyboardInterrupt as usual, but between `hold` and `release` only at `release`, or at the second ^C."""

    def __init__(self) -> None:
        self._holding = False
        self._came = False
        self._before: Any = None

    def __enter__(self) -> Interrupts:
        # Where it is ignored, as for a script's command in the background, it stays so.
        self._before = signal.getsignal(signal.SIGINT)
        if self._before is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._interrupt)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def hold(self) -> None:
        """From here on the first ^C waits."""
        self._holding = True

    def release(self) -> None:
        """Up to here; raises KeyboardInterrupt if one came."""
        self._holding = False
        if self._came:
            raise KeyboardInterrupt

    def _interrupt(self, *_: object) -> None:
        if not self._holding or self._came:
            raise KeyboardInterrupt
        self._came = True
