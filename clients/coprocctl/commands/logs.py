"""`coprocctl logs`: the raw output of a session, as far as it is retained; `-f` follows it to its end."""

from __future__ import annotations

import argparse
import sys
from binascii import a2b_base64

from coprocctl.arguments import add_session, count, socket_path, start_of
from coprocctl.connection import Connection
from coprocctl.exits import Refused
from coprocctl.output import note, print_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

EPILOG = """\
Prints bytes as the session printed them, escape sequences and all; a range that is no longer retained is said on
stderr. With --json, prints each part as `session.read` gives it, one object a line.

examples:
  coprocctl logs build --tail 20
  coprocctl logs chat -f --from end
"""

READ_BYTES = 1 << 20
WAIT_S = 30.0  # how long one read waits for more; then it is asked again


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    add_session(parser)
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what it prints from now on, until it ends")
    parser.add_argument(
        "--from",
        dest="from_",
        metavar="start|end|OFFSET",
        type=start_of(("start", "end")),
        default="start",
        help="where to begin; default: start, the first byte retained",
    )
    parser.add_argument("-n", "--tail", metavar="LINES", type=count, help="begin with the last LINES lines")


def run(args: argparse.Namespace) -> int:
    with Connection(socket_path(args)) as connection:
        session = connection.call("session.get", {"session": args.session})
        offset, end = beginning(connection, session, args), session["output_offset"]
        # By id from here on: a session of the same name may come after this one.
        session_id = session["id"]
        # An offset past the end is asked for all the same: the daemon says what is wrong with it.
        while args.follow or offset != end:
            params = {
                "session": session_id,
                "from_offset": offset,
                "max_bytes": READ_BYTES if args.follow else min(READ_BYTES, max(end - offset, 1)),
            }
            if args.follow:
                params["wait_s"] = WAIT_S
            try:
                output = connection.call("session.read", params)
            except Refused as refused:
                if args.follow and refused.code == "session_not_found":
                    note("the session was closed")
                    return 0
                raise
            _show(output, args.json)
            if output["eof"] or (output["next_offset"] <= offset and not args.follow):
                break
            offset = output["next_offset"]
    return 0


def beginning(connection: Connection, session: dict[str, Any], args: argparse.Namespace) -> int:
    """The offset to begin at."""
    start, end = int(session["retained_from"]), int(session["output_offset"])
    if args.from_ == "end":
        start = end
    elif args.from_ != "start":
        start = args.from_
    if args.tail is None:
        return start
    return max(start, tail(connection, session["id"], int(session["retained_from"]), end, args.tail))


def tail(connection: Connection, session_id: str, start: int, end: int, lines: int) -> int:
    """The offset of the last `lines` lines before `end`: read backwards, block by block."""
    if lines == 0:
        return end
    position, block_bytes = end, 64 << 10
    missing = lines
    while position > start:
        block_start = max(start, position - block_bytes)
        output = connection.call("session.read", {"session": session_id, "from_offset": block_start, "max_bytes": position - block_start})
        data = a2b_base64(output["data_b64"])
        if output["lost_bytes"]:
            return int(output["offset"])  # the log moved on meanwhile: this is now its first byte
        cut = len(data)
        if position == end and data.endswith(b"\n"):
            cut -= 1  # the line break at the very end begins no line
        while (cut := data.rfind(b"\n", 0, cut)) >= 0:
            missing -= 1
            if missing == 0:
                return block_start + cut + 1
        position, block_bytes = block_start, min(block_bytes * 2, READ_BYTES)
    return start


def _show(output: dict[str, Any], as_json: bool) -> None:
    """Prints one part of the output, at once."""
    if as_json:
        print_json(output)
        sys.stdout.flush()
        return
    if output["lost_bytes"]:
        note(f"{output['lost_bytes']} bytes before offset {output['offset']} are no longer retained")
    sys.stdout.flush()
    sys.stdout.buffer.write(a2b_base64(output["data_b64"]))
    sys.stdout.buffer.flush()
