"""The terminal that the client runs in: its size, raw mode and back, reading and writing.

Owns the settings of the terminal between `raw` and `restore`, and no descriptor: standard input and output are the caller's. They stay blocking, since
whoever else has them open would see it otherwise; a write to a terminal that takes nothing ends with a signal that raises.
"""

from __future__ import annotations

import os
import select
import termios

from coprocctl.exits import EXIT_FAILED, Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

READ_BYTES = 64 << 10
_INPUT, _OUTPUT = 0, 1


class TerminalGone(Exception):
    """The terminal was hung up."""


class Tty:
    """Standard input and output, which are a terminal."""

    def __init__(self) -> None:
        """Raises Failure where they are none."""
        for fd, name in ((_INPUT, "input"), (_OUTPUT, "output")):
            if not os.isatty(fd):
                raise Failure(f"standard {name} is no terminal, so there is nothing to attach to", EXIT_FAILED, "no_terminal")
        self.saved: list[Any] = termios.tcgetattr(_INPUT)

    def fileno(self) -> int:
        """Standard input, for select(2)."""
        return _INPUT

    def size(self) -> tuple[int, int]:
        """Rows and columns."""
        try:
            size = os.get_terminal_size(_OUTPUT)
        except OSError:
            return 24, 80
        return size.lines or 24, size.columns or 80

    def raw(self) -> None:
        """From here on every key arrives as it is, and output is shown as it is (as cfmakeraw(3) does it)."""
        iflag, oflag, cflag, lflag, ispeed, ospeed, characters = self.saved
        iflag &= ~(termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP)
        iflag &= ~(termios.INLCR | termios.IGNCR | termios.ICRNL | termios.IXON)
        oflag &= ~termios.OPOST
        lflag &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
        cflag = cflag & ~(termios.CSIZE | termios.PARENB) | termios.CS8
        characters = list(characters)
        characters[termios.VMIN], characters[termios.VTIME] = 1, 0
        self._set([iflag, oflag, cflag, lflag, ispeed, ospeed, characters], termios.TCSADRAIN)

    def restore(self, flush: bool = False) -> None:
        """The settings are as they were. `flush`: what has come and was not read is forgotten, since no one typed it."""
        self._set(self.saved, termios.TCSAFLUSH if flush else termios.TCSANOW)

    def read(self) -> bytes:
        """What was typed. Raises TerminalGone at the end."""
        try:
            data = os.read(_INPUT, READ_BYTES)
        except OSError:
            data = b""
        if not data:
            raise TerminalGone
        return data

    def takes(self, patience_s: float) -> bool:
        """Whether there is room for something to be written, now or within so long."""
        return bool(select.select([], [_OUTPUT], [], patience_s)[1])

    def write(self, data: bytes) -> None:
        """Shows it all, with one system call as a rule. Raises TerminalGone."""
        left = data
        try:
            while len(left) > (size := os.write(_OUTPUT, left)):
                left = left[size:]
        except OSError:
            raise TerminalGone from None

    def _set(self, settings: list[Any], when: int) -> None:
        try:
            termios.tcsetattr(_INPUT, when, settings)
        except termios.error:
            pass  # it was hung up: there are no settings any more
