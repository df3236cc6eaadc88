"""Waiting for processes that are not our children to end."""

from __future__ import annotations

import os
import select
import time

POLL_S = 0.05


class Ends:
    """Awaits the end of process `pid`. Made before the process is asked to end, so that a reused pid cannot be meant."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._fd = -1
        self._gone = False
        try:
            self._fd = os.pidfd_open(pid)
        except ProcessLookupError:
            self._gone = True
        except (AttributeError, OSError):
            pass  # no pidfds here: asked by kill(2) below

    def __enter__(self) -> Ends:
        return self

    def __exit__(self, *_: object) -> None:
        if self._fd >= 0:
            os.close(self._fd)

    def within(self, timeout_s: float) -> bool:
        """Whether it has ended before `timeout_s` is over."""
        if self._gone:
            return True
        if self._fd >= 0:
            poll = select.poll()
            poll.register(self._fd, select.POLLIN)
            return bool(poll.poll(max(timeout_s, 0) * 1000))
        deadline = time.monotonic() + timeout_s
        while alive(self.pid):
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_S)
        return True


def alive(pid: int) -> bool:
    """Whether `pid` runs; a child of ours that has ended is reaped and does not count."""
    try:
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            return False
    except ChildProcessError:
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
