"""config.toml as the daemon reads it: what it makes of it, and that a fault names file, fault and remedy."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from coprocd.protocol.errors import CoprocdError
from coprocd.settings import SessionSettings, Settings, load

# What stands in the file, and what is said of it.
BROKEN = {
    "an unknown table": (b"[limit]\n", "there is no table 'limit', settings stand in [limits]"),
    "a setting outside of its table": (b"stall_timeout_s = 5\n", "there is no table 'stall_timeout_s'"),
    "an unknown setting": (b"[limits]\nstall_timeout = 5\n", "[limits] has no setting 'stall_timeout' (did you mean 'stall_timeout_s'?)"),
    "a setting like no other": (b"[limits]\nqqq = 5\n", "[limits] has no setting 'qqq';"),
    "a name that is not printable": (b'[limits]\n"\\u001b[31m" = 5\n', "[limits] has no setting '\\x1b[31m'"),
    "a text for a number": (b'[limits]\nstall_timeout_s = "5"\n', "in [limits]: Expected `float`, got `str` - at `stall_timeout_s`"),
    "a fraction for a count": (b"[limits]\nevents_most = 1.5\n", "Expected `int`, got `float` - at `events_most`"),
    "a value below its range": (b"[limits]\nstall_timeout_s = 0\n", "Expected `float` > 0.0 - at `stall_timeout_s`"),
    "a value above its range": (b"[limits]\nstderr_bytes = 1073741825\n", "Expected `int` <= 1073741824 - at `stderr_bytes`"),
    "no number": (b"[limits]\nstall_timeout_s = nan\n", "at `stall_timeout_s`"),
    "a word that is none of those": (b"[sessions]\nscope = 'sometimes'\n", "in [sessions]: Invalid enum value 'sometimes' - at `scope`"),
    "less memory than a job can run in": (b"[sessions]\nmemory_max = 5\n", "in [sessions]: Expected `int` >= 1048576 - at `memory_max`"),
    "a setting of the other table": (b"[limits]\nscope = 'never'\n", "[limits] has no setting 'scope'"),
    "a table in a table": (b"[limits.sessions]\nscope = 'never'\n", "[limits] has no setting 'sessions'"),
    "a value for the table": (b"limits = 5\n", "in [limits]: Expected `object`, got `int`"),
    "no TOML": (b"[limits\n", "at line 1"),
    "no UTF-8": (b"[limits]\n# caf\xe9\n", "utf-8"),
    "nesting": (b"[limits]\nx = " + b"[" * 100_000, "nested too deeply"),
}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


def test_without_a_file_all_is_as_shipped(config: Path) -> None:
    assert load(str(config)) == Settings()


def test_what_the_file_does_not_name_is_as_shipped(config: Path) -> None:
    config.write_text("[limits]\nstall_timeout_s = 10\nended_sessions_most = 20\n")
    assert load(str(config)) == Settings(stall_timeout_s=10, ended_sessions_most=20)


def test_each_table_sets_its_own(config: Path) -> None:
    config.write_text(
        "[limits]\nstall_timeout_s = 7\n[sessions]\nscope = 'never'\nmemory_max = 2000000000\ntasks_max = 9\nssh_auth_link = false\n"
    )
    found = load(str(config))
    assert found.stall_timeout_s == 7
    assert found.sessions == SessionSettings(scope="never", memory_max=2_000_000_000, tasks_max=9, ssh_auth_link=False)
    assert "sessions" not in found.limits() and found.limits()["stall_timeout_s"] == 7


@pytest.mark.parametrize(("content", "said"), BROKEN.values(), ids=BROKEN)
def test_a_fault_is_told_with_the_file_and_the_remedy(content: bytes, said: str, config: Path) -> None:
    """A file that was no UTF-8, or nested deeply, ended the daemon with a traceback in its log and nothing said."""
    config.write_bytes(content)
    with pytest.raises(CoprocdError) as caught:
        load(str(config))
    message = caught.value.message
    assert message.startswith(f"{config}: ") and said in message
    assert message.endswith("; correct it, or move the file away for the defaults")
    assert "\x1b" not in message


def test_a_file_that_cannot_be_read_is_named_once(config: Path) -> None:
    config.mkdir()
    with pytest.raises(CoprocdError) as caught:
        load(str(config))
    assert caught.value.message.count(os.fspath(config)) == 1 and "Is a directory" in caught.value.message
