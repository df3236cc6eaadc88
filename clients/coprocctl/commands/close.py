"""`coprocctl close`: hangs the job up, kills it when the grace is over, and drops the session with its log."""

from __future__ import annotations

import argparse

from coprocctl.arguments import add_session, seconds, socket_path
from coprocctl.connection import Connection
from coprocctl.exits import Refused
from coprocctl.output import print_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def arguments(parser: argparse.ArgumentParser) -> None:
    add_session(parser, nargs="+")
    parser.add_argument("--grace", metavar="SECONDS", type=seconds, help="how long the job may take to end by itself; default: 2")


def run(args: argparse.Namespace) -> int:
    """Closes each of them, also when one of them fails; then fails as the first did."""
    closed: list[dict[str, Any]] = []
    failures: list[Refused] = []
    with Connection(socket_path(args)) as connection:
        for session in args.sessions:
            params: dict[str, Any] = {"session": session}
            if args.grace is not None:
                params["grace_s"] = args.grace
            try:
                closed.append(connection.call("session.close", params))
            except Refused as refused:
                failures.append(refused)
    if args.json and closed:
        print_json(closed)
    if failures:
        raise together(failures)
    return 0


def together(failures: list[Refused]) -> Refused:
    """The first of them, with the words of all; programs find the others in its data."""
    first, *others = failures
    if others:
        first.data = {**first.data, "others": [failure.as_object()["error"] for failure in others]}
        first.message = "\n".join(failure.message for failure in failures)
    return first
