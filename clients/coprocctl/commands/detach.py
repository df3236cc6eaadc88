"""`coprocctl detach`: has clients that are attached to a session go; the session goes on."""

from __future__ import annotations

import argparse

from coprocctl.arguments import add_session, filled, socket_path
from coprocctl.connection import Connection
from coprocctl.output import print_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "examples:\n  coprocctl detach chat\n  coprocctl rpc session.get '[\"chat\"]'   # its `clients` have the ids\n  coprocctl detach chat --client c1f0a2b3c\n"
    add_session(parser)
    parser.add_argument("--client", metavar="ID", type=filled, help="only the client with this id; default: all that are attached")


def run(args: argparse.Namespace) -> int:
    params: dict[str, Any] = {"session": args.session}
    if args.client:
        params["client"] = args.client
    with Connection(socket_path(args)) as connection:
        detached = connection.call("session.detach", params)
    if args.json:
        print_json(detached)
    return 0
