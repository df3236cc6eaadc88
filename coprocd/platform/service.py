"""What the daemon and a service manager tell each other: readiness, a sign of life, sockets (sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds(3)).

Without a service manager nothing is told and nothing is given. The environment is only read here: what of it must not reach a
job is left out where a job's environment is made.
"""

from __future__ import annotations

import logging
import os
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio  # the keeper, which has no loop, imports this module too

log = logging.getLogger("coprocd.service")

RETIRED = 80
"""The exit status of a daemon that was told to end and not to come back; its unit names it in RestartPreventExitStatus=."""

_FIRST_FD = 3
"""SD_LISTEN_FDS_START."""


def managed() -> bool:
    """Whether a service manager started this process and wants to hear of it."""
    return bool(os.environ.get("NOTIFY_SOCKET"))


def notify(*lines: str) -> bool:
    """Tells the manager `READY=1`, `STATUS=…` and the like; False where there is none, or it cannot be told."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.sendto("\n".join(line.replace("\n", " ") for line in lines).encode(), address)
    except OSError as error:
        log.warning("the service manager cannot be told %s: %s", lines[0], error)
        return False
    return True


def listening() -> list[socket.socket]:
    """The sockets that the manager listens on for this process, closed on exec."""
    env = os.environ
    try:
        ours, count = int(env.get("LISTEN_PID", "")) == os.getpid(), int(env.get("LISTEN_FDS", ""))
    except ValueError:
        return []
    sockets = []
    for fd in range(_FIRST_FD, _FIRST_FD + count if ours else 0):
        try:
            os.set_inheritable(fd, False)
            sockets.append(socket.socket(fileno=fd))
        except OSError as error:
            log.warning("descriptor %d of the service manager is no socket: %s", fd, error)
    return sockets


def watchdog_s() -> float | None:
    """Within how many seconds the manager wants a sign of life; None when it wants none of this process."""
    env = os.environ
    try:
        microseconds, pid = int(env.get("WATCHDOG_USEC", "")), int(env.get("WATCHDOG_PID") or os.getpid())
    except ValueError:
        return None
    return microseconds / 1e6 if microseconds > 0 and pid == os.getpid() else None


def keep_alive(loop: asyncio.AbstractEventLoop) -> None:
    """Gives signs of life for as long as `loop` turns: one that hangs gives none, and the manager starts another daemon."""
    interval_s = watchdog_s()
    if interval_s is not None:
        notify("WATCHDOG=1")
        loop.call_later(interval_s / 3, keep_alive, loop)
