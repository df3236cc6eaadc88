"""What commands make of their arguments, before anything is sent."""

from __future__ import annotations

import argparse
import base64
import os
from importlib import import_module
from typing import Any

import pytest
from coprocctl import commands
from coprocctl.arguments import byte_count, command_parser, pair, session_reference, terminal_size
from coprocctl.environment import OUTER, session_environment
from coprocctl.exits import Failure


def parsed(name: str, *argv: str) -> argparse.Namespace:
    """The arguments of the command `name`."""
    parser = command_parser(name, commands.summary(name))
    import_module(commands.module_name(name)).arguments(parser)
    return parser.parse(list(argv))


def new_params(*argv: str) -> dict[str, Any]:
    from coprocctl.commands import new

    return new.parameters(parsed("new", *argv))


@pytest.mark.parametrize(("text", "size"), [("24x80", (24, 80)), ("50X132", (50, 132)), ("1x1", (1, 1)), ("65535x65535", (65535, 65535))])
def test_a_size_is_rows_by_columns(text: str, size: tuple[int, int]) -> None:
    assert terminal_size(text) == size


@pytest.mark.parametrize("text", ["", "24", "x80", "24x", "0x80", "24x65536", "-1x80", "24x80x3"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        terminal_size(text)


@pytest.mark.parametrize(
    ("text", "count"), [("512", 512), ("64K", 65536), ("4m", 4 << 20), ("4MiB", 4 << 20), ("4MB", 4 << 20), ("1G", 1 << 30)]
)
def test_byte_counts_take_units(text: str, count: int) -> None:
    assert byte_count(text) == count


@pytest.mark.parametrize("text", ["", "K", "1.5M", "-1", "4T"])
def test_what_is_no_byte_count_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        byte_count(text)


def test_a_variable_may_hold_an_equals_sign_or_nothing() -> None:
    assert (pair("A=b=c"), pair("A=")) == (("A", "b=c"), ("A", ""))


def test_at_is_the_session_we_run_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COPROCD_SESSION", "5e55")
    assert session_reference("@") == "5e55"
    assert session_reference("chat") == "chat"
    assert parsed("close", "@", "b").sessions == ["5e55", "b"]


def test_options_stand_before_among_and_after_words() -> None:
    for argv in (
        ["--enter", "chat", "a", "b"],
        ["chat", "--enter", "a", "b"],
        ["chat", "a", "--enter", "b"],
        ["chat", "a", "b", "--enter"],
    ):
        args = parsed("send", *argv)
        assert (args.session, args.text, args.enter) == ("chat", ["a", "b"], True)


def test_after_a_double_dash_all_are_words() -> None:
    args = parsed("send", "chat", "--", "--enter", "-x")
    assert (args.text, args.enter) == (["--enter", "-x"], False)
    assert parsed("run-coprocess", "chat", "--observe", "--", "tee", "-a", "f").command == ["tee", "-a", "f"]
    assert parsed("new", "--name", "n", "--", "sh", "-c", "a -- b", "--name", "m").argv == ["sh", "-c", "a -- b", "--name", "m"]


def test_one_word_is_a_command_for_the_shell_and_several_are_run_as_they_are() -> None:
    from coprocctl.commands import run_coprocess

    one = run_coprocess.parameters(parsed("run-coprocess", "chat", "grep x | head -1", "--silent", "--from", "line"))
    assert one == {"session": "chat", "command": "grep x | head -1", "silent": True, "from": "line", "on_stall": "end", "on_full": "pause"}
    several = run_coprocess.parameters(parsed("run-coprocess", "chat", "--observe", "--from", "17", "--", "grep", "a b"))
    assert (several["argv"], several["from"], several["input"]) == (["grep", "a b"], 17, False)
    assert "command" not in several


@pytest.mark.parametrize(
    ("end", "status"),
    [
        ({"exit_status": 0, "signal": None, "end_reason": "exited"}, 0),
        ({"exit_status": 7, "signal": None, "end_reason": "exited"}, 7),
        ({"exit_status": None, "signal": "SIGTERM", "end_reason": "stopped"}, 143),
        ({"exit_status": None, "signal": "SIGKILL", "end_reason": "session_ended"}, 137),
        ({"exit_status": None, "signal": "SIGTERM", "end_reason": "stalled"}, 125),
        ({"exit_status": None, "signal": None, "end_reason": "spawn_failed"}, 125),
        ({"exit_status": None, "signal": None, "end_reason": "exited"}, 125),
    ],
)
def test_waiting_for_a_coprocess_passes_its_status_on_as_a_shell_does(end: dict[str, Any], status: int) -> None:
    from coprocctl.commands.run_coprocess import exit_status

    assert exit_status({"stderr": "", **end}) == status


def test_a_session_starts_here_and_now_with_our_environment_over_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINE", "yes")
    monkeypatch.setenv("LAID_OVER", "old")
    for name in OUTER:
        monkeypatch.setenv(name, "outer")
    params = new_params("--env", "LAID_OVER=new", "--env", "TERM=vt100", "--", "sh", "-c", "true")
    assert params["argv"] == ["sh", "-c", "true"]
    assert params["cwd"] == os.getcwd()
    assert params["clear_env"] is True
    assert (params["env"]["MINE"], params["env"]["LAID_OVER"], params["env"]["TERM"]) == ("yes", "new", "vt100")
    assert set(params["env"]) & OUTER == {"TERM"}
    assert (params["rows"], params["cols"]) == (24, 80)
    assert "name" not in params and "coprocess" not in params


def test_a_variable_that_is_not_utf8_is_left_out_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "LATIN", b"caf\xe9".decode("utf-8", "surrogateescape"))
    env, left_out = session_environment([])
    assert left_out == ["LATIN"]
    assert "LATIN" not in env


def test_new_says_all_that_it_was_told() -> None:
    params = new_params(
        *("-d", "--name", "n", "--cwd", "sub", "--size", "10x20", "--coprocess", "cat", "--silent", "--label", "a=1", "--label", "b=2"),
        *("--key", "k", "--lease", "1.5", "--remove", "--log-bytes", "64K", "top"),
    )
    assert params["cwd"] == os.path.join(os.getcwd(), "sub")
    assert params["coprocess"] == {"command": "cat", "silent": True}
    assert params["labels"] == {"a": "1", "b": "2"}
    expected = {"name": "n", "rows": 10, "cols": 20, "key": "k", "lease_s": 1.5, "remove": True, "log_bytes": 65536, "argv": ["top"]}
    assert {name: params[name] for name in expected} == expected


def test_silent_without_a_coprocess_makes_no_sense() -> None:
    with pytest.raises(Failure) as failure:
        new_params("--silent")
    assert failure.value.status == 2


class Log:
    """What `logs` reads backwards."""

    def __init__(self, data: bytes, start: int) -> None:
        self.data, self.start = data, start

    def call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        assert method == "session.read"
        begin = params["from_offset"]
        data = self.data[begin : begin + params["max_bytes"]]
        return {
            "offset": begin,
            "next_offset": begin + len(data),
            "lost_bytes": 0,
            "data_b64": base64.b64encode(data).decode(),
            "eof": False,
            "silent": [],
        }


@pytest.mark.parametrize("lines", [0, 1, 2, 3, 1000, 30_000])
@pytest.mark.parametrize(
    "data", [b"", b"a", b"a\n", b"\n\n\n", b"a\nbb\nccc", b"a\nbb\nccc\n", b"0123456\n" * 20_000, b"x" * 200_000 + b"\ny\n"]
)
def test_the_tail_is_that_of_tail(data: bytes, lines: int) -> None:
    from coprocctl.commands.logs import tail

    expected = b"".join(data.splitlines(keepends=True)[-lines:]) if lines else b""
    offset = tail(Log(data, 0), "s", 0, len(data), lines)  # type: ignore[arg-type]
    assert data[offset:] == expected


def test_names_offered_to_a_shell_are_such_that_it_cannot_trip_over() -> None:
    from coprocctl.commands.list import word

    assert word({"name": "build-1.2_x", "id": "5e55"}) == "build-1.2_x"
    for name in ("$(touch /tmp/x)", "a b", "`id`", "a;b", "~root", "é", "a\nb", "*", "!!", "a'b"):
        assert word({"name": name, "id": "5e55"}) == "5e55"
