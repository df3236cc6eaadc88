"""The keeper's operations, asked for over its wire by one who is not always polite."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.keeper import KeeperUser, LoneKeeper, Refused, lone_keeper
from support.live import descriptors, lives

from coprocd.keeper import wire
from coprocd.keeper.process import CLIENTS_MOST


@pytest.fixture(scope="module")
def keeper() -> Iterator[LoneKeeper]:
    with lone_keeper() as started:
        yield started


@pytest.fixture
def user(keeper: LoneKeeper) -> Iterator[KeeperUser]:
    connected = keeper.user()
    yield connected
    connected.close()


def read_all(fd: int) -> bytes:
    data = b""
    try:
        while piece := os.read(fd, 4096):
            data += piece
    except OSError:  # EIO: the other end of a terminal is closed
        pass
    return data


def test_a_job_on_a_pty_is_leader_of_its_own_session_and_its_status_is_told(user: KeeperUser) -> None:
    pid, fds = user.spawn("pty", "stty size; exit 7")
    assert os.getsid(pid) == pid and read_all(fds["master"]) == b"24 80\r\n"
    assert user.ended("pty") == {"exit_status": 7, "signal": None}


def test_a_job_on_pipes_has_three_and_its_signal_is_told(user: KeeperUser) -> None:
    _, fds = user.spawn("pipes", "read a; echo out $a; echo err >&2; kill -9 $$", kind="pipes")
    os.write(fds["stdin"], b"x\n")
    assert (read_all(fds["stdout"]), read_all(fds["stderr"])) == (b"out x\n", b"err\n")
    assert user.ended("pipes") == {"exit_status": None, "signal": "SIGKILL"}


def test_a_job_whose_pipes_are_joined_has_nothing_to_read_and_one_output(user: KeeperUser) -> None:
    _, fds = user.spawn("joined", "cat; echo out; echo err >&2; echo out", kind="pipes", joined=True)
    assert fds.keys() - {"pidfd"} == {"stdout"} and read_all(fds["stdout"]) == b"out\nerr\nout\n"


def test_the_whole_group_of_a_job_is_signalled_also_when_its_leader_has_ended(user: KeeperUser) -> None:
    _, fds = user.spawn("group", "sleep 100 & echo $!; exit 0", kind="pipes")
    child = int(os.read(fds["stdout"], 100))
    assert user.ended("group")["exit_status"] == 0 and lives(child)
    assert user.ask("signal", key="group", signal=int(signal.SIGKILL))[0]["delivered"]
    assert read_all(fds["stdout"]) == b""
    user.ask("reap", key="group")
    assert not user.ask("signal", key="group", signal=int(signal.SIGKILL))[0]["delivered"]


GOOD: dict[str, Any] = {"key": "bad", "kind": "pty", "argv": ["/bin/true"], "env": {}, "cwd": "/", "rows": 24, "cols": 80, "names": []}


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": 7},
        {"argv": []},
        {"argv": "true"},
        {"argv": ["/bin/true", 7]},
        {"argv": ["/bin/true\0"]},
        {"env": {"A": None}},
        {"env": {"A=B": "c"}},
        {"env": {"A": "\0"}},
        {"rows": 0},
        {"rows": 1 << 16},
        {"cols": "80"},
        {"kind": "socket"},
        {"kind": "pipes"},
        {"cwd": None},
        {"names": ["log"]},
        {"names": "log"},
    ],
    ids=str,
)
def test_a_spawn_that_makes_no_sense_is_refused_and_the_connection_goes_on(user: KeeperUser, wrong: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refused:
        user.ask("spawn", **(GOOD | wrong))
    assert refused.value.code == "bad_operation"
    assert all(job["key"] != "bad" for job in user.ask("jobs")[0]["jobs"])


@pytest.mark.parametrize(
    ("op", "fields"),
    [
        ("signal", {"key": "held", "signal": 999}),
        ("signal", {"key": "held", "signal": "TERM"}),
        ("hold", {"key": "held", "names": ["a"]}),
        ("hold", {"key": "held", "names": ["a", "a"]}),
        ("hold", {"key": "held", "names": [], "job": {"pid": "1"}}),
        ("drop", {"names": ["a"]}),
        ("drop", {"key": "held", "names": [7]}),
        ("reap", {}),
        ("dance", {"key": "held"}),
    ],
    ids=str,
)
def test_an_operation_that_makes_no_sense_is_refused_and_the_connection_goes_on(user: KeeperUser, op: str, fields: dict[str, Any]) -> None:
    user.spawn("held", "sleep 100")
    with pytest.raises(Refused) as refused:
        user.ask(op, **fields)
    assert refused.value.code in ("bad_operation", "unknown_operation")
    user.ask("drop", key="held")


def test_a_key_has_one_job(user: KeeperUser) -> None:
    user.spawn("one", "sleep 100")
    with pytest.raises(Refused) as refused:
        user.spawn("one", "sleep 100")
    assert refused.value.code == "key_taken"
    user.ask("drop", key="one")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"cwd": "/no/such/place"}, "No such file or directory"),
        ({"argv": ["/no/such/program"]}, "not executable"),
        ({"argv": ["/etc/passwd"]}, "not executable"),
        ({"argv": ["/bin/true", "x" * (3 << 17)]}, "Argument list too long"),
    ],
    ids=("directory", "program", "not executable", "too long"),
)
def test_a_job_that_cannot_start_leaves_nothing_behind(change: dict[str, Any], reason: str) -> None:
    with lone_keeper() as keeper:
        user = keeper.user()
        children = Path(f"/proc/{keeper.process.pid}/task/{keeper.process.pid}/children")
        before = descriptors(keeper.process.pid), children.read_text()
        for _ in range(5):
            with pytest.raises(Refused, match=reason) as refused:
                user.ask("spawn", **(GOOD | change))
            assert refused.value.code == "spawn_failed"
        assert (descriptors(keeper.process.pid), children.read_text()) == before
        user.close()


def test_a_program_that_is_no_executable_format_says_so(user: KeeperUser, tmp_path: Path) -> None:
    program = tmp_path / "empty"
    program.write_bytes(b"\x7fELF nonsense")
    program.chmod(0o755)
    with pytest.raises(Refused, match="Exec format error"):
        user.ask("spawn", **(GOOD | {"argv": [str(program)]}))


def test_descriptors_are_held_under_their_names_and_closed_when_dropped(keeper: LoneKeeper, user: KeeperUser) -> None:
    before = descriptors(keeper.process.pid)
    read_end, write_end = os.pipe()
    user.ask("hold", fds=[write_end], key="pipe", names=["end"])
    os.close(write_end)
    assert descriptors(keeper.process.pid) == before + 1
    part, fds = user.ask("holdings")
    while "jobs" not in part:
        for (key, name), fd in zip(part["part"], fds, strict=True):
            if (key, name) == ("pipe", "end"):
                os.write(fd, b"from a duplicate")
            os.close(fd)
        part, fds = user.receive()
    assert os.read(read_end, 100) == b"from a duplicate"
    user.ask("drop", key="pipe", names=["end"])
    assert os.read(read_end, 100) == b""
    os.close(read_end)


def test_dropping_a_job_kills_it_and_gives_its_pid_back(keeper: LoneKeeper, user: KeeperUser) -> None:
    pid, _ = user.spawn("stubborn", "trap '' HUP TERM; sleep 100")
    handle = os.pidfd_open(pid)
    user.ask("drop", key="stubborn")
    while Path(f"/proc/{pid}").exists():
        pass
    os.close(handle)


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\xff\xff\xff\xff", b"\0\0\0\x02[]", b'\0\0\0\x05{"a":'], ids=repr)
def test_one_who_speaks_another_protocol_is_cut_off_and_nobody_else(keeper: LoneKeeper, user: KeeperUser, garbage: bytes) -> None:
    stranger = KeeperUser(keeper.path, greet=False)
    stranger.socket.sendall(garbage)
    stranger.socket.shutdown(socket.SHUT_WR)
    try:
        while True:
            stranger.receive()
    except (EOFError, ConnectionResetError):
        pass
    stranger.close()
    assert user.ask("jobs")


def test_a_peer_of_another_version_is_told_which_side_to_upgrade(keeper: LoneKeeper) -> None:
    stranger = KeeperUser(keeper.path, greet=False)
    wire.send(stranger.socket, {"version": 99, "min": 98, "role": "daemon"})
    message, _ = stranger.receive()
    assert message["error"]["code"] == "version_mismatch" and "upgrade this side" in message["error"]["message"]
    stranger.close()


def test_one_that_reads_nothing_is_cut_off_and_the_others_are_served(keeper: LoneKeeper) -> None:
    deaf = KeeperUser(keeper.path, role="starter")
    deaf.socket.settimeout(None)
    try:
        while True:
            wire.send(deaf.socket, {"op": "jobs", "id": 1})
    except (BrokenPipeError, ConnectionResetError):
        pass
    deaf.close()
    other = keeper.user()
    assert other.ask("jobs")
    other.close()


def test_without_descriptors_a_job_is_refused_with_counts_and_later_there_is_room() -> None:
    with lone_keeper(limit=100) as small:
        user = small.user()
        started = 0
        with pytest.raises(Refused, match=r"\d+ of 100 descriptors") as refused:
            for started in range(100):
                for fd in user.spawn(f"job {started}", "sleep 100")[1].values():
                    os.close(fd)
        assert refused.value.code == "resource_exhausted" and started > 5
        user.ask("drop", key="job 0")
        user.spawn("another", "sleep 100")
        user.close()


def test_of_too_many_connections_the_oldest_are_cut_off_and_the_daemon_is_not(keeper: LoneKeeper, user: KeeperUser) -> None:
    before = descriptors(keeper.process.pid)
    crowd = [KeeperUser(keeper.path, greet=False) for _ in range(3 * CLIENTS_MOST)]
    assert user.spawn("job", "exit 0")
    assert descriptors(keeper.process.pid) < before + CLIENTS_MOST + 20
    for other in crowd:
        other.close()
