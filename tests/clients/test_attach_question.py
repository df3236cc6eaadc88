"""Questions, and what is typed to answer them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from coprocctl.output import cut
from coprocctl.terminal.question import ANSWER_CHARACTERS, Question


def question(kind: str = "text") -> Question:
    return Question({"id": "p1", "kind": kind, "message": "What?"})


def answer(data: bytes, kind: str = "text") -> object:
    asked = question(kind)
    asked.feed(data)
    assert asked.answered
    return asked.value


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        (b"yes\r", "yes"),
        (b"\r", ""),
        ("naïve 宽\r".encode(), "naïve 宽"),
        (b"ab\x7fc\r", "ac"),
        (b"one two\x17three\r", "one three"),
        (b"/a/b/c\x17\r", "/a/b/"),
        (b"all gone\x15new\r", "new"),
        (b"\x1b[200~pasted\x1b[201~\r", "pasted"),
        (b"a\x1b[A\x1b[<0;1;1M\x1b[Ib\r", "ab"),
        (b"\x1b[97u\x1b[98;2u\x1b[98;1:3u\x1b[13u", "aB"),
        (b"x\x1b[127uy\x1b[13u", "y"),
        (b"a\x1b[99;5u", None),
        (b"a\x1b[27u", None),
        (b"a\x1b[27;5;99~", None),
        (b"a\x03", None),
    ],
)
def test_what_is_typed_is_the_answer(typed: bytes, value: str | None) -> None:
    assert answer(typed) == value


def test_escape_alone_refuses() -> None:
    asked = question()
    asked.feed(b"abc")
    asked.feed(b"\x1b")
    assert asked.answered and asked.value is None


@pytest.mark.parametrize(("typed", "value"), [(b"y", True), (b"N", False), (b"x\ry", True), (b"\x03", None)])
def test_yes_and_no_are_keys(typed: bytes, value: bool | None) -> None:
    assert answer(typed, "confirm") is value


def test_a_password_is_not_shown_and_text_is() -> None:
    for kind, shown in (("password", False), ("text", True)):
        asked = question(kind)
        asked.feed(b"secret")
        assert ("secret" in asked.line(80)) is shown and "What?" in asked.line(80)


@pytest.mark.parametrize("cols", [20, 33, 80])
@pytest.mark.parametrize("message", ["What?", "A question that is longer than its row, " * 3, "宽" * 100], ids=["short", "long", "wide"])
@pytest.mark.parametrize(
    "typed", ["", "the end", "a/path/" * 30 + "the end", "宽" * 100 + "the end"], ids=["nothing", "short", "long", "wide"]
)
def test_the_end_of_what_is_typed_is_seen_however_long_it_or_the_message_is(cols: int, message: str, typed: str) -> None:
    asked = Question({"id": "p1", "kind": "text", "message": message})
    asked.feed(typed.encode())
    shown = cut(asked.line(cols), cols)
    assert shown.startswith(f"? {message[:3]}") and typed[-5:] in shown and "▏" in shown


@pytest.mark.parametrize("cols", [20, 80])
def test_a_long_message_leaves_room_for_which_keys_answer_it(cols: int) -> None:
    asked = Question({"id": "p1", "kind": "confirm", "message": "Sure? " * 50})
    assert cut(asked.line(cols), cols).endswith("… (y/n)")


def test_the_path_of_a_file_is_completed_and_answered_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("report-1.txt", "report-2.txt", ".hidden"):
        (tmp_path / name).touch()
    (tmp_path / "reports").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    asked = question("file")
    asked.feed(b"~/re\t")
    assert "~/report" in asked.line(80) and "report-1.txt  report-2.txt  reports/" in asked.line(80)
    asked.feed(b"s\t")
    assert "~/reports/" in asked.line(80)
    asked.feed(b"\t")
    assert "no such file" in asked.line(80)
    asked.feed(b"\r")
    assert asked.value == str(tmp_path / "reports")
    assert answer(b"report-1\t\r", "file") == os.path.join(tmp_path, "report-1.txt")
    assert answer(b"/nowhere/x\t\r", "file") == "/nowhere/x"


def test_an_answer_is_bounded() -> None:
    asked = question()
    asked.feed(b"x" * 2 * ANSWER_CHARACTERS + b"\r")
    assert asked.value == "x" * ANSWER_CHARACTERS


def test_what_comes_behind_the_answer_is_not_part_of_it() -> None:
    assert answer(b"a\rb\r") == "a"
