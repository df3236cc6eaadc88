"""`coprocctl ask`: asks the person who is attached to a session, and prints the answer. For scripts: coprocesses above all."""

from __future__ import annotations

import argparse
import time

from coprocctl.arguments import add_session, filled, seconds, socket_path
from coprocctl.connection import ATTEMPTS, Connection
from coprocctl.exits import EXIT_FAILED, ConnectionLost
from coprocctl.output import note, print_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

EPILOG = """\
Whoever is attached sees the question at once; where nobody is, it waits for somebody. One question is shown at a
time, and the others wait. Prints the answer; exits with 1 when it was refused, 124 when the time was over.
--confirm prints nothing and exits with 0 for yes, 1 for no.

examples:
  file=$(coprocctl ask --file "Which file is to be sent?") && sz -e -b "$file"
  coprocctl ask build --confirm "Deploy it?" --timeout 60 && ./deploy.sh
"""

KINDS = {
    "text": "for a line of text",
    "file": "for the path of a file",
    "password": "for a password: it is not shown, logged or kept",
    "confirm": "for yes or no",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    add_session(parser, nargs="?", default="@", help="whose viewers are asked; default: @, the session this command runs in")
    kinds = parser.add_mutually_exclusive_group(required=True)
    for kind, meaning in KINDS.items():
        kinds.add_argument(f"--{kind}", metavar="MESSAGE", type=filled, help=f"ask {meaning}")
    parser.add_argument("--timeout", metavar="SECONDS", type=seconds, help="give up after so long; default: never")


def run(args: argparse.Namespace) -> int:
    kind = next(kind for kind in KINDS if getattr(args, kind) is not None)
    with Connection(socket_path(args)) as connection:
        value = _asked(connection, {"session": args.session, "kind": kind, "message": getattr(args, kind)}, args.timeout)["value"]
    if args.json:
        print_json({"value": value})
    if value is None or value is False:
        if value is None and not args.json:
            note("the question was refused")
        return EXIT_FAILED
    if kind != "confirm" and not args.json:
        print(value)
    return 0


def _asked(connection: Connection, params: dict[str, Any], timeout_s: float | None) -> Any:
    """The answer. A daemon that is replaced meanwhile forgets the question: the next is asked it, for the time that is left."""
    over = None if timeout_s is None else time.monotonic() + timeout_s
    for attempt in range(ATTEMPTS):
        try:
            left = {} if over is None else {"timeout_s": max(over - time.monotonic(), 0)}
            return connection.call("prompt.ask", params | left, again=False)
        except ConnectionLost:
            if attempt == ATTEMPTS - 1:
                raise
            connection.reconnect()
    raise AssertionError("unreachable")
