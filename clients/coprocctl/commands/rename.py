"""`coprocctl rename`: gives a session another name."""

from __future__ import annotations

import argparse

from coprocctl.arguments import add_session, socket_path
from coprocctl.connection import Connection
from coprocctl.output import print_json


def arguments(parser: argparse.ArgumentParser) -> None:
    add_session(parser)
    parser.add_argument("name", metavar="NAME", help="1 to 255 characters, no /, not beginning with @ or -")


def run(args: argparse.Namespace) -> int:
    with Connection(socket_path(args)) as connection:
        session = connection.call("session.rename", {"session": args.session, "name": args.name})
    if args.json:
        print_json(session)
    return 0
