"""`coprocctl send`: types text, or all of standard input, without losing or repeating a byte."""

from __future__ import annotations

import argparse
import os
import sys
import time

from coprocctl.arguments import add_session, socket_path
from coprocctl.connection import Connection
from coprocctl.exits import Failure, Refused
from coprocctl.output import note, print_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

EPILOG = """\
Words are joined by a space. The text is typed as it is; --enter presses Enter after it.

examples:
  coprocctl send chat 'echo hello' --enter
  git diff | coprocctl send editor -
"""

CHUNK_BYTES = 16 << 10  # of standard input, a call; well under what a session's input holds
PAUSES_S = (0.01, 0.25)  # first and longest, while the session's input is full


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    add_session(parser)
    parser.add_argument("text", metavar="TEXT", nargs="*", help="what to type; - for standard input")
    parser.add_argument("-e", "--enter", action="store_true", help="press Enter after it")


def run(args: argparse.Namespace) -> int:
    if not args.text and not args.enter:
        raise Failure("send needs TEXT, - for standard input, or --enter", 2, "usage")
    with Connection(socket_path(args)) as connection:
        if args.text == ["-"]:
            accepted = send_stream(connection, args.session, sys.stdin.fileno(), args.enter)
        else:
            accepted = send_words(connection, args.session, " ".join(args.text), args.enter)
    if args.json:
        print_json(accepted)
    return 0


def send_words(connection: Connection, session: str, text: str, enter: bool) -> Any:
    """Types `text`, all of it or nothing. What the command line held in another encoding is typed as those bytes."""
    data = os.fsencode(text)
    try:
        return typed(connection, "session.send_text", {"session": session, "text": data.decode(), "enter": enter})
    except UnicodeDecodeError:
        return typed(connection, "session.send_bytes", {"session": session, "data_b64": b64(data + b"\r" * enter)})


def send_stream(connection: Connection, session: str, fd: int, enter: bool) -> Any:
    """Types all that `fd` gives until its end, as it comes. Waits while the session's input is full; returns the sum."""
    total: dict[str, Any] = {"accepted_bytes": 0, "offset": 0}
    # Named once: a session that is renamed or replaced meanwhile does not get another's text.
    session = connection.call("session.get", {"session": session})["id"]
    try:
        while data := os.read(fd, CHUNK_BYTES):
            _send_chunk(connection, session, data, total)
        if enter:
            _send_chunk(connection, session, b"\r", total)
    except Failure:
        note(f"{total['accepted_bytes']} bytes were typed before this:")
        raise
    return total


def _send_chunk(connection: Connection, session: str, data: bytes, total: dict[str, Any]) -> None:
    """Types `data`. A call takes all or nothing, so what does not fit is offered in halves, then after a pause."""
    pause_s, longest_s = PAUSES_S
    size = len(data)
    while data:
        try:
            accepted = typed(connection, "session.send_bytes", {"session": session, "data_b64": b64(data[:size])})
        except Refused as refused:
            if refused.code != "input_full":
                raise
            if size > 512:
                size //= 2
                continue
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, longest_s)
            continue
        data = data[size:]
        size, pause_s = len(data), PAUSES_S[0]
        total["accepted_bytes"] += accepted["accepted_bytes"]
        total["offset"] = accepted["offset"]


def typed(connection: Connection, method: str, params: dict[str, Any]) -> Any:
    """Calls a method that types, under a key of its own: asked again after a broken connection, it types once."""
    return connection.call(method, {**params, "key": f"coprocctl-{os.urandom(12).hex()}"}, again=True)


def b64(data: bytes) -> str:
    """`data` as params carry it."""
    from binascii import b2a_base64

    return b2a_base64(data, newline=False).decode()
