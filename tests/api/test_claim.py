"""The socket is ours alone, and one daemon's at a time."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.api_server import short_directory

from coprocd.api.claim import claim_socket
from coprocd.protocol import places
from coprocd.protocol.errors import CoprocdError


@pytest.fixture
def directory() -> Iterator[Path]:
    with short_directory() as directory:
        yield directory


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def refusal(path: Path, inherited: socket.socket | None = None) -> CoprocdError:
    with pytest.raises(CoprocdError) as caught:
        claim_socket(str(path), inherited)
    return caught.value


@pytest.mark.parametrize("umask", [0o000, 0o022])
def test_the_directory_is_0700_and_the_socket_0600_whatever_the_umask(directory: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        claim = claim_socket(str(directory / "a" / "b" / "d.sock"))
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    assert [mode(directory / "a"), mode(directory / "a" / "b"), mode(directory / "a" / "b" / "d.sock")] == [0o700, 0o700, 0o600]
    assert mode(Path(places.lock_path(claim.path))) == 0o600
    claim.release(unlink=True)
    assert not os.path.exists(claim.path)


def test_a_symlinked_directory_is_refused(directory: Path) -> None:
    (directory / "real").mkdir(mode=0o700)
    (directory / "run").symlink_to(directory / "real")
    error = refusal(directory / "run" / "d.sock")
    assert (error.code, "symbolic link" in error.message) == ("permission_denied", True)


def test_a_directory_that_others_can_write_to_is_refused(directory: Path) -> None:
    (directory / "run").mkdir()
    (directory / "run").chmod(0o777)
    assert refusal(directory / "run" / "d.sock").code == "permission_denied"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_somebody_else_is_refused(directory: Path) -> None:
    (directory / "run").mkdir(mode=0o700)
    os.chown(directory / "run", 65534, 65534)
    assert "65534" in refusal(directory / "run" / "d.sock").message


def test_a_second_daemon_is_refused_and_told_the_first_ones_pid(directory: Path) -> None:
    claim = claim_socket(str(directory / "d.sock"))
    error = refusal(directory / "d.sock")
    assert (error.code, error.data["pid"]) == ("name_taken", str(os.getpid()))
    assert f"a daemon runs already on {claim.path}, pid {os.getpid()}" in error.message
    claim.release(unlink=True)
    claim_socket(str(directory / "d.sock")).release(unlink=True)


def test_the_lock_ends_with_the_process_that_held_it_and_its_stale_socket_is_replaced(directory: Path) -> None:
    script = "import os, sys; from coprocd.api.claim import claim_socket; c = claim_socket(sys.argv[1]); os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", script, str(directory / "d.sock")], check=False)
    assert (directory / "d.sock").is_socket()
    claim = claim_socket(str(directory / "d.sock"))
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(claim.path)
    claim.release(unlink=True)


def test_a_live_socket_without_a_lock_is_never_stolen(directory: Path) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(directory / "d.sock"))
        other.listen()
        assert "something listens" in refusal(directory / "d.sock").message
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(directory / "d.sock"))


def test_what_is_no_socket_is_left_in_its_place(directory: Path) -> None:
    (directory / "d.sock").write_text("precious")
    assert "is no socket" in refusal(directory / "d.sock").message
    assert (directory / "d.sock").read_text() == "precious"


def test_a_lock_that_is_a_symlink_is_refused(directory: Path) -> None:
    (directory / "precious").write_text("precious")
    Path(places.lock_path(str(directory / "d.sock"))).symlink_to(directory / "precious")
    assert refusal(directory / "d.sock").code == "permission_denied"
    assert (directory / "precious").read_text() == "precious"


def test_a_path_too_long_for_a_socket_is_refused_with_its_length(directory: Path) -> None:
    error = refusal(directory / ("x" * 100) / "d.sock")
    assert "107" in error.message
    assert not (directory / ("x" * 100)).exists()


def test_a_socket_handed_over_is_served_and_its_waiting_clients_with_it(directory: Path) -> None:
    first = claim_socket(str(directory / "d.sock"))
    handed_over = socket.socket(fileno=os.dup(first.socket.fileno()))
    first.release(unlink=False)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(first.path)
        second = claim_socket(first.path, handed_over)
        assert second.socket is handed_over
        accepted, _ = second.socket.accept()
        accepted.close()
    second.release(unlink=True)


def test_a_socket_handed_over_that_no_client_can_reach_is_bound_anew(directory: Path) -> None:
    first = claim_socket(str(directory / "d.sock"))
    handed_over = socket.socket(fileno=os.dup(first.socket.fileno()))
    first.release(unlink=True)
    second = claim_socket(first.path, handed_over)
    assert second.socket is not handed_over
    handed_over.close()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(second.path)
    second.release(unlink=True)


def test_a_socket_handed_over_that_does_not_listen_is_refused(directory: Path) -> None:
    with socket.socket(socket.AF_UNIX) as deaf:
        assert "no listening Unix socket" in refusal(directory / "d.sock", deaf).message
    claim_socket(str(directory / "d.sock")).release(unlink=True)


def test_of_two_sockets_handed_over_the_one_that_clients_reach_is_taken_whichever_comes_first(directory: Path) -> None:
    """The service manager's, after it took the path from a daemon that ran without it, and what that one left with the keeper."""
    for systemd_first in (True, False):
        old = claim_socket(str(directory / "d.sock"))
        keeper_s = socket.socket(fileno=os.dup(old.socket.fileno()))
        old.release(unlink=True)
        systemd_s = socket.socket(socket.AF_UNIX)
        systemd_s.bind(old.path)
        listen = f"import socket; socket.socket(fileno={systemd_s.fileno()}).listen()"
        subprocess.run([sys.executable, "-c", listen], pass_fds=[systemd_s.fileno()], check=True)
        claim = claim_socket(old.path, *((systemd_s, keeper_s) if systemd_first else (keeper_s, systemd_s)))
        assert claim.socket is systemd_s and keeper_s.fileno() == -1
        claim.release(unlink=True)


def test_a_socket_whose_backlog_is_full_is_taken(directory: Path) -> None:
    first = claim_socket(str(directory / "d.sock"), backlog=1)
    handed_over = socket.socket(fileno=os.dup(first.socket.fileno()))
    first.release(unlink=False)
    clients = []
    while True:
        clients.append(socket.socket(socket.AF_UNIX))
        clients[-1].setblocking(False)
        if clients[-1].connect_ex(first.path):
            break
    claim = claim_socket(first.path, handed_over, backlog=1)
    assert claim.socket is handed_over
    claim.release(unlink=True)
    for client in clients:
        client.close()
