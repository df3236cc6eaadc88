"""`coprocctl`: finds the command, lets its module parse the rest and run, and turns failures into exit statuses.

Imports only the module of the command that was asked for (`coprocctl.commands` is the table).
"""

from __future__ import annotations

import errno
import os
import sys
from importlib import import_module

from coprocctl import commands
from coprocctl.exits import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_NO_READER, EXIT_USAGE, STATUSES, Failure

USAGE = "usage: coprocctl [--socket PATH] [--json] COMMAND …"
VALUED = ("--socket",)  # options of all commands that take the next word


def main(argv: list[str] | None = None) -> int:
    """Runs the command line `argv` and returns the exit status."""
    argv = sys.argv[1:] if argv is None else argv
    as_json = "--json" in (argv[: argv.index("--")] if "--" in argv else argv)
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115 - None where whoever started us closed it
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a locale that cannot say it is no reason to fail
    try:
        status = dispatch(argv)
        sys.stdout.flush()
        return status
    except Failure as failure:
        return _report(failure, as_json)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone, which is no error; without this, the flush at exit would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return EXIT_NO_READER
    except OSError as error:
        fault = error.strerror or str(error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):  # we write nothing else that could
            return _report(Failure(f"cannot write the output: {fault}"), as_json)
        return _report(Failure(f"{fault}{f': {error.filename}' if error.filename else ''}"), as_json)


def dispatch(argv: list[str]) -> int:
    """Parses and runs. `coprocctl [common options] COMMAND [SUBCOMMAND] …`"""
    before, words = _split(argv)
    if "-h" in before or "--help" in before or words == ["help"]:
        sys.stdout.write(overview())
        return 0
    if "--version" in before:
        from coprocd import __version__

        sys.stdout.write(f"coprocctl {__version__}\n")
        return 0
    if words[:1] == ["help"]:
        words = [*words[1:], "--help"]
    if not words:
        from coprocctl.arguments import Parser, add_common

        parser = Parser("coprocctl", usage=USAGE.removeprefix("usage: "))
        add_common(parser)
        parser.parse(before)
        sys.stderr.write(overview())
        return EXIT_USAGE
    name, rest = _command(words)
    if name in commands.GROUPS:
        asked = rest[:1] in (["-h"], ["--help"])
        (sys.stdout if asked else sys.stderr).write(overview(name))
        return 0 if asked else EXIT_USAGE
    from coprocctl.arguments import command_parser

    module = import_module(commands.module_name(name))
    parser = command_parser(name, commands.summary(name))
    module.arguments(parser)
    args = parser.parse([*before, *rest])
    status: int = module.run(args)
    return status


def overview(group: str = "") -> str:
    """The text of `--help`: every command, from the table; those of one group, where one is given."""
    lines = [USAGE if not group else f"usage: coprocctl [--socket PATH] [--json] {group} COMMAND …", ""]
    if not group:
        lines += ["Sessions that outlive their terminals, and coprocesses that read and type in them.", ""]
    for heading, rows in commands.COMMANDS.items():
        chosen = [row for row in rows if not group or row[0].startswith(f"{group} ")]
        if chosen:
            lines.append(f"{heading}:")
            lines += [f"  {', '.join((name, *aliases)):<16}  {text}" for name, aliases, text in chosen]
            lines.append("")
    lines += [
        "options of all commands, before or after the command:",
        "  --socket PATH     the daemon's socket; default: $COPROCD_SOCKET, else in the runtime directory",
        "  --json            print JSON for programs; errors too, on stderr",
        "  -h, --help        this text; after a command, the command's",
        "  --version         print the version",
        "",
    ]
    return "\n".join(lines) + "\n" + STATUSES


def _split(argv: list[str]) -> tuple[list[str], list[str]]:
    """The options before the command, and the command with all that follows."""
    index = 0
    while index < len(argv) and argv[index].startswith("-") and argv[index] != "--":
        index += 2 if argv[index] in VALUED else 1
    return argv[:index], argv[index:]


def _command(words: list[str]) -> tuple[str, list[str]]:
    """The command that `words` begin with, and what is left; a group's name where its command is missing."""
    known = commands.names()
    if words[0] in commands.GROUPS:
        if len(words) == 1 or words[1].startswith("-"):
            return words[0], words[1:]
        words = [f"{words[0]} {words[1]}", *words[2:]]
    if words[0] in known:
        return known[words[0]], words[1:]
    from difflib import get_close_matches

    near = get_close_matches(words[0], known, 1)
    raise _usage(f"there is no command {words[0]!r}" + (f"; did you mean {near[0]}?" if near else ""))


def _usage(message: str) -> Failure:
    return Failure(f"{message} (coprocctl --help lists all)", EXIT_USAGE, "usage")


def _report(failure: Failure, as_json: bool) -> int:
    """Says on stderr why the command failed, and returns its exit status."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    if as_json:
        from coprocctl.output import print_json

        print_json(failure.as_object(), sys.stderr)
    else:
        from coprocctl.format import escaped

        sys.stderr.write(f"{failure.usage}coprocctl: {escaped(failure.message, keep=chr(10))}\n")
    return failure.status or EXIT_FAILED


if __name__ == "__main__":
    sys.exit(main())
