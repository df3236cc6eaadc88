"""`coprocctl wait`: waits until a session's job has ended, and exits with its status; or until it prints nothing."""

from __future__ import annotations

import argparse
import time

from coprocctl.arguments import add_session, seconds, socket_path
from coprocctl.connection import Connection
from coprocctl.exits import EXIT_OUR_FAULT, EXIT_TIMED_OUT, EXIT_USAGE, ConnectionLost, Failure, NoDaemon, Refused, status_of
from coprocctl.output import note, print_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

EPILOG = """\
With --exit it exits as the job did: with its status, 128 + n for signal n, 125 where that is not known. With --idle it
exits with 0. With both, what comes first decides. 124: the time was over.

examples:
  coprocctl new -d --name build -- make -j8 && coprocctl wait build --exit && coprocctl logs build --tail 5
  coprocctl wait server --idle 2 --timeout 60
"""

READ_S = 60.0  # how long one call waits for output; then it is asked again
FLOOD_PAUSE_S = 0.05  # between two looks at a session that prints and prints


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    add_session(parser)
    parser.add_argument("--exit", action="store_true", help="until its job has ended")
    parser.add_argument("--idle", metavar="SECONDS", type=seconds, help="until it has printed nothing for so long")
    parser.add_argument("--timeout", metavar="SECONDS", type=seconds, help="give up after so long; default: never")


def run(args: argparse.Namespace) -> int:
    if not args.exit and args.idle is None:
        raise Failure("say what is to be waited for: --exit, --idle SECONDS, or both", EXIT_USAGE, "usage")
    over = None if args.timeout is None else time.monotonic() + args.timeout
    with Connection(socket_path(args)) as connection:
        session = connection.call("session.get", {"session": args.session})
        try:
            idle = args.idle is not None and _idle(connection, session["id"], args.idle, over)
            ended = None if idle or not args.exit else _exited(connection, session["id"], over)
        except TimeoutError:
            raise Failure(f"session {session['name']}: not within {args.timeout:g} s", EXIT_TIMED_OUT, "timed_out") from None
        except Refused as refused:
            if refused.code != "session_not_found":
                raise
            raise Failure(f"session {session['name']} was closed meanwhile", EXIT_OUR_FAULT, "session_not_found") from None
    if args.json:
        print_json(
            {"reason": "idle" if ended is None else "exit"} | ({} if ended is None else {n: ended[n] for n in ("exit_status", "signal")})
        )
    if ended is None:
        return 0
    status = status_of(ended)
    if status is None:
        note("how the job ended is not known")
    return EXIT_OUR_FAULT if status is None else status


def _idle(connection: Connection, session: str, idle_s: float, over: float | None) -> bool:
    """Whether it has printed nothing for `idle_s`; False when it will print no more. Raises TimeoutError."""
    since, offset = time.monotonic(), _offset(connection, session)
    while (now := time.monotonic()) < since + idle_s:
        if over is not None and now >= over:
            raise TimeoutError
        wait_s = min(since + idle_s - now, READ_S, *([] if over is None else [over - now]))
        read = connection.call("session.read", {"session": session, "from_offset": offset, "max_bytes": 1, "wait_s": wait_s})
        if read["eof"]:
            return False
        if read["next_offset"] > offset:
            time.sleep(min(FLOOD_PAUSE_S, idle_s))
            since, offset = time.monotonic(), _offset(connection, session)
    return True


def _offset(connection: Connection, session: str) -> int:
    return int(connection.call("session.get", {"session": session})["output_offset"])


def _exited(connection: Connection, session: str, over: float | None) -> dict[str, Any]:
    """How its job ended, once it has. Raises TimeoutError. A daemon that is replaced meanwhile changes nothing."""
    lost = True  # not yet subscribed
    while True:
        try:
            if lost:
                connection.call("events.subscribe", {"types": ["session.exited", "session.closed"], "session": session}, again=True)
                lost = False
            known: dict[str, Any] = connection.call("session.get", {"session": session}, again=False)
            if known["state"] == "exited":
                return known
            for event in connection.notifications("event", over):
                if event["result"]["type"] == "session.exited":
                    return dict(event["result"])
                break
        except ConnectionLost:
            lost = True
            try:
                connection.reconnect()
            except NoDaemon as failure:
                raise Failure(f"the daemon ended before the job did: {failure.message}", EXIT_OUR_FAULT, failure.code) from None
