"""`coprocctl send-keys`: types keys by name."""

from __future__ import annotations

import argparse

from coprocctl.arguments import KEYS, add_session, completes, socket_path
from coprocctl.commands.send import typed
from coprocctl.connection import Connection
from coprocctl.output import print_json

EPILOG = """\
A key is a name (Enter, Tab, Escape, Up, PageDown, F1, C-c, M-x) or one character. A name that is not known fails
before anything is typed.

example:
  coprocctl send-keys editor Escape : w q Enter
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    add_session(parser)
    completes(parser.add_argument("keys", metavar="KEY", nargs="+", help="a key's name, or a character"), KEYS)


def run(args: argparse.Namespace) -> int:
    with Connection(socket_path(args)) as connection:
        accepted = typed(connection, "session.send_keys", {"session": args.session, "keys": args.keys})
    if args.json:
        print_json(accepted)
    return 0
