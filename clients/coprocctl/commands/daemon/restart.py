"""`coprocctl daemon restart`: the installed daemon in the running one's place; sessions, logs and coprocesses live on."""

from __future__ import annotations

import argparse
import time

from coprocctl.arguments import socket_path
from coprocctl.connection import Connection
from coprocctl.exits import EXIT_TIMED_OUT, ConnectionLost, Failure, NoDaemon
from coprocctl.format import escaped, plural
from coprocctl.output import print_json
from coprocctl.processes import POLL_S
from coprocctl.start import connect_or_start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

RESTART_TIMEOUT_S = 30.0


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "This is the upgrade: the installed version is asked first whether it can take over, and if not, nothing happens.\n"
        "The keeper is renewed where its version is another. When no daemon runs, one is started."
    )
    parser.add_argument("--keeper", action="store_true", help="renew the keeper too, whatever its version")


def run(args: argparse.Namespace) -> int:
    connection, started = connect_or_start(socket_path(args))
    with connection:
        before = connection.call("daemon.info")
        after = before if started else _restart(connection, before, args.keeper)
    if args.json:
        print_json(after)
    elif started:
        print(f"coprocd {escaped(after['version'])} was not running, and runs: pid {after['pid']}")
    else:
        print(
            f"restarted: pid {before['pid']} → {after['pid']}, coprocd {escaped(before['version'])} → {escaped(after['version'])}, "
            f"{plural(after['sessions'], 'session')} kept"
        )
    return 0


def _restart(connection: Connection, before: dict[str, Any], keeper: bool) -> dict[str, Any]:
    """Asks for the restart and returns the new daemon's `daemon.info`. Connections wait meanwhile, or are closed unanswered."""
    deadline = time.monotonic() + RESTART_TIMEOUT_S
    try:
        connection.call("daemon.restart", {"keeper": keeper} if keeper else None, timeout_s=RESTART_TIMEOUT_S)
    except ConnectionLost:
        pass  # it went before it could answer
    while (left_s := deadline - time.monotonic()) > 0:
        try:
            with Connection(connection.path, left_s) as new:
                info: dict[str, Any] = new.call("daemon.info", timeout_s=left_s, again=False)
        except (ConnectionLost, NoDaemon):
            info = before
        if info["pid"] != before["pid"]:
            return info
        time.sleep(POLL_S)
    raise Failure(f"no new daemon answers within {RESTART_TIMEOUT_S:g} s; look at: coprocctl daemon logs", EXIT_TIMED_OUT, "timed_out")
