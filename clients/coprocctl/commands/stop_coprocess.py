"""`coprocctl stop-coprocess`: SIGTERM to the coprocess's group, SIGKILL when the grace is over."""

from __future__ import annotations

import argparse

from coprocctl.arguments import add_session, filled, seconds, socket_path
from coprocctl.connection import Connection
from coprocctl.output import print_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def arguments(parser: argparse.ArgumentParser) -> None:
    add_session(parser)
    parser.add_argument("--name", type=filled, help="the name of the coprocess, an observer say; default: the one that types")
    parser.add_argument("--grace", metavar="SECONDS", type=seconds, help="how long it may take to end by itself; default: 2")


def run(args: argparse.Namespace) -> int:
    params: dict[str, Any] = {"session": args.session}
    if args.name:
        params["name"] = args.name
    if args.grace is not None:
        params["grace_s"] = args.grace
    with Connection(socket_path(args)) as connection:
        stopped = connection.call("coprocess.stop", params)
    if args.json:
        print_json(stopped)
    return 0
