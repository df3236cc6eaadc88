"""The title of the window, which a session sets and the client marks: the terminal's own is saved on its stack and comes back at the end.

Sans-IO: says what is to be written, given what output has set (`modes`). `drawing` calls it between two sequences of output.
"""

from __future__ import annotations

import re

from coprocctl.format import escaped
from coprocctl.terminal.modes import Modes

_SAVE, _TAKE_BACK = b"\x1b[22;0t", b"\x1b[23;0t"
"""Of window and icon. One of them alone (;1: the icon) is on the same stack in xterm, on one of its own elsewhere, and tmux knows none of icons: so what was saved
is taken back as what it was, and the terminal's own last."""
_TAKE_ICON_BACK, _TAKE_WINDOW_BACK = b"\x1b[23;1t", b"\x1b[23;2t"
_STACK = re.compile(rb"\x1b\[(22|23)(?:;([012]?)(?:;[0-9]*)?)?t")
_MOST_CHARACTERS = 200
_MOST_SAVED = 64
"""More of a kind is not passed on; no terminal keeps so many."""


class Title:
    """The title of one window."""

    def __init__(self) -> None:
        self.name = ""
        """What stands for a title where the session has set none."""
        self._mark = ""
        self._shown: tuple[str, str | None] = ("", None)
        self._saved = [0, 0, 0]
        """How many titles of the session's are on the terminal's stacks: of window and icon both, of the icon, of the window."""

    def begin(self) -> bytes:
        """Saves the terminal's."""
        return _SAVE

    def end(self) -> bytes:
        """Takes it back, from below those that the session has saved and not taken."""
        both, icons, windows = self._saved
        return _TAKE_ICON_BACK * icons + _TAKE_WINDOW_BACK * windows + _TAKE_BACK * (1 + both)

    def passed(self, data: bytes) -> bytes:
        """Output, in which sequences are whole, without what takes from the stacks more than the session has put there: what was saved before it was attached
        here is on none, and what is on them is others'."""
        return _STACK.sub(self._passed, data) if b"\x1b[2" in data else data

    def _passed(self, found: re.Match[bytes]) -> bytes:
        which = int(found[2] or b"0")
        saves = found[1] == b"22"
        if self._saved[which] == (_MOST_SAVED if saves else 0):
            return b""
        self._saved[which] += 1 if saves else -1
        return found[0]

    def mark(self, mark: str) -> None:
        """What stands before the session's title from now on; "" for nothing."""
        self._mark = escaped(mark)

    def changes(self, modes: Modes) -> bytes:
        """What shows it, where what is shown is another."""
        parts = []
        wanted = (self._mark, modes.title)
        if wanted != self._shown:
            was_marked = bool(self._shown[0])
            self._shown = wanted
            if self._mark:
                parts.append(_set(f"{self._mark} – {modes.title or self.name}"))
            elif modes.title is not None and was_marked:
                parts.append(_set(modes.title))
            elif was_marked:
                parts += [_set(self.name), _TAKE_BACK, _SAVE]
        return b"".join(parts)


def _set(title: str) -> bytes:
    return b"\x1b]2;%b\x07" % escaped(title[:_MOST_CHARACTERS]).encode("utf-8", "replace")
