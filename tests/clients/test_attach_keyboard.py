"""Keys that are the client's, in each way in which terminals send them."""

from __future__ import annotations

import pytest
from coprocctl.terminal.keyboard import CUT_S, PASTE_S, TWICE_S, Key, Keyboard
from hypothesis import given
from hypothesis import strategies as st

DETACH = [("detach", b"")]


def pressed(data: bytes, key: str = "^\\") -> list[tuple[str, bytes]]:
    """What comes of `data`, typed at once and followed by nothing."""
    keyboard = Keyboard(Key(key))
    return [*keyboard.feed(data, 1.0, False), *keyboard.due(1.0 + TWICE_S)]


@pytest.mark.parametrize(
    "data",
    [
        *(
            b"\x1c",
            b"\x1b[92;5u",
            b"\x1b[92;5:1u",
            b"\x1b[92:124;5u",
            b"\x1b[92:124:92;5:1u",
            b"\x1b[92;5;28u",
            b"\x1b[92;69u",
            b"\x1b[92;133u",
        ),
        *(b"\x1b[27;5;92~", b"\x1b[27;69;92~", b"\x1b[1078::92;5u"),
    ],
)
def test_ctrl_backslash_detaches_in_each_encoding(data: bytes) -> None:
    assert pressed(data) == DETACH


@pytest.mark.parametrize(
    "data",
    [
        *(
            b"\\",
            b"\x1b",
            b"\x1b[A",
            b"\x1b[92u",
            b"\x1b[92;1u",
            b"\x1b[92;7u",
            b"\x1b[92;6u",
            b"\x1b[93;5u",
            b"\x1b[27;5;93~",
            b"\x1b[27;3;92~",
        ),
        *(b"\x1b[192;5u", b"\x1b[35::92;5u", b"\x1b[<0;92;5M", b"\x1b[92;5R", b"\x1d", b"text"),
    ],
)
def test_other_keys_are_typed_as_they_are(data: bytes) -> None:
    assert pressed(data) == [("typed", data)]


def test_a_key_that_is_let_go_or_held_does_nothing() -> None:
    assert pressed(b"\x1b[92;5:3u") == [] and pressed(b"\x1b[92;5:2u") == []


@pytest.mark.parametrize("data", [b"\x1c", b"\x1b[92;5u", b"\x1b[27;5;92~"])
def test_twice_within_a_moment_types_it(data: bytes) -> None:
    keyboard = Keyboard(Key("^\\"))
    assert keyboard.feed(data, 1.0, False) == [] and keyboard.due_at == 1.0 + TWICE_S
    assert keyboard.feed(data, 1.1, False) == [("typed", data)] and keyboard.due_at is None
    assert keyboard.feed(data + data, 2.0, False) == [("typed", data)]
    assert keyboard.feed(data, 3.0, False) == [] and keyboard.due(3.0 + TWICE_S) == DETACH


def test_what_is_typed_behind_it_does_not_wait() -> None:
    assert Keyboard(Key("^\\")).feed(b"a\x1cb", 1.0, False) == [("typed", b"a"), ("detach", b""), ("typed", b"b")]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("^a", b"\x01"),
        ("C-a", b"\x1b[97;5u"),
        ("^A", b"\x1b[27;5;97~"),
        ("C-]", b"\x1d"),
        ("^_", b"\x1b[45:95;6u"),
        ("^@", b"\0"),
        ("C-^", b"\x1b[27;6;94~"),
    ],
)
def test_any_key_with_ctrl_can_be_the_one(name: str, data: bytes) -> None:
    assert pressed(data, name) == DETACH
    assert pressed(b"\x1c", name) == [("typed", b"\x1c")]


@pytest.mark.parametrize("name", ["", "a", "^", "^ab", "C-", "C-ab", "^1", "M-a", "^ä"])
def test_what_is_no_key_with_ctrl_is_refused(name: str) -> None:
    with pytest.raises(ValueError):
        Key(name)


def test_without_a_key_everything_is_typed() -> None:
    assert Keyboard(None).feed(b"\x1c\x1b[92;5u", 1.0, False) == [("typed", b"\x1c\x1b[92;5u")]


def test_a_paste_holds_no_keys_however_it_is_cut() -> None:
    data = b"a\x1b[200~b\x1cc\x1b[201~d\x1c"
    for cut in range(len(data)):
        keyboard = Keyboard(Key("^\\"))
        found = [*keyboard.feed(data[:cut], 1.0, True), *keyboard.feed(data[cut:], 1.01, True), *keyboard.due(2.0)]
        if cut not in (2, 3):  # there the terminal has cut its mark behind ESC or ESC [, which were typed at once
            assert b"".join(data for what, data in found if what == "typed") == data[:-1]
            assert [what for what, _ in found].count("detach") == 1 and found[-1] == DETACH[0]


def test_a_paste_whose_end_never_comes_is_over_after_a_while() -> None:
    keyboard = Keyboard(Key("^\\"))
    keyboard.feed(b"\x1b[200~abc", 1.0, True)
    assert keyboard.feed(b"\x1c", 1.1, True) == [("typed", b"\x1c")]
    assert keyboard.feed(b"\x1c", 1.2 + PASTE_S, True) == [] and keyboard.due(9.0) == DETACH


def test_marks_of_a_paste_mean_nothing_where_nobody_asked_for_them() -> None:
    assert pressed(b"\x1b[200~\x1c") == [("typed", b"\x1b[200~"), ("detach", b"")]


def test_a_sequence_cut_in_its_middle_is_waited_for_a_moment() -> None:
    keyboard = Keyboard(Key("^\\"))
    assert keyboard.feed(b"x\x1b[92", 1.0, False) == [("typed", b"x")]
    assert keyboard.feed(b";5u", 1.01, False) == [] and keyboard.due(2.0) == DETACH
    assert keyboard.feed(b"\x1b[92", 3.0, False) == [] and keyboard.due_at == 3.0 + CUT_S
    assert keyboard.due(3.0 + CUT_S) == [("typed", b"\x1b[92")]


def test_the_key_that_stops_is_one_only_while_there_is_something_to_stop() -> None:
    keyboard = Keyboard(Key("^\\"))
    assert keyboard.feed(b"\x1d", 1.0, False) == [("typed", b"\x1d")]
    keyboard.stop = Key("^]")
    assert keyboard.feed(b"a\x1d\x1b[93;5u", 1.0, False) == [("typed", b"a"), ("stop", b""), ("stop", b"")]


@given(
    st.lists(st.sampled_from([b"\x1b", b"[", b"9", b"2", b";", b"5", b"u", b"x", b"\x1b[A", b"200~", b"201~"]), max_size=20), st.booleans()
)
def test_what_is_typed_arrives_whole_and_in_order(parts: list[bytes], pastes: bool) -> None:
    keyboard = Keyboard(Key("^a"))
    found = [typed for at, part in enumerate(parts) for typed in keyboard.feed(part, float(at), pastes)]
    found += keyboard.due(100.0)
    assert b"".join(data for _, data in found) == b"".join(parts)
