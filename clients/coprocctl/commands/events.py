"""`coprocctl events`: what happens, one line an event."""

from __future__ import annotations

import argparse
import sys

from coprocctl.arguments import completes, count, session_reference, socket_path
from coprocctl.connection import Connection
from coprocctl.exits import ConnectionLost
from coprocctl.format import command_line, coprocess_state, escaped, moment
from coprocctl.output import coloured
from coprocd.protocol.methods import EVENT_TYPES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

COMMON = ("seq", "epoch", "time", "type", "session")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "types:\n" + "\n".join(f"  {name:<18}  {text}" for name, text in EVENT_TYPES.items()) + "\n"
    completes(parser.add_argument("--types", metavar="TYPE,…", help="only these, separated by commas"), list(EVENT_TYPES))
    completes(parser.add_argument("--session", metavar="SESSION", type=session_reference, help="only this session's"), "session")
    parser.add_argument("--since", metavar="SEQ", type=count, help="begin after this event, as far as they are kept")


def run(args: argparse.Namespace) -> int:
    """Prints until interrupted. After a restart of the daemon it goes on where it was."""
    params: dict[str, Any] = {}
    if args.types:
        params["types"] = [name for name in args.types.replace(" ", "").split(",") if name]
    if args.session:
        params["session"] = args.session
    if args.since is not None:
        params["since_seq"] = args.since
    with Connection(socket_path(args)) as connection:
        subscribed = False
        while True:
            try:
                subscription = connection.call("events.subscribe", params)
                if not subscribed:
                    params["epoch"] = subscription["epoch"]
                    params.setdefault("since_seq", subscription["seq"])
                    subscribed = True
                for message in connection.notifications("event"):
                    event = message["result"]
                    params["since_seq"] = event["seq"]
                    sys.stdout.write(line(event, args.json) + "\n")
                    sys.stdout.flush()
            except ConnectionLost:
                connection.reconnect()


def line(event: dict[str, Any], as_json: bool) -> str:
    """An event as one line: time, type, session, and what else it carries."""
    if as_json:
        import json

        return json.dumps(event, separators=(",", ":"))
    rest = " ".join(shown(key, value) for key, value in event.items() if key not in COMMON and value is not None)
    text = f"{moment(event['time'])}  {event['seq']:>6}  {coloured(escaped(event['type']).ljust(18), 'cyan')}  {escaped(event.get('session') or '-')}"
    return f"{text}  {rest}".rstrip()


def shown(key: str, value: Any) -> str:
    """One field of an event, escaped: a coprocess by its id, state and command, a text with blanks in quotes."""
    if key == "coprocess" and isinstance(value, dict):
        return f"{escaped(value['id'])} {coprocess_state(value)}: {escaped(value['command'])}"
    if key == "argv" and isinstance(value, list):
        return f"argv={command_line(value)}"
    if isinstance(value, str) and value and " " not in value:
        return f"{escaped(key)}={escaped(value)}"
    import json

    return f"{escaped(key)}={escaped(json.dumps(value, ensure_ascii=False))}"
