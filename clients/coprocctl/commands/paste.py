"""`coprocctl paste`: types text as a terminal pastes it: in brackets where the job asked for them, without what would act as a key."""

from __future__ import annotations

import argparse
import os

from coprocctl.arguments import add_session, socket_path, standard_input
from coprocctl.commands.send import typed
from coprocctl.connection import Connection
from coprocctl.exits import EXIT_USAGE, Failure
from coprocctl.output import print_json

EPILOG = """\
Line ends are typed as Enter, tabs as they are; all other control characters (^C, ^D, ESC, backspace, …) are left
out, so that no text can act as keys. A program that asked for bracketed paste gets the text in brackets.

example:
  xclip -o | coprocctl paste editor
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    add_session(parser)
    parser.add_argument("text", metavar="TEXT", nargs="*", help="what to paste; - or nothing for standard input")


def run(args: argparse.Namespace) -> int:
    from_stdin = args.text in ([], ["-"])
    data = standard_input().buffer.read() if from_stdin else os.fsencode(" ".join(args.text))
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise Failure(
            f"paste takes UTF-8, and byte {error.start} is not; type bytes with: coprocctl send SESSION -", EXIT_USAGE, "invalid_params"
        ) from None
    with Connection(socket_path(args)) as connection:
        accepted = typed(connection, "session.paste", {"session": args.session, "text": text})
    if args.json:
        print_json(accepted)
    return 0
