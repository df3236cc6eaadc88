"""`coprocctl trigger import`: triggers as iTerm2 exports them."""

from __future__ import annotations

import argparse

from coprocctl.arguments import completes, filled, socket_path, standard_input
from coprocctl.connection import Connection
from coprocctl.exits import EXIT_FAILED
from coprocctl.format import escaped, plural
from coprocctl.output import note, print_json, print_table
from coprocctl.triggers import add_place, place, waits_for

EPILOG = """\
FILE is what iTerm2 writes: exported triggers (.it2triggers), a profile, or a file of dynamic profiles, as JSON. Prints what has
become of each; those that cannot work here are imported switched off, or rejected. Exits with 1 where none was imported.

examples:
  coprocctl trigger import zmodem.it2triggers
  coprocctl trigger import --profile work - < Profiles.json
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    completes(parser.add_argument("file", metavar="FILE", type=filled, help="what to import; - for standard input"), "file")
    add_place(parser, "make them those")


def run(args: argparse.Namespace) -> int:
    where = place(args)
    if args.file == "-":
        data = standard_input().buffer.read()
    else:
        with open(args.file, "rb") as file:
            data = file.read()
    with Connection(socket_path(args)) as connection:
        report = connection.call("trigger.import", {"document": data.decode(errors="replace"), **where})
    added, disabled, rejected = report["added"], report["disabled"], report["rejected"]
    if args.json:
        print_json(report)
    else:
        reasons = {one["id"]: one["reason"] for one in disabled}
        rows = [
            (
                escaped(trigger["id"]),
                "off" if trigger["id"] in reasons else "added",
                waits_for(trigger),
                escaped(reasons.get(trigger["id"], "")),
            )
            for trigger in added
        ]
        rows += [("-", "rejected", f"number {one['index'] + 1}", escaped(one["reason"])) for one in rejected]
        if rows:
            print_table(("ID", "STATE", "REGEX", "WHY"), rows)
        note(f"{plural(len(added), 'trigger')} imported, {len(disabled)} of them off; {len(rejected)} rejected")
    return EXIT_FAILED if rejected and not added else 0
