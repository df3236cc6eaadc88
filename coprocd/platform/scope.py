"""Enters a transient scope of the user's systemd, and then becomes the program that is named: same process, same environment.

Run in front of a job's command line; it asks the manager (org.freedesktop.systemd1(5)) to move this process into a new scope
(StartTransientUnit), or into one that is there (AttachProcessesToUnit), waits until that is done, and executes the rest. Whatever goes wrong or takes too long, the rest is executed all the same: the
daemon sees where the job is (`contains`) and logs it. It is started by its path with `-I -S`, and imports only what is part of the
interpreter: `socket`, `signal` and `contextlib` cost each job 10 ms more.
"""

from __future__ import annotations

import os
import struct
import sys
import time
from _signal import SIG_DFL, SIGINT, SIGPIPE, SIGXFSZ, signal  # type: ignore[import-not-found]
from _socket import AF_UNIX, SOCK_STREAM, socket

TIMEOUT_S = 3.0
"""How long the manager may take: it moves a process in 20 to 120 ms."""

FOLLOW_S = 1.0
"""How long a coprocess waits for the scope of a session that was started with it."""

FOLLOW_EVERY_S = 0.01

SLICE = "app-coprocd.slice"

_DESTINATION = "org.freedesktop.systemd1"
_PATH = "/org/freedesktop/systemd1"
_MANAGER = "org.freedesktop.systemd1.Manager"
_CALL, _RETURN, _ERROR, _SIGNAL = 1, 2, 3, 4
_HEADER = struct.Struct("<BBBBIII")  # byte order, type, flags, version, body bytes, serial, bytes of the header's fields

Value = tuple[str, "str | int | bool | list[int]"]
"""A D-Bus signature and a value of it: s, t, b, au."""


def manager_path() -> str:
    """The socket on which this user's manager answers without a bus, as `systemctl --user` uses it; empty where none can be."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return os.path.join(runtime, "systemd", "private") if runtime else ""


def contains(pid: int, unit: str) -> bool | None:
    """Whether `pid` is in the cgroup of `unit`; None when it has ended."""
    try:
        with open(f"/proc/{pid}/cgroup") as file:
            return f"/{unit}" in file.read()
    except OSError:
        return None


def main(argv: list[str]) -> None:
    """`MANAGER UNIT JOIN MEMORY_MAX TASKS_MAX -- PROGRAM ARGUMENT…`: JOIN 0 or 1, the limits 0 for none. Does not return.

    The daemon that wrote the line may be of another version than this file: what stands before `--` may be wrong, the job may not.
    """
    signal(SIGINT, SIG_DFL)  # Ctrl-C ends it without a word
    job = argv[argv.index("--") + 1 :]
    try:
        manager, unit, join, memory_max, tasks_max = argv[: argv.index("--")]
        if int(join):
            follow(manager, unit)
        else:
            enter(manager, unit, int(memory_max), int(tasks_max))
    except Exception:
        pass  # the job runs in the keeper's cgroup then
    for number in (SIGPIPE, SIGXFSZ):  # Python ignores them, and what is ignored stays so
        signal(number, SIG_DFL)
    try:
        os.execve(job[0], job, environment())
    except OSError as error:
        sys.stderr.write(f"{job[0]}: {error.strerror}\r\n")
        sys.exit(126)


def environment() -> dict[bytes, bytes]:
    """The environment as it was given to us: Python may have changed its own (PEP 538)."""
    try:
        with open("/proc/self/environ", "rb") as file:
            given = file.read()
    except OSError:
        return dict(os.environb)
    return {name: value for name, is_one, value in (entry.partition(b"=") for entry in given.split(b"\0")) if is_one}


def enter(manager: str, unit: str, memory_max: int, tasks_max: int) -> None:
    """Moves this process into a new scope named `unit`; OSError, ValueError or TimeoutError when that did not come about."""
    limits: list[tuple[str, Value]] = []
    if memory_max:
        limits.append(("MemoryMax", ("t", memory_max)))
    if tasks_max:
        limits.append(("TasksMax", ("t", tasks_max)))
    properties: list[tuple[str, Value]] = [
        ("Description", ("s", f"Session {unit.removeprefix('coprocd-').removesuffix('.scope')} of coprocd")),
        ("PIDs", ("au", [os.getpid()])),
        ("Slice", ("s", SLICE)),
        ("CollectMode", ("s", "inactive-or-failed")),
        ("Delegate", ("b", True)),  # or no coprocess could be attached
        ("SendSIGHUP", ("b", True)),  # at logout: a shell ignores SIGTERM
        ("TimeoutStopUSec", ("t", 10_000_000)),
        *limits,
    ]
    with Manager(manager) as systemd:
        try:
            systemd.start(unit, [*properties, ("OOMPolicy", ("s", "continue"))])
        except ValueError:  # systemd before 253 knows no such property of scopes, and does so without
            systemd.start(unit, properties)


def follow(manager: str, unit: str) -> None:
    """Moves this process into the scope `unit`, which may be about to be made: ValueError when it is not there in time, OSError, TimeoutError."""
    with Manager(manager) as systemd:
        until = time.monotonic() + FOLLOW_S
        while True:
            try:
                systemd.attach(unit, os.getpid())
                return
            except ValueError:
                if time.monotonic() > until:
                    raise
            time.sleep(FOLLOW_EVERY_S)


class Manager:
    """A connection to systemd's private socket: D-Bus without a bus (D-Bus Specification, 0.41)."""

    def __init__(self, path: str) -> None:
        self._deadline = time.monotonic() + TIMEOUT_S
        self._serial = 0
        self._received = bytearray()
        self._socket = socket(AF_UNIX, SOCK_STREAM)
        try:
            self._socket.settimeout(TIMEOUT_S)
            self._socket.connect(path)
            self._socket.sendall(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\nBEGIN\r\n")
            while b"\r\n" not in self._received:
                self._receive()
            line, _, rest = bytes(self._received).partition(b"\r\n")
            self._received = bytearray(rest)
            if not line.startswith(b"OK "):
                raise OSError(f"systemd refused the connection: {line!r}")
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> Manager:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def start(self, unit: str, properties: list[tuple[str, Value]]) -> None:
        """Starts the transient `unit`, and returns when that is done. ValueError when it is refused, OSError when it fails."""
        body = Body()
        body.string(unit).string("fail")
        start = body.begin_array(8)
        for name, value in properties:
            body.property(name, value)
        body.end_array(start)
        body.end_array(body.begin_array(8))  # no auxiliary units
        self._call("StartTransientUnit", "ssa(sv)a(sa(sv))", body.data)
        while True:
            kind, fields, answer = self._message()
            if kind == _ERROR:
                raise ValueError(answer.decode(errors="replace"))
            # JobRemoved (id, job, unit, result): jobs are removed when they are done
            if kind == _SIGNAL and b"JobRemoved" in fields and unit.encode() + b"\0" in answer:
                if b"done\0" not in answer[-8:]:
                    raise OSError(f"systemd could not start {unit}")
                return

    def attach(self, unit: str, pid: int) -> None:
        """Moves a process into a unit that runs, and returns when that is done. ValueError when it is refused."""
        body = Body()
        body.string(unit).string("")
        body.numbers([pid])
        self._call("AttachProcessesToUnit", "ssau", body.data)
        while True:
            kind, _, answer = self._message()
            if kind == _ERROR:
                raise ValueError(answer.decode(errors="replace"))
            if kind == _RETURN:
                return

    def _call(self, member: str, signature: str, body: bytes | bytearray) -> None:
        self._serial += 1
        fields = Body()
        for code, kind, value in ((1, "o", _PATH), (2, "s", _MANAGER), (3, "s", member), (6, "s", _DESTINATION), (8, "g", signature)):
            fields.align(8)
            fields.data += bytes((code,))
            fields.signature(kind)
            if kind == "g":
                fields.signature(value)
            else:
                fields.string(value)
        header = _HEADER.pack(ord("l"), _CALL, 0, 1, len(body), self._serial, len(fields.data)) + fields.data
        self._socket.settimeout(max(0.001, self._deadline - time.monotonic()))
        self._socket.sendall(header + bytes(-len(header) % 8) + body)

    def _message(self) -> tuple[int, bytes, bytes]:
        """Type, header fields and body of the next message."""
        while len(self._received) < _HEADER.size:
            self._receive()
        order, kind, _, _, body_bytes, _, fields_bytes = _HEADER.unpack_from(self._received)
        if order != ord("l"):
            raise OSError("systemd answers in another byte order")
        start = _HEADER.size + fields_bytes + -fields_bytes % 8
        while len(self._received) < start + body_bytes:
            self._receive()
        message = bytes(self._received[: start + body_bytes])
        del self._received[: start + body_bytes]
        return kind, message[_HEADER.size : _HEADER.size + fields_bytes], message[start:]

    def _receive(self) -> None:
        self._socket.settimeout(max(0.001, self._deadline - time.monotonic()))
        data = self._socket.recv(65536)
        if not data:
            raise OSError("systemd closed the connection")
        self._received += data


class Body:
    """Marshals, little-endian, what `Manager` sends."""

    def __init__(self) -> None:
        self.data = bytearray()
        self._length_at = 0  # of the array that is being written: none is written inside another that way

    def align(self, to: int) -> None:
        self.data += bytes(-len(self.data) % to)

    def string(self, text: str) -> Body:
        self.align(4)
        encoded = text.encode()
        self.data += struct.pack("<I", len(encoded)) + encoded + b"\0"
        return self

    def signature(self, text: str) -> None:
        self.data += bytes((len(text),)) + text.encode() + b"\0"

    def begin_array(self, alignment: int) -> int:
        """Begins an array of elements that are aligned so; where the first one begins."""
        self.align(4)
        self.data += bytes(4)
        self._length_at = len(self.data) - 4
        self.align(alignment)
        return len(self.data)

    def end_array(self, start: int) -> None:
        struct.pack_into("<I", self.data, self._length_at, len(self.data) - start)

    def numbers(self, values: list[int]) -> None:
        """An array of unsigned numbers, `au`."""
        self.align(4)
        self.data += struct.pack(f"<{1 + len(values)}I", 4 * len(values), *values)

    def property(self, name: str, value: Value) -> None:
        """A struct (sv)."""
        kind, content = value
        self.align(8)
        self.string(name).signature(kind)
        if isinstance(content, str):
            self.string(content)
        elif isinstance(content, list):
            self.numbers(content)
        elif kind == "b":
            self.align(4)
            self.data += struct.pack("<I", content)
        else:
            self.align(8)
            self.data += struct.pack("<Q", content)


if __name__ == "__main__":
    main(sys.argv[1:])
