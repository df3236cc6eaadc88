"""What `doctor` says of systemd, from files and answers made up for it."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from coprocctl import service_checks, units
from coprocctl_command import Command


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place that looks like a machine that systemd has booted, with this user's instance."""
    for name in ("booted", "linger", "run/systemd", "config"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "run/systemd/private").touch()
    monkeypatch.setattr(service_checks, "BOOTED", str(tmp_path / "booted"))
    monkeypatch.setattr(service_checks, "LINGER", str(tmp_path / "linger"))
    monkeypatch.setattr(service_checks, "LOGIND", tuple(str(tmp_path / place) for place in ("etc", "run", "usr")))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What systemd answers, by the last word of the question."""
    said = {"is-system-running": "running", units.SOCKET: "enabled", "KillUserProcesses": "b false"}
    monkeypatch.setattr(service_checks, "ask", lambda *command: said.get(command[-1], ""))
    return said


def found(subject: str) -> service_checks.Check:
    (check,) = [check for check in service_checks.checks() if check.subject == subject]
    assert check.remedy or check.state == "ok"
    return check


def install() -> None:
    os.makedirs(units.user_directory())
    for unit in units.units():
        Path(unit.path).write_text(unit.text)


def linger(machine: Path) -> None:
    import pwd

    (machine / "linger" / pwd.getpwuid(os.getuid()).pw_name).touch()


def test_where_systemd_is_not_the_manager_nothing_is_said(machine: Path, answers: dict[str, str]) -> None:
    (machine / "booted").rmdir()
    assert list(service_checks.checks()) == []


def test_all_is_in_order_with_units_and_linger(machine: Path, answers: dict[str, str]) -> None:
    install()
    linger(machine)
    assert [check.state for check in service_checks.checks()] == ["ok"] * 4


def test_an_instance_that_does_not_run_or_answer_is_named(machine: Path, answers: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    answers["is-system-running"] = ""
    assert "does not answer" in found("systemd").said
    (machine / "run/systemd/private").unlink()
    assert "no instance" in found("systemd").said
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert "XDG_RUNTIME_DIR" in found("systemd").said


def test_units_are_absent_current_stale_changed_or_not_enabled(machine: Path, answers: dict[str, str]) -> None:
    assert found("units").state == "ok" and "not installed" in found("units").said
    install()
    assert found("units").state == "ok"
    answers[units.SOCKET] = "disabled"
    assert "not enabled" in found("units").said
    path = Path(units.user_directory(), units.DAEMON)
    text = path.read_text()
    stale = "[Service]\nExecStart=/gone/python -m coprocd\n"
    path.write_text(f"{units.MARK}{units.checksum(stale)}\n{stale}")
    assert "not as this version writes them" in found("units").said and "--force" not in found("units").remedy
    path.write_text(text + "Nice=5\n")
    assert "changed" in found("units").said and "--force" in found("units").remedy


def test_what_a_logout_ends_is_told(machine: Path, answers: dict[str, str]) -> None:
    assert found("linger").state == "warn" and found("logout").state == "ok"
    answers["KillUserProcesses"] = "b true"
    assert found("logout").state == "warn"
    install()
    linger(machine)
    assert found("linger").state == found("logout").state == "ok"


@pytest.mark.parametrize(
    ("files", "kills"),
    [
        ({}, False),
        ({"usr/logind.conf": "no", "etc/logind.conf": "yes"}, True),
        ({"etc/logind.conf": "yes", "usr/logind.conf.d/10.conf": "no"}, False),
        ({"usr/logind.conf.d/10.conf": "yes", "etc/logind.conf.d/10.conf": "no"}, False),
        ({"usr/logind.conf.d/20.conf": "yes", "etc/logind.conf.d/10.conf": "no"}, True),
        ({"etc/logind.conf.d/10.txt": "yes"}, False),
    ],
)
def test_without_logind_s_answer_its_files_are_read_as_it_would(
    files: dict[str, str], kills: bool, machine: Path, answers: dict[str, str]
) -> None:
    del answers["KillUserProcesses"]
    for name, value in files.items():
        (machine / name).parent.mkdir(parents=True, exist_ok=True)
        (machine / name).write_text(f"[Login]\n#KillUserProcesses=maybe\nKillUserProcesses={value}\n")
    assert service_checks.kill_user_processes(service_checks.LOGIND) is kills


def test_a_question_that_is_not_answered_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_checks, "ASK_TIMEOUT_S", 0.1)
    assert service_checks.ask("sleep", "1000") == "" and service_checks.ask("/nowhere/command") == ""


def test_the_units_are_used_only_for_their_own_socket_and_where_the_user_s_systemd_runs(machine: Path) -> None:
    own = str(machine / "run" / "coprocd" / "coprocd.sock")
    assert not units.answer_for(own)
    install()
    assert units.answer_for(own) and not units.answer_for(str(machine / "coprocd.sock"))
    (machine / "run/systemd/private").unlink()
    assert not units.answer_for(own)


def test_logs_point_to_the_journal_where_systemd_runs_the_daemon(coprocctl: Command) -> None:
    runtime = coprocctl.root / "run"
    (runtime / "systemd").mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as private:
        private.bind(str(runtime / "systemd" / "private"))
        env = {"XDG_RUNTIME_DIR": str(runtime), "COPROCD_RUNTIME_DIR": str(runtime / "coprocd")}
        coprocctl.text("daemon", "install-units", **env)
        done = coprocctl("daemon", "logs", **env)
        assert done.returncode == 1 and b"journalctl --user -u coprocd.service" in done.stderr
