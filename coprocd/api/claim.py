"""Claiming the daemon's socket: one daemon a path, for as long as it lives.

A lock (flock(2)) beside the socket settles who serves it, also when two start at once; it ends with the process that holds it, however that ends.
Only under the lock is a socket that nobody listens on removed, and only after asking whether somebody does.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from coprocd.platform import directories, peer
from coprocd.protocol import places
from coprocd.protocol.errors import CoprocdError

# unix(7): sun_path has 108 bytes, the last of them NUL. The least of the systems we run on would be 104 (macOS).
_PATH_BYTES = 107


class Claim:
    """The listening socket at `path`, and the lock on it."""

    def __init__(self, path: str, listening: socket.socket, lock: int) -> None:
        self.path = path
        self.socket = listening
        self._lock = lock

    def release(self, *, unlink: bool) -> None:
        """Closes the socket and gives the lock up. `unlink` for an end; without, the path stays for the daemon that is handed the socket."""
        if unlink:
            _unlink(self.path)
        self.socket.close()
        os.close(self._lock)


def claim_socket(path: str, *inherited: socket.socket | None, backlog: int = 4096) -> Claim:
    """Locks `path` and takes the first of `inherited` (systemd's, the keeper's) that clients reach there, else binds it.

    Those that are not taken are closed.

    CoprocdError `name_taken` (data: pid) when a daemon runs there, `permission_denied` when the place is not ours alone or cannot be used.
    """
    path = os.path.abspath(path)
    longest = max(len(os.fsencode(path)), len(os.fsencode(places.keeper_socket_path(path))))
    if longest > _PATH_BYTES:
        raise CoprocdError(
            "permission_denied",
            f"the socket's path is too long: with its keeper's it takes {longest} bytes, a socket's may have {_PATH_BYTES}; set COPROCD_RUNTIME_DIR to a shorter one",
        )
    with _umask(0o077):
        directories.make_private(os.path.dirname(path))
        lock = _lock(path)
    try:
        taken = next((given for given in inherited if given is not None and _serves(given, path, backlog)), None)
        for given in inherited:
            if given is not None and given is not taken:
                given.close()
        if taken is None:
            _remove_stale(path)
        return Claim(path, taken or _bind(path, backlog), lock)
    except BaseException:
        os.close(lock)
        raise


def _lock(path: str) -> int:
    """The descriptor that holds the lock of the socket `path`."""
    lock_path = places.lock_path(path)
    while True:
        try:
            lock = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise CoprocdError(
                "permission_denied", f"cannot open the lock {lock_path}: {error.strerror}; remove it if no daemon runs"
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.pread(lock, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(lock)
            raise CoprocdError(
                "name_taken", f"a daemon runs already on {path}, pid {pid}; `coprocctl daemon restart` replaces it", pid=pid
            ) from None
        if _same_file(lock, lock_path):
            os.ftruncate(lock, 0)
            os.pwrite(lock, b"%d\n" % os.getpid(), 0)
            return lock
        os.close(lock)  # removed between the two: somebody locks another file by now


def _same_file(fd: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.lstat(path))
    except FileNotFoundError:
        return False


def _serves(inherited: socket.socket, path: str, backlog: int) -> bool:
    """Listens on `inherited`; True when clients reach it: its own path is there (it may be another's than ours, under systemd), and leads to it.

    A path that was removed and bound again looks the same on both sockets. But a client is told whose process listened last
    (SO_PEERCRED, unix(7)): since we just have, a probe that is told our pid has reached this one.
    """
    if inherited.family != socket.AF_UNIX or not inherited.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        raise CoprocdError("permission_denied", "the socket handed over is no listening Unix socket; start the daemon without it")
    inherited.listen(backlog)
    own = inherited.getsockname() or path
    if isinstance(own, bytes):
        return True
    try:
        if not stat.S_ISSOCK(os.lstat(own).st_mode):
            return False
        with socket.socket(socket.AF_UNIX) as probe:
            probe.setblocking(False)
            refused = probe.connect_ex(own)
            if refused:
                return refused == errno.EAGAIN  # its backlog is full: somebody waits there
            return peer.pid(probe) in (os.getpid(), None)
    except FileNotFoundError:
        return False


def _remove_stale(path: str) -> None:
    """Removes a socket that nobody listens on; anything else in its place is left and refused."""
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise CoprocdError("permission_denied", f"{path} is there and is no socket; move it away, or choose another with --socket")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        refused = probe.connect_ex(path)
    if refused not in (errno.ECONNREFUSED, errno.ENOENT):
        raise CoprocdError(
            "name_taken", f"something listens on {path} already, without the lock of a daemon; stop it, or choose another with --socket"
        )
    _unlink(path)


def _bind(path: str, backlog: int) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX)
    try:
        with _umask(0o177):  # 0600 from the first instant
            listening.bind(path)
        listening.listen(backlog)
    except OSError as error:
        listening.close()
        raise CoprocdError("permission_denied", f"cannot listen on {path}: {error.strerror}") from error
    return listening


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


@contextmanager
def _umask(mask: int) -> Iterator[None]:
    """Called before there are threads: the umask is the process's."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)
