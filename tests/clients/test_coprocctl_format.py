"""Tables and values as people read them, and text that nobody may trust."""

from __future__ import annotations

import shlex
import unicodedata

import pytest
from coprocctl.format import age, command_line, coprocess_state, ended, escaped, plural, session_state, size
from coprocctl.output import cut, print_table, width
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, ünïcode, 漢字, 🙂", "plain, ünïcode, 漢字, 🙂"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\x1b]0;owned\x07", "\\e]0;owned\\x07"),
        ("\x9b31m", "\\x9b31m"),
        ("\x00\x7f", "\\x00\\x7f"),
        ("txt\u202eexe", "txt\\u202eexe"),
        ("\u2066a\u2069\u200b\ufeff\u2028", "\\u2066a\\u2069\\u200b\\ufeff\\u2028"),
        ("\udcff", "\\udcff"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_what_does_not_print_is_shown_escaped(text: str, shown: str) -> None:
    assert escaped(text) == shown


@given(st.text())
def test_no_text_reaches_a_terminal_with_a_control_or_a_format_character(text: str) -> None:
    assert all(unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in escaped(text))


@given(st.text(st.characters(categories=["Lu", "Ll", "Nd"], include_characters="-_.$`'\"; ")))
def test_text_that_prints_is_left_alone(text: str) -> None:
    assert escaped(text) == text


@given(st.lists(st.text(st.characters(min_codepoint=32, max_codepoint=126))))
def test_a_command_line_can_be_typed_to_a_shell_again(argv: list[str]) -> None:
    assert shlex.split(command_line(argv)) == argv


@pytest.mark.parametrize(
    ("seconds", "shown"), [(-1, "0s"), (0.9, "0s"), (59, "59s"), (60, "1m"), (3599, "59m"), (7200, "2h"), (200000, "2d")]
)
def test_an_age_is_told_in_its_largest_unit(seconds: float, shown: str) -> None:
    assert age(seconds) == shown


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 << 20, "5.0 MiB"), (3 << 40, "3072.0 GiB")]
)
def test_a_size_is_told_in_its_largest_unit(count: int, shown: str) -> None:
    assert size(count) == shown


def test_numbers_agree_with_their_nouns() -> None:
    assert [plural(0, "session"), plural(1, "session"), plural(2, "coprocess")] == ["0 sessions", "1 session", "2 coprocesses"]


def test_states_say_how_a_job_ended() -> None:
    assert ended(3, None) == "exited 3"
    assert ended(None, "SIGTERM") == "SIGTERM"
    assert session_state({"state": "running", "paused": {"why": "coprocess", "by": "c1"}}) == "paused"
    assert session_state({"state": "exited", "exit_status": 0, "signal": None}) == "exited 0"
    coprocess = {"state": "ended", "exit_status": 0, "signal": None, "end_reason": "stdout_closed"}
    assert coprocess_state(coprocess) == "exited 0 (stdout_closed)"
    failed = {"state": "ended", "exit_status": None, "signal": None, "end_reason": "spawn_failed"}
    assert coprocess_state(failed) == "not started (spawn_failed)"
    assert coprocess_state({"state": "running", "stalled": True}) == "running, stalled"


def test_columns_stand_under_each_other_also_beside_wide_characters(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("NAME", "STATE"), [("漢字", "running"), ("a", "exited 0"), ("e\u0301", "x")])
    assert capsys.readouterr().out.splitlines() == ["NAME  STATE", "漢字  running", "a     exited 0", "e\u0301     x"]


@given(st.text(), st.integers(1, 40))
def test_a_cell_that_is_cut_fits_and_says_that_it_was_cut(text: str, room: int) -> None:
    shown = cut(text, room)
    assert width(shown) <= max(room, 1)
    assert shown == text or shown.endswith("…")
