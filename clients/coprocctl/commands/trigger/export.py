"""`coprocctl trigger export`: triggers as iTerm2 imports them."""

from __future__ import annotations

import argparse
import json

from coprocctl.arguments import socket_path
from coprocctl.connection import Connection
from coprocctl.output import print_json
from coprocctl.triggers import add_place, place


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "example:\n  coprocctl trigger export --profile work > work.it2triggers\n"
    add_place(parser, "those")


def run(args: argparse.Namespace) -> int:
    with Connection(socket_path(args)) as connection:
        document = connection.call("trigger.export", place(args))
    if args.json:
        print_json(document)
    else:
        print(json.dumps(document, indent=2))
    return 0
