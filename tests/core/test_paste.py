"""Pasted text cannot act as keys: no ESC and no C1 control survives."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coprocd.core.paste import paste

ANYTHING = st.text(alphabet=st.characters(exclude_categories=()), max_size=80) | st.text(alphabet="a\x1b[201~\x9b\x80\x9f\r\n", max_size=40)


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


@settings(deadline=None)
@given(ANYTHING, st.booleans())
def test_no_escape_and_no_c1_control_survives(text: str, bracketed: bool) -> None:
    data = paste(text, bracketed)
    if bracketed:
        assert data.startswith(b"\x1b[200~") and data.endswith(b"\x1b[201~")
        data = data[6:-6]
    typed = data.decode()  # and it is UTF-8, whatever was in the text
    assert not re.search("[\x1b\x80-\x9f\n]", typed)


@settings(deadline=None)
@given(ANYTHING)
def test_nothing_else_is_taken_away(text: str) -> None:
    def rest(of: str) -> str:
        return re.sub("[\x1b\x80-\x9f\r\n]", "", of)

    assert rest(paste(text, False).decode()) == rest(text).encode(errors="replace").decode()
