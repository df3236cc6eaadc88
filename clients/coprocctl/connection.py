"""One connection to the daemon: newline-delimited JSON-RPC 2.0 over its Unix socket, blocking.

Owns the socket. Never starts a daemon (`coprocctl.start` does), never prints. A call that may safely be done twice
(reads, and input under an idempotency key) survives a restart of the daemon: it is asked again on a new connection.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import stat
import time

from coprocctl.exits import EXIT_FAILED, EXIT_TIMED_OUT, EXIT_USAGE, ConnectionLost, Failure, NoDaemon, Refused
from coprocd.protocol.errors import CODES_BY_NUMBER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

# The version of the protocol that this command speaks; the daemon says which range it does.
PROTOCOL = 1

# Methods that change nothing: asked again when the connection broke before the answer.
READS = frozenset({"session.list", "session.get", "session.read", "coprocess.get", "coprocess.list", "daemon.info", "rpc.discover"})

ATTEMPTS = 6  # with pauses that double from FIRST_PAUSE_S, some 3 s in all
FIRST_PAUSE_S = 0.1
RECEIVE_BYTES = 256 << 10
SOCKET_PATH_MAX = 107 - len(".keeper")  # sun_path holds 108 bytes with its NUL (unix(7)), on other systems 104
NOT_THERE = (errno.ENOENT, errno.ECONNREFUSED, errno.ENOTDIR, errno.ENOTSOCK, errno.EPROTOTYPE)


class Connection:
    """Calls and notifications, one after another. Use as a context manager, or `close()` it."""

    def __init__(self, path: str, timeout_s: float | None = None) -> None:
        """Connects to the daemon at `path`; raises NoDaemon. `timeout_s` bounds the attempt, for ever by default."""
        self.path = path
        self._next_id = 0
        self._socket = connect(path, timeout_s)
        self._received = bytearray()
        self._notifications: list[dict[str, Any]] = []

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection."""
        self._socket.close()

    def call(
        self, method: str, params: dict[str, Any] | list[Any] | None = None, *, timeout_s: float | None = None, again: bool | None = None
    ) -> Any:
        """The result of `method`. Raises Refused, ConnectionLost, NoDaemon.

        again:      whether it may be asked a second time when the connection breaks; None: if it is one of READS
        timeout_s:  how long to wait for the answer; then a Failure with status 124
        """
        if again is None:
            again = method in READS
        for attempt in range(ATTEMPTS):
            try:
                return self._exchange(method, params, timeout_s)
            except ConnectionLost:
                if not again or attempt == ATTEMPTS - 1:
                    raise
                if attempt:  # hung up on twice: whoever accepts connections there is about to end
                    time.sleep(FIRST_PAUSE_S * 2 ** (attempt - 1))
                self.reconnect(timeout_s)
        raise AssertionError("unreachable")

    def notifications(self, method: str, deadline: float | None = None) -> Iterator[dict[str, Any]]:
        """The params of every notification of that name, those that came during a call first. Raises ConnectionLost at the end.

        deadline:   on the monotonic clock; past it, TimeoutError
        """
        while True:
            while self._notifications:
                message = self._notifications.pop(0)
                if message["method"] == method:
                    yield message["params"]
            message = self._receive(deadline)
            if "method" in message:
                self._notifications.append(message)

    def _exchange(self, method: str, params: dict[str, Any] | list[Any] | None, timeout_s: float | None) -> Any:
        """Sends one request and returns its result. Notifications that arrive meanwhile are kept."""
        self._next_id += 1
        request: dict[str, Any] = {"jsonrpc": "2.0", "id": self._next_id, "method": method}
        if params:
            request["params"] = params
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        try:
            line = json.dumps(request, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        except UnicodeEncodeError:
            raise Failure(
                f"{method}: {_undecodable(params)} is not valid UTF-8, which is all that a call can carry", EXIT_USAGE, "invalid_params"
            ) from None
        except ValueError as error:
            raise Failure(f"{method}: {error}", EXIT_USAGE, "invalid_params") from None
        try:
            self._socket.settimeout(timeout_s)
            self._socket.sendall(line + b"\n")
        except TimeoutError:
            raise _timed_out(method) from None
        except OSError:
            pass  # an answer may have come before the daemon hung up: an error, say, for a request that is too large
        while True:
            try:
                message = self._receive(deadline)
            except ConnectionLost:
                raise ConnectionLost(f"the daemon closed the connection before it answered {method}") from None
            except TimeoutError:
                raise _timed_out(method) from None
            if "method" in message:
                self._notifications.append(message)
            elif message.get("id") == self._next_id or message.get("id") is None:
                if "error" in message:
                    raise refusal(message["error"])
                return message.get("result")

    def _receive(self, deadline: float | None) -> dict[str, Any]:
        """The next message. Raises ConnectionLost at end of file, TimeoutError past the deadline."""
        searched = 0
        while (end := self._received.find(b"\n", searched)) < 0:
            searched = len(self._received)
            self._socket.settimeout(None if deadline is None else max(deadline - time.monotonic(), 0.001))
            try:
                data = self._socket.recv(RECEIVE_BYTES)
            except TimeoutError:
                raise
            except OSError:
                data = b""
            if not data:
                raise ConnectionLost("the daemon closed the connection")
            self._received += data
        line = bytes(self._received[:end])
        del self._received[: end + 1]
        try:
            message = json.loads(line)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            raise Failure(f"what answers at {self.path} does not speak JSON-RPC: is it coprocd?", EXIT_FAILED)
        return message

    def reconnect(self, timeout_s: float | None = None) -> None:
        """A new connection in the broken one's place; waits a little for a daemon that is being replaced."""
        self._socket.close()
        self._received.clear()
        self._notifications.clear()
        pause_s = FIRST_PAUSE_S
        for attempt in range(ATTEMPTS):
            try:
                self._socket = connect(self.path, timeout_s)
                return
            except NoDaemon:
                if attempt == ATTEMPTS - 1:
                    raise
            time.sleep(pause_s)
            pause_s *= 2


def answers(path: str) -> bool:
    """Whether somebody accepts connections at the Unix socket `path`."""
    try:
        connect(path, 5).close()
    except Failure:
        return False
    return True


def connect(path: str, timeout_s: float | None) -> socket.socket:
    """A connected socket; raises NoDaemon, with the remedy."""
    try:
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connected.settimeout(timeout_s)
            connected.connect(path)
        except BaseException:
            connected.close()
            raise
    except TimeoutError:
        raise Failure(f"nothing accepts the connection at {path} within {timeout_s:g} s", EXIT_TIMED_OUT, "timed_out") from None
    except OSError as error:
        if too_long := socket_path_too_long(path):
            raise NoDaemon(too_long) from None
        if error.errno in NOT_THERE:
            if os.path.exists(path) and not stat.S_ISSOCK(os.stat(path).st_mode):
                raise NoDaemon(
                    f"{path} is no socket, so no daemon runs there; give a path that does not exist yet, or a daemon's"
                ) from None
            raise NoDaemon(f"no daemon runs at {path}; start one with: {remedy(path)}") from None
        raise NoDaemon(f"cannot connect to {path}: {error.strerror or error}") from None
    return connected


def socket_path_too_long(path: str) -> str:
    """What is wrong with `path` where no socket, or not also the keeper's, can be there; else ""."""
    length = len(os.fsencode(path))
    if length <= SOCKET_PATH_MAX:
        return ""
    return f"the socket's path is too long: {path} has {length} bytes, of at most {SOCKET_PATH_MAX}; choose a shorter place with --socket or $COPROCD_RUNTIME_DIR"


def remedy(path: str) -> str:
    """The command that starts a daemon at `path`, to be shown."""
    from coprocd.protocol import places

    if path == places.socket_path():
        return "coprocctl daemon start"
    from shlex import quote

    return f"coprocctl --socket {quote(path)} daemon start"


def _undecodable(params: Any) -> str:
    """The first value of `params` that holds the stand-ins for bytes that are no UTF-8 (PEP 383), and where it stands."""

    def search(value: Any, path: str) -> str:
        if isinstance(value, str):
            return "" if _is_utf8(value) else f"{path} {value!r}"
        inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, item in inside:
            if found := search(key, path) or search(item, f"{path}.{key}" if path else str(key)):
                return found
        return ""

    return search(params, "") or "a parameter"


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _timed_out(method: str) -> Failure:
    return Failure(f"the daemon did not answer {method} in time; look at: coprocctl daemon logs", EXIT_TIMED_OUT, "timed_out")


def refusal(error: Any) -> Refused:
    """The exception for the `error` member of an answer (JSON-RPC 2.0 §5.1)."""
    if not isinstance(error, dict):
        return Refused("internal", "the daemon answered with an error of an unknown shape", {})
    data = error.get("data")
    data = data if isinstance(data, dict) else {}
    code = data.get("code") or CODES_BY_NUMBER.get(error.get("code", 0)) or "internal"
    return Refused(str(code), str(error.get("message", "the daemon gave no reason")), data)
