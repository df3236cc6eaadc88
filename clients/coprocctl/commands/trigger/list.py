"""`coprocctl trigger list`: a table of the triggers of a session, or of a profile."""

from __future__ import annotations

import argparse

from coprocctl.arguments import socket_path
from coprocctl.commands.list import word
from coprocctl.connection import Connection
from coprocctl.exits import Refused
from coprocctl.format import escaped
from coprocctl.output import note, print_json, print_table
from coprocctl.triggers import add_place, parameter, place, state, waits_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

HEADINGS = ("ID", "NAME", "STATE", "OF", "ACTION", "FIRED", "REGEX", "PARAMETER")
COLOURS = {"on": "green"}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Of a session its own come first, then its profile's: in this order they are tried.\n"
    add_place(parser, "those")
    parser.add_argument(
        "--names",
        action="store_true",
        help="print the names of all there are, for completion; an id in place of one that a shell could trip over",
    )


def run(args: argparse.Namespace) -> int:
    with Connection(socket_path(args)) as connection:
        if args.names:
            for name in dict.fromkeys(word(trigger) for trigger in everywhere(connection)):
                print(name)
            return 0
        triggers = connection.call("trigger.list", place(args))
    if args.json:
        print_json(triggers)
    elif triggers:
        rows = [row(trigger) for trigger in triggers]
        print_table(HEADINGS, rows, [{2: COLOURS.get(cells[2], "dim")} for cells in rows])
    else:
        note("no triggers; add one with: coprocctl trigger add")
    return 0


def everywhere(connection: Connection) -> Iterator[dict[str, Any]]:
    """The triggers of all profiles and all sessions; what is closed meanwhile is left out."""
    places = [{"profile": profile} for profile in connection.call("daemon.info")["profiles"]]
    places += [{"session": session["id"]} for session in connection.call("session.list")]
    for one in places:
        try:
            yield from connection.call("trigger.list", one)
        except Refused:
            continue


def row(trigger: dict[str, Any]) -> tuple[str, ...]:
    """A trigger's row of the table."""
    return (
        escaped(trigger["id"]),
        escaped(trigger["name"] or "-"),
        state(trigger),
        escaped(trigger["session"] or trigger["profile"]),
        trigger["action"],
        str(trigger["fired"]),
        waits_for(trigger),
        parameter(trigger["parameter"]),
    )
