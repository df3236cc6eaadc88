"""A capture is the screen as a value, in four formats; and in none of them is what a session prints more than text."""

from __future__ import annotations

from html.parser import HTMLParser

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from likeness import differences, likeness
from sequences import SIZES, printed

from coprocd.screen import ghostty
from coprocd.screen.emulator import Capture, Cursor, Emulator, Format, Row, Run


def shown(output: bytes, rows: int = 4, cols: int = 20) -> Emulator:
    emulator = ghostty.new(rows, cols)
    emulator.feed(output)
    return emulator


def text(output: bytes, format: Format = "text", scrollback: int = 0) -> str:
    return shown(output).capture(format, scrollback).text or ""


def test_text_is_the_rows_without_the_blanks_at_their_ends() -> None:
    assert text("one  \r\n\x1b[41m  two \x1b[K\x1b[m\r\n漢e\u0301x".encode()) == "one\n  two\n漢e\u0301x\n\n"
    assert text(b"x" * 25) == "x" * 20 + "\nxxxxx\n\n\n"
    assert text(b"x" * 19 + "漢".encode()) == "x" * 19 + "\n漢\n\n\n"


def test_ansi_has_attributes_and_links_and_each_row_stands_alone() -> None:
    assert text(b"\x1b[1;31mred\r\nalso\x1b[m \x1b]8;;http://a/\x07link\x1b]8;;\x07 end", "ansi") == (
        "\x1b[0;1;31mred\x1b[m\n\x1b[0;1;31malso\x1b[m \x1b]8;;http://a/\x1b\\link\x1b]8;;\x1b\\ end\n\n\n"
    )


@given(size=SIZES, output=printed(alternate=False))
@settings(max_examples=100, deadline=None)
def test_ansi_shown_row_by_row_has_the_same_cells(size: tuple[int, int], output: bytes) -> None:
    """Clusters that only a joining terminal makes are the exception."""
    rows, cols = size
    first, second = shown(output.replace("❤\ufe0f".encode(), b""), rows, cols), ghostty.new(rows, cols)
    for number, row in enumerate((first.capture("ansi").text or "").split("\n")[:-1]):
        second.feed(b"\x1b[%dH" % (number + 1) + row.encode())
    seen = [emulator.capture("json").lines or [] for emulator in (first, second)]
    assert [row.runs for row in seen[0]] == [row.runs for row in seen[1]]


def test_json_is_runs_with_their_widths() -> None:
    capture = shown("ab\x1b[1;4:3;38;5;200;48;2;1;2;3;58;5;9mcd\x1b[m\x1b]8;;http://a/\x07漢\x1b]8;;\x07\r\n".encode() + b"y" * 21).capture(
        "json"
    )
    assert capture == Capture(
        format="json",
        rows=4,
        cols=20,
        cursor=Cursor(2, 1, True),
        title="",
        alternate=False,
        scrollback=0,
        lines=[
            Row(
                [
                    Run("ab", 2),
                    Run("cd", 2, fg=200, bg="#010203", bold=True, underline="curly", underline_color=9),
                    Run("漢", 2, link="http://a/"),
                ]
            ),
            Row([Run("y" * 20, 20)], wraps=True),
            Row([Run("y", 1)]),
            Row(),
        ],
    )
    assert msgspec.json.decode(msgspec.json.encode(capture), type=Capture) == capture


def test_all_of_it_says_what_is_around_the_text() -> None:
    capture = shown(b"a\x1b]2;name\x07\x1b[?1049h\x1b[2;3H\x1b[?25l").capture("text")
    assert (capture.rows, capture.cols, capture.title, capture.alternate) == (4, 20, "name", True)
    assert capture.cursor == Cursor(1, 2, False)


@pytest.mark.parametrize("format", ["text", "ansi", "html", "json"])
def test_lines_above_the_screen_come_first_as_many_as_were_asked_for(format: Format) -> None:
    emulator = shown(b"".join(b"\x1b[32m%d\x1b[m\r\n" % number for number in range(50)))
    for wanted, there in ((0, 0), (3, 3), (47, 47), (48, 47), (10**9, 47), (-1, 47)):
        capture = emulator.capture(format, wanted)
        assert capture.scrollback == there
        content = capture.lines if capture.lines is not None else (capture.text or "").removesuffix("</pre>\n").split("\n")[:-1]
        assert len(content) == there + 4
    first = emulator.capture("text", -1).text or ""
    assert first.split() == [str(number) for number in range(50)]


def test_the_alternate_screen_has_no_lines_above_it() -> None:
    assert shown(b"x\r\n" * 50 + b"\x1b[?1049h").capture("text", -1).scrollback == 0


class Reader(HTMLParser):
    """The tags of a piece of HTML and its text."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


HOSTILE = (
    b"</pre><script>alert(1)</script>&lt;\"'" + b'\x1b]8;;http://a/"><script>\x07in a link\x1b]8;;javascript:alert(1)\x07click\x1b]8;;\x07'
)


def test_nothing_that_is_printed_is_markup() -> None:
    reader = Reader(shown(HOSTILE, 4, 80).capture("html").text or "")
    assert reader.text.split("\n")[0] == "</pre><script>alert(1)</script>&lt;\"'in a linkclick"
    assert [tag for tag, _ in reader.tags] == ["pre", "a"]
    assert reader.tags[1][1]["href"] == "http://a/%22><script>" or reader.tags[1][1]["href"] == 'http://a/"><script>'


@given(st.text(max_size=60), st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=30))
@settings(max_examples=100, deadline=None)
def test_whatever_is_printed_html_has_the_text_that_text_has(printed_text: str, link: str) -> None:
    emulator = shown(b"\x1b]8;;" + link.encode() + b"\x07" + printed_text.encode() + b"\x1b\\\x1b[m\x1b]8;;\x07 <b>", 6, 30)
    reader = Reader(emulator.capture("html").text or "")
    assert {tag for tag, _ in reader.tags} <= {"pre", "a", "span"}
    assert [row.rstrip(" ") for row in reader.text.split("\n")[:6]] == (emulator.capture("text").text or "").split("\n")[:6]
    assert all(
        (attrs["href"] or "").lower().startswith(("http://", "https://", "mailto:", "ftp://")) for tag, attrs in reader.tags if tag == "a"
    )


def test_html_has_the_colours_of_the_terminal() -> None:
    markup = text(b"\x1b]4;1;#102030\x07\x1b]11;#111111\x07\x1b[31mred\x1b[7mback\x1b[m\x1b[1;3;9;4:3mx\x1b[m\x1b[8msecret", "html")
    assert '<pre style="color:#e5e5e5;background:#111111;' in markup
    assert '<span style="color:#102030">red</span><span style="color:#111111;background:#102030">back</span>' in markup
    assert "font-weight:bold;font-style:italic;text-decoration-line:underline line-through;text-decoration-style:wavy" in markup
    assert '<span style="color:transparent">secret</span>' in markup


def test_characters_a_terminal_would_act_on_are_not_in_any_text() -> None:
    emulator = shown("a\u009bb\u0085c\x7fd\x1b]8;;http://a/\u009d\x07e".encode(), 4, 40)
    for format in ("text", "ansi", "html"):
        content = (emulator.capture(format).text or "").replace("\x1b]8;;", "").replace("\x1b\\", "").replace("\x1b[m", "")
        assert not any(character != "\n" and (character < " " or "\x7f" <= character < "\xa0") for character in content)


def test_a_long_capture_is_seen_to_go_on() -> None:
    seen: list[None] = []
    shown(b"x\r\n" * 2000).capture("json", -1, moved=lambda: seen.append(None))
    assert 30 < len(seen) < 40


def test_capturing_changes_nothing() -> None:
    emulator = shown(b"x\r\n" * 20 + b"\x1b[31")
    before = likeness(emulator)
    emulator.capture("json", -1)
    assert not differences(before, likeness(emulator))
