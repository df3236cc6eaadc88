"""`coprocctl daemon install-units`: writes the units for systemd, with the path of the Python that this command runs on."""

from __future__ import annotations

import argparse
import os

from coprocctl import units
from coprocctl.arguments import socket_path
from coprocctl.connection import Connection
from coprocctl.exits import Failure
from coprocctl.output import print_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from coprocctl.units import Unit

ANSWER_TIMEOUT_S = 5.0


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "Writes to $XDG_CONFIG_HOME/systemd/user, and starts nothing: it prints what to do next. To be done again when coprocd\n"
        "has moved to another Python; doctor tells. For changes of your own use drop-ins: systemctl --user edit coprocd."
    )
    parser.add_argument("--print", action="store_true", dest="show", help="print the units and write nothing")
    parser.add_argument("--force", action="store_true", help="overwrite units that somebody has changed")
    parser.add_argument(
        "--system", action="store_true", help=f"the templates coprocd@USER for the system's own manager, to {units.SYSTEM_DIRECTORY}"
    )


def run(args: argparse.Namespace) -> int:
    wanted = units.units(args.system)
    if args.show:
        if args.json:
            print_json({unit.name: unit.text for unit in wanted})
        else:
            print("\n".join(f"# {unit.path}\n{unit.text}" for unit in wanted), end="")
        return 0
    changed = [unit.path for unit in wanted if unit.found not in (None, unit.text) and not units.untouched(unit.found)]
    if changed and not args.force:
        raise Failure(
            f"{', '.join(changed)}: not as this command wrote it; move your changes to a drop-in (systemctl --user edit), "
            "or overwrite it with --force",
            4,
            "changed",
        )
    written = [unit for unit in wanted if unit.found != unit.text]
    for unit in written:
        _write(unit)
    if args.json:
        print_json({"written": [unit.path for unit in written], "current": [unit.path for unit in wanted if unit not in written]})
        return 0
    for unit in wanted:
        print(f"{'wrote' if unit in written else 'is current'}: {unit.path}")
    for line in _next(args):
        print(line)
    return 0


def _write(unit: Unit) -> None:
    """Whole or not at all."""
    os.makedirs(os.path.dirname(unit.path), exist_ok=True)
    draft = f"{unit.path}.new"
    with open(draft, "w") as file:
        file.write(unit.text)
    os.replace(draft, unit.path)


def _next(args: argparse.Namespace) -> list[str]:
    """What is left to do."""
    if args.system:
        return ["next, for a user alice:", "  systemctl daemon-reload", "  systemctl enable --now coprocd@alice"]
    lines = ["next:"]
    if _runs_without(socket_path(args)):
        lines.append("  coprocctl daemon stop --all                     # the daemon that runs is not systemd's; its sessions end with it")
    return [
        *lines,
        "  systemctl --user daemon-reload",
        f"  systemctl --user enable --now {units.SOCKET}",
        "  loginctl enable-linger                          # so that sessions outlive your last logout",
    ]


def _runs_without(socket: str) -> bool:
    """Whether a daemon runs that systemd has not started: its keeper would be in the way."""
    try:
        with Connection(socket, ANSWER_TIMEOUT_S) as connection:
            supervisor = connection.call("daemon.info", timeout_s=ANSWER_TIMEOUT_S, again=False).get("supervisor")
    except Failure:
        return False
    return bool(supervisor != "systemd")
