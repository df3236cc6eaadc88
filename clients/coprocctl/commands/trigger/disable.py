"""`coprocctl trigger disable`: switches triggers off."""

from __future__ import annotations

import argparse

from coprocctl.arguments import socket_path
from coprocctl.connection import Connection
from coprocctl.output import print_json
from coprocctl.triggers import add_triggers, each


def arguments(parser: argparse.ArgumentParser) -> None:
    add_triggers(parser)


def run(args: argparse.Namespace) -> int:
    with Connection(socket_path(args)) as connection:
        triggers = each(connection, "trigger.disable", args.triggers)
    if args.json:
        print_json(triggers)
    return 0
