"""The command line itself: help, usage errors, exit statuses, and what is imported for it."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from coprocctl import commands
from coprocctl.__main__ import main
from coprocctl_command import COPROCCTL, Command

NAMES = [name for name, _, _ in commands.rows()]
# With arguments that are well-formed; `new`, `demo` and `daemon start` start a daemon, `completion` and others need none.
NEED_A_DAEMON = {
    "list": [],
    "logs": ["x"],
    "capture": ["x"],
    "send": ["x", "hello"],
    "send-keys": ["x", "Enter"],
    "paste": ["x", "hello"],
    "resize": ["x", "24x80"],
    "rename": ["x", "y"],
    "signal": ["x", "INT"],
    "close": ["x"],
    "wait": ["x", "--exit"],
    "ask": ["x", "--text", "What?"],
    "run-coprocess": ["x", "cat"],
    "stop-coprocess": ["x"],
    "coprocess": ["x"],
    "trigger add": ["a", "bell"],
    "trigger list": [],
    "trigger remove": ["x"],
    "trigger enable": ["x"],
    "trigger disable": ["x"],
    "trigger test": ["a", "--text", "a"],
    "trigger import": ["/dev/null"],
    "trigger export": [],
    "marks": ["x"],
    "events": [],
    "rpc": ["session.list"],
    "daemon status": [],
}


def test_help_lists_every_command_with_its_aliases(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for name, aliases, summary in commands.rows():
        assert f"  {', '.join((name, *aliases))}" in text
        assert summary in text


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help_and_a_module_of_its_own(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    module = import_module(commands.module_name(name))
    assert callable(module.arguments) and callable(module.run) and module.__doc__
    with pytest.raises(SystemExit) as end:
        main([*name.split(), "--help"])
    assert end.value.code == 0
    assert "--socket PATH" in capsys.readouterr().out


def test_every_module_of_the_commands_is_in_the_table() -> None:
    folder = Path(commands.__file__).parent
    modules = {
        str(path.relative_to(folder).with_suffix("")).replace("/", ".") for path in folder.rglob("*.py") if path.name != "__init__.py"
    }
    assert modules == {commands.module_name(name).removeprefix("coprocctl.commands.") for name in NAMES}


@pytest.mark.parametrize("name", sorted(NEED_A_DAEMON))
def test_without_a_daemon_a_command_exits_5_and_says_how_to_start_one(
    name: str, capsys: pytest.CaptureFixture[str], coprocctl: Command
) -> None:
    assert main(["--socket", str(coprocctl.socket), *name.split(), *NEED_A_DAEMON[name]]) == 5
    error = capsys.readouterr().err
    assert str(coprocctl.socket) in error
    assert "daemon start" in error


def test_a_socket_that_nobody_listens_on_counts_as_no_daemon(coprocctl: Command) -> None:
    coprocctl.socket.parent.mkdir()
    subprocess.run(
        [sys.executable, "-c", "import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])", str(coprocctl.socket)], check=True
    )
    assert coprocctl.socket.exists()
    assert coprocctl("list").returncode == 5


USAGE_ERRORS = [
    "nonsense",
    "lst",
    "--bogus",
    "--bogus list",
    "--socket",
    "list --bogus",
    "list extra",
    "list --state gone",
    "send",
    "send x",
    "send x hello --timeout 1",
    "send x - --timeout soon",
    "rename x",
    "resize x 24",
    "resize x 0x80",
    "resize x 24x80 1",
    "new --size big",
    "new --env NOEQUALS",
    "new --silent",
    "new --log-bytes much",
    "new sh -c true",
    "logs x --from middle",
    "logs x --tail some",
    "run-coprocess x",
    "run-coprocess x cat --on-stall never",
    "coprocess",
    "close",
    "close x --grace long",
    "events --since never",
    "rpc m [1",
    "rpc m NaN",
    "rpc m 7",
    "daemon",
    "daemon dance",
    "completion tcsh",
]
# What a script gives where a variable is not set.
EMPTY = [
    ["--socket", "", "list"],
    ["logs", ""],
    ["close", "a", ""],
    ["coprocess", ""],
    ["events", "--session", ""],
    ["new", "--name", ""],
    ["new", "--cwd", ""],
    ["new", "--coprocess", ""],
    ["new", "--key", ""],
    ["run-coprocess", "x", ""],
    ["run-coprocess", "x", "cat", "--name", ""],
    ["run-coprocess", "x", "cat", "--cwd", ""],
    ["stop-coprocess", "x", "--name", ""],
]


@pytest.mark.parametrize("argv", [*map(str.split, USAGE_ERRORS), *EMPTY, []], ids=" ".join)
def test_a_usage_error_exits_2_and_prints_nothing_on_stdout(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """An empty --name, --cwd, --key, --coprocess and --socket counted as not given."""
    assert main(argv) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err


@pytest.mark.parametrize("argv", [*map(str.split, USAGE_ERRORS), *EMPTY], ids=" ".join)
def test_a_usage_error_is_an_object_with_json(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Those that argparse found were text."""
    if argv in (["daemon"], ["--socket"]):
        return  # the help, and what takes --json as its value
    assert main(["--json", *argv]) == 2
    assert json.loads(capsys.readouterr().err)["error"]["code"] in ("usage", "parse_error", "invalid_params")


def test_a_mistyped_command_is_answered_with_the_nearest_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run-coproces"]) == 2
    assert "did you mean run-coprocess?" in capsys.readouterr().err


@pytest.mark.parametrize(
    "argv",
    [["--socket", "/nowhere/s", "--json", "list"], ["list", "--json", "--socket=/nowhere/s"], ["--json", "ls", "--socket", "/nowhere/s"]],
)
def test_common_options_stand_before_or_after_the_command(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 5
    error = json.loads(capsys.readouterr().err)["error"]
    assert error["code"] == "no_daemon"
    assert "coprocctl --socket /nowhere/s daemon start" in error["message"]


def test_json_after_a_double_dash_belongs_to_the_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--socket", "/nowhere/s", "send", "x", "--", "--json"]) == 5
    assert capsys.readouterr().err.startswith("coprocctl: no daemon runs")


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    from coprocd import __version__

    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"coprocctl {__version__}\n"


def test_a_command_imports_no_other_command_and_nothing_slow() -> None:
    probe = (
        "import sys\nfrom coprocctl.__main__ import main\nmain(['--socket', '/nowhere/s', 'list'])\n"
        "print(*sorted(name for name in sys.modules if name.startswith('coprocctl.commands.')))\n"
        "print(*({'typing', 'dataclasses', 'asyncio', 'subprocess', 'pathlib', 'shutil', 'msgspec', 'aiohttp', 'shtab', 'inspect'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", probe], capture_output=True, text=True, check=True)
    loaded, slow = done.stdout.split("\n")[:2]
    assert loaded == "coprocctl.commands.list"
    # What a .pth file of the environment drags in at start is none of ours.
    bare = subprocess.run([sys.executable, "-P", "-c", "import sys; print(*sys.modules)"], capture_output=True, text=True, check=True)
    assert set(slow.split()) <= set(bare.stdout.split())


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_is_told_as_that(unbuffered: str, coprocctl: Command) -> None:
    env = coprocctl.env | {"PYTHONUNBUFFERED": unbuffered}
    with open("/dev/full", "w") as full:
        done = subprocess.run([*COPROCCTL, "--help"], stdout=full, stderr=subprocess.PIPE, env=env, check=False)
    assert (done.returncode, done.stderr) == (1, b"coprocctl: cannot write the output: No space left on device\n")


@pytest.mark.parametrize("line", ["paste x", "rpc session.list -"])
def test_standard_input_that_is_closed_is_told_as_that(line: str, coprocctl: Command) -> None:
    """A traceback."""
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", *COPROCCTL, *line.split()], capture_output=True, env=coprocctl.env, check=False
    )
    assert (done.returncode, done.stderr) == (2, b"coprocctl: there is nothing to read from: standard input is closed\n")


@pytest.mark.parametrize("line", ["list", "daemon start", "new -- cat"])
def test_a_socket_whose_path_is_too_long_is_told_with_both_lengths(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It was "AF_UNIX path too long"."""
    assert main(["--socket", "/tmp/" + "x" * 100, *line.split()]) == (5 if line == "list" else 1)
    error = capsys.readouterr().err
    assert "has 105 bytes, of at most 100" in error and "COPROCD_RUNTIME_DIR" in error


def test_what_is_no_socket_is_told_as_that(capsys: pytest.CaptureFixture[str], coprocctl: Command) -> None:
    """It was said that no daemon runs there, and to start one."""
    assert main(["--socket", str(coprocctl.root), "list"]) == 5
    assert f"{coprocctl.root} is no socket" in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_complaint(coprocctl: Command) -> None:
    with subprocess.Popen([*COPROCCTL, "completion", "bash"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=coprocctl.env) as process:
        assert process.stdout and process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_at_outside_a_session_is_no_such_session(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COPROCD_SESSION", raising=False)
    assert main(["logs", "@"]) == 3
    assert "COPROCD_SESSION" in capsys.readouterr().err


def test_a_failed_start_says_why_and_where_the_log_is(coprocctl: Command) -> None:
    coprocctl.socket.parent.mkdir()
    coprocctl.socket.parent.chmod(0o700)
    lonely = coprocctl.root / "lonely"
    lonely.write_text("")  # a file where the state directory should be made
    done = coprocctl("daemon", "start", XDG_STATE_HOME=str(lonely))
    assert done.returncode == 1
    assert str(lonely) in done.stderr.decode()


def test_stopping_what_does_not_run_succeeds_and_says_so(coprocctl: Command) -> None:
    assert coprocctl.text("daemon", "stop") == "not running"
    assert coprocctl.text("daemon", "stop", "--all") == "not running"
    assert coprocctl.json("daemon", "stop", "--all") == {"sessions": 0}


def test_daemon_logs_shows_the_last_lines_and_needs_no_daemon(coprocctl: Command) -> None:
    assert coprocctl("daemon", "logs").returncode == 1
    log = coprocctl.root / "state" / "coprocd" / "coprocd.log"
    log.parent.mkdir(parents=True)
    log.write_text("one\ntwo\nthree\n")
    assert coprocctl.text("daemon", "logs") == "one\ntwo\nthree"
    assert coprocctl.text("daemon", "logs", "-n", "2") == "two\nthree"
    assert coprocctl.text("daemon", "logs", "-n", "0") == ""
    assert coprocctl.text("daemon", "logs", "-n", "9") == "one\ntwo\nthree"


def test_daemon_logs_follows_what_is_written_and_a_rotation(coprocctl: Command) -> None:
    log = coprocctl.root / "state" / "coprocd" / "coprocd.log"
    log.parent.mkdir(parents=True)
    log.write_text("one\n")
    with coprocctl.spawn("daemon", "logs", "-f") as process:
        assert process.stdout
        assert process.stdout.readline() == b"one\n"
        with log.open("a") as file:
            file.write("two\n")
        assert process.stdout.readline() == b"two\n"
        log.rename(log.with_suffix(".old"))
        log.write_text("three\n")
        assert process.stdout.readline() == b"three\n"
        process.send_signal(2)
        assert process.wait(30) == 130
        assert process.stderr and process.stderr.read() == b""
