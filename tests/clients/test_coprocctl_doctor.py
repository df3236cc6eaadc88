"""`coprocctl doctor` without a daemon: it looks, names remedies, and starts and makes nothing."""

from __future__ import annotations

import os
from typing import Any

import pytest
from coprocctl.commands import doctor
from coprocctl_command import Command


def checks(coprocctl: Command, *args: str, **env: str) -> dict[str, list[dict[str, str]]]:
    """What it found, by subject."""
    import json

    found: dict[str, list[dict[str, str]]] = {}
    for check in json.loads(coprocctl("doctor", "--json", *args, **env).stdout):
        found.setdefault(check["subject"], []).append(check)
    return found


def test_a_fresh_place_is_in_order_and_stays_untouched(coprocctl: Command) -> None:
    done = coprocctl("doctor")
    assert done.returncode == 0, done.stdout.decode()
    assert {line.split()[0] for line in done.stdout.decode().splitlines() if not line.startswith(" ")} <= {"ok", "warn"}
    assert os.listdir(coprocctl.root) == []


def test_every_warning_and_failure_has_a_remedy(coprocctl: Command) -> None:
    for found in checks(coprocctl).values():
        assert all(check["remedy"] for check in found if check["state"] != "ok")


@pytest.mark.parametrize(("mode", "state", "status"), [(0o700, "ok", 0), (0o755, "warn", 0), (0o770, "fail", 1), (0o777, "fail", 1)])
def test_a_runtime_directory_that_others_can_write_to_fails(mode: int, state: str, status: int, coprocctl: Command) -> None:
    coprocctl.socket.parent.mkdir()
    coprocctl.socket.parent.chmod(mode)
    assert coprocctl("doctor").returncode == status
    (check,) = checks(coprocctl)["runtime dir"]
    assert check["state"] == state
    assert state == "ok" or "chmod 700" in check["remedy"]


def test_a_socket_in_tmp_itself_is_in_order(coprocctl: Command) -> None:
    """As the daemon has it: root's, with the sticky bit."""
    assert checks(coprocctl, "--socket", "/tmp/coprocctl-doctor.sock")["runtime dir"][0]["state"] == "ok"


def test_a_runtime_directory_that_is_a_symlink_fails(coprocctl: Command) -> None:
    (coprocctl.root / "elsewhere").mkdir(mode=0o700)
    coprocctl.socket.parent.symlink_to(coprocctl.root / "elsewhere")
    (check,) = checks(coprocctl)["runtime dir"]
    assert check["state"] == "fail"


def test_a_socket_whose_path_is_too_long_fails(coprocctl: Command) -> None:
    (check,) = checks(coprocctl, "--socket", "/tmp/" + "x" * 100 + "/coprocd.sock")["socket"]
    assert check["state"] == "fail"


@pytest.mark.parametrize(
    "content",
    [
        "limits = \n",
        "[limit]\n",
        "[limits]\nstall_timeout = 5\n",
        '[limits]\nstall_timeout_s = "5"\n',
        "[limits]\nstall_timeout_s = 0\n",
        "[limits]\nevents_most = 1.5\n",
    ],
)
def test_settings_that_the_daemon_refuses_fail_as_the_daemon_puts_it(content: str, coprocctl: Command) -> None:
    """Whatever was TOML was in order, and the daemon did not start."""
    config = coprocctl.root / "config" / "coprocd" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(content)
    done = coprocctl("doctor")
    assert done.returncode == 1
    (check,) = checks(coprocctl)["settings"]
    assert check["state"] == "fail" and check["said"].startswith(f"{config}: ") and check["remedy"]
    refused = coprocctl("daemon", "start").stderr.decode()
    assert f"{check['said']}; {check['remedy']}" in refused


def test_settings_that_the_daemon_takes_are_in_order(coprocctl: Command) -> None:
    config = coprocctl.root / "config" / "coprocd" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("[limits]\nstall_timeout_s = 10\n")
    (check,) = checks(coprocctl)["settings"]
    assert (check["state"], check["said"]) == ("ok", str(config))


def test_settings_in_a_directory_that_cannot_be_searched_fail(coprocctl: Command) -> None:
    """They counted as not there. (A file where a directory should be: root may search any.)"""
    (coprocctl.root / "config").write_text("")
    (check,) = checks(coprocctl)["settings"]
    assert check["state"] == "fail" and "Not a directory" in check["said"]


def test_an_installation_that_cannot_judge_the_settings_is_no_fault_of_theirs(coprocctl: Command) -> None:
    (coprocctl.root / "broken" / "msgspec").mkdir(parents=True)
    (coprocctl.root / "broken" / "msgspec" / "__init__.py").write_text("raise ImportError('broken')")
    path = f"{coprocctl.root / 'broken'}:{os.environ.get('PYTHONPATH', '')}"
    (check,) = checks(coprocctl, PYTHONPATH=path)["settings"]
    assert check["state"] == "fail" and "broken" in check["said"] and "install" in check["remedy"]


def test_a_log_that_cannot_be_made_fails(coprocctl: Command) -> None:
    (coprocctl.root / "file").write_text("")
    (check,) = checks(coprocctl, XDG_STATE_HOME=str(coprocctl.root / "file"))["log"]
    assert check["state"] == "fail"


@pytest.mark.parametrize("name", ["memfd_create", "pidfd_open", "splice"])
def test_a_platform_that_lacks_something_is_a_warning_that_says_what_is_lost(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, name)
    (check,) = [check for check in doctor.features() if check.subject == name]
    assert check.state == "warn" and check.said and check.remedy


@pytest.mark.parametrize(
    ("info", "state"),
    [
        ({"version": "9.9.9"}, "warn"),
        ({"protocol": {"min": 2, "max": 3}}, "fail"),
        ({"protocol": {"min": 0, "max": 0}}, "fail"),
        ({}, "ok"),
    ],
)
def test_a_daemon_of_another_version_is_named_with_what_to_do(info: dict[str, Any], state: str, peer: Any, coprocctl: Command) -> None:
    from coprocd import __version__

    said = {"version": __version__, "protocol": {"min": 1, "max": 1}, "pid": 1, "keeper_pid": 2, "uptime_s": 3.0, "sessions": 0, **info}
    peer(lambda request: {"result": said})
    (check,) = checks(coprocctl)["daemon"]
    assert check["state"] == state
    assert bool(check["remedy"]) == (state != "ok")
