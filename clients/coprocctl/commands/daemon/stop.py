"""`coprocctl daemon stop`: ends the daemon and leaves its sessions with the keeper; `--all` ends everything."""

from __future__ import annotations

import argparse

from coprocctl.arguments import socket_path
from coprocctl.connection import Connection, answers
from coprocctl.exits import NoDaemon
from coprocctl.format import plural
from coprocctl.output import print_json
from coprocctl.start import start, stop_all, stop_daemon
from coprocd.protocol import places


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "When nothing runs, this says so and succeeds."
    parser.add_argument("--all", action="store_true", help="end every session and the keeper too")


def run(args: argparse.Namespace) -> int:
    socket = socket_path(args)
    keeper_waits = answers(places.keeper_socket_path(socket))
    try:
        connection = Connection(socket)
    except NoDaemon:
        if not args.all or not keeper_waits:
            if args.json:
                print_json({"sessions": 0})
            else:
                print(
                    "not running"
                    + ("; its keeper is there, with the sessions: coprocctl daemon start brings them back" if keeper_waits else "")
                )
            return 0
        start(socket)  # only a daemon knows how to end what the keeper holds
        connection = Connection(socket)
    with connection:
        if args.all:
            sessions = stop_all(connection)
            said = f"stopped, with {plural(sessions, 'session')}" if sessions else "stopped"
        else:
            sessions, keeper_pid = stop_daemon(connection)
            said = (
                f"stopped; {plural(sessions, 'session')} {'waits' if sessions == 1 else 'wait'} with the keeper (pid {keeper_pid})"
                if sessions
                else "stopped; no sessions wait"
            )
    if args.json:
        print_json({"sessions": sessions})
    else:
        print(said)
    return 0
