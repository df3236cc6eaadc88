"""`coprocctl capture`: prints the screen of a session as it is now."""

from __future__ import annotations

import argparse
import json
import sys

from coprocctl.arguments import add_session, count, socket_path
from coprocctl.connection import Connection
from coprocctl.output import print_json

EPILOG = """\
FORMAT is text (the default); ansi, with colours and attributes; html, a <pre> of its own; or json, the rows as runs of
equal cells. --json prints what session.capture answers: the screen with its size, cursor and title.

examples:
  coprocctl capture build
  coprocctl capture build --scrollback 1000 | less
  coprocctl capture build --format html > build.html
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    add_session(parser)
    parser.add_argument("--format", metavar="FORMAT", choices=("text", "ansi", "html", "json"), default="text", help="how it is printed")
    parser.add_argument("--scrollback", metavar="LINES", type=count, default=0, help="and at most LINES lines above the screen")


def run(args: argparse.Namespace) -> int:
    params = {"session": args.session, "format": args.format, "scrollback": min(args.scrollback, 1_000_000)}
    with Connection(socket_path(args)) as connection:
        captured = connection.call("session.capture", params)
    if args.json:
        print_json(captured)
    elif args.format == "json":
        print(json.dumps(captured["data"], ensure_ascii=False, separators=(",", ":")))
    else:
        sys.stdout.buffer.write(captured["data"].encode(errors="surrogateescape"))
        if not captured["data"].endswith("\n"):
            sys.stdout.buffer.write(b"\n")
    return 0
