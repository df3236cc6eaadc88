"""What `doctor` looks at where systemd is the manager: the user's instance, the units, and what becomes of sessions at logout.

Asks systemd with short time limits, changes nothing, and says nothing on other systems.
"""

from __future__ import annotations

import os
from collections import namedtuple

from coprocctl import units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

# Of every check of doctor. state: "ok" | "warn" | "fail". remedy: what to do about a warning or a failure, else "".
Check = namedtuple("Check", "state subject said remedy", defaults=("",))

ASK_TIMEOUT_S = 2.0
BOOTED = "/run/systemd/system"  # sd_booted(3)
LINGER = "/var/lib/systemd/linger"
LOGIND = ("/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd")


def checks() -> Iterator[Check]:
    if not os.path.isdir(BOOTED):
        return
    yield user_manager()
    yield installed()
    yield from logout()


def user_manager() -> Check:
    """Whether `systemd --user` runs and answers."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if not runtime or not os.path.exists(os.path.join(runtime, "systemd", "private")):
        return Check(
            "warn",
            "systemd",
            "no instance of it runs for this user" if runtime else "$XDG_RUNTIME_DIR is not set, so this user's instance cannot be reached",
            "log in through logind (ssh, console), or loginctl enable-linger; without it the keeper starts the daemon",
        )
    said = ask("systemctl", "--user", "is-system-running")
    if not said:
        return Check("warn", "systemd", f"this user's instance does not answer within {ASK_TIMEOUT_S:g} s", "systemctl --user status")
    return Check("ok", "systemd", f"this user's instance runs ({said})")


def installed() -> Check:
    """Whether our units are there, and as this version writes them."""
    listed = units.units()
    there = [unit for unit in listed if unit.found is not None]
    if not there:
        return Check("ok", "units", "not installed: the keeper starts the daemon; coprocctl daemon install-units has systemd do it")
    stale = [unit.name for unit in listed if unit.found != unit.text]
    if stale:
        own = any(unit.found is not None and not units.untouched(unit.found) for unit in listed)
        return Check(
            "warn",
            "units",
            f"{', '.join(stale)} in {units.user_directory()}: {'changed' if own else 'not as this version writes them'}",
            f"coprocctl daemon install-units{' --force (your changes belong in drop-ins: systemctl --user edit)' if own else ''}, "
            "then systemctl --user daemon-reload",
        )
    if ask("systemctl", "--user", "is-enabled", units.SOCKET) == "disabled":
        return Check("warn", "units", f"installed, but {units.SOCKET} is not enabled", f"systemctl --user enable --now {units.SOCKET}")
    return Check("ok", "units", f"installed in {units.user_directory()}, as this version writes them")


def logout() -> Iterator[Check]:
    """Linger, and whether logind ends what a login leaves behind."""
    lingers = _lingers()
    if lingers:
        yield Check("ok", "linger", "on: this user's systemd, and the sessions in it, outlive the last logout")
    else:
        yield Check(
            "warn",
            "linger",
            "off: sessions that systemd runs end with the last logout" if lingers is False else "cannot be told",
            "loginctl enable-linger",
        )
    if kill_user_processes(LOGIND):
        yield Check(
            "warn" if not lingers or not units.units()[1].found else "ok",
            "logout",
            "KillUserProcesses=yes: what was started from a login and not by systemd ends with it",
            "" if lingers and units.units()[1].found else "coprocctl daemon install-units, and loginctl enable-linger",
        )
    else:
        yield Check("ok", "logout", "KillUserProcesses=no: what a login started may outlive it")


def _lingers() -> bool | None:
    """Whether this user lingers; None where that cannot be looked up."""
    import pwd

    try:
        return os.path.exists(os.path.join(LINGER, pwd.getpwuid(os.getuid()).pw_name))
    except KeyError:
        return None


def kill_user_processes(directories: tuple[str, ...]) -> bool:
    """What logind does, or will do as far as its files say (logind.conf(5))."""
    said = ask(
        *("busctl", "get-property", "org.freedesktop.login1", "/org/freedesktop/login1"),
        *("org.freedesktop.login1.Manager", "KillUserProcesses"),
    )
    return said == "b true" if said.startswith("b ") else _configured(directories)


def _configured(directories: tuple[str, ...]) -> bool:
    """The last word of logind.conf and its drop-ins: of the first directory that has a file of that name, in order of the names."""
    main = next((path for place in directories if os.path.isfile(path := os.path.join(place, "logind.conf"))), None)
    drop_ins: dict[str, str] = {}
    for place in reversed(directories):
        folder = os.path.join(place, "logind.conf.d")
        if os.path.isdir(folder):
            drop_ins |= {name: os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".conf")}
    kills = False
    for path in (*([main] if main else []), *(drop_ins[name] for name in sorted(drop_ins))):
        try:
            with open(path, errors="replace") as file:
                for line in file:
                    name, equals, value = line.partition("=")
                    if equals and name.strip() == "KillUserProcesses":
                        kills = value.strip().lower() in ("yes", "true", "1", "on", "y", "t")
        except OSError:
            continue
    return kills


def ask(*command: str) -> str:
    """The first line that `command` prints; empty where it cannot be run or takes too long."""
    import subprocess

    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=ASK_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip().partition("\n")[0]
