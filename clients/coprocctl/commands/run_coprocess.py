"""`coprocctl run-coprocess`: starts a coprocess; with `--wait` stays until it has ended, with `--here` it runs beside us."""

from __future__ import annotations

import argparse
import sys

from coprocctl.arguments import add_session, completes, filled, socket_path, start_of
from coprocctl.connection import Connection
from coprocctl.exits import EXIT_OUR_FAULT, EXIT_USAGE, ConnectionLost, Failure, NoDaemon, Refused, status_of
from coprocctl.format import escaped
from coprocctl.output import note, print_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

EPILOG = """\
All that the session prints is the coprocess's stdin, all that it prints is typed. One word is a command for
/bin/sh; several words are run as they are, without a shell. Prints the coprocess's id and returns at once.
With --here CMD runs beside this command, in your directory and environment, and ends with it; its stderr is yours.

examples:
  coprocctl run-coprocess chat ./answer.py
  coprocctl run-coprocess chat 'tee /tmp/log | grep -m1 -o "yes"'
  coprocctl run-coprocess chat --observe -- tee -a /tmp/chat.log
  coprocctl run-coprocess far --here --silent 'rz -E -e -b; sleep 1; echo'
"""

SHOWN_MOST = 200  # characters of a command that are shown where coprocesses are, when it runs here

# Ended by the daemon, not by itself: its status says nothing.
OUR_ENDS = {
    "stalled": "it and the session waited for each other",
    "not_reading": "it did not read what the session printed",
    "spawn_failed": "it could not be started",
}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    add_session(parser)
    completes(parser.add_argument("command", metavar="CMD", nargs="+", help="what to run"), "file")
    parser.add_argument("--silent", action="store_true", help="screen, viewers and triggers see nothing of the session while it runs")
    parser.add_argument(
        "--from",
        dest="from_",
        metavar="now|line|OFFSET",
        type=start_of(("now", "line", "question")),
        default="question",
        help="the first byte it reads; default: the line that the session asks with, where it waits for an answer now, else now",
    )
    parser.add_argument("--observe", action="store_true", help="it reads but does not type; a session may have many of these")
    parser.add_argument("--name", type=filled, help="its name, for stop-coprocess")
    parser.add_argument(
        "--on-stall", choices=("end", "wait"), default="end", help="when it and the session wait for each other; default: end"
    )
    parser.add_argument(
        "--on-full", choices=("pause", "drop", "end"), default="pause", help="when an observer does not keep up; default: pause"
    )
    completes(parser.add_argument("--cwd", metavar="DIR", type=filled, help="where it runs; default: the session's directory"), "directory")
    parser.add_argument("--wait", action="store_true", help="stay until it has ended, and exit with its status; 125: the fault is ours")
    parser.add_argument("--here", action="store_true", help="run it beside this command, which stays as with --wait")


def run(args: argparse.Namespace) -> int:
    params = parameters(args)
    if args.here:
        return _run_here(args, params)
    with Connection(socket_path(args)) as connection:
        coprocess = _run_and_wait(connection, params) if args.wait else connection.call("coprocess.run", params)
    if args.json:
        print_json(coprocess)
    elif not args.wait:
        print(escaped(coprocess["id"]))
    return exit_status(coprocess) if args.wait else 0


def _run_here(args: argparse.Namespace, params: dict[str, Any]) -> int:
    """Runs it beside us, as a connection."""
    import shlex

    from coprocctl.here import Here

    argv = params.get("argv") or ["/bin/sh", "-c", params["command"]]
    query: dict[str, str | int] = {"command": escaped(params.get("command") or shlex.join(argv))[:SHOWN_MOST]}
    for name in ("from", "on_stall", "on_full", "name", "silent", "input"):
        if name in params:
            query[name] = str(params[name]).lower() if isinstance(params[name], bool) else params[name]
    with Connection(socket_path(args)) as connection:
        session = connection.call("session.get", {"session": args.session})["id"]
    return Here(socket_path(args), session, query).run(argv, params.get("cwd"))


def parameters(args: argparse.Namespace) -> dict[str, Any]:
    """The params of `coprocess.run`."""
    import os

    params: dict[str, Any] = {
        "session": args.session,
        "silent": args.silent,
        "from": args.from_,
        "on_stall": args.on_stall,
        "on_full": args.on_full,
    }
    if not args.command[0]:
        raise Failure("CMD is empty; nothing was started", EXIT_USAGE, "usage")
    if len(args.command) == 1:
        params["command"] = args.command[0]
    else:
        params["argv"] = args.command
    if args.observe:
        params["input"] = False
    if args.name:
        params["name"] = args.name
    if args.cwd:
        params["cwd"] = os.path.abspath(args.cwd)
    return params


def exit_status(coprocess: dict[str, Any]) -> int:
    """The status of an ended coprocess as a shell gives it: 128 + n for signal n; 125 where we ended it or know nothing."""
    _show_stderr(coprocess["stderr"])
    reason = coprocess["end_reason"]
    if reason in OUR_ENDS:
        note(f"the coprocess was ended ({reason}): {OUR_ENDS[reason]}")
        return EXIT_OUR_FAULT
    status = status_of(coprocess)
    return EXIT_OUR_FAULT if status is None else status


def _run_and_wait(connection: Connection, params: dict[str, Any]) -> dict[str, Any]:
    """Starts it and returns it ended. A restart of the daemon meanwhile changes nothing."""
    try:
        # Subscribed before it starts, so that its end cannot come between; the session is the whole of ours from here on.
        connection.call("events.subscribe", {"types": ["coprocess.ended"], "session": params["session"]})
        coprocess = connection.call("coprocess.run", params)
    except Refused as refused:
        if refused.code in ("spawn_failed", "internal"):
            refused.status = EXIT_OUR_FAULT
        raise
    while True:
        try:
            ended = _ended(connection, coprocess)
            if ended:
                return ended
            for _ in connection.notifications("event"):
                break
        except ConnectionLost:
            try:
                connection.reconnect()
                connection.call("events.subscribe", {"types": ["coprocess.ended"], "session": coprocess["session"]}, again=True)
            except (ConnectionLost, NoDaemon, Refused) as failure:
                raise Failure(f"the daemon ended before the coprocess did: {failure.message}", EXIT_OUR_FAULT, failure.code) from None


def _ended(connection: Connection, coprocess: dict[str, Any]) -> dict[str, Any] | None:
    """The coprocess as it is now, if it has ended."""
    try:
        known = connection.call("coprocess.list", {"session": coprocess["session"]}, again=False)
    except Refused as refused:
        raise Failure(
            f"the session was closed before the coprocess's end was known: {refused.message}", EXIT_OUR_FAULT, refused.code
        ) from None
    for candidate in known:
        if candidate["id"] == coprocess["id"]:
            return dict(candidate) if candidate["state"] == "ended" else None
    raise Failure(f"the daemon no longer knows the coprocess {coprocess['id']}", EXIT_OUR_FAULT, "no_coprocess")


def _show_stderr(text: str) -> None:
    """What it wrote to its stderr, on ours; escaped where that is a terminal."""
    if text:
        sys.stderr.write(escaped(text, keep="\n\t") if sys.stderr.isatty() else text)
        if not text.endswith("\n"):
            sys.stderr.write("\n")
