"""`coprocctl resize`: sets the size of a session's terminal."""

from __future__ import annotations

import argparse

from coprocctl.arguments import add_session, socket_path, terminal_size
from coprocctl.connection import Connection
from coprocctl.exits import EXIT_USAGE, Failure
from coprocctl.output import print_json


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "examples:\n  coprocctl resize chat 24x80\n  coprocctl resize chat 24 80\n"
    add_session(parser)
    parser.add_argument("size", metavar="SIZE", nargs="+", help="ROWSxCOLS, as 24x80; or ROWS and COLS")


def run(args: argparse.Namespace) -> int:
    if len(args.size) > 2:
        raise Failure("resize takes ROWSxCOLS, or ROWS and COLS", EXIT_USAGE, "usage")
    try:
        rows, cols = terminal_size("x".join(args.size))
    except argparse.ArgumentTypeError as error:
        raise Failure(str(error), EXIT_USAGE, "usage") from None
    with Connection(socket_path(args)) as connection:
        session = connection.call("session.resize", {"session": args.session, "rows": rows, "cols": cols})
    if args.json:
        print_json(session)
    return 0
