"""Keys by name, against what an xterm sends (ctlseqs; `infocmp -x xterm-256color`)."""

from __future__ import annotations

import itertools

import pytest

from coprocd.core.keys import encode
from coprocd.protocol.errors import CoprocdError

XTERM = {
    "a": b"a", "A": b"A", "é": b"\xc3\xa9", "€": b"\xe2\x82\xac", "-": b"-", ";": b";", "\n": b"\n",
    "Enter": b"\r", "Return": b"\r", "Tab": b"\t", "BTab": b"\x1b[Z", "Escape": b"\x1b", "Esc": b"\x1b", "Space": b" ",
    "BSpace": b"\x7f", "Backspace": b"\x7f",
    "Up": b"\x1b[A", "Down": b"\x1b[B", "Right": b"\x1b[C", "Left": b"\x1b[D", "Home": b"\x1b[H", "End": b"\x1b[F",
    "Insert": b"\x1b[2~", "IC": b"\x1b[2~", "Delete": b"\x1b[3~", "DC": b"\x1b[3~",
    "PageUp": b"\x1b[5~", "PPage": b"\x1b[5~", "PgUp": b"\x1b[5~", "PageDown": b"\x1b[6~", "NPage": b"\x1b[6~", "PgDn": b"\x1b[6~",
    "F1": b"\x1bOP", "F2": b"\x1bOQ", "F3": b"\x1bOR", "F4": b"\x1bOS", "F5": b"\x1b[15~", "F6": b"\x1b[17~", "F7": b"\x1b[18~",
    "F8": b"\x1b[19~", "F9": b"\x1b[20~", "F10": b"\x1b[21~", "F11": b"\x1b[23~", "F12": b"\x1b[24~",
    "F13": b"\x1b[25~", "F14": b"\x1b[26~", "F15": b"\x1b[28~", "F16": b"\x1b[29~", "F17": b"\x1b[31~", "F18": b"\x1b[32~",
    "F19": b"\x1b[33~", "F20": b"\x1b[34~",
    # control
    "C-@": b"\0", "C-Space": b"\0", "C-a": b"\x01", "C-A": b"\x01", "C-c": b"\x03", "C-i": b"\t", "C-m": b"\r", "C-z": b"\x1a",
    "C-[": b"\x1b", "C-\\": b"\x1c", "C-]": b"\x1d", "C-^": b"\x1e", "C-_": b"\x1f", "C-/": b"\x1f", "C-?": b"\x7f",
    "C-Enter": b"\r", "C-Tab": b"\t", "C-Escape": b"\x1b", "C-BSpace": b"\x08",
    # alt sends an ESC before, as with metaSendsEscape
    "M-x": b"\x1bx", "M-X": b"\x1bX", "M--": b"\x1b-", "M-é": b"\x1b\xc3\xa9", "M-Enter": b"\x1b\r", "M-BSpace": b"\x1b\x7f",
    "M-Escape": b"\x1b\x1b", "M-Space": b"\x1b ", "M-C-c": b"\x1b\x03", "C-M-c": b"\x1b\x03",
    # shift
    "S-a": b"A", "S-é": b"\xc3\x89", "S-Tab": b"\x1b[Z", "M-S-Tab": b"\x1b\x1b[Z", "C-S-a": b"\x01",
    # function keys take a number: 1 + shift + 2 alt + 4 control
    "S-Up": b"\x1b[1;2A", "M-Up": b"\x1b[1;3A", "C-Up": b"\x1b[1;5A", "C-Left": b"\x1b[1;5D", "C-S-Right": b"\x1b[1;6C",
    "C-M-S-Home": b"\x1b[1;8H", "M-S-End": b"\x1b[1;4F", "C-M-Down": b"\x1b[1;7B",
    "S-Delete": b"\x1b[3;2~", "C-PageUp": b"\x1b[5;5~", "M-Insert": b"\x1b[2;3~",
    "S-F1": b"\x1b[1;2P", "C-F4": b"\x1b[1;5S", "S-F5": b"\x1b[15;2~", "C-M-F12": b"\x1b[24;7~",
}  # fmt: skip


@pytest.mark.parametrize("name", XTERM, ids=ascii)
def test_a_key_is_what_xterm_sends(name: str) -> None:
    assert encode([name]) == XTERM[name]


@pytest.mark.parametrize("name", ["Up", "Down", "Left", "Right", "Home", "End"])
def test_cursor_keys_take_their_ss3_form_in_application_mode_unless_modified(name: str) -> None:
    assert encode([name], application_cursor=True) == b"\x1bO" + XTERM[name][-1:]
    assert encode([f"C-{name}"], application_cursor=True) == b"\x1b[1;5" + XTERM[name][-1:]


@pytest.mark.parametrize("name", ["Enter", "F1", "F5", "Delete", "PageUp", "a", "C-c"])
def test_other_keys_do_not_know_application_mode(name: str) -> None:
    assert encode([name], application_cursor=True) == XTERM[name]


def test_names_of_keys_do_not_mind_their_case_and_characters_do() -> None:
    assert encode(["enter", "ENTER", "pageup", "C-up", "f12", "x", "X"]) == b"\r\r\x1b[5~\x1b[1;5A\x1b[24~xX"


def test_modifiers_may_stand_in_any_order() -> None:
    for modifiers in itertools.permutations(["C-", "M-", "S-"]):
        assert encode(["".join(modifiers) + "Up"]) == b"\x1b[1;8A"


def test_keys_are_typed_in_order() -> None:
    assert encode(["l", "s", "Space", "-", "l", "Enter", "C-d"]) == b"ls -l\r\x04"
    assert encode([]) == b""


@pytest.mark.parametrize("name", ["", "Entre", "ls", "F0", "F21", "C-", "C-M-", "c-a", "X-a", "C-Foo", "M-", "Up ", " Up", "^C", "S-ls"])
def test_an_unknown_name_types_nothing_and_says_which_it_is(name: str) -> None:
    with pytest.raises(CoprocdError) as caught:
        encode(["a", name, "b"])
    assert caught.value.code == "invalid_params"
    assert "nothing was typed" in str(caught.value)


@pytest.mark.parametrize("name", ["C-é", "C--", "C-;", "C-BTab", "C-1", "M-C-€", "C-\n"])
def test_a_control_character_that_no_terminal_has_is_refused(name: str) -> None:
    with pytest.raises(CoprocdError) as caught:
        encode([name])
    assert caught.value.code == "invalid_params"
    assert repr(name) in str(caught.value)


def test_a_lone_surrogate_is_refused_as_no_key() -> None:
    with pytest.raises(CoprocdError) as caught:
        encode(["\ud800"])
    assert caught.value.code == "invalid_params"


def test_an_upper_case_of_two_letters_is_refused_by_the_name_that_was_given() -> None:
    with pytest.raises(CoprocdError) as caught:
        encode(["S-ß"])
    assert "S-ß" in str(caught.value)
