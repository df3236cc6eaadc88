"""A small process that restores the terminal when the client cannot any more: it was killed (SIGKILL), or has crashed.

It is forked from the client, in a session of its own so that what is sent to the client's process group does not reach it, and waits on a pipe. The client
tells it what is to be reset each time that changes; when the pipe ends without a word that all is well, it resets that. Its end is awaited by `dismiss`.
"""

from __future__ import annotations

import os
import select
import signal
import termios

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from coprocctl.terminal.tty import Tty

_INPUT, _OUTPUT = 0, 1
_LENGTH_BYTES = 4
_DISMISSED = b"\xff" * _LENGTH_BYTES
PATIENCE_S = 5
"""A terminal that takes nothing for so long is left as it is."""


class Guardian:
    """The client's end."""

    def __init__(self, tty: Tty) -> None:
        reading, self._pipe = os.pipe()
        os.set_blocking(self._pipe, False)
        self._told: bytes | None = None
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._pipe)
            _guard(reading, tty.saved)
        os.close(reading)

    def tell(self, reset: bytes | None) -> None:
        """What is to be written to the terminal, whose settings are to be restored; None: nothing is to be done."""
        if reset == self._told:
            return
        self._told = reset
        message = b"" if reset is None else b"r" + reset
        self._send(len(message).to_bytes(_LENGTH_BYTES, "big") + message)

    def dismiss(self) -> None:
        """All is well: it ends."""
        self._send(_DISMISSED)
        os.close(self._pipe)
        try:
            os.waitpid(self._pid, 0)
        except ChildProcessError:
            pass

    def _send(self, data: bytes) -> None:
        try:
            while data:
                if not select.select([], [self._pipe], [], PATIENCE_S)[1]:
                    os.kill(self._pid, signal.SIGKILL)  # it does not go on, and what it knows is of before
                    return
                data = data[os.write(self._pipe, data) :]
        except OSError:
            pass  # it was killed: the terminal is then restored by the client alone


def _guard(pipe: int, saved: list[Any]) -> NoReturn:
    """The process, from its beginning to its end."""
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP, signal.SIGTTOU, signal.SIGWINCH):
            signal.signal(number, signal.SIG_IGN)
        os.setsid()
        os.chdir("/")
        os.dup2(os.open(os.devnull, os.O_RDWR), 2)
        os.closerange(3, pipe)
        os.closerange(pipe + 1, 1 << 16)
        reset: bytes | None = None
        while (length := _read(pipe, _LENGTH_BYTES)) != _DISMISSED:
            message = _read(pipe, int.from_bytes(length, "big")) if length is not None else None
            if message is None:
                if reset is not None:
                    _restore(saved, reset)
                break
            reset = message[1:] if message else None
    finally:
        os._exit(0)


def _read(pipe: int, size: int) -> bytes | None:
    """So many bytes; None at the end of the pipe."""
    data = b""
    while len(data) < size:
        piece = os.read(pipe, size - len(data))
        if not piece:
            return None
        data += piece
    return data


def _restore(saved: list[Any], reset: bytes) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(PATIENCE_S)
    # A shell that has its terminal back sets it up itself, with signals: then its settings are not ours to change any more.
    _, oflag, _, lflag, *_ = termios.tcgetattr(_INPUT)
    if not oflag & termios.OPOST and not lflag & (termios.ICANON | termios.ISIG):
        termios.tcsetattr(_INPUT, termios.TCSANOW, saved)
    reset += b"\r\n[the client was killed; the session goes on]\r\n"
    while reset:
        reset = reset[os.write(_OUTPUT, reset) :]
