"""What the system tells of processes: working directory, arguments, what they wait for. /proc, else nothing."""

from __future__ import annotations

import os

AVAILABLE = os.path.isdir("/proc/self")

_TTY_READ = ("n_tty_read", "wait_woken")
"""Where a process that waits in read(2) on a terminal sleeps (/proc/PID/wchan, Linux 4.3 to 6.18); in the second one that waits in write(2) too."""


def cwd(pid: int) -> str | None:
    """The working directory of `pid`, where it can be told and is still there."""
    try:
        path = os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return None
    return None if path.endswith(" (deleted)") else path


def argv(pid: int) -> list[str]:
    """The arguments of `pid`; empty where they cannot be told."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            data = file.read(65536)
    except OSError:
        return []
    return [os.fsdecode(arg) for arg in data.rstrip(b"\0").split(b"\0")] if data else []


def shown(text: str) -> str:
    """A path or an argument as JSON can hold it: bytes that are no UTF-8 are replaced."""
    return os.fsencode(text).decode(errors="replace")


def reads_terminal(pid: int) -> bool | None:
    """Whether `pid` waits in a read of a terminal, or in a write to one that takes no output; None where it cannot be told."""
    try:
        with open(f"/proc/{pid}/wchan") as file:
            channel = file.read(128)
    except OSError:
        return None
    return None if channel in ("", "0") else channel in _TTY_READ


def descendant_reads_terminal(pid: int, depth: int = 3) -> bool:
    """Whether a process that `pid` waits for, directly or through others, waits in a read of a terminal."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            children = [int(child) for child in file.read(4096).split()[:16]]
    except (OSError, ValueError):
        return False
    return any(reads_terminal(child) or (depth > 1 and descendant_reads_terminal(child, depth - 1)) for child in children)


def lives(pid: int) -> bool:
    """Whether there is a process of this number; one that has ended and that nobody has reaped counts."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def is_anothers(pid: int) -> bool:
    """Whether `pid` lives and may not be signalled by us."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except ProcessLookupError:
        pass
    return False


def group_lives(group: int) -> bool | None:
    """Whether the process group has a member that has not ended; None where it cannot be told. Reads all of /proc: for a thread."""
    if not AVAILABLE:
        return None
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    state, _, its_group = file.read().rpartition(b")")[2].split()[:3]
            except (OSError, ValueError):
                continue
            if int(its_group) == group and state not in (b"Z", b"X"):
                return True
    return False
