"""`coprocctl daemon start`: starts keeper and daemon, and returns when the daemon is ready."""

from __future__ import annotations

import argparse

from coprocctl.arguments import socket_path
from coprocctl.format import escaped, lost_line
from coprocctl.output import print_json
from coprocctl.start import connect_or_start


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "`new` and `demo` start a daemon by themselves. When one runs already, this says so and is done."


def run(args: argparse.Namespace) -> int:
    connection, started = connect_or_start(socket_path(args))
    with connection:
        info = connection.call("daemon.info")
    if args.json:
        print_json(info)
    else:
        print(
            f"coprocd {escaped(info['version'])} {'runs' if started else 'runs already'}: pid {info['pid']}, socket {escaped(connection.path)}"
        )
        if info.get("lost"):
            print(lost_line(info["lost"]))
    return 0
