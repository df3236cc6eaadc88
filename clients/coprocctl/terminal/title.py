"""The title of the window, which a session sets and the client marks: the terminal's own is saved on its stack and comes back at the end.

Sans-IO: says what is to be written, given what output has set (`modes`). `drawing` calls it between two sequences of output.
"""

from __future__ import annotations

from coprocctl.format import escaped
from coprocctl.terminal.modes import Modes

_SAVE, _TAKE_BACK = b"\x1b[22;0t", b"\x1b[23;0t"
"""Of window and icon. One of them alone (;1: the icon) is on the same stack in xterm, on one of its own elsewhere, and tmux knows none of icons: so what was saved
is taken back as what it was, and the terminal's own last."""
_SAVE_ICON, _TAKE_ICON_BACK = b"\x1b[22;1t", b"\x1b[23;1t"
_SAVE_WINDOW, _TAKE_WINDOW_BACK = b"\x1b[22;2t", b"\x1b[23;2t"
_MOST_CHARACTERS = 200


class Title:
    """The title of one window."""

    def __init__(self) -> None:
        self.name = ""
        """What stands for a title where the session has set none."""
        self._mark = ""
        self._shown: tuple[str, str | None] = ("", None)

    def begin(self) -> bytes:
        """Saves the terminal's."""
        return _SAVE

    def end(self, modes: Modes) -> bytes:
        """Takes it back, over those that the session has saved and not taken."""
        both, icons, windows = modes.titles_saved
        return _TAKE_ICON_BACK * icons + _TAKE_WINDOW_BACK * windows + _TAKE_BACK * max(1 + both, 1)

    def mark(self, mark: str) -> None:
        """What stands before the session's title from now on; "" for nothing."""
        self._mark = escaped(mark)

    def changes(self, modes: Modes) -> bytes:
        """What shows it, where what is shown is another."""
        taken = _taken(modes)
        # A title that the session took back was not its own, but the terminal's.
        parts = [taken]
        wanted = (self._mark, modes.title)
        if taken or wanted != self._shown:
            was_marked = bool(self._shown[0])
            self._shown = wanted
            if self._mark:
                parts.append(_set(f"{self._mark} – {modes.title or self.name}"))
            elif modes.title is not None and (was_marked or taken):
                parts.append(_set(modes.title))
            elif was_marked:
                parts += [_set(self.name), _TAKE_BACK, _SAVE]
        return b"".join(parts)


def _taken(modes: Modes) -> bytes:
    """What saves again all that the session took and had not saved; it counts no more."""
    both, icons, windows = (max(-saved, 0) for saved in modes.titles_saved)
    modes.titles_saved = [max(saved, 0) for saved in modes.titles_saved]
    pairs = min(icons, windows)
    return _SAVE_ICON * (icons - pairs) + _SAVE_WINDOW * (windows - pairs) + _SAVE * (both + pairs)


def _set(title: str) -> bytes:
    return b"\x1b]2;%b\x07" % escaped(title[:_MOST_CHARACTERS]).encode("utf-8", "replace")
