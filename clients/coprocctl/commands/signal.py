"""`coprocctl signal`: a signal to the process group of a session's job."""

from __future__ import annotations

import argparse

from coprocctl.arguments import SIGNALS, add_session, completes, socket_path
from coprocctl.connection import Connection
from coprocctl.output import print_json


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "example:\n  coprocctl signal build INT\n"
    add_session(parser)
    completes(parser.add_argument("signal", metavar="SIGNAL", help="INT, SIGINT or 2"), SIGNALS)


def run(args: argparse.Namespace) -> int:
    signal = int(args.signal) if args.signal.isdecimal() else args.signal.upper()
    with Connection(socket_path(args)) as connection:
        session = connection.call("session.signal", {"session": args.session, "signal": signal})
    if args.json:
        print_json(session)
    return 0
