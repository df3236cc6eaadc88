"""Becoming the keeper of a socket: one at a time, settled by a lock that ends with its holder."""

from __future__ import annotations

import fcntl
import os
import socket
import time

BACKLOG = 4096
"""Who finds it full is refused at once, not made to wait (EAGAIN, unix(7)): a stopped keeper must not turn its daemon away."""


def claim(path: str, timeout_s: float) -> tuple[socket.socket, int] | None:
    """A listening socket at `path` and the locked descriptor that makes it ours; None when another keeper has it."""
    lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(lock)
                return None
            time.sleep(0.01)
    return listen(path), lock


def listen(path: str) -> socket.socket:
    """A listening socket at `path`, for who has the lock. OSError when there can be none."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    umask = os.umask(0o177)
    try:
        listener.bind(path)
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(umask)
    listener.listen(BACKLOG)
    listener.setblocking(False)
    return listener
