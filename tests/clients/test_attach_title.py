"""The title of the window: the session's, the client's mark, and the terminal's own at the end."""

from __future__ import annotations

import re

import pytest
from coprocctl.terminal.drawing import Drawing
from coprocctl.terminal.modes import Modes
from coprocctl.terminal.title import Title

SAVE, TAKE_BACK = b"\x1b[22;0t", b"\x1b[23;0t"
VIM, VIM_ENDS = b"\x1b[22;0;0t\x1b[22;2t\x1b[22;1t", b"\x1b[23;2t\x1b[23;1t\x1b[23;0;0t"
OLDER = "of another program"
STACKS = {"one": ((0, 1, 2),), "two": ((0, 1), (0, 2)), "windows": ((0, 2),)}
"""What is on each stack of a terminal's: xterm has one for all, most have two, tmux has none for icons."""


class Window:
    """A terminal as far as titles of windows go, with something on its stacks."""

    def __init__(self, stacks: str = "two") -> None:
        self.title = "the terminal's"
        self.stacks = [(kinds, [(0, OLDER)]) for kinds in STACKS[stacks]]
        self.modes = Modes()
        self.marked = Title()
        self.marked.name = "work"
        self.take(self.marked.begin())

    def take(self, data: bytes) -> None:
        for title, what, kind in re.findall(rb"\x1b\]2;([^\x07]*)\x07|\x1b\[(22|23);([012])(?:;0)?t", data):
            if not what:
                self.title = title.decode()
                continue
            for kinds, stack in self.stacks:
                if int(kind) in kinds:
                    self._turn(what == b"22", int(kind), kinds, stack)

    def _turn(self, save: bool, kind: int, kinds: tuple[int, ...], stack: list[tuple[int, str]]) -> None:
        if save:
            stack.append((kind, self.title))
        elif stack:
            saved, title = stack.pop()
            if 2 in kinds and 1 not in (kind, saved):
                self.title = title

    def prints(self, data: bytes) -> str:
        """The session prints it; the title then."""
        data = self.marked.passed(data)
        self.modes.feed(data)
        self.take(data)
        self.take(self.marked.changes(self.modes))
        return self.title

    def mark(self, mark: str) -> str:
        self.marked.mark(mark)
        self.take(self.marked.changes(self.modes))
        return self.title

    def end(self) -> str:
        self.take(self.marked.end())
        assert all(stack == [(0, OLDER)] for _, stack in self.stacks)
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


@pytest.mark.parametrize("saves", [SAVE + SAVE, VIM, VIM + SAVE, SAVE + VIM + VIM, b"\x1b[22;1t", b"\x1b[22;2t"])
@pytest.mark.parametrize("stacks", STACKS)
def test_titles_that_the_session_has_saved_are_taken_off_the_stack(stacks: str, saves: bytes) -> None:
    window = Window(stacks)
    window.prints(saves)
    window.prints(b"\x1b]2;in vim\x07")
    assert window.end() == "the terminal's"


def test_a_title_that_the_session_takes_back_and_has_not_saved_here_is_not_the_terminals() -> None:
    window = Window()
    window.prints(b"\x1b]2;in vim\x07")
    window.prints(TAKE_BACK)
    assert window.prints(b"\x1b]2;shell\x07") == "shell"
    assert window.end() == "the terminal's"


@pytest.mark.parametrize("stacks", STACKS)
def test_a_program_that_was_there_before_takes_back_nothing_of_others(stacks: str) -> None:
    window = Window(stacks)
    for _ in range(3):
        window.prints(b"\x1b]2;in vim\x07")
        assert window.prints(VIM_ENDS) == "in vim"
        window.prints(VIM + b"\x1b]2;in another\x07")
        assert window.prints(VIM_ENDS) == "in vim"
    assert window.end() == "the terminal's"


def test_what_is_not_the_sessions_is_not_taken_back_however_it_is_cut() -> None:
    drawing = Drawing(line=False)
    drawing.begin(24, 80)
    output = b"a" + VIM + VIM_ENDS + b"b" + VIM_ENDS + b"c" + SAVE * 1000 + b"d"
    shown = b"".join(drawing.output(bytes([byte]), 0.0) for byte in output)
    assert shown.startswith(b"a" + VIM + VIM_ENDS + b"bc" + SAVE) and len(shown) < 1000 and shown.endswith(b"d")
    assert drawing.reset().count(TAKE_BACK) == 1 + shown.count(SAVE)


def test_nothing_in_a_mark_or_a_title_is_more_than_text() -> None:
    window = Window()
    assert window.mark("◆ a\x07\x1b]2;evil\x07\u202e") == "◆ a\\x07\\e]2;evil\\x07\\u202e – work"
    window.modes.title = "x\x1b[31m" + "y" * 1000
    assert window.mark("m").startswith("m – x\\e[31myyy") and len(window.title) < 300
