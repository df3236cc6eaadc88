"""`coprocctl list`: a table of the sessions."""

from __future__ import annotations

import argparse
import time

from coprocctl.arguments import pair, socket_path
from coprocctl.connection import Connection
from coprocctl.format import age, command_line, escaped, plural, session_state
from coprocctl.output import note, print_json, print_table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HEADINGS = ("ID", "NAME", "STATE", "PID", "SIZE", "AGE", "COPROCESS", "COMMAND")
COLOURS = {"running": "green", "paused": "yellow"}
COPROCESS_COLUMN_MAX = 40
_FIT = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+:,=-")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--state", choices=("running", "exited"), help="only these")
    parser.add_argument(
        "--label", metavar="K=V", type=pair, action="append", default=[], help="only those with this label; may be repeated"
    )
    parser.add_argument(
        "--names", action="store_true", help="print names alone, for completion; an id in place of a name that a shell could trip over"
    )


def run(args: argparse.Namespace) -> int:
    params: dict[str, Any] = {}
    if args.state:
        params["state"] = args.state
    if args.label:
        params["labels"] = dict(args.label)
    with Connection(socket_path(args)) as connection:
        sessions = connection.call("session.list", params)
    if args.json:
        print_json(sessions)
    elif args.names:
        for session in sessions:
            print(word(session))
    elif sessions:
        now = time.time()
        rows = [row(session, now) for session in sessions]
        print_table(HEADINGS, rows, [{2: COLOURS.get(cells[2], "dim")} for cells in rows])
    else:
        note("no sessions; start one with: coprocctl new")
    return 0


def row(session: dict[str, Any], now: float) -> tuple[str, ...]:
    """A session's row of the table."""
    return (
        escaped(session["id"]),
        escaped(session["name"]),
        session_state(session),
        str(session["pid"] or "-"),
        f"{session['rows']}x{session['cols']}",
        age(now - session["created_at"]),
        coprocesses(session),
        command_line(session["argv"]),
    )


def coprocesses(session: dict[str, Any]) -> str:
    """What runs beside a session: the command of the one that types, and how many observers."""
    parts = []
    coprocess = session.get("coprocess")
    if coprocess and coprocess["state"] != "ended":
        command = escaped(coprocess["command"])
        if len(command) > COPROCESS_COLUMN_MAX:
            command = command[: COPROCESS_COLUMN_MAX - 1] + "…"
        parts.append(command + (" (silent)" if coprocess["silent"] else "") + (" (stalled)" if coprocess["stalled"] else ""))
    if session.get("observers"):
        parts.append(plural(session["observers"], "observer"))
    return ", ".join(parts) or "-"


def word(session: dict[str, Any]) -> str:
    """What names the session on a command line: bash expands the words it completes, so a name that holds `$(…)` is not offered."""
    name = session["name"]
    return str(name if name and _FIT.issuperset(name) else session["id"])
