"""A daemon that ends before it is ready: tried again with pauses, in the end given up loudly, and the sessions wait."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.live import RAW_CAT, live, lives

import coprocd


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package that daemon and keeper run: a copy, to be broken."""
    copy = shutil.copytree(Path(coprocd.__file__).parent, tmp_path / "coprocd", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    return Path(copy)


def test_sessions_wait_for_a_daemon_that_starts_again(installed: Path) -> None:
    with live() as daemon:
        session = daemon.raw_cat()
        pid, keeper = daemon.pids()
        log = Path(daemon.environment["XDG_STATE_HOME"]) / "coprocd" / "coprocd.log"
        broken = installed / "daemon.py"
        good = broken.read_text()
        broken.write_text("import sys\nsys.exit(3)\n")
        daemon.client.close()
        os.kill(pid, signal.SIGKILL)
        while "giving up" not in log.read_text():
            pass
        assert len(re.findall(r"daemon \d+ ended with exit status 3", log.read_text())) == 5
        assert "giving up: the daemon ended with exit status 3" in log.read_text()
        assert lives(keeper)
        failed = subprocess.run(
            [sys.executable, "-m", "coprocctl", "daemon", "start"], env=daemon.environment, capture_output=True, text=True, timeout=60
        )
        assert failed.returncode == 1 and "exit status 3" in failed.stderr and "coprocd.log" in failed.stderr
        broken.write_text(good)
        daemon.command("daemon", "start")
        daemon.subscribe()
        daemon.call("session.send_text", session=session, text="back")
        daemon.output(session, b"back")
        assert daemon.pids()[1] == keeper


def test_a_daemon_that_says_why_it_does_not_start_is_not_tried_again(installed: Path) -> None:
    with live() as daemon:
        session = daemon.create(shell=RAW_CAT)
        pid, _ = daemon.pids()
        log = Path(daemon.environment["XDG_STATE_HOME"]) / "coprocd" / "coprocd.log"
        config = Path(daemon.environment["XDG_CONFIG_HOME"]) / "coprocd" / "config.toml"
        config.parent.mkdir(parents=True)
        config.write_text("[limits]\nstall_timeout_s = -1\n")
        daemon.client.close()
        os.kill(pid, signal.SIGKILL)
        while "giving up" not in log.read_text():
            pass
        assert log.read_text().count("ended with exit status 1") == 1 and "stall_timeout_s" in log.read_text()
        config.unlink()
        daemon.command("daemon", "start")
        daemon.subscribe()
        assert daemon.call("session.get", session=session)["state"] == "running"


def test_daemons_that_were_ready_are_started_again_however_often_they_die(installed: Path) -> None:
    with live() as daemon:
        session = daemon.create(shell=RAW_CAT)
        for _ in range(8):
            pid, _ = daemon.pids()
            daemon.client.close()
            os.kill(pid, signal.SIGKILL)
            daemon.subscribe()
        assert daemon.call("session.get", session=session)["state"] == "running"
