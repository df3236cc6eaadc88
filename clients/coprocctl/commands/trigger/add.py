"""`coprocctl trigger add`: a regular expression, and what is done when it matches."""

from __future__ import annotations

import argparse
import json

from coprocctl.arguments import completes, count, filled, pair, seconds, socket_path
from coprocctl.connection import Connection
from coprocctl.exits import EXIT_USAGE, Failure
from coprocctl.format import escaped
from coprocctl.output import print_json
from coprocctl.triggers import ACTIONS, EVENTS, add_place, place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

EPILOG = """\
REGEX is RE2's and may match anywhere in a line; with --event it may be empty. In PARAMETER \\0 to \\9 stand for what was
matched. One word is text, or a command for /bin/sh; several words are a command that no shell sees. Prints the trigger's id.

examples:
  coprocctl trigger add '\\*\\*B00000000000000' run_silent_coprocess receive-zmodem --instant
  coprocctl trigger add '^(\\S+):(\\d+): error' run_command --session build -- notify-send 'Error in' '\\1'
  coprocctl trigger add '' notify 'It is quiet.' --event idle --event-param seconds=30
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("regex", metavar="REGEX", help="what it waits for")
    completes(parser.add_argument("action", metavar="ACTION", type=filled, help=f"what is done: {', '.join(ACTIONS)}"), ACTIONS)
    parser.add_argument("parameter", metavar="PARAMETER", nargs="*", help="what the action takes; put -- before words that begin with -")
    add_place(parser, "one")
    parser.add_argument("--name", type=filled, help="a name to call it by")
    parser.add_argument("--instant", action="store_true", help="look at a line while it is still written")
    parser.add_argument("--once", action="store_true", help="fire once in the life of a session")
    parser.add_argument("--cooldown", metavar="SECONDS", type=seconds, help="having fired, do not for so long")
    parser.add_argument("--disabled", action="store_true", help="add it switched off")
    parser.add_argument("--no-interactive-apps", action="store_true", help="not while the alternate screen shows")
    parser.add_argument("--position", metavar="N", type=count, help="its place in the order, from 0; default: last")
    completes(parser.add_argument("--event", metavar="EVENT", type=filled, help=f"wait for an event: {', '.join(EVENTS)}"), EVENTS)
    parser.add_argument(
        "--event-param", metavar="K=V", type=pair, action="append", default=[], help="what the event is to be like; may be repeated"
    )


def run(args: argparse.Namespace) -> int:
    params = parameters(args)
    with Connection(socket_path(args)) as connection:
        trigger = connection.call("trigger.add", params)
    if args.json:
        print_json(trigger)
    else:
        print(escaped(trigger["id"]))
    return 0


def parameters(args: argparse.Namespace) -> dict[str, Any]:
    """The params of `trigger.add`."""
    if args.event_param and not args.event:
        raise Failure("--event-param says what an event is to be like: it needs --event", EXIT_USAGE, "usage")
    params: dict[str, Any] = {"regex": args.regex, "action": args.action, **place(args)}
    if args.parameter:
        params["parameter"] = args.parameter[0] if len(args.parameter) == 1 else args.parameter
    if args.name:
        params["name"] = args.name
    for flag in ("instant", "once"):
        if getattr(args, flag):
            params[flag] = True
    if args.cooldown is not None:
        params["cooldown_s"] = args.cooldown
    if args.disabled:
        params["enabled"] = False
    if args.no_interactive_apps:
        params["interactive_apps"] = False
    if args.position is not None:
        params["position"] = args.position
    if args.event:
        params["event"] = args.event
        params["event_params"] = {name: _value(text) for name, text in args.event_param}
    return params


def _value(text: str) -> Any:
    """A number, `true` or `false` as such; all else is text."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, bool | int | float) else text
