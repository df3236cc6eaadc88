"""`coprocctl rpc`: any method, its bare result as JSON."""

from __future__ import annotations

import argparse
import json
import sys

from coprocctl.arguments import completes, socket_path
from coprocctl.connection import Connection
from coprocctl.exits import EXIT_USAGE, Failure
from coprocctl.output import print_json
from coprocd.protocol.methods import METHODS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

EPILOG = """\
examples:
  coprocctl rpc session.list
  coprocctl rpc coprocess.get '["chat"]'
  coprocctl rpc session.send_text '{"session": "chat", "text": "hi", "enter": true}'
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG + "\nmethods:\n" + "\n".join(f"  {name:<20}  {method.summary}" for name, method in METHODS.items()) + "\n"
    completes(parser.add_argument("method", metavar="METHOD", help="listed below"), list(METHODS))
    parser.add_argument("params", metavar="JSON", nargs="?", help="its params: an object, or an array; - for standard input")


def run(args: argparse.Namespace) -> int:
    params = parse(sys.stdin.read() if args.params == "-" else args.params)
    with Connection(socket_path(args)) as connection:
        print_json(connection.call(args.method, params))
    return 0


def parse(text: str | None) -> dict[str, Any] | list[Any] | None:
    """The params that `text` holds."""
    if text is None or not text.strip():
        return None
    try:
        params = json.loads(text, parse_constant=_no_json)
    except ValueError as error:
        raise Failure(f"the params are not JSON: {error}", EXIT_USAGE, "parse_error") from None
    if not isinstance(params, dict | list):
        raise Failure("the params are neither an object nor an array", EXIT_USAGE, "invalid_params")
    return params


def _no_json(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
