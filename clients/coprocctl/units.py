"""The units for systemd: rendered from the templates in systemd/, installed, and the user's manager asked to start and stop them.

Owns nothing while it runs. The templates stand beside this module in an installed package, at the top in a checkout.
"""

from __future__ import annotations

import os
import sys
from collections import namedtuple

from coprocctl.exits import EXIT_FAILED, Failure
from coprocd.protocol import places

SOCKET, DAEMON, KEEPER = "coprocd.socket", "coprocd.service", "coprocd-keeper.service"
USER_UNITS = (SOCKET, DAEMON, KEEPER)
SYSTEM_UNITS = ("coprocd@.service", "coprocd-keeper@.service")

SYSTEM_DIRECTORY = "/etc/systemd/system"
MARK = "# Written by `coprocctl daemon install-units`, "
SYSTEMCTL_TIMEOUT_S = 90.0  # as long as systemd itself lets a unit start or stop

# text: as the installed package renders it. found: what stands at `path`, None where nothing does.
Unit = namedtuple("Unit", "name path text found")


def units(system: bool = False) -> list[Unit]:
    """The units, as they should be and as they are installed."""
    directory = SYSTEM_DIRECTORY if system else user_directory()
    listed = []
    for name in SYSTEM_UNITS if system else USER_UNITS:
        path = os.path.join(directory, name)
        try:
            with open(path) as file:
                found = file.read()
        except (FileNotFoundError, NotADirectoryError):
            found = None
        listed.append(Unit(name, path, render(os.path.join("system", name) if system else name), found))
    return listed


def user_directory() -> str:
    """`$XDG_CONFIG_HOME/systemd/user` (systemd.unit(5))."""
    return os.path.join(os.path.dirname(os.path.dirname(places.config_path())), "systemd", "user")


def render(name: str) -> str:
    """The text of a unit; its first line says who wrote it, with a checksum that tells whether somebody has changed it since."""
    here = os.path.dirname(os.path.abspath(__file__))
    installed = os.path.join(here, "systemd")
    with open(os.path.join(installed if os.path.isdir(installed) else os.path.join(here, "..", "..", "systemd"), name)) as file:
        text = file.read()
    text = text.replace("@python@", quoted(sys.executable))
    return f"{MARK}{checksum(text)}\n{text}"


def untouched(text: str) -> bool:
    """Whether `text` is what some version of us wrote, to the byte."""
    first, _, rest = text.partition("\n")
    return first == f"{MARK}{checksum(rest)}"


def checksum(text: str) -> str:
    from zlib import crc32

    return f"{crc32(text.encode()):08x}"


def quoted(path: str) -> str:
    """A path as a word of ExecStart= (systemd.service(5), command lines)."""
    path = path.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{path}"' if any(char in path for char in " \t'\"\\;") else path


def answer_for(socket: str) -> bool:
    """Whether the daemon at `socket` is the units' business: they are installed, the user's systemd runs, and it is their socket."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return (
        bool(runtime)
        and os.path.realpath(socket) == os.path.realpath(os.path.join(runtime or "", "coprocd", places.SOCKET_NAME))
        and os.path.exists(os.path.join(user_directory(), DAEMON))
        and os.path.exists(os.path.join(runtime or "", "systemd", "private"))
    )


def start() -> None:
    """Starts socket and daemon, with the keeper, and returns when the daemon is ready."""
    systemctl("start", SOCKET, DAEMON)


def systemctl(*words: str) -> None:
    """`systemctl --user …`; Failure with what it said."""
    import subprocess

    try:
        done = subprocess.run(
            ["systemctl", "--user", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SYSTEMCTL_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failure(f"systemctl --user {' '.join(words)}: {error}", EXIT_FAILED, "not_started") from None
    if done.returncode:
        raise Failure(
            f"systemctl --user {' '.join(words)} failed: {done.stderr.strip()}\n(their log: journalctl --user -u {DAEMON} -u {KEEPER})",
            EXIT_FAILED,
            "not_started",
        )
