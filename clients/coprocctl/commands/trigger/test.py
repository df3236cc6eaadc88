"""`coprocctl trigger test`: what a regex matches in a text, as if a session printed it."""

from __future__ import annotations

import argparse

from coprocctl.arguments import completes, filled, socket_path, standard_input
from coprocctl.connection import Connection
from coprocctl.exits import EXIT_FAILED
from coprocctl.format import escaped
from coprocctl.output import note, print_json, print_table
from coprocctl.triggers import ACTIONS, parameter

EPILOG = """\
Nothing is run. Without --text the text is standard input. START and END are bytes in it. Exits with 1 where nothing matches.
Below the table stands what would not be run even so, since a capture would be taken for an option.

examples:
  coprocctl trigger test '(\\w+\\.c):(\\d+)' --text 'main.c:12: error' --parameter 'vim +\\2 \\1'
  coprocctl logs build | coprocctl trigger test 'error TS\\d+:'
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("regex", metavar="REGEX", help="what to look for")
    parser.add_argument("--text", metavar="T", help="what a session would print")
    parser.add_argument("--parameter", metavar="P", help="a parameter in which to put what was matched")
    completes(parser.add_argument("--action", metavar="ACTION", type=filled, help="whose parameter it is; default: plain text"), ACTIONS)
    parser.add_argument("--instant", action="store_true", help="look at a line while it is still written")


def run(args: argparse.Namespace) -> int:
    text = args.text if args.text is not None else standard_input().buffer.read().decode(errors="replace")
    params = {"regex": args.regex, "text": text, "instant": args.instant, "parameter": args.parameter, "action": args.action}
    with Connection(socket_path(args)) as connection:
        result = connection.call("trigger.test", {name: value for name, value in params.items() if value is not None})
    matches = result["matches"]
    if args.json:
        print_json(result)
    elif matches:
        groups = max(len(match["groups"]) for match in matches)
        headings = ("START", "END", *(f"\\{number}" for number in range(groups)), *(["PARAMETER"] if args.parameter is not None else []))
        rows = [
            (
                str(match["start"]),
                str(match["end"]),
                *("-" if group is None else escaped(group) for group in match["groups"]),
                *([parameter(match["expanded"])] if args.parameter is not None else []),
            )
            for match in matches
        ]
        print_table(headings, rows)
        refused: dict[str, list[str]] = {}
        for match in matches:
            if match.get("refused") is not None:
                refused.setdefault(match["refused"], []).append(str(match["start"]))
        for why, starts in refused.items():
            print(f"refused at {', '.join(starts)}: {escaped(why)}")
    else:
        note("no match")
    return 0 if matches else EXIT_FAILED
