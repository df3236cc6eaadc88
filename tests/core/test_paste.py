"""Pasted text cannot act as keys: of all controls only tab and the return key survive."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coprocd.core.paste import paste

ANYTHING = st.text(alphabet=st.characters(exclude_categories=()), max_size=80) | st.text(
    alphabet="a\x1b[201~\x9b\x80\x9f\r\n\t\x03\x04\x7f", max_size=40
)
CONTROLS = [chr(number) for number in (*range(0x20), *range(0x7F, 0xA0))]


def test_plain_text_is_typed_as_it_is() -> None:
    assert paste("grüße €\t~", bracketed=False) == "grüße €\t~".encode()


def test_line_ends_become_the_return_key() -> None:
    assert paste("a\nb\r\nc\rd\n\n", bracketed=False) == b"a\rb\rc\rd\r\r"


def test_a_bracketed_paste_stands_between_its_marks() -> None:
    assert paste("ls\n", bracketed=True) == b"\x1b[200~ls\r\x1b[201~"
    assert paste("", bracketed=True) == b"\x1b[200~\x1b[201~"


@pytest.mark.parametrize("text", ["x\x1b[201~rm -rf\n", "x\x9b201~rm\n", "\x1b\x1b[201~\x1b[201~", "\x1b\x9b\x1b[201~"])
def test_text_cannot_end_the_paste_it_stands_in(text: str) -> None:
    data = paste(text, bracketed=True)
    assert data.count(b"\x1b") == 2
    assert data.endswith(b"\x1b[201~")


@pytest.mark.parametrize("bracketed", [False, True])
def test_what_would_interrupt_suspend_erase_or_end_is_taken_away(bracketed: bool) -> None:
    """^C, ^D, ^Z, ^U, ^W, ^V, backspace and DEL went to the job as if somebody had pressed them."""
    assert paste("a\x03b\x04c\x1ad\x15e\x17f\x16g\x08h\x7fi\x00j\tk\n", bracketed) == paste("abcdefghij\tk\n", bracketed)


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: f"{ord(control):02x}")
def test_of_all_controls_only_tab_and_line_ends_stay(control: str) -> None:
    kept = {"\t": b"\t", "\n": b"\r", "\r": b"\r"}
    assert paste(f"a{control}b", False) == b"a" + kept.get(control, b"") + b"b"


def test_a_line_end_with_a_control_in_its_middle_is_one_line_end() -> None:
    assert paste("a\r\x00\nb", False) == b"a\rb"


@settings(deadline=None)
@given(ANYTHING, st.booleans())
def test_no_control_survives_but_tab_and_return(text: str, bracketed: bool) -> None:
    data = paste(text, bracketed)
    if bracketed:
        assert data.startswith(b"\x1b[200~") and data.endswith(b"\x1b[201~")
        data = data[6:-6]
    typed = data.decode()  # and it is UTF-8, whatever was in the text
    assert set(typed).isdisjoint({*CONTROLS} - {"\t", "\r"})


@settings(deadline=None)
@given(ANYTHING)
def test_nothing_else_is_taken_away(text: str) -> None:
    def rest(of: str) -> str:
        return re.sub("[\x00-\x08\x0a-\x1f\x7f-\x9f]", "", of)

    assert rest(paste(text, False).decode()) == rest(text).encode(errors="replace").decode()
