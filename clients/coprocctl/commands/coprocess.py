"""`coprocctl coprocess`: what runs beside a session, or ran last."""

from __future__ import annotations

import argparse
import time

from coprocctl.arguments import add_session, socket_path
from coprocctl.connection import Connection
from coprocctl.exits import EXIT_USAGE, Failure
from coprocctl.format import age, coprocess_state, escaped, moment, size
from coprocctl.output import note, print_json, print_pairs, print_table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HEADINGS = ("ID", "SESSION", "NAME", "STATE", "PID", "KIND", "READ", "TYPED", "AGE", "COMMAND")


def arguments(parser: argparse.ArgumentParser) -> None:
    add_session(parser, nargs="?")
    parser.add_argument(
        "-a", "--all", action="store_true", help="list all, observers and ended ones included; of every session, where none is named"
    )


def run(args: argparse.Namespace) -> int:
    if not args.session and not args.all:
        raise Failure("coprocess needs a SESSION, or --all", EXIT_USAGE, "usage")
    params = {"session": args.session} if args.session else {}
    with Connection(socket_path(args)) as connection:
        found = connection.call("coprocess.list" if args.all else "coprocess.get", params)
    if args.json:
        print_json(found)
    elif not found:
        note(f"no coprocess has run in {escaped(args.session)}" if args.session else "no coprocesses")
    elif args.all:
        now = time.time()
        print_table(HEADINGS, [row(coprocess, now) for coprocess in found])
    else:
        print_pairs(pairs(found))
    return 0


def row(coprocess: dict[str, Any], now: float) -> tuple[str, ...]:
    """A coprocess's row of the table."""
    return (
        escaped(coprocess["id"]),
        escaped(coprocess["session"]),
        escaped(coprocess["name"] or "-"),
        coprocess_state(coprocess),
        str(coprocess["pid"] or "-"),
        kind(coprocess),
        size(coprocess["consumed_offset"] - coprocess["started_offset"]),
        size(coprocess["typed_bytes"]),
        age((coprocess["ended_at"] or now) - coprocess["started_at"]),
        escaped(coprocess["command"]),
    )


def pairs(coprocess: dict[str, Any]) -> list[tuple[str, str]]:
    """All that is to be said about one coprocess."""
    found = [
        ("id", escaped(coprocess["id"])),
        ("command", escaped(coprocess["command"])),
        ("state", coprocess_state(coprocess)),
        ("kind", kind(coprocess)),
        ("session", escaped(coprocess["session"])),
        ("name", escaped(coprocess["name"] or "-")),
        ("pid", str(coprocess["pid"] or "-")),
        ("started", f"{moment(coprocess['started_at'])} at offset {coprocess['started_offset']}, by {escaped(coprocess['started_by'])}"),
        ("read", f"up to offset {coprocess['consumed_offset']}, {size(coprocess['consumed_offset'] - coprocess['started_offset'])}"),
        ("typed", size(coprocess["typed_bytes"])),
    ]
    if coprocess["silent_from"] is not None:
        found.append(("silenced", f"{coprocess['silent_from']} to {'now' if coprocess['silent_to'] is None else coprocess['silent_to']}"))
    if coprocess["undelivered_bytes"]:
        found.append(("undelivered", size(coprocess["undelivered_bytes"])))
    found += [("lost", f"{start} to {end}") for start, end in coprocess["lost"]]
    found += [("stderr" if index == 0 else "", escaped(line, keep="\t")) for index, line in enumerate(coprocess["stderr"].splitlines())]
    return found


def kind(coprocess: dict[str, Any]) -> str:
    """Whether it types, only observes, or is silent."""
    if not coprocess["input"]:
        return "observer"
    return "silent" if coprocess["silent"] else "types"
