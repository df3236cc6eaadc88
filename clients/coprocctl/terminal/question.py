"""A question that a coprocess asks (prompt.ask), answered on the last row of the terminal: text, the path of a file, a password, or yes and no.

Enter answers, Esc and C-c refuse. Edits one line: Backspace, C-w, C-u, and Tab, which completes the path of a file. A path is answered whole (`~` and what is relative are
of the client, where the person sits). Looks at directories for that, and does nothing else with the system. `attachment` has it while it is asked.
"""

from __future__ import annotations

import os
import re

from coprocctl.format import escaped
from coprocctl.output import cut, width

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ANSWER_CHARACTERS = 4096
"""More is not taken: no path is longer (PATH_MAX)."""
_CURSOR = "▏"

_TOKEN = re.compile(
    rb"\x1b\[(?P<code>[0-9]{1,7})(?::[0-9:]*)?(?:;(?P<modifiers>[0-9]{1,3})(?::(?P<event>[0-9]))?)?(?:;[0-9:]*)?u"
    rb"|\x1b\[27;(?P<old_modifiers>[0-9]{1,3});(?P<old_code>[0-9]{1,7})~"
    rb"|\x1b[\[O][0-?]*[ -/]*[@-~]|\x1b(?=.)|(?P<character>[\x00-\x7f]|[\xc2-\xf4][\x80-\xbf]+)",
    re.S,
)
_RELEASE = b"3"
_ENTER, _ESCAPE, _TAB, _INTERRUPT, _CANCEL, _BACKSPACES = "\r\n", "\x1b", "\t", "\x03", "\x07", "\x7f\x08"
_KILL_WORD, _KILL_LINE = "\x17", "\x15"


class Question:
    """One, until it is answered."""

    def __init__(self, prompt: dict[str, Any]) -> None:
        """`prompt` as the daemon tells it."""
        self.id = str(prompt["id"])
        self.value: str | bool | None = None
        """The answer, once it is `answered`; None: it was refused."""
        self.answered = False
        self._kind = prompt["kind"]
        self._message = escaped(prompt["message"])
        self._text = ""
        self._hint = ""

    def feed(self, data: bytes) -> None:
        """What was typed; what comes behind the answer is nobody's."""
        if data == b"\x1b":
            self._answer(None)
        for found in _TOKEN.finditer(data):
            if self.answered:
                return
            if character := _character(found):
                self._press(character)

    def line(self, cols: int) -> str:
        """What is to be shown on a row of so many columns: where it is too long, the beginning of the message and the end of what was typed."""
        if self._kind == "confirm":
            return f"? {cut(self._message, max(cols - len('?  (y/n)'), 0))} (y/n)"
        shown = "" if self._kind == "password" else self._text
        room = max(cols - len(f"?  {_CURSOR}"), 0)
        message = cut(self._message, max(room - width(shown), room // 2))
        line = f"? {message} {_end(shown, room - width(message))}{_CURSOR}"
        left = cols - width(line)
        return line + (cut(self._hint or "  Esc refuses", left) if left > 0 else "")

    def _press(self, character: str) -> None:
        self._hint = ""
        if character in (_ESCAPE, _INTERRUPT, _CANCEL):
            self._answer(None)
        elif self._kind == "confirm":
            if character in "yYnN":
                self._answer(character in "yY")
        elif character in _ENTER:
            self._answer(os.path.abspath(os.path.expanduser(self._text)) if self._kind == "file" and self._text else self._text)
        elif character in _BACKSPACES:
            self._text = self._text[:-1]
        elif character == _KILL_LINE:
            self._text = ""
        elif character == _KILL_WORD:
            self._text = re.sub(r"[^\s/]*[\s/]*\Z", "", self._text)
        elif character == _TAB and self._kind == "file":
            self._text, self._hint = completed(self._text)
        elif character.isprintable() and len(self._text) < ANSWER_CHARACTERS:
            self._text += character

    def _answer(self, value: str | bool | None) -> None:
        self.answered, self.value = True, value


def _end(text: str, room: int) -> str:
    """What is at the end of `text` in at most `room` cells, with `…` where something was cut."""
    if width(text) <= room:
        return text
    while text and width(text) > max(room - 1, 0):
        text = text[1:]
    return "…" + text


def completed(text: str) -> tuple[str, str]:
    """A path with as much behind it as is certain, and what is said where that is not all."""
    directory, name = os.path.split(text)
    try:
        with os.scandir(os.path.expanduser(directory) or ".") as entries:
            found = sorted(
                entry.name + ("/" if entry.is_dir() else "")
                for entry in entries
                if entry.name.startswith(name) and entry.name.isprintable() and (name or not entry.name.startswith("."))
            )
    except OSError as error:
        return text, f"  {error.strerror}"
    if not found:
        return text, "  no such file"
    common = os.path.commonprefix(found)  # noqa: RUF071 - of names, character by character
    hint = "" if len(found) == 1 else "  " + "  ".join(found)
    return os.path.join(directory, common), hint


def _character(found: re.Match[bytes]) -> str:
    """The character that a key stands for, a control where Ctrl is held; "" for what is none."""
    if found["character"] is not None:
        return found["character"].decode("utf-8", "replace")
    code, modifiers = found["code"] or found["old_code"], found["modifiers"] or found["old_modifiers"]
    if code is None or found["event"] == _RELEASE or not 0 < int(code) < 0xD800:
        return ""
    held = int(modifiers or 1) - 1
    character = chr(int(code))
    if held & 4:
        return chr(ord(character.upper()) & 0x1F) if character.isascii() else ""
    if held & 2:
        return ""
    return character.upper() if held & 1 else character
