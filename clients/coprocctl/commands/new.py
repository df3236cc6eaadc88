"""`coprocctl new`: a session, with its environment, size and, if asked for, a coprocess that sees its first byte."""

from __future__ import annotations

import argparse
import os
import sys

from coprocctl.arguments import byte_count, completes, filled, pair, seconds, socket_path, terminal_size
from coprocctl.commands.attach import add_attaching, attach
from coprocctl.exits import EXIT_USAGE, Failure, Refused
from coprocctl.format import escaped, lost_line
from coprocctl.output import note, print_json
from coprocctl.start import connect_or_start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, TextIO

EPILOG = """\
Without ARGV the session runs your shell, as a login shell. Its environment is this command's, without what
describes the terminal around it, with --env laid over. The daemon is started when none runs. On a terminal, which then
shows the session, C-\\ detaches; elsewhere, and with -d, the session's id is printed.

examples:
  coprocctl new --name build -- make -j8
  coprocctl new --name chat --coprocess ./answer.py -- sh -c 'echo "Are you there?"; read a; echo "got: $a"'
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    completes(parser.add_argument("argv", metavar="ARGV", nargs="*", help="what to run; put -- before it"), "file")
    parser.add_argument("-n", "--name", type=filled, help="the session's name; default: one that the daemon makes up")
    parser.add_argument("-d", "--detached", action="store_true", help="print the id and do not attach")
    completes(parser.add_argument("--cwd", metavar="DIR", type=filled, help="where it starts; default: here"), "directory")
    parser.add_argument(
        "--env", metavar="K=V", type=pair, action="append", default=[], help="a variable of its environment; may be repeated"
    )
    parser.add_argument("--size", metavar="ROWSxCOLS", type=terminal_size, help="default: this terminal's, else 24x80")
    parser.add_argument("--coprocess", metavar="CMD", type=filled, help="a coprocess (/bin/sh -c) that sees its output from the first byte")
    parser.add_argument("--silent", action="store_true", help="the coprocess is silent: the screen shows nothing while it runs")
    parser.add_argument("--profile", type=filled, help="the profile in config.toml whose triggers it has; default: default")
    parser.add_argument("--label", metavar="K=V", type=pair, action="append", default=[], help="a label, for programs; may be repeated")
    parser.add_argument("--key", type=filled, help="the same key again gives the same session, and no second one")
    parser.add_argument("--lease", metavar="SECONDS", type=seconds, help="close it when the lease is not renewed in time")
    parser.add_argument("--remove", action="store_true", help="drop it, log and all, when it exits")
    parser.add_argument("--log-bytes", metavar="SIZE", type=byte_count, help="how much of its output is kept; default: 4M")
    add_attaching(parser)


def run(args: argparse.Namespace) -> int:
    path = socket_path(args)
    session = create(path, parameters(args))
    if args.json:
        print_json(session)
    elif args.detached or not (_is_terminal(sys.stdin) and _is_terminal(sys.stdout)):
        print(escaped(session["id"]))
    else:
        return _attach(path, session, args)
    return 0


def _attach(path: str, session: dict[str, Any], args: argparse.Namespace) -> int:
    """As `attach`; says what became of one that is dropped already."""
    try:
        return attach(path, session["id"], args)
    except Refused as refused:
        if refused.code != "session_not_found" or not args.remove:
            raise
        dropped = f"session {escaped(session['name'])} ended before it could be shown, and was dropped as --remove asks"
        raise Failure(dropped, refused.status, refused.code) from None


def create(path: str, params: dict[str, Any]) -> dict[str, Any]:
    """A new session of the daemon at `path`, which is started if none runs."""
    connection, started = connect_or_start(path)
    with connection:
        if started and (lost := connection.call("daemon.info").get("lost")):
            note(lost_line(lost))
        # Under a key, ours if not the user's, a start that is asked for twice happens once.
        session: dict[str, Any] = connection.call("session.create", params, again=True)
    return session


def named(name: str) -> dict[str, Any]:
    """The params of `session.create` for a session with the user's shell, as `new -n NAME` has them."""
    parser = argparse.ArgumentParser()
    arguments(parser)
    return parameters(parser.parse_args(["--name", name]))


def parameters(args: argparse.Namespace) -> dict[str, Any]:
    """The params of `session.create`."""
    from coprocctl.environment import session_environment

    if args.silent and not args.coprocess:
        raise Failure("--silent says how the coprocess runs: it needs --coprocess CMD", EXIT_USAGE, "usage")
    env, left_out = session_environment(args.env)
    if left_out:
        note(f"left out of the environment, not being UTF-8: {escaped(', '.join(left_out))}")
    rows, cols = args.size or _size_here()
    params: dict[str, Any] = {
        "env": env,
        "clear_env": True,
        "cwd": os.path.abspath(args.cwd) if args.cwd else _cwd(),
        "rows": rows,
        "cols": cols,
        "key": args.key or f"coprocctl-{os.urandom(12).hex()}",
    }
    if args.argv:
        params["argv"] = args.argv
    if args.name:
        params["name"] = args.name
    if args.coprocess:
        params["coprocess"] = {"command": args.coprocess, "silent": args.silent}
    if args.profile:
        params["profile"] = args.profile
    if args.label:
        params["labels"] = dict(args.label)
    if args.lease is not None:
        params["lease_s"] = args.lease
    if args.log_bytes is not None:
        params["log_bytes"] = args.log_bytes
    if args.remove:
        params["remove"] = True
    return params


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty()


def _size_here() -> tuple[int, int]:
    """The size of the terminal that stdout is, else 24x80."""
    try:
        size = os.get_terminal_size(sys.stdout.fileno())
    except (OSError, ValueError):
        return 24, 80
    return size.lines or 24, size.columns or 80


def _cwd() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        raise Failure("the current directory is gone; choose one with --cwd") from None
