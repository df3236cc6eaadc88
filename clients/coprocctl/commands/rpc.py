"""`coprocctl rpc`: any method, its bare result as JSON."""

from __future__ import annotations

import argparse
import json

from coprocctl.arguments import completes, socket_path, standard_input
from coprocctl.connection import Connection
from coprocctl.exits import EXIT_USAGE, Failure, Refused
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
    params = parse(standard_input().read() if args.params == "-" else args.params)
    with Connection(socket_path(args)) as connection:
        try:
            result = connection.call(args.method, params)
        except Refused as refused:
            if refused.code == "method_not_found":  # the protocol's own words do not say which
                refused.message = unknown(args.method)
            raise
    print_json(result)
    return 0


def unknown(method: str) -> str:
    """What to say of a method that there is not."""
    from difflib import get_close_matches

    near = get_close_matches(method, METHODS, 1)
    return f"there is no method {method!r}" + (f"; did you mean {near[0]}?" if near else "") + " (coprocctl rpc --help lists all)"


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
