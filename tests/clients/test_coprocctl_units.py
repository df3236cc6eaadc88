"""`coprocctl daemon install-units`, and what systemd says to the units."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from coprocctl import units
from coprocctl_command import Command

ROOT = Path(__file__).parent.parent.parent
VERIFIED = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")


@pytest.fixture
def installed(coprocctl: Command) -> Path:
    """The directory with the units, freshly installed."""
    coprocctl.text("daemon", "install-units")
    return coprocctl.root / "config" / "systemd" / "user"


def test_units_name_this_python_by_its_path_and_what_to_do_next_is_said(coprocctl: Command) -> None:
    said = coprocctl.text("daemon", "install-units")
    directory = coprocctl.root / "config" / "systemd" / "user"
    assert sorted(os.listdir(directory)) == ["coprocd-keeper.service", "coprocd.service", "coprocd.socket"]
    for name in ("coprocd-keeper.service", "coprocd.service"):
        assert f"\nExecStart={sys.executable} -P -m coprocd" in (directory / name).read_text()
    for step in ("systemctl --user daemon-reload", "systemctl --user enable --now coprocd.socket", "loginctl enable-linger"):
        assert step in said
    assert "stop --all" not in said


def test_a_second_time_nothing_is_written(installed: Path, coprocctl: Command) -> None:
    before = {path: path.stat().st_ino for path in installed.iterdir()}
    assert coprocctl.json("daemon", "install-units") == {"written": [], "current": [str(installed / unit) for unit in units.USER_UNITS]}
    assert {path: path.stat().st_ino for path in installed.iterdir()} == before


def test_what_somebody_has_changed_is_not_overwritten_unless_forced(installed: Path, coprocctl: Command) -> None:
    changed = installed / "coprocd.service"
    changed.write_text(changed.read_text().replace("RestartSec=100ms", "RestartSec=5s"))
    (installed / "coprocd.socket").unlink()
    done = coprocctl("daemon", "install-units")
    assert done.returncode == 4 and str(changed).encode() in done.stderr
    assert "RestartSec=5s" in changed.read_text() and not (installed / "coprocd.socket").exists()
    coprocctl.text("daemon", "install-units", "--force")
    assert "RestartSec=100ms" in changed.read_text()


def test_what_an_earlier_version_wrote_is_replaced_without_asking(installed: Path, coprocctl: Command) -> None:
    earlier = "[Service]\nExecStart=/gone/python -m coprocd\n"
    (installed / "coprocd.service").write_text(f"{units.MARK}{units.checksum(earlier)}\n{earlier}")
    assert coprocctl.json("daemon", "install-units")["written"] == [str(installed / "coprocd.service")]


@pytest.mark.parametrize("system", [False, True])
def test_print_shows_them_and_writes_nothing(system: bool, coprocctl: Command) -> None:
    shown = coprocctl.text("daemon", "install-units", "--print", *(["--system"] if system else []))
    for unit in units.SYSTEM_UNITS if system else units.USER_UNITS:
        assert f"{unit}\n{units.MARK}" in shown
    assert os.listdir(coprocctl.root) == []


def test_a_daemon_that_the_units_would_meet_is_named(coprocctl: Command) -> None:
    coprocctl.text("daemon", "start")
    try:
        assert "coprocctl daemon stop --all" in coprocctl.text("daemon", "install-units")
    finally:
        coprocctl.text("daemon", "stop", "--all")


@pytest.mark.parametrize(
    ("path", "word"),
    [("/usr/bin/python3", "/usr/bin/python3"), ("/a b/python", '"/a b/python"'), ("/50%/$x/python", "/50%%/$$x/python")],
)
def test_a_path_is_a_word_of_a_command_line_whatever_is_in_it(path: str, word: str) -> None:
    assert units.quoted(path) == word


@VERIFIED
def test_systemd_finds_nothing_wrong_with_the_user_units(installed: Path, tmp_path: Path) -> None:
    env = os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)}
    command = ["systemd-analyze", "--user", "verify", *(str(installed / unit) for unit in units.USER_UNITS)]
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@VERIFIED
def test_systemd_finds_nothing_wrong_with_the_system_units(tmp_path: Path) -> None:
    for unit in units.units(system=True):
        (tmp_path / unit.name.replace("@", "@root")).write_text(unit.text)
    command = ["systemd-analyze", "verify", *map(str, sorted(tmp_path.iterdir()))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@VERIFIED
@pytest.mark.parametrize(("scope", "unit", "most"), [("--user", "coprocd.service", 6.5), ("--system", "system/coprocd@.service", 3.0)])
def test_the_daemon_is_no_more_exposed_than_documented(scope: str, unit: str, most: float, tmp_path: Path) -> None:
    path = tmp_path / os.path.basename(unit).replace("@", "@root")
    path.write_text(units.render(unit))
    command = ["systemd-analyze", scope, "security", "--offline=true", f"--threshold={most * 10:.0f}", str(path)]
    env = os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stdout[-200:] + done.stderr


def test_nothing_of_the_daemon_s_hardening_reaches_a_job() -> None:
    """The keeper's unit sets nothing that a process inherits and a job of the user's would miss."""
    for unit in ("coprocd-keeper.service", "system/coprocd-keeper@.service"):
        settings = {line.partition("=")[0] for line in units.render(unit).splitlines() if "=" in line and not line.startswith("#")}
        inherited = ("Protect", "Private", "Restrict", "System", "NoNew", "Memory", "Lock", "Capability", "UMask", "OOMScore", "IPAddress")
        assert [name for name in settings if name.startswith(inherited)] == []


def test_the_wheel_holds_the_units(tmp_path: Path) -> None:
    """Built from a copy, so that nothing is left in the tree."""
    hatchling = pytest.importorskip("hatchling.build", reason="built where hatchling is installed")
    assert hatchling
    copy = tmp_path / "tree"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache"))
    build = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", build, str(tmp_path)], cwd=copy, capture_output=True, text=True, check=True)
    names = zipfile.ZipFile(tmp_path / done.stdout.splitlines()[-1]).namelist()
    for unit in (*units.USER_UNITS, *(f"system/{unit}" for unit in units.SYSTEM_UNITS)):
        assert f"coprocctl/systemd/{unit}" in names
