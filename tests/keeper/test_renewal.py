"""The keeper becomes the installed version of itself: the same process, other code, everything kept."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.keeper import LoneKeeper, Refused, lone_keeper
from support.live import descriptors

import coprocd


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A copy of the package that the keeper runs, to be changed as an upgrade would."""
    return Path(shutil.copytree(Path(coprocd.__file__).parent, tmp_path / "coprocd", ignore=shutil.ignore_patterns("__pycache__")))


@pytest.fixture
def keeper(installed: Path) -> Iterator[LoneKeeper]:
    with lone_keeper(environment={"PYTHONPATH": str(installed.parent), "PYTHONDONTWRITEBYTECODE": "1"}) as started:
        yield started


def upgrade(installed: Path, text: str) -> None:
    with (installed / "keeper" / "__init__.py").open("a") as file:
        file.write(text)


def test_jobs_descriptors_and_connections_outlive_a_renewal(keeper: LoneKeeper, installed: Path, tmp_path: Path) -> None:
    user, other = keeper.user(), keeper.user()
    user.close()
    user = other
    pid, fds = user.spawn("job", "read a; echo got $a; exit 9")
    user.spawn("ended", "exit 3", kind="pipes")
    assert user.ended("ended")["exit_status"] == 3
    before = descriptors(keeper.process.pid)
    upgrade(installed, f"\nimport os\nopen({str(tmp_path / 'new')!r}, 'a').write(f'{{os.getpid()}}\\n')\n")
    user.ask("renew")
    assert str(keeper.process.pid) in (tmp_path / "new").read_text().split()
    assert {(job["key"], job["pid"]) for job in user.ask("jobs")[0]["jobs"]} >= {("job", pid)}
    assert descriptors(keeper.process.pid) == before
    os.write(fds["master"], b"it\n")
    assert user.ended("job") == {"exit_status": 9, "signal": None}
    user.ask("reap", key="ended")
    assert user.spawn("another", "exit 0")
    user.close()


def test_a_renewal_by_signal_keeps_a_client_that_is_connected(keeper: LoneKeeper, installed: Path, tmp_path: Path) -> None:
    user = keeper.user()
    upgrade(installed, f"\nopen({str(tmp_path / 'new')!r}, 'a').write('x')\n")
    os.kill(keeper.process.pid, signal.SIGHUP)
    while (tmp_path / "new").exists() is False or len((tmp_path / "new").read_text()) < 2:  # the one that is asked, and the one that is
        assert user.ask("jobs")
    assert user.spawn("job", "exit 0")
    user.close()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("\nthis is no python\n", "SyntaxError"),
        ("\nimport no_such_module\n", "ModuleNotFoundError"),
        ("\nimport sys\nsys.exit(3)\n", "exit status 3"),
    ],
    ids=("syntax", "missing", "exit"),
)
def test_installed_code_that_cannot_take_over_is_refused_and_nothing_is_harmed(
    keeper: LoneKeeper, installed: Path, change: str, why: str
) -> None:
    user = keeper.user()
    user.spawn("job", "read a; exit $a")
    upgrade(installed, change)
    with pytest.raises(Refused, match=why) as refused:
        user.ask("renew")
    assert refused.value.code == "version_mismatch"
    assert any(job["key"] == "job" for job in user.ask("jobs")[0]["jobs"])
    user.close()


def test_an_older_keeper_that_reads_less_than_is_handed_on_is_refused(keeper: LoneKeeper, installed: Path) -> None:
    user = keeper.user()
    renewal = installed / "keeper" / "renewal.py"
    renewal.write_text(renewal.read_text().replace("LAYOUT = 1", "LAYOUT = 0"))
    with pytest.raises(Refused, match="hands on layout 1, and this version reads up to 0"):
        user.ask("renew")
    user.close()


def test_a_message_that_had_come_only_in_part_is_read_on_by_the_new_code(keeper: LoneKeeper) -> None:
    from coprocd.keeper import wire

    user = keeper.user()
    frame = wire.encode({"op": "jobs", "id": 7})
    wire.send(user.socket, {"op": "renew", "id": 6})
    user.socket.sendall(frame[:5])
    while user.receive()[0].get("id") != 6:
        pass
    user.socket.sendall(frame[5:])
    assert user.receive()[0]["id"] == 7
    user.close()


def slow_start(installed: Path, tmp_path: Path) -> None:
    """Makes the installed keeper, when it has been renewed, wait with the start of its code until `go` is there."""
    upgrade(
        installed,
        f"\nimport os, sys, time\nif '--renewed' in sys.argv:\n    open({str(tmp_path / 'there')!r}, 'w').close()\n"
        f"    while not os.path.exists({str(tmp_path / 'go')!r}):\n        time.sleep(0.01)\n",
    )


def test_signals_that_come_while_the_keeper_becomes_another_wait_for_it(keeper: LoneKeeper, installed: Path, tmp_path: Path) -> None:
    user = keeper.user()
    _, fds = user.spawn("job", "read a; exit 9")
    slow_start(installed, tmp_path)
    os.kill(keeper.process.pid, signal.SIGHUP)
    while not (tmp_path / "there").exists():
        pass
    os.kill(keeper.process.pid, signal.SIGHUP)
    (tmp_path / "go").touch()
    os.write(fds["master"], b"x\n")
    assert user.ended("job")["exit_status"] == 9
    (tmp_path / "go").unlink(), (tmp_path / "there").unlink()
    os.kill(keeper.process.pid, signal.SIGHUP)
    while not (tmp_path / "there").exists():
        pass
    keeper.process.terminate()
    (tmp_path / "go").touch()
    keeper.process.communicate()
    assert keeper.process.returncode == 0
    user.close()


def test_a_field_that_only_a_later_version_knows_is_passed_over(keeper: LoneKeeper, installed: Path) -> None:
    holdings = installed / "keeper" / "holdings.py"
    holdings.write_text(holdings.read_text().replace('    label: str = ""\n', '    label: str = ""\n    later: int = 0\n'))
    user = keeper.user()
    user.spawn("job", "read a; exit 9")
    user.ask("renew")
    holdings.write_text(holdings.read_text().replace("    later: int = 0\n", ""))
    user.ask("renew")
    assert [job["key"] for job in user.ask("jobs")[0]["jobs"]] == ["job"]
    user.close()
