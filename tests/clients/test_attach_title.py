"""The title of the window: the session's, the client's mark, and the terminal's own at the end."""

from __future__ import annotations

from coprocctl.terminal.modes import Modes
from coprocctl.terminal.title import Title

SAVE, TAKE_BACK = b"\x1b[22;0t", b"\x1b[23;0t"


class Window:
    """A terminal as far as titles go."""

    def __init__(self) -> None:
        self.title = "the terminal's"
        self.stack: list[str] = []
        self.modes = Modes()
        self.marked = Title()
        self.marked.name = "work"
        self.take(self.marked.begin())

    def take(self, data: bytes) -> None:
        for sequence in data.replace(b"\x07", b"\0").replace(b"t", b"t\0").split(b"\0") if b"]" not in data else [data]:
            self._one(sequence)

    def _one(self, data: bytes) -> None:
        while data:
            if data.startswith(SAVE):
                self.stack.append(self.title)
                data = data[len(SAVE) :]
            elif data.startswith(TAKE_BACK):
                self.title = self.stack.pop() if self.stack else self.title
                data = data[len(TAKE_BACK) :]
            else:
                assert data.startswith(b"\x1b]2;")
                title, _, data = data[4:].partition(b"\x07")
                self.title = title.decode()

    def prints(self, data: bytes) -> str:
        """The session prints it; the title then."""
        self.modes.feed(data)
        self.take(data)
        self._one(self.marked.changes(self.modes))
        return self.title

    def mark(self, mark: str) -> str:
        self.marked.mark(mark)
        self._one(self.marked.changes(self.modes))
        return self.title

    def end(self) -> str:
        self._one(self.marked.end(self.modes))
        assert self.stack == []
        return self.title


def test_a_mark_comes_and_goes_and_the_sessions_title_stays() -> None:
    window = Window()
    assert window.prints(b"\x1b]2;mine\x07") == "mine"
    assert window.mark("◆ cat") == "◆ cat – mine"
    assert window.prints(b"\x1b]2;other\x07") == "◆ cat – other"
    assert window.mark("") == "other"
    assert window.end() == "the terminal's"


def test_where_the_session_has_set_none_the_terminals_own_comes_back() -> None:
    window = Window()
    assert window.mark("◆ cat") == "◆ cat – work"
    assert window.mark("") == "the terminal's"
    assert window.mark("◆ sort") == "◆ sort – work"
    assert window.end() == "the terminal's"


def test_titles_that_the_session_has_saved_are_taken_off_the_stack() -> None:
    window = Window()
    window.prints(SAVE + SAVE)
    window.prints(b"\x1b]2;in vim\x07")
    assert window.end() == "the terminal's"


def test_a_title_that_the_session_takes_back_and_has_not_saved_here_is_not_the_terminals() -> None:
    window = Window()
    window.prints(b"\x1b]2;in vim\x07")
    window.prints(TAKE_BACK)
    assert window.prints(b"\x1b]2;shell\x07") == "shell"
    assert window.end() == "the terminal's"


def test_nothing_in_a_mark_or_a_title_is_more_than_text() -> None:
    window = Window()
    assert window.mark("◆ a\x07\x1b]2;evil\x07\u202e") == "◆ a\\x07\\e]2;evil\\x07\\u202e – work"
    window.modes.title = "x\x1b[31m" + "y" * 1000
    assert window.mark("m").startswith("m – x\\e[31myyy") and len(window.title) < 300
