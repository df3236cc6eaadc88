"""The way into a scope, with a socket in systemd's place: whatever it does, the job runs, and as it would have run without."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.api_server import short_directory
from support.live import live

from coprocd.platform import scope as program
from coprocd.runtime import scope
from coprocd.settings import SessionSettings

UNIT = "coprocd-s1.scope"
JOB = ["/bin/sh", "-c", "printf '%s|' $$ \"$@\"; grep SigIgn /proc/$$/status; cat /proc/$$/environ", "sh", "a b", ""]
ENVIRONMENT = {b"PATH": os.environb[b"PATH"], b"A b": b"\xff\n", b"EMPTY": b"", b"BASH_FUNC_x%%": b"() { :; }"}


@pytest.fixture
def path() -> Iterator[str]:
    with short_directory() as directory:
        yield str(directory / "private")


def run(manager: str, join: bool = False) -> None:
    """Runs the job behind the program: its pid, arguments, signals and environment are what they would have been."""
    command = [sys.executable, "-I", "-S", program.__file__, manager, UNIT, str(int(join)), "1048576", "0", "--"]
    with subprocess.Popen([*command, *JOB], env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        printed, said = process.communicate(timeout=60)
    line, _, environ = printed.partition(b"\n")
    assert (said, process.returncode) == (b"", 0)
    assert line.split() == [b"%d|a" % process.pid, b"b||SigIgn:", b"0" * 16]
    assert dict(entry.split(b"=", 1) for entry in environ.split(b"\0")[:-1]) == ENVIRONMENT


def served(path: str, *answers: Callable[[bytes], bytes]) -> threading.Thread:
    """Listens at `path`, and answers one client's calls, each once it is whole. Then it is silent, until the client goes."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen()

    def serve() -> None:
        with listening, listening.accept()[0] as client:
            received = b""
            while b"BEGIN\r\n" not in received:
                received += client.recv(65536)
            client.sendall(b"OK 0123\r\n")
            received = received.partition(b"BEGIN\r\n")[2]
            for answer in answers:
                while len(received) < 16 or len(received) < size(received):
                    data = client.recv(65536)
                    if not data:
                        return
                    received += data
                client.sendall(answer(received[: size(received)]))
                received = received[size(received) :]
            while client.recv(65536):
                pass

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


def size(message: bytes) -> int:
    """The bytes of the D-Bus message that begins so."""
    _, _, _, _, body, _, fields = struct.unpack_from("<BBBBIII", message)
    return int(16 + fields + -fields % 8 + body)


def message(kind: int, member: str, *strings: str) -> bytes:
    """A D-Bus message with strings in its body, and no more in its header than a member."""
    fields, body = program.Body(), program.Body()
    fields.data += b"\x03"
    fields.signature("s")
    fields.string(member)
    for text in strings:
        body.string(text)
    header = struct.pack("<BBBBIII", ord("l"), kind, 0, 1, len(body.data), 1, len(fields.data)) + fields.data
    return header + bytes(-len(header) % 8) + body.data


RETURN, ERROR, SIGNAL = 2, 3, 4


def test_the_job_runs_as_without_when_no_systemd_is_there(path: str) -> None:
    run(path)
    run(path, join=True)


def test_the_scope_is_asked_for_with_this_process_and_its_limits_and_awaited(path: str) -> None:
    asked: list[bytes] = []

    def answer(call: bytes) -> bytes:
        asked.append(call)
        other = message(SIGNAL, "JobRemoved", "/job/1", "other.scope", "done")
        return message(RETURN, "", "/job/2") + other + message(SIGNAL, "JobRemoved", "/job/2", UNIT, "done")

    thread = served(path, answer)
    run(path)
    thread.join()
    (call,) = asked
    assert all(word in call for word in (b"StartTransientUnit", UNIT.encode(), b"PIDs", b"MemoryMax", b"Delegate", b"app-coprocd.slice"))
    assert struct.pack("<Q", 1 << 20) in call and b"TasksMax" not in call


def test_a_systemd_that_does_not_know_a_property_is_asked_without_it(path: str) -> None:
    asked: list[bytes] = []

    def refuse(call: bytes) -> bytes:
        asked.append(call)
        return message(ERROR, "", "Cannot set property OOMPolicy, or unknown property.")

    def grant(call: bytes) -> bytes:
        asked.append(call)
        return message(SIGNAL, "JobRemoved", "/job/1", UNIT, "done")

    thread = served(path, refuse, grant)
    run(path)
    thread.join()
    assert [b"OOMPolicy" in call for call in asked] == [True, False]


def test_a_coprocess_waits_a_moment_for_the_scope_of_its_session(path: str) -> None:
    asked: list[bytes] = []

    def refuse(call: bytes) -> bytes:
        asked.append(call)
        return message(ERROR, "", f"Unit {UNIT} not loaded.")

    def grant(call: bytes) -> bytes:
        asked.append(call)
        return message(RETURN, "")

    thread = served(path, refuse, refuse, grant)
    run(path, join=True)
    thread.join()
    assert len(asked) == 3 and all(b"AttachProcessesToUnit" in call and UNIT.encode() in call for call in asked)


@pytest.mark.parametrize(
    "answer",
    [
        lambda _: b"",
        lambda _: message(ERROR, "", "no"),
        lambda _: message(SIGNAL, "JobRemoved", "/job/1", UNIT, "failed"),
        lambda _: b"B" + message(ERROR, "")[1:],
        lambda _: b"\0" * 100,
    ],
    ids=["is silent", "refuses", "fails", "speaks another byte order", "speaks nonsense"],
)
def test_the_job_runs_as_without_when_systemd(answer: Callable[[bytes], bytes], path: str) -> None:
    thread = served(path, answer, answer)
    run(path)
    thread.join()


def test_what_cannot_be_executed_ends_with_126_and_says_so(path: str, tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"\x7fELF")
    (tmp_path / "empty").chmod(0o755)
    command = [sys.executable, "-I", "-S", program.__file__, path, UNIT, "0", "0", "0", "--", str(tmp_path / "empty")]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 126 and b"Exec format error" in done.stderr


def test_the_job_runs_though_a_daemon_of_another_version_asks_in_another_way(path: str) -> None:
    for said in ([], [path], [path, UNIT, "0", "0", "0", "new"], [path, UNIT, "x", "0", "0"]):
        done = subprocess.run(
            [sys.executable, "-I", "-S", program.__file__, *said, "--", "/bin/echo", "--", "here"], capture_output=True, check=True
        )
        assert (done.stdout, done.stderr) == (b"-- here\n", b"")


def test_only_a_daemon_of_the_user_s_systemd_asks_by_itself(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", os.path.dirname(path))
    os.mkdir(f"{os.path.dirname(path)}/systemd")
    Path(f"{os.path.dirname(path)}/systemd/private").touch()
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert [scope.wanted(SessionSettings(scope=how)) for how in ("auto", "always", "never")] == [False, True, False]
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/notify")
    assert [scope.wanted(SessionSettings(scope=how)) for how in ("auto", "always", "never")] == [True, True, False]
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert [scope.wanted(SessionSettings(scope=how)) for how in ("auto", "always", "never")] == [False, True, False]


def test_a_session_and_a_coprocess_run_where_a_scope_is_always_wanted_and_never_had() -> None:
    with live() as daemon:
        os.makedirs(f"{daemon.directory}/c/coprocd", exist_ok=True)
        Path(f"{daemon.directory}/c/coprocd/config.toml").write_text("[sessions]\nscope = 'always'\n")
        daemon.restart()
        session = daemon.create(shell="read x; echo got $x; exit 5", coprocess={"command": "echo typed"})
        assert b"got typed\r\n" in daemon.output(session)
        assert daemon.client.event("session.exited", session=session)["exit_status"] == 5
