"""A trigger's parameter with what was captured, in one pass: a capture is data, wherever it goes.

`groups` are those of a match, the whole match first, as UTF-8 in which 0x1A stands for a byte that was none; a group that did
not take part, or is not there, is empty. Called by the runtime's actions, and `check` whenever a trigger is added. Never runs
anything, and never puts captured text into a command: the shell finds it in the environment that `environment` returns.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from coprocd.core import colour, shell_programs, shell_words
from coprocd.core.parameter import characters, has_captures, pieces, refuse
from coprocd.core.shell_words import VARIABLE, SimpleCommand, Word
from coprocd.protocol.errors import CoprocdError
from coprocd.protocol.objects import Action

Groups = Sequence[bytes | None]
Parameter = str | list[str] | Mapping[str, Any] | None

VALUE_MOST_BYTES = 32 << 10
"""Of one variable: eleven of them stay far below what Linux takes of one string (128 KiB) and of all together (execve(2))."""

RUNS = frozenset(("run_coprocess", "run_silent_coprocess", "run_command"))
"""Actions whose parameter is a command, or an argv list."""

BARE = {"stop": "", "prompt": "", "mark": "[0-9]*", "bell": "[0-9]*|bounce( [0-9]+)?"}
"""Actions that take no parameter, each with what it may have all the same: a number of iTerm2's, kept for the export."""

_NEEDED = RUNS | {"send_text", "inject", "set_title", "set_variable", "set_directory", "set_host", "hyperlink", "call"}
_TABLES = frozenset(("set_variable", "highlight", "highlight_line", "sgr", "hyperlink", "named_mark", "annotate", "call"))
# C0, DEL and C1; and the bidirectional controls, which make text look like another.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_BYTE = re.compile("[\ud800-\udfff]")
_NO_OPTIONS = frozenset(("echo", "true", ":"))
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")


# -- text and bytes -------------------------------------------------------------------------------------------------


def text(parameter: str, groups: Groups) -> str:
    """For what is shown: the parameter's own escapes work, and what was captured has no control characters."""
    if parameter.isascii() and "\\x" not in parameter:  # no literal byte can be a part of a character
        return "".join([piece if isinstance(piece, str) else shown(_group(groups, piece)) for piece, _ in pieces(parameter)])
    return _joined(parameter, groups).decode(errors="replace")


def typed(parameter: str, groups: Groups) -> bytes:
    """For Send Text: only the parameter itself can type a control character."""
    return _joined(parameter, groups)


def data(parameter: str, groups: Groups) -> bytes:
    """For Inject: only the parameter itself can begin, or end, an escape sequence."""
    return _joined(parameter, groups)


def _joined(parameter: str, groups: Groups) -> bytes:
    return b"".join(_encoded(piece) if isinstance(piece, str) else shown(_group(groups, piece)).encode() for piece, _ in pieces(parameter))


def _encoded(literal: str) -> bytes:
    try:
        return literal.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return literal.encode(errors="replace")


def _group(groups: Groups, number: int) -> bytes:
    return (groups[number] if number < len(groups) else None) or b""


def shown(captured: bytes) -> str:
    """What was captured, without control characters."""
    if captured.isascii() and (text := captured.decode("ascii")).isprintable():  # as most is, and then nothing is to be replaced
        return text
    return _CONTROLS.sub("", captured.decode(errors="replace").replace("\x1a", "\ufffd"))


# -- commands -------------------------------------------------------------------------------------------------------


def command(parameter: str, groups: Groups = ()) -> str:
    """For `/bin/sh -c`, beside `environment`: each capture is a variable, quoted as its place wants it. The text is the same for all matches."""
    return _judged(parameter).text


def environment(groups: Groups, line: bytes) -> dict[str, str]:
    """COPROCD_MATCH_0 to _9 and COPROCD_LINE: all of them always, none longer than 32 KiB, without NULs."""
    values = {VARIABLE.format(number): _group(groups, number) for number in range(10)}
    return {name: _value(value[: VALUE_MOST_BYTES + 1]) for name, value in {**values, "COPROCD_LINE": line}.items()}


def argv(parameter: Sequence[str], groups: Groups) -> list[str]:
    """Each element expanded by itself, so that a capture stays inside its element; it keeps everything but NUL."""
    return [
        "".join(piece if isinstance(piece, str) else _value(_group(groups, piece)) for piece, _ in pieces(element)).replace("\0", "")
        for element in parameter
    ]


def _value(captured: bytes) -> str:
    value = captured.replace(b"\0", b"")
    if len(value) > VALUE_MOST_BYTES:
        end = VALUE_MOST_BYTES
        while end > VALUE_MOST_BYTES - 4 and value[end] & 0xC0 == 0x80:  # not inside a character
            end -= 1
        value = value[:end]
    return value.decode(errors="surrogateescape")


def refusal(parameter: str | Sequence[str], groups: Groups) -> str | None:
    """Why the action must not run with these captures: one of them would be read as an option."""
    commands = _judged(parameter).commands if isinstance(parameter, str) else [_words(parameter)]
    for each in commands:
        at = shell_programs.judge(each)
        if at < len(each.words) and (why := _option(each.words[at:], groups)):
            return why
    return None


def _option(words: list[Word], groups: Groups) -> str | None:
    name = shell_programs.program(words[0])
    if name in _NO_OPTIONS:
        return None
    signs = "-+" if name in shell_programs.PLUS_IS_A_COMMAND else "-"
    for index, word in enumerate(words[1:], 1):
        if word.text == "--" or (name == "printf" and index > 1):
            return None
        for number in word.leading:
            sign = _group(groups, number)[:1].decode(errors="replace")
            if sign and sign in signs:
                return f"what \\{number} captured begins with `{sign}`, and {name} would read it as an option: write -- before \\{number}"
        if re.match(f"[{re.escape(signs)}]+\0", word.text):
            captured = _group(groups, word.captures[0])
            if captured and not captured.isdigit():
                return f"what \\{word.captures[0]} captured would choose an option of {name}: after `{word.text[0]}` only digits may"
    return None


# -- when a trigger is added ----------------------------------------------------------------------------------------


def check(action: Action, parameter: Parameter) -> None:
    """Raise `invalid_params` where the parameter does not fit its action, or a capture in it would be more than data."""
    if action in _NEEDED and not parameter:
        raise CoprocdError("invalid_params", f"the action {action} needs a parameter", action=action)
    if action in BARE and parameter and not (isinstance(parameter, str) and re.fullmatch(BARE[action], parameter)):
        raise CoprocdError("invalid_params", f"the action {action} takes no parameter: leave it out", action=action)
    if isinstance(parameter, list) and action not in RUNS:
        raise CoprocdError(
            "invalid_params", f"the parameter of {action} is text: only {', '.join(sorted(RUNS))} take a list", action=action
        )
    if isinstance(parameter, Mapping) and action not in _TABLES:
        raise CoprocdError("invalid_params", f"the parameter of {action} is text, not an object", action=action)
    if action == "buffer_input" and parameter not in ("start", "stop"):
        raise CoprocdError("invalid_params", "the parameter of buffer_input is `start` or `stop`", action=action)
    if action == "set_variable":
        name_and_value(parameter)
    elif action in colour.ACTIONS and parameter:
        colour.check(action, parameter)  # type: ignore[arg-type]
    elif action in RUNS:
        check_command(parameter)  # type: ignore[arg-type]


def check_command(parameter: str | list[str]) -> None:
    """The same for a command, or an argv list."""
    _check_text(parameter)
    if isinstance(parameter, str):
        _judged(parameter)
    else:
        shell_programs.judge(_words(parameter))


def _check_text(parameter: str | list[str]) -> None:
    """Refuses bytes from 0x80: records and events are text, and could not say what runs."""
    elements = [parameter] if isinstance(parameter, str) else parameter
    for index, element in enumerate(elements):
        for piece, at in pieces(element):
            if isinstance(piece, str) and _BYTE.search(piece):
                what, remedy = (
                    "a command is text, and `\\xNN` from 80 on is a byte",
                    "write the character itself, or have printf(1) make the byte",
                )
                refuse(index if isinstance(parameter, list) else at, what, remedy, element=isinstance(parameter, list))


def _judged(parameter: str) -> shell_words.Scanned:
    scanned = shell_words.scan(parameter)
    if has_captures(parameter):
        for each in scanned.commands:
            shell_programs.judge(each)
    return scanned


def _words(parameter: Sequence[str]) -> SimpleCommand:
    words = []
    for index, element in enumerate(parameter):
        word = Word(index, element=True)
        for piece, _ in characters(element):
            if isinstance(piece, int):
                word.add(piece)
            elif piece == "\0":
                refuse(index, "no argument can hold a NUL", "leave it out", element=True)
            else:
                word.text += piece
        words.append(word)
    return SimpleCommand(words)


# -- variables ------------------------------------------------------------------------------------------------------


def variable(parameter: Parameter, groups: Groups) -> tuple[str, str]:
    """The name and value for Set User Variable: `name=value`, {"name", "value"}, or iTerm2's two strings joined by U+0001."""
    name, value = name_and_value(parameter)
    return name, text(value, groups)


def name_and_value(parameter: Parameter) -> tuple[str, str]:
    """The two parts as they are written; `invalid_params` where there is no good name."""
    name: Any
    value: Any
    if isinstance(parameter, Mapping):
        name, value = parameter.get("name"), parameter.get("value", "")
        if set(parameter) - {"name", "value"} or not isinstance(name, str) or not isinstance(value, str):
            raise CoprocdError("invalid_params", 'the parameter of set_variable is {"name": text, "value": text}, or `name=value`')
    else:
        given = parameter if isinstance(parameter, str) else ""
        name, joined, value = given.partition("\x01" if "\x01" in given else "=")
        if not joined:
            raise CoprocdError("invalid_params", "the parameter of set_variable is `name=value`: there is no `=` in it")
    name = name.removeprefix("user.")
    if _NAME.fullmatch(name) is None:
        raise CoprocdError(
            "invalid_params",
            f"no variable can be named {name!r}: use letters, digits, `_` and `.`, no digit first, and no capture",
            name=name,
        )
    return name, value
