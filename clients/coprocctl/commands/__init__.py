"""The table of commands: one row each, one module each, imported only when its command is invoked.

The module's name is the command's (`run-coprocess` is `commands/run_coprocess.py`, `daemon start` is
`commands/daemon/start.py`, `trigger import`, which is a word of Python's, `import_.py`). It has

    arguments(parser)       declares options and arguments, and an epilog with examples
    run(args) -> int        does it, and returns the exit status

Help and completion list the commands from here; nothing is imported for that.
"""

from __future__ import annotations

# (name, aliases, summary), under the heading that `--help` gives them.
COMMANDS: dict[str, tuple[tuple[str, tuple[str, ...], str], ...]] = {
    "Sessions": (
        ("new", (), "start a session, and attach to it or print its id"),
        ("attach", (), "show a session on this terminal, and type into it"),
        ("list", ("ls",), "list the sessions, the ended ones that are kept included"),
        ("logs", ("tail",), "print what a session printed, and follow it"),
        ("capture", (), "print the screen of a session as it is now"),
        ("send", (), "type text into a session"),
        ("send-keys", (), "type keys by name: Enter, C-c, Up, F1"),
        ("paste", (), "type text as a terminal pastes it"),
        ("detach", (), "have the clients that are attached to a session go"),
        ("resize", (), "set the size of a session's terminal"),
        ("rename", (), "give a session another name"),
        ("signal", (), "send a signal to a session's job"),
        ("wait", (), "wait until a session's job has ended, or prints nothing"),
        ("close", ("kill",), "end sessions and drop their logs"),
    ),
    "Coprocesses": (
        ("run-coprocess", (), "run a coprocess: it reads what the session prints and types back"),
        ("stop-coprocess", (), "end a session's coprocess"),
        ("coprocess", (), "show a session's coprocess"),
        ("ask", (), "ask the person who is attached, and print the answer"),
    ),
    "Triggers": (
        ("trigger add", (), "add a trigger: a line appears, an action runs"),
        ("trigger list", (), "list the triggers of a session or a profile"),
        ("trigger remove", (), "remove triggers"),
        ("trigger enable", (), "switch triggers on"),
        ("trigger disable", (), "switch triggers off"),
        ("trigger test", (), "show what a regex matches in a text; nothing is run"),
        ("trigger import", (), "import triggers of iTerm2, and say what became of each"),
        ("trigger export", (), "print triggers as iTerm2 imports them"),
        ("marks", (), "list the marks that triggers and callers left in a session's output"),
    ),
    "Programs": (
        ("events", (), "print events as they happen"),
        ("rpc", (), "call a method and print its bare result"),
    ),
    "The daemon": (
        ("daemon start", (), "start the daemon"),
        ("daemon stop", (), "end the daemon; its sessions wait with the keeper"),
        ("daemon status", (), "show the daemon's pids, version and limits"),
        ("daemon restart", (), "put the installed daemon in the running one's place; sessions live on"),
        ("daemon logs", (), "print the log of daemon and keeper"),
        ("daemon install-units", (), "install the units with which systemd runs daemon and keeper"),
    ),
    "More": (
        ("demo", (), "see a coprocess answer a session"),
        ("doctor", (), "check versions, places and limits, and say what is missing"),
        ("completion", (), "print a completion script for bash, zsh or fish"),
    ),
}

GROUPS: dict[str, str] = {"daemon": "start, stop and look at the daemon", "trigger": "add, try and look at triggers"}


def rows() -> list[tuple[str, tuple[str, ...], str]]:
    """Every row of the table, in order."""
    return [row for section in COMMANDS.values() for row in section]


def names() -> dict[str, str]:
    """Every name and alias, to the command it means."""
    found = {}
    for name, aliases, _ in rows():
        found[name] = name
        for alias in aliases:
            found[alias] = name
    return found


def summary(name: str) -> str:
    """The one line that describes the command `name`."""
    return next(text for known, _, text in rows() if known == name)


def module_name(name: str) -> str:
    """The module of the command `name`."""
    return "coprocctl.commands." + name.replace(" ", ".").replace("-", "_") + ("_" if name.endswith(" import") else "")
