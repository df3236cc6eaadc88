"""`coprocctl marks`: the places in a session's output that triggers and callers have marked."""

from __future__ import annotations

import argparse

from coprocctl.arguments import add_session, socket_path
from coprocctl.connection import Connection
from coprocctl.format import escaped
from coprocctl.output import note, print_json, print_table

HEADINGS = ("OFFSET", "KIND", "NAME", "TEXT")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "OFFSET counts bytes of the output: coprocctl logs SESSION --from OFFSET begins there.\n"
    add_session(parser)


def run(args: argparse.Namespace) -> int:
    with Connection(socket_path(args)) as connection:
        marks = connection.call("session.marks", {"session": args.session})
    if args.json:
        print_json(marks)
    elif marks:
        print_table(
            HEADINGS, [(str(mark["offset"]), mark["kind"], escaped(mark["name"] or "-"), escaped(mark["text"] or "-")) for mark in marks]
        )
    else:
        note(f"no marks in {escaped(args.session)}")
    return 0
