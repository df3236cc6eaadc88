"""The two terminal modes that decide what is typed, found in output however it is cut."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coprocd.core.modes import InputModes

PIECES = [
    b"\x1b", b"[", b"?", b"1", b"2004", b";", b"h", b"l", b"c", b"!p", b"x", b"\x1b[?2004h", b"\x1b[?2004l", b"\x1b[?1h", b"\x1b[?1l",
    b"\x1bc", b"\x1b[!p", b"\x1b[?1;2004h", b"\x1b[?25;1;2004l", b"0" * 30, b"text" * 30,
]  # fmt: skip
OUTPUT = st.lists(st.sampled_from(PIECES), max_size=25).map(b"".join)


def after(*chunks: bytes) -> tuple[bool, bool]:
    """(bracketed paste, application cursor keys) at the end of the chunks."""
    modes = InputModes()
    for chunk in chunks:
        modes.feed(chunk)
    return modes.bracketed_paste, modes.application_cursor


@pytest.mark.parametrize(
    ("output", "modes"),
    [
        (b"", (False, False)),
        (b"$ \x1b[?2004h", (True, False)),
        (b"\x1b[?2004h$ ls\r\n\x1b[?2004l", (False, False)),
        (b"\x1b[?1h\x1b=", (False, True)),
        (b"\x1b[?1;2004h", (True, True)),
        (b"\x1b[?25;1;2004;7h\x1b[?12;25l", (True, True)),
        (b"\x1b[?1;2004h\x1b[?1l", (True, False)),
        (b"\x1b[?12004h\x1b[?11h\x1b[?20041h", (False, False)),
        (b"\x1b[1h\x1b[2004h", (False, False)),
        (b"\x1b[?2004$p\x1b[?1s", (False, False)),
        (b"\x1b[?1;2004h\x1bc", (False, False)),
        (b"\x1b[?1;2004h\x1b[!p", (True, False)),
    ],
)
def test_the_modes_are_those_that_were_set_last(output: bytes, modes: tuple[bool, bool]) -> None:
    assert after(output) == modes


@pytest.mark.parametrize("cut", range(1, 8))
def test_a_sequence_cut_anywhere_is_found(cut: int) -> None:
    output = b"\x1b[?2004h"
    assert after(b"before" + output[:cut], output[cut:] + b"behind") == (True, False)


def test_a_sequence_is_applied_once() -> None:
    assert after(b"\x1b[?2004h", b"\x1b[?2004l", b"", b"x", b"\x1b") == (False, False)


def test_it_begins_with_the_modes_it_is_given() -> None:
    modes = InputModes(bracketed_paste=True, application_cursor=True)
    modes.feed(b"nothing of note")
    assert (modes.bracketed_paste, modes.application_cursor) == (True, True)


@settings(deadline=None)
@given(OUTPUT)
def test_output_fed_byte_by_byte_means_what_it_means_whole(output: bytes) -> None:
    assert after(*(output[i : i + 1] for i in range(len(output)))) == after(output)


@settings(deadline=None)
@given(OUTPUT, st.lists(st.integers(0, 400), max_size=6))
def test_output_cut_anywhere_means_what_it_means_whole(output: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(output)) for cut in cuts), len(output)]
    assert after(*(output[a:b] for a, b in itertools.pairwise(edges))) == after(output)
