"""A terminal around `coprocctl attach`: tmux, with a server of its own, whose pane can be typed into and looked at cell by cell."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

PATIENCE_S = 30.0
PROMPT = "outer$ "
MODES = (
    *("alternate_on", "cursor_flag", "insert_flag", "keypad_cursor_flag", "keypad_flag", "mouse_any_flag", "mouse_sgr_flag", "origin_flag"),
    *("scroll_region_lower", "scroll_region_upper", "wrap_flag", "pane_title"),
)


class Outer:
    """One pane with a shell in it, that shows PROMPT."""

    def __init__(self, environment: Mapping[str, str], rows: int = 24, cols: int = 80) -> None:
        self._directory = tempfile.mkdtemp(prefix="t", dir="/tmp")
        self._environment = {name: value for name, value in environment.items() if name not in ("TMUX", "TMUX_PANE")}
        self._environment |= {"TMUX_TMPDIR": self._directory, "ENV": f"{self._directory}/shrc", "LC_ALL": "C.UTF-8"}
        with open(f"{self._directory}/shrc", "w") as file:
            file.write(f"PS1='{PROMPT}'\n")
        self.tmux("new-session", "-d", "-x", str(cols), "-y", str(rows), "sh")
        self.tmux("set", "-g", "status", "off")
        self.tmux("set", "-s", "escape-time", "0")
        self.tmux("set", "-g", "window-size", "manual")
        self.tmux("resize-window", "-x", str(cols), "-y", str(rows))
        self.await_(lambda: self.text().startswith(PROMPT.strip()))

    def tmux(self, *arguments: str) -> str:
        argv = ["tmux", "-f", "/dev/null", "-L", "outer", *arguments]
        return subprocess.run(argv, env=self._environment, check=True, capture_output=True, text=True, timeout=PATIENCE_S).stdout

    def type(self, text: str, *keys: str) -> None:
        """Types text as it is, and then keys by their names."""
        if text:
            self.tmux("send-keys", "-l", text)
        if keys:
            self.tmux("send-keys", *keys)

    def paste(self, text: str) -> None:
        """Pastes it, with its marks where the program in front has asked for them."""
        self.tmux("set-buffer", text)
        self.tmux("paste-buffer", "-p", "-r")

    def text(self) -> str:
        return self.tmux("capture-pane", "-p")

    def cells(self) -> list[list[tuple[str, str]]]:
        """All that is to be seen: the cells of each row, a character with its colours and attributes each; and last the cursor."""
        x, width, rest = self.show("#{cursor_x} #{pane_width} #{cursor_y},#{cursor_flag},#{alternate_on}").split()
        # Behind the last column it is in it: terminals do not agree on what leaves it there.
        cursor = f"{min(int(x), int(width) - 1)},{rest}"
        return [*_cells(self.tmux("capture-pane", "-p", "-e", "-N")), [(cursor, "")]]

    def show(self, form: str) -> str:
        return self.tmux("display-message", "-p", form).rstrip("\n")

    def title(self) -> str:
        return self.show("#{pane_title}")

    def modes(self) -> dict[str, str]:
        values = self.show("\x1f".join(f"#{{{name}}}" for name in MODES)).split("\x1f")
        return dict(zip(MODES, values, strict=True))

    def resize(self, rows: int, cols: int) -> None:
        self.tmux("resize-window", "-x", str(cols), "-y", str(rows))

    def await_(self, holds: Callable[[], object]) -> None:
        """Returns when it holds."""
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < deadline, f"{self.text()}\n{self.modes()}"

    def await_text(self, text: str) -> None:
        self.await_(lambda: text in self.text())

    def await_quiet(self) -> list[list[tuple[str, str]]]:
        """All that is to be seen, once it has been the same for a while."""
        cells, since = self.cells(), time.monotonic()
        while time.monotonic() - since < 0.4:
            if (now := self.cells()) != cells:
                cells, since = now, time.monotonic()
        return cells

    def await_prompt(self) -> None:
        """Returns when the shell waits for a command: whatever ran in it has ended."""
        self.await_(lambda: self.show("#{pane_current_command}") == "sh" and self.text().rstrip().endswith(PROMPT.strip()))

    def settings(self) -> str:
        """The settings of the terminal, as its shell's stty(1) shows them."""
        path = f"{self._directory}/stty"
        self.type(f"stty -a > {path}.new; mv {path}.new {path}", "Enter")
        self.await_(lambda: os.path.exists(path))
        with open(path) as file:
            settings = file.read()
        os.unlink(path)
        self.await_prompt()
        return settings

    def close(self) -> None:
        self.tmux("kill-server")
        shutil.rmtree(self._directory)


def _cells(captured: str) -> list[list[tuple[str, str]]]:
    """The rows of what tmux has captured, without the blanks that end them: one that was written and one that was not look the same."""
    rows = []
    look: dict[str, str] = {}
    for line in captured.split("\n"):
        row: list[tuple[str, str]] = []
        for sequence, character in re.findall(r"\x1b\[([0-9;:]*)m|(.)", line):
            if character:
                row.append((character, " ".join(sorted(look.values()))))
            elif sequence in ("", "0"):
                look.clear()
            else:
                number = int(re.split("[;:]", sequence)[0])
                kind = "colour" if number // 10 in (3, 9) else "background" if number // 10 in (4, 10) else sequence
                look[kind] = sequence
                if sequence in ("39", "49"):
                    del look[kind]
        while row and row[-1] == (" ", ""):
            row.pop()
        rows.append(row)
    return rows


@contextmanager
def outer(environment: Mapping[str, str], rows: int = 24, cols: int = 80) -> Iterator[Outer]:
    terminal = Outer(environment, rows, cols)
    try:
        yield terminal
    finally:
        terminal.close()
