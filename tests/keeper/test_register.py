"""The register, and what a keeper does with the jobs of one that was killed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.keeper import LoneKeeper, lone_keeper
from support.live import lives

from coprocd.keeper.register import LINES_MOST, Entry, Register

STUBBORN = "trap '' HUP TERM; echo up; while :; do sleep 1; done"


@pytest.fixture
def keeper() -> Iterator[LoneKeeper]:
    with lone_keeper() as started:
        yield started


def test_a_line_that_was_cut_short_counts_for_nothing_and_swallows_nothing(tmp_path: Path) -> None:
    path = tmp_path / "jobs"
    register = Register(str(path))
    register.rename("a", "one")
    with path.open("ab") as file:
        file.write(b'{"key":"b","lab')
    register.rename("c", "three")
    assert [(entry.key, entry.label) for entry in register.entries()] == [("a", "one"), ("c", "three")]
    register.remove()


@pytest.mark.parametrize("line", [b"[]", b"7", b'"x"', b"{}", b'{"key": 7}', b"\xff\xfe", b'{"key":"a","label":"b","pid":1}'], ids=repr)
def test_nonsense_in_the_register_is_passed_over(tmp_path: Path, line: bytes) -> None:
    (tmp_path / "jobs").write_bytes(line + b"\n")
    register = Register(str(tmp_path / "jobs"))
    assert all(entry.pid is None for entry in register.entries())
    register.remove()


def test_the_register_is_written_anew_when_much_of_it_is_over(tmp_path: Path) -> None:
    register = Register(str(tmp_path / "jobs"))
    for _ in range(LINES_MOST):
        register.rename("a", "again")
    register.compact_if_due(lambda: [Entry("a", "again", 7, 8)])
    assert (tmp_path / "jobs").stat().st_size > 10_000
    register.rename("a", "again")
    register.compact_if_due(lambda: [Entry("a", "again", 7, 8)])
    assert register.entries() == [Entry("a", "again", 7, 8)]
    assert (tmp_path / "jobs").stat().st_size < 100
    register.rename("a", "last")
    assert register.entries() == [Entry("a", "last", 7, 8)]
    register.remove()


def test_jobs_of_a_killed_keeper_that_nobody_claims_are_ended_and_told_of(keeper: LoneKeeper) -> None:
    user = keeper.user()
    pid, fds = user.spawn("session/one", STUBBORN, label="build")
    piped, pipes = user.spawn("session/two", STUBBORN, kind="pipes", label="tee")
    os.read(fds["master"], 100), os.read(pipes["stdout"], 100)
    user.spawn("session/gone", "exit 0", label="gone")
    user.ask("drop", key="session/gone")
    user.close()
    for fd in (*fds.values(), *pipes.values()):
        os.close(fd)
    keeper.kill()
    keeper.start()
    user = keeper.user()
    lost = user.ask("settle")[0]["lost"]
    assert lost == [{"key": "session/one", "label": "build", "pid": pid}, {"key": "session/two", "label": "tee", "pid": piped}]
    while lives(pid) or lives(piped):
        pass
    assert user.ask("settle")[0]["lost"] == []
    user.close()


def test_a_number_that_is_another_process_by_now_is_left_alone(keeper: LoneKeeper) -> None:
    user = keeper.user()
    pid, _ = user.spawn("session/one", "sleep 100")
    entry = json.loads(Path(keeper.register).read_text())
    other, _ = user.spawn("session/two", "sleep 100")
    user.close()
    keeper.kill()
    with Path(keeper.register).open("w") as file:
        file.write(json.dumps(entry | {"start": entry["start"] - 1}) + "\n")
    keeper.start()
    user = keeper.user()
    assert [told["key"] for told in user.ask("settle")[0]["lost"]] == ["session/one"]
    assert lives(pid)
    user.close()
    os.kill(pid, 9), os.kill(other, 9)


def test_an_orphan_that_is_claimed_is_kept_and_its_status_is_right(keeper: LoneKeeper) -> None:
    user = keeper.user()
    jobs = {key: user.spawn(key, command, kind="pipes") for key, command in (("exits", "read a; exit $a"), ("dies", "read a; kill -11 $$"))}
    user.close()
    keeper.kill()
    keeper.start()
    user = keeper.user()
    for key, (pid, fds) in jobs.items():
        held = {"pidfd": fds["pidfd"]}
        user.ask("hold", [*held.values()], key=key, names=[*held], label=key, job={"pid": pid, "status": None, "reaped": False})
    assert user.ask("settle")[0]["lost"] == []
    assert user.ask("signal", key="exits", signal=0)[0]["delivered"]
    for _, fds in jobs.values():
        os.write(fds["stdin"], b"42\n")
    assert user.ended("exits") == {"exit_status": 42, "signal": None}
    assert user.ended("dies") == {"exit_status": None, "signal": "SIGSEGV"}
    for key in jobs:
        user.ask("reap", key=key)
    assert all(job["reaped"] for job in user.ask("jobs")[0]["jobs"])
    user.close()


@pytest.mark.parametrize(
    "line",
    [
        *(b'{"key":"a","label":"b","pid":%s,"start":1}' % pid for pid in (b'"7"', b"-1", b"0", b"1", b"1e3", b"9" * 30, b"true", b"[]")),
        b'{"key":"a","label":"b","pid":7,"start":"x"}',
        b"[" * 100_000,
    ],
    ids=lambda line: repr(line[:60]),
)
def test_what_is_no_job_is_never_taken_for_one_and_keeps_no_keeper_from_its_work(keeper: LoneKeeper, line: bytes) -> None:
    user = keeper.user()
    user.spawn("job", STUBBORN)
    user.close()
    keeper.kill()
    with open(keeper.register, "ab") as file:
        file.write(line + b"\n")
    keeper.start()
    user = keeper.user()
    assert "job" in [job["key"] for job in user.ask("settle")[0]["lost"]]
    assert user.spawn("new", "exit 0")
    user.close()


def test_a_register_that_cannot_be_written_anew_is_kept_and_the_keeper_goes_on(keeper: LoneKeeper) -> None:
    user = keeper.user()
    user.spawn("job", STUBBORN)
    user.close()
    keeper.kill()
    os.mkdir(f"{keeper.register}.new")  # as a full disk would, for root too
    keeper.start()
    user = keeper.user()
    assert [job["key"] for job in user.ask("settle")[0]["lost"]] == ["job"]
    assert user.ask("settle")[0]["lost"] == []
    assert user.spawn("new", "exit 0")
    user.close()


def test_a_keeper_whose_register_and_socket_were_removed_ends_in_order(keeper: LoneKeeper) -> None:
    os.unlink(keeper.register)
    os.unlink(keeper.path)
    keeper.process.terminate()
    keeper.process.communicate()
    assert keeper.process.returncode == 0


def test_a_key_that_is_held_without_its_job_does_not_keep_the_job(keeper: LoneKeeper) -> None:
    """A keeper that is killed while it starts a coprocess: the daemon holds the record, knows of no job, and it is ended."""
    user = keeper.user()
    pid, _ = user.spawn("coprocess/one", STUBBORN, kind="pipes")
    user.close()
    keeper.kill()
    keeper.start()
    user = keeper.user()
    user.ask("hold", key="coprocess/one", names=[], label="tee")
    assert [job["pid"] for job in user.ask("settle")[0]["lost"]] == [pid]
    while lives(pid):
        pass
    user.close()


def stray(keeper: LoneKeeper) -> int:
    """A job of a killed keeper that is being ended, and will have to be killed."""
    user = keeper.user()
    pid, _ = user.spawn("job", STUBBORN, kind="pipes")
    user.close()
    keeper.kill()
    keeper.start()
    user = keeper.user()
    assert user.ask("settle")[0]["lost"]
    user.close()
    return pid


def test_a_job_that_is_being_ended_is_killed_also_when_the_keeper_is_renewed_meanwhile(keeper: LoneKeeper) -> None:
    pid = stray(keeper)
    user = keeper.user()
    user.ask("renew")
    while lives(pid):
        pass
    user.close()


def test_a_job_that_is_being_ended_is_killed_also_when_the_keeper_is_killed_meanwhile(keeper: LoneKeeper) -> None:
    pid = stray(keeper)
    keeper.kill()
    keeper.start()
    user = keeper.user()
    assert [job["pid"] for job in user.ask("settle")[0]["lost"]] == [pid]
    while lives(pid):
        pass
    user.close()


def test_a_job_that_is_being_ended_is_killed_before_the_keeper_ends(keeper: LoneKeeper) -> None:
    pid = stray(keeper)
    keeper.process.terminate()
    keeper.process.communicate()
    while lives(pid):
        pass
