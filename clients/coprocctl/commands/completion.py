"""`coprocctl completion`: a script that completes commands, options, and the names of sessions and triggers.

shtab writes it from the commands' own parsers, all of which are built here and nowhere else.
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module

from coprocctl import commands
from coprocctl.arguments import Parser, add_common

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

EPILOG = """\
bash:  eval "$(coprocctl completion bash)"                                   in ~/.bashrc
zsh:   coprocctl completion zsh > "${fpath[1]}/_coprocctl"                   once, before compinit
fish:  coprocctl completion fish > ~/.config/fish/completions/coprocctl.fish  once
"""
SHELLS = ("bash", "zsh", "fish")

# What asks the daemon for names; nothing where none runs. `list --names` prints only what no shell trips over.
SESSIONS: dict[str, Any] = {
    "bash": "_coprocctl_sessions",
    "zsh": "_coprocctl_sessions",
    "fish": "(coprocctl list --names 2>/dev/null)",
    "preamble": {
        "bash": '_coprocctl_sessions() {\n  compgen -W "$(coprocctl list --names 2>/dev/null)" -- "$1"\n}',
        "zsh": '_coprocctl_sessions() {\n  local -a sessions\n  sessions=(${(f)"$(coprocctl list --names 2>/dev/null)"})\n  compadd -a sessions\n}',
    },
}

TRIGGERS: dict[str, Any] = {
    "bash": "_coprocctl_triggers",
    "zsh": "_coprocctl_triggers",
    "fish": "(coprocctl trigger list --names 2>/dev/null)",
    "preamble": {
        "bash": '_coprocctl_triggers() {\n  compgen -W "$(coprocctl trigger list --names 2>/dev/null)" -- "$1"\n}',
        "zsh": '_coprocctl_triggers() {\n  local -a triggers\n  triggers=(${(f)"$(coprocctl trigger list --names 2>/dev/null)"})\n  compadd -a triggers\n}',
    },
}
WORDS = {"session": SESSIONS, "trigger": TRIGGERS}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = EPILOG
    parser.add_argument("shell", choices=SHELLS, help="the shell to complete for")


def run(args: argparse.Namespace) -> int:
    import shtab

    script = shtab.complete(whole_parser(), args.shell)
    if args.shell == "zsh":
        # shtab writes `(*):` for an argument that may be repeated, which completes it once; `*:` is what repeats.
        script = script.replace('"(*)::', '"*:').replace('"(*):', '"*:')
    sys.stdout.write(script + "\n")
    return 0


def whole_parser() -> Parser:
    """One parser that holds all commands."""
    root = Parser("coprocctl", "Sessions that outlive their terminals, and coprocesses that read and type in them.")
    add_common(root)
    _translate(root)
    subparsers = root.add_subparsers(dest="command", parser_class=Parser, metavar="COMMAND")
    groups = {}
    for group, summary in commands.GROUPS.items():
        parser = subparsers.add_parser(group, help=summary, description=summary)
        groups[group] = parser.add_subparsers(dest="subcommand", parser_class=Parser, metavar="COMMAND")
    for name, aliases, summary in commands.rows():
        group, _, last = name.rpartition(" ")
        parser = (groups[group] if group else subparsers).add_parser(last, aliases=aliases, help=summary, description=summary)
        add_common(parser)
        import_module(commands.module_name(name)).arguments(parser)
        _translate(parser)
    return root


def _translate(parser: argparse.ArgumentParser) -> None:
    """What `coprocctl.arguments.completes` declared, in shtab's terms."""
    for action in parser._actions:
        what = getattr(action, "completes", None)
        if isinstance(what, str) and what in WORDS:
            action.complete = WORDS[what]  # type: ignore[attr-defined]
        elif isinstance(what, str):
            action.complete = what  # type: ignore[attr-defined]
        elif what and action.choices is None:
            action.choices = what
