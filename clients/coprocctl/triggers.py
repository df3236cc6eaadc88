"""What the commands of triggers share: whose triggers are meant, which are named, and how one is shown."""

from __future__ import annotations

import argparse
import json

from coprocctl.arguments import completes, filled, session_reference
from coprocctl.exits import EXIT_USAGE, Failure
from coprocctl.format import command_line, escaped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from coprocctl.connection import Connection

# For completion alone; the daemon decides.
ACTIONS = [
    *("run_coprocess", "run_silent_coprocess", "run_command", "send_text", "inject", "stop", "notify", "alert", "bell", "set_title"),
    *("set_variable", "set_directory", "set_host", "prompt", "mark", "named_mark", "annotate", "capture", "highlight", "highlight_line"),
    *("sgr", "hyperlink", "call", "buffer_input", "password"),
]
EVENTS = [
    *("prompt", "command_finished", "directory_changed", "host_changed", "user_changed", "idle", "activity_after_idle", "session_ended"),
    *("bell", "long_running_command", "custom_escape_sequence", "notification_posted", "progress", "job_started", "job_ended"),
    "variable_changed",
]


def add_place(parser: argparse.ArgumentParser, what: str) -> None:
    """`--session` and `--profile`."""
    completes(parser.add_argument("--session", metavar="SESSION", type=session_reference, help=f"{what} of this session alone"), "session")
    parser.add_argument("--profile", metavar="PROFILE", type=filled, help=f"{what} of this profile in config.toml; default: default")


def place(args: argparse.Namespace) -> dict[str, Any]:
    """The params that say whose triggers are meant."""
    if args.session and args.profile:
        raise Failure("give --session or --profile, not both", EXIT_USAGE, "usage")
    if args.session:
        return {"session": args.session}
    return {"profile": args.profile} if args.profile else {}


def add_triggers(parser: argparse.ArgumentParser) -> None:
    """The argument TRIGGER, once or more."""
    action = parser.add_argument("triggers", metavar="TRIGGER", nargs="+", type=filled, help="an id or a name, as `trigger list` shows it")
    completes(action, "trigger")


def each(connection: Connection, method: str, references: list[str]) -> list[dict[str, Any]]:
    """Calls `method` for each trigger, once all are known to be there."""
    found = [connection.call("trigger.get", {"trigger": reference}) for reference in references]
    return [connection.call(method, {"trigger": id}) for id in dict.fromkeys(trigger["id"] for trigger in found)]


def state(trigger: dict[str, Any]) -> str:
    """Whether it is on."""
    if trigger["disabled_why"]:
        return f"off ({escaped(trigger['disabled_why'])})"
    if trigger["enabled"] and trigger["once"] and trigger["fired"] and trigger["session"]:  # a profile's fires once in each session
        return "off (once)"
    return "on" if trigger["enabled"] else "off"


def waits_for(trigger: dict[str, Any]) -> str:
    """Its regex, or its event and what that is to be like."""
    params = "".join(f" {name}={value}" for name, value in trigger["event_params"].items())
    parts = [f"({trigger['event']}{params})"] if trigger["event"] else []
    return escaped(" ".join(parts + ([trigger["regex"]] if trigger["regex"] else [])))


def parameter(value: Any) -> str:
    """A parameter, in whichever form it has."""
    if value is None:
        return "-"
    if isinstance(value, list):
        return command_line(value)
    return escaped(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
