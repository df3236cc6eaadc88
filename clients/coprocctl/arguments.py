"""The parser that all commands share, and the shapes of arguments that many of them take.

Options of all commands, `--socket` and `--json`, stand before the command or after it. What completes an argument is
declared with it (`completes`), for `coprocctl completion`; it costs nothing elsewhere.
"""

from __future__ import annotations

import argparse
import os
import sys

from coprocctl.exits import EXIT_USAGE, Failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn, TextIO

# What `session.send_keys` knows by name; for completion alone, the daemon decides.
KEYS = [
    *("Enter", "Tab", "Escape", "Space", "BSpace", "Insert", "Delete"),
    *("Up", "Down", "Left", "Right", "Home", "End", "PageUp", "PageDown"),
    *("C-a", "C-c", "C-d", "C-e", "C-l", "C-r", "C-u", "C-w", "C-z"),
    *(f"F{number}" for number in range(1, 13)),
]
SIGNALS = ["HUP", "INT", "QUIT", "KILL", "TERM", "STOP", "TSTP", "CONT", "WINCH", "USR1", "USR2"]


MARK = "\0"  # before a word that is no option, though it looks like one


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Help as wide as the terminal, at most 100. argparse makes a formatter for each argument and imports shutil to ask for the width: 3 ms."""

    def __init__(self, prog: str, **more: Any) -> None:
        super().__init__(prog, width=min(_columns() - 2, 100), max_help_position=32, **more)


class Parser(argparse.ArgumentParser):
    """One command's parser: no abbreviations, options and arguments in any order, `--` ends the options. Raises Failure."""

    def __init__(self, prog: str, description: str | None = None, **more: Any) -> None:
        more.setdefault("formatter_class", Formatter)
        super().__init__(prog=prog, description=description, allow_abbrev=False, **more)

    def parse(self, argv: list[str]) -> argparse.Namespace:
        """The arguments, in whatever order they stand; a Failure with status 2 where they make no sense.

        argparse's own `--` differs between its versions, and is wrong here in 3.11; so the words after it are marked
        with a NUL, which no argument can hold, and are no options then.
        """
        if "--" in argv:
            end = argv.index("--")
            argv = argv[:end] + [MARK + word if word.startswith("-") and word != "-" else word for word in argv[end + 1 :]]
        args = self.parse_intermixed_args(argv)
        for name, value in vars(args).items():
            if isinstance(value, list):
                setattr(args, name, [_unmarked(word) for word in value])
            else:
                setattr(args, name, _unmarked(value))
        return args

    def error(self, message: str) -> NoReturn:
        message = message.replace(MARK, "")
        if message.startswith("unrecognized arguments") and any(
            action.metavar in ("CMD", "ARGV", "TEXT", "PARAMETER") for action in self._actions
        ):
            message += " (put -- before words that begin with -)"
        failure = Failure(message, EXIT_USAGE, "usage")
        failure.usage = self.format_usage()
        raise failure


def command_parser(name: str, summary: str) -> Parser:
    """The parser of the command `name`, with the options of all commands."""
    parser = Parser(f"coprocctl {name}", summary[:1].upper() + summary[1:] + ".")
    options = parser.add_argument_group("options of all commands")
    add_common(options)
    return parser


def add_common(options: argparse._ActionsContainer) -> None:
    """`--socket` and `--json`."""
    completes(
        options.add_argument(
            "--socket", metavar="PATH", type=filled, help="the daemon's socket; default: $COPROCD_SOCKET, else in the runtime directory"
        ),
        "file",
    )
    options.add_argument("--json", action="store_true", help="print JSON for programs; errors too, on stderr")


def add_session(parser: argparse.ArgumentParser, **more: Any) -> None:
    """The argument SESSION."""
    more = {"metavar": "SESSION", "help": "an id, a unique prefix of one, or a name; @ inside a session", "type": session_reference, **more}
    completes(parser.add_argument("sessions" if more.get("nargs") == "+" else "session", **more), "session")


def completes(action: argparse.Action, what: str | list[str]) -> argparse.Action:
    """Says what completes this argument: `file`, `directory`, `session`, `trigger`, or one of some words."""
    action.completes = what  # type: ignore[attr-defined]
    return action


def socket_path(args: argparse.Namespace) -> str:
    """The daemon's socket: `--socket`, else the place that `coprocd.protocol.places` has for it."""
    given: str | None = args.socket
    if given:
        return os.path.abspath(given)
    from coprocd.protocol import places

    return places.socket_path()


def session_reference(text: str) -> str:
    """A SESSION as the daemon takes it: `@` is the session we run in."""
    if not text:
        raise argparse.ArgumentTypeError("it is empty; coprocctl list shows ids and names")
    if text != "@":
        return text
    current = os.environ.get("COPROCD_SESSION")
    if not current:
        raise Failure("@ means the session this command runs in, but it runs in none ($COPROCD_SESSION is not set)", 3, "session_not_found")
    return current


def filled(text: str) -> str:
    """A text that is not empty: an empty one is a variable that was not set, and means nothing."""
    if not text:
        raise argparse.ArgumentTypeError("it is empty")
    return text


def standard_input() -> TextIO:
    """Standard input; a Failure where whoever started us closed it."""
    if sys.stdin is None:
        raise Failure("there is nothing to read from: standard input is closed", EXIT_USAGE, "usage")
    return sys.stdin


def terminal_size(text: str) -> tuple[int, int]:
    """ROWSxCOLS, as `24x80`."""
    rows, cross, cols = text.lower().partition("x")
    if not cross or not rows.isdecimal() or not cols.isdecimal() or not 0 < int(rows) <= 65535 or not 0 < int(cols) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; write ROWSxCOLS, as 24x80")
    return int(rows), int(cols)


def pair(text: str) -> tuple[str, str]:
    """KEY=VALUE."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return key, value


def byte_count(text: str) -> int:
    """A number of bytes, with K, M or G for their powers of 1024."""
    number, unit = text, 1
    for suffix, factor in (("K", 1 << 10), ("M", 1 << 20), ("G", 1 << 30)):
        if text.upper().endswith((suffix, suffix + "B", suffix + "IB")):
            number, unit = text.upper().split(suffix)[0], factor
    if not number.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no size; write bytes, or 512K, 4M, 1G")
    return int(number) * unit


def seconds(text: str) -> float:
    """A duration in seconds."""
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return value


def count(text: str) -> int:
    """A number that is not negative."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no number")
    return int(text)


def start_of(words: tuple[str, ...]) -> Any:
    """A type for `--from`: one of `words`, or an offset."""

    def parse(text: str) -> str | int:
        if text in words:
            return text
        if text.isdecimal():
            return int(text)
        raise argparse.ArgumentTypeError(f"{text!r} is neither {', '.join(words)} nor an offset")

    return parse


def _unmarked(value: Any) -> Any:
    """A value as it was given."""
    return value.removeprefix(MARK) if isinstance(value, str) else value


def _columns() -> int:
    """How wide the help may be."""
    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given) > 0:
        return int(given)
    try:
        return os.get_terminal_size(1).columns or 80
    except OSError:
        return 80
