"""Whose process is at the other end of a Unix socket: its uid and pid, as the kernel saw them when it connected.

Linux has SO_PEERCRED (unix(7)); macOS and the BSDs have LOCAL_PEERCRED (unix(4)), whose answer is a `struct xucred`.
"""

from __future__ import annotations

import os
import socket
import struct

AVAILABLE = hasattr(socket, "SO_PEERCRED")

_UCRED = struct.Struct("iII")  # pid, uid, gid
_SOL_LOCAL = 0
_LOCAL_PEERCRED = 1
_XUCRED_BYTES = 128  # no less than any system's struct xucred


def uid(connection: socket.socket) -> int:
    """The uid of the peer of a connected Unix socket. OSError where the system does not tell."""
    if AVAILABLE:
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
        return int(_UCRED.unpack(credentials)[1])
    return xucred_uid(connection.getsockopt(_SOL_LOCAL, _LOCAL_PEERCRED, _XUCRED_BYTES))


def pid(connection: socket.socket) -> int | None:
    """The pid of the peer: of whoever connected, or last called listen(2); None where the system does not tell."""
    if not AVAILABLE:
        return None
    return int(_UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))[0]) or None


def may_connect(connection: socket.socket) -> bool:
    """True when the peer is this user or root; one that the system tells nothing of is refused."""
    try:
        return uid(connection) in (os.geteuid(), 0)
    except OSError:
        return False


def xucred_uid(credentials: bytes) -> int:
    """The uid in a `struct xucred`: u_int cr_version, uid_t cr_uid, …."""
    if len(credentials) < 8:
        raise OSError("the system tells no credentials of the peer")
    return int(struct.unpack_from("=II", credentials)[1])
