"""`daemon restart` as the upgrade: to the next version and back with live sessions; one that cannot take over changes nothing."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.live import RAW_CAT, Live, RpcError, live

import coprocd


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The package that daemon and keeper run: a copy, to be changed as an upgrade changes it."""
    copy = shutil.copytree(Path(coprocd.__file__).parent, tmp_path / "coprocd", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")  # two changes within a second must both be seen
    return Path(copy)


@pytest.fixture
def daemon(installed: Path) -> Iterator[Live]:
    with live() as started:
        yield started


def change(path: Path, pattern: str, replacement: str) -> str:
    """Changes the one place in `path` that matches; the text as it was."""
    before = path.read_text()
    after, found = re.subn(pattern, replacement, before, flags=re.M)
    assert found == 1
    path.write_text(after)
    return before


def test_sessions_go_to_the_next_version_and_back(daemon: Live, installed: Path, tmp_path: Path) -> None:
    session = daemon.raw_cat(name="long", labels={"a": "b"})
    run = daemon.call("coprocess.run", session=session, command=f"cat > {tmp_path}/read", from_=0, input=False)
    keeper = daemon.pids()[1]
    state = installed / "runtime" / "session_state.py"
    versions = []
    for version in ("9.9.9", coprocd.__version__):
        change(installed / "__init__.py", r'^__version__ = ".*"', f'__version__ = "{version}"')
        if version == "9.9.9":  # a field that the old version does not know, and a slot behind its last
            old = change(state, r"^    variables: ", "    mood: str = 'calm'\n    variables: ")
            change(
                state,
                r"    def save\(self\) -> None:",
                "    def save(self) -> None:\n        self._segment.slots[-1] = 7\n        self.record.mood = 'bright'",
            )
        else:
            state.write_text(old)
        daemon.restart()
        info = daemon.call("daemon.info")
        versions.append(info["version"])
        assert info["keeper_pid"] == keeper
        daemon.call("session.send_text", session="long", text=version)
        daemon.call("session.resize", session="long", rows=10, cols=50)
        daemon.output(session, version.encode())
    assert versions == ["9.9.9", coprocd.__version__]
    shown = daemon.call("session.get", session="long")
    assert (shown["id"], shown["rows"], shown["labels"], shown["state"]) == (session, 10, {"a": "b"}, "running")
    observer = next(c for c in daemon.call("coprocess.list", session=session) if c["id"] == run["id"])
    assert (observer["pid"], observer["state"]) == (run["pid"], "running")
    text = b"ready\n9.9.9" + coprocd.__version__.encode()
    while (tmp_path / "read").read_bytes() != text:
        pass


def test_the_keeper_is_renewed_with_the_daemon_when_its_version_is_another(daemon: Live, installed: Path, tmp_path: Path) -> None:
    session = daemon.create(shell=f"{RAW_CAT}; exit 4")
    keeper = daemon.pids()[1]
    note = f"import os; open({str(tmp_path / 'seen')!r}, 'a').write(f'{{os.getpid()}} ')"
    change(installed / "__init__.py", r'^__version__ = ".*"', '__version__ = "9.9.9"')
    change(installed / "keeper" / "__init__.py", r"\Z", f"\n{note}\n")
    daemon.restart()
    assert str(keeper) in (tmp_path / "seen").read_text().split()
    daemon.call("session.send_text", session=session, text="on we go")
    daemon.output(session, b"on we go")
    daemon.call("session.signal", session=session, signal="TERM")
    assert daemon.client.event("session.exited", session=session)["signal"] == "SIGTERM"


CANNOT_TAKE_OVER = [
    ("runtime/session_state.py", r"^SCHEMA = 1", "SCHEMA = 2", "session state has layout 1, and this version reads layout 2"),
    ("runtime/output_log.py", r"^SCHEMA = 1", "SCHEMA = 2", "log state has layout 1, and this version reads layout 2"),
    ("runtime/coprocess_state.py", r"^SCHEMA = 1", "SCHEMA = 2", "coprocess state has layout 1, and this version reads layout 2"),
    ("runtime/intake.py", r"^SCHEMA = 1", "SCHEMA = 2", "intake state has layout 1"),
    ("daemon.py", r"^PROTOCOL = ", "PROTOCOL = = ", "SyntaxError|invalid syntax"),
    ("keeper/renewal.py", r"^LAYOUT = 1", "LAYOUT = 0", "installed keeper cannot take over"),
]
"""File, what is changed in it, and why the daemon that runs does not make way for what is then installed."""


def test_a_version_that_cannot_take_over_is_refused_before_anything_ends(daemon: Live, installed: Path) -> None:
    session = daemon.raw_cat()
    daemon.call("coprocess.run", session=session, command="cat >/dev/null", input=False)
    pids = daemon.pids()
    change(installed / "__init__.py", r'^__version__ = ".*"', '__version__ = "9.9.9"')
    for file, pattern, replacement, why in CANNOT_TAKE_OVER:
        before = change(installed / file, pattern, replacement)
        with pytest.raises(RpcError, match=why) as refused:
            daemon.call("daemon.restart")
        assert refused.value.code == "version_mismatch"
        (installed / file).write_text(before)
        assert daemon.pids() == pids
    daemon.call("session.send_text", session=session, text="unharmed")
    daemon.output(session, b"unharmed")
    daemon.restart()
    assert daemon.call("daemon.info")["version"] == "9.9.9"


def test_settings_that_the_next_daemon_would_refuse_are_refused_now(daemon: Live) -> None:
    pids = daemon.pids()
    config = Path(daemon.environment["XDG_CONFIG_HOME"]) / "coprocd"
    config.mkdir(parents=True)
    (config / "config.toml").write_text("[limits]\nno_such_limit = 1\n")
    with pytest.raises(RpcError, match="no_such_limit"):
        daemon.call("daemon.restart")
    assert daemon.pids() == pids
