"""What redraws a terminal makes another one equal, cell by cell and in all that decides what comes of the output that follows."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from likeness import differences, likeness
from sequences import SIZES, printed

from coprocd.screen import ghostty
from coprocd.screen.emulator import Emulator

EXAMPLES = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def fed(size: tuple[int, int], *pieces: bytes) -> Emulator:
    emulator = ghostty.new(*size)
    for piece in pieces:
        emulator.feed(piece)
    return emulator


def assert_alike(one: Emulator, other: Emulator, *, except_for: tuple[str, ...] = ()) -> None:
    pair = [{name: value for name, value in likeness(emulator).items() if name not in except_for} for emulator in (one, other)]
    assert not differences(*pair)


def assert_redrawn(size: tuple[int, int], before: bytes, after: bytes) -> None:
    """A fresh terminal that is redrawn after `before` is like the first, and stays so with `after`."""
    first = fed(size, before)
    second = fed(size, first.redraw())
    assert_alike(first, second)
    assert first.feed(after) == second.feed(after)
    assert_alike(first, second)
    first.close()
    second.close()


@pytest.mark.parametrize("program", ["bash", "vim", "less", "top", "git", "python"])
@given(size=SIZES, cut=st.floats(0, 1))
@settings(EXAMPLES, max_examples=40)
def test_the_output_of_a_program_cut_anywhere_goes_on_the_same_after_a_redrawing(
    recordings: dict[str, bytes], program: str, size: tuple[int, int], cut: float
) -> None:
    if program not in recordings:
        pytest.skip(f"{program} is not installed")
    output = recordings[program]
    place = round(cut * len(output))
    assert_redrawn(size, output[:place], output[place:])


@given(size=SIZES, before=printed(alternate=True), after=printed(alternate=False))
@EXAMPLES
def test_sequences_of_all_kinds_are_redrawn(size: tuple[int, int], before: bytes, after: bytes) -> None:
    assert_redrawn(size, before, after)


@given(size=SIZES, before=st.binary(max_size=400), after=st.binary(max_size=100))
@EXAMPLES
def test_garbage_is_redrawn(size: tuple[int, int], before: bytes, after: bytes) -> None:
    first = fed(size, before)
    assert_alike(first, fed(size, first.redraw()))


@given(size=SIZES, earlier=printed(alternate=True), output=printed(alternate=True))
@EXAMPLES
def test_a_terminal_that_shows_an_earlier_output_is_redrawn_too(size: tuple[int, int], earlier: bytes, output: bytes) -> None:
    """But for the title: a session that had one and has none leaves it."""
    first = fed(size, output)
    assert_alike(first, fed(size, earlier, first.redraw()), except_for=("title",))


CASES: dict[str, bytes] = {
    "the cursor waits to wrap": b"x" * 20,
    "the cursor waits to wrap behind a wide character": b"x" * 18 + "漢".encode(),
    "a wide character did not fit at the end of a row": b"x" * 19 + "漢字".encode(),
    "rows that wrap": b"abc" * 30,
    "rows that wrap with a background": b"\x1b[44m" + b"abc" * 30 + b"\x1b[K",
    "a background without text": b"\x1b[44m\x1b[2J\x1b[3;3H\x1b[41m\x1b[5X",
    "spaces with a style and none": b"\x1b[4m   \x1b[m   x",
    "links side by side, with colours": b"\x1b]8;;http://a\x07a\x1b[31mb\x1b]8;;http://b\x07c\x1b]8;;\x07d",
    "a link that is open": b"\x1b]8;id=q;http://a/?b=%20\x1b\\text",
    "a combining character": "e\u0301o\u0308".encode(),
    "one cell of several emoji": b"\x1b[?2027h" + "👩\u200d👩\u200d👧 ❤\ufe0f 🇩🇪".encode(),
    "the alternate screen over a primary one": b"\x1b[31mprimary\x1b[3;4H\x1b[?1049h\x1b[32malternate",
    "the alternate screen of old": b"primary\x1b[3;4H\x1b[?47halternate",
    "a saved cursor with its pen and charset": b"\x1b[3;4H\x1b[31m\x1b(0\x1b7\x1b[H\x1b[m\x1b(Bx",
    "a cursor saved outside of the margins": b"\x1b[?6h\x1b[1;1H\x1b7\x1b[3;4r\x1b[?6l",
    "margins on all sides, origin mode": b"\x1b[?69h\x1b[3;10s\x1b[2;4r\x1b[?6h\x1b[2;2H",
    "tab stops": b"\x1b[3g\x1b[4G\x1bH\x1b[9G\x1bH\r",
    "a stack of keyboard flags": b"\x1b[>1u\x1b[>5u\x1b[>9u\x1b[<u",
    "keyboard flags of both screens": b"\x1b[>1u\x1b[?1049h\x1b[>5u",
    "modes that were saved": b"\x1b[?2004h\x1b[?2004s\x1b[?2004l",
    "mouse, paste, focus": b"\x1b[?1002;1006;2004;1004h",
    "no autowrap, inserting, newline": b"\x1b[?7l\x1b[4h\x1b[20hx",
    "a title, an invisible cursor and its shape": b"\x1b]2;t\xc3\xbc\x07\x1b[?25l\x1b[5 q",
    "colours that were changed": b"\x1b]4;1;#010203;255;#040506\x07\x1b]10;#111111\x07\x1b]11;#222222\x07\x1b]12;#333333\x07",
    "protected characters": b'\x1b[1"qkept\x1b[0"qnot\x1b[?K',
    "application keys": b"\x1b[?1h\x1b=\x1b[>4;2m",
    "synchronised output that has begun": b"\x1b[?2026hx",
    "line drawing": b"\x1b)0\x0elqk\x1b(0q",
    "a character cut in two": "漢".encode()[:2],
    "a sequence cut in two": b"\x1b[38;5;1",
    "a title cut in two": b"\x1b]2;half a ti",
    "a device control string cut in two": b"\x1bP$q",
}


@pytest.mark.parametrize("output", CASES.values(), ids=CASES.keys())
def test_it_is_redrawn(output: bytes) -> None:
    assert_redrawn((6, 20), output, b"1mtle\x07\x1b[0mnext\r\n\x1b8saved\x1b[?1049l\x1b[<u\x1b[?2004r")


def test_it_says_nothing_that_a_terminal_would_answer() -> None:
    """Its answers would be typed into the session."""
    emulator = fed((6, 20), b"".join(CASES.values()))
    viewer = ghostty.new(6, 20)
    assert viewer.feed(emulator.redraw()) == b""


def test_it_leaves_out_what_is_the_viewers_own() -> None:
    """The size (DECCOLM), reports of the size (2048), and the lock of the keyboard, with which nobody could detach."""
    viewer = fed((6, 20), fed((6, 20), b"\x1b[2h\x1b[?40h\x1b[?3h\x1b[?2048h").redraw())
    native: Any = viewer._terminal  # type: ignore[attr-defined]
    assert not any((native.mode(2, ansi=True), native.mode(3), native.mode(40), native.mode(2048)))


def test_redrawing_changes_nothing() -> None:
    emulator = fed((6, 20), CASES["the alternate screen over a primary one"], b"\x1b[3")
    saved = emulator.save()
    assert emulator.redraw() == emulator.redraw()
    assert emulator.save() == saved


def test_a_large_redraw_is_seen_to_go_on() -> None:
    seen: list[None] = []
    fed((1000, 20), b"x\r\n" * 1000).redraw(moved=lambda: seen.append(None))
    assert 30 < len(seen) < 40
