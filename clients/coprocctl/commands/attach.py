"""`coprocctl attach`: this terminal shows a session and types into it, until it is detached or the session ends."""

from __future__ import annotations

import argparse
import os
import sys

from coprocctl.arguments import add_session, seconds, socket_path
from coprocctl.connection import Connection
from coprocctl.exits import EXIT_USAGE, Failure, Refused

EPILOG = """\
C-\\ detaches: the session goes on, and the terminal is as it was before. Pressed twice it is typed. Colours, mouse, the size of
the window and the terminal's own scrollback work as without a session around it; several terminals may be attached at once.
See docs/attaching.md.

examples:
  coprocctl attach build
  coprocctl attach -A work                 # makes the session where none runs
  coprocctl attach build --read-only
"""
DETACH_KEY = "^\\"
RECONNECT_S = 30.0


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    add_session(parser)
    parser.add_argument("-A", "--create", action="store_true", help="start a session of that name, with your shell, where none runs")
    parser.add_argument("--read-only", action="store_true", help="look on: what is typed here is not typed there")
    add_attaching(parser)


def add_attaching(parser: argparse.ArgumentParser) -> None:
    """The options of attaching, which `new` has too."""
    parser.add_argument(
        "--status", action="store_true", help="keep the last row for a status line, which tells of the coprocess while one runs"
    )
    parser.add_argument(
        "--detach-key",
        metavar="KEY",
        default=os.environ.get("COPROCD_DETACH_KEY") or DETACH_KEY,
        help="the key that detaches, as ^A; none: no key does; default: $COPROCD_DETACH_KEY, else ^\\ (Ctrl and backslash)",
    )
    parser.add_argument(
        "--reconnect",
        metavar="SECONDS",
        type=seconds,
        default=RECONNECT_S,
        help="how long to try again when the daemon goes; default: 30",
    )


def run(args: argparse.Namespace) -> int:
    path = socket_path(args)
    if not args.create:
        return attach(path, args.session, args)
    try:
        if not _has_ended(path, args.session):
            return attach(path, args.session, args)
    except Failure as failure:
        if failure.code not in ("session_not_found", "no_daemon"):
            raise
    from coprocctl.commands import new

    try:
        session = new.create(path, new.named(args.session))["id"]
    except Refused as refused:
        if refused.code != "name_taken":  # somebody else was quicker
            raise
        session = args.session
    return attach(path, session, args)


def _has_ended(path: str, name: str) -> bool:
    """Whether the job of the session of that name has ended, so that the name is free again; not where `name` is its id, or a part of it."""
    with Connection(path) as connection:
        session = connection.call("session.get", {"session": name})
    return bool(session["state"] != "running" and session["name"] == name)


def attach(path: str, session: str, args: argparse.Namespace) -> int:
    """Attaches this terminal to `session`, until the end; the exit status."""
    from coprocctl.terminal.attachment import Attachment, Options
    from coprocctl.terminal.keyboard import Key
    from coprocctl.terminal.signals import Ended, die_of

    try:
        detach = None if args.detach_key == "none" else Key(args.detach_key)
    except ValueError:
        raise Failure(f"--detach-key {args.detach_key!r} is no key with Ctrl: write ^A, C-a or none", EXIT_USAGE, "usage") from None
    options = Options(detach, getattr(args, "read_only", False), args.status, args.reconnect)
    attachment = Attachment(path, session, options)
    try:
        said = attachment.run()
    except Ended:
        said = ""
    if attachment.ended_by is not None:
        die_of(attachment.ended_by)
    if said:
        sys.stderr.write(said + "\n")
    return 0
