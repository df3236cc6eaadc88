"""Processes by descriptor: one that is held names the same process for ever, even after its number has gone to another.

Linux has pidfds (pidfd_open(2), 5.3). They become readable when the process has ended, signal its process group (6.9), and tell
how it ended, also to one who is not its parent (6.15; before that /proc tells while it is a zombie). Without them a process
is its number, which is safe for a child that has not been reaped.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import struct

AVAILABLE = hasattr(os, "pidfd_open") and hasattr(signal, "pidfd_send_signal")

_SIGNAL_PROCESS_GROUP = 4
_GET_INFO = 0xC040FF0B
"""_IOWR(0xFF, 11, struct pidfd_info), of the first 64 bytes: mask, cgroup id, ten ids, exit code (linux/pidfd.h)."""
_INFO_EXIT = 1 << 3
_INFO = struct.Struct("QQ10iIi")

_STAT_STATE, _STAT_START, _STAT_EXIT_CODE = 0, 19, 49
"""Fields of /proc/PID/stat counted from the state, which follows the name (proc_pid_stat(5))."""


def open_pid(pid: int) -> int:
    """A descriptor of the process `pid`; −1 where there are none. ProcessLookupError when there is no such process."""
    return os.pidfd_open(pid) if AVAILABLE else -1


def signal_group(pidfd: int, pid: int, number: int, reaped: bool) -> bool:
    """Signals the process group that `pid` led; whether anybody was there. OSError (EINVAL) for a number that is no signal.

    `reaped` tells that the number may be another's by now: then only the descriptor will do.
    """
    try:
        if pidfd >= 0:
            try:
                signal.pidfd_send_signal(pidfd, number, None, _SIGNAL_PROCESS_GROUP)
                return True
            except OSError as error:
                if isinstance(error, (ProcessLookupError, PermissionError)):
                    raise
        if reaped:
            return False
        os.killpg(pid, number)
        return True
    except (ProcessLookupError, PermissionError):
        return False


def wait_status(pidfd: int, pid: int) -> int | None:
    """How an ended process that is not our child ended, as wait(2) has it; None where the system does not tell (yet)."""
    if pidfd >= 0:
        answer = bytearray(_INFO.size)
        struct.pack_into("Q", answer, 0, _INFO_EXIT)
        try:
            fcntl.ioctl(pidfd, _GET_INFO, answer)
        except OSError:
            pass
        else:
            fields = _INFO.unpack(answer)
            if fields[0] & _INFO_EXIT:
                return int(fields[-1])
    told = _is_told_of(pid)
    stat = _stat(pid)
    return int(stat[_STAT_EXIT_CODE]) if told and stat and stat[_STAT_STATE] == b"Z" else None


def has_ended(pidfd: int) -> bool:
    """Whether the process has ended, reaped or not; False where there is no descriptor that tells."""
    if pidfd < 0:
        return False
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))


def start_time(pid: int) -> int | None:
    """When `pid` was started, in clock ticks since boot: with it, a number names one process. None where it cannot be told."""
    stat = _stat(pid)
    return int(stat[_STAT_START]) if stat else None


def _is_told_of(pid: int) -> bool:
    """Whether the exit code in /proc is that of `pid`: it is 0 for whom this link of a process is not to be read either (ptrace(2), access mode)."""
    try:
        os.readlink(f"/proc/{pid}/exe")
    except PermissionError:
        return False
    except OSError:
        pass  # one that has ended has none
    return True


def _stat(pid: int) -> list[bytes]:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()
    except OSError:
        return []
