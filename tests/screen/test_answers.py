"""The terminal answers what programs ask it, and nothing of its answers is the session's to choose."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coprocd.screen import ghostty
from coprocd.screen.answers import MOST_BYTES, allowed


def wordy(answers: bytes) -> re.Match[bytes] | None:
    """What in them ends a line or reads like a word, but for colours and the emulator's name."""
    return re.search(rb"[\r\n\x03\x04]|[A-Za-z]{4,}", re.sub(rb"libghostty|rgb:[0-9a-f/]*", b"", answers))


MARK = b"evil"
HEX_MARK = MARK.hex().encode()


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        (b"\x1b[c", b"\x1b[?62;22c"),
        (b"\x1b[>c", b"\x1b[>1;0;0c"),
        (b"\x1b[=c", b"\x1bP!|00000000\x1b\\"),
        (b"\x1b[5n", b"\x1b[0n"),
        (b"\x1b[3;4H\x1b[6n", b"\x1b[3;4R"),
        (b"\x1b[?2004h\x1b[?2004$p", b"\x1b[?2004;1$y"),
        (b"\x1b[4$p", b"\x1b[4;2$y"),
        (b"\x1b[?2026$p", b"\x1b[?2026;2$y"),
        (b"\x1b[>5u\x1b[?u", b"\x1b[?5u"),
        (b"\x1b]10;?\x07", b"\x1b]10;rgb:e5e5/e5e5/e5e5\x07"),
        (b"\x1b]11;?\x1b\\", b"\x1b]11;rgb:0000/0000/0000\x1b\\"),
        (b"\x1b]12;?\x07", b"\x1b]12;rgb:e5e5/e5e5/e5e5\x07"),
        (b"\x1b]4;1;#102030\x07\x1b]4;1;?\x07", b"\x1b]4;1;rgb:1010/2020/3030\x07"),
        (b"\x1b[14t", b"\x1b[4;384;640t"),
        (b"\x1b[16t", b"\x1b[6;16;8t"),
        (b"\x1b[18t", b"\x1b[8;24;80t"),
        (b"\x1b[>q", b"\x1bP>|libghostty\x1b\\"),
        (b"\x1b[1;31m\x1bP$qm\x1b\\", b"\x1bP1$r0;1;31m\x1b\\"),
        (b"\x1b[2;9r\x1bP$qr\x1b\\", b"\x1bP1$r2;9r\x1b\\"),
        (b"\x1b[4 q\x1bP$q q\x1b\\", b"\x1bP1$r4 q\x1b\\"),
        (b"\x1b[?2048h", b"\x1b[48;24;80;384;640t"),
    ],
)
def test_it_answers(query: bytes, answer: bytes) -> None:
    """Cut anywhere, and once."""
    assert ghostty.new(24, 80).feed(query) == answer
    emulator = ghostty.new(24, 80)
    assert b"".join(emulator.feed(query[at : at + 1]) for at in range(len(query))) == answer
    assert emulator.feed(b"x") == b""


def test_a_program_that_asked_for_it_is_told_of_a_new_size() -> None:
    emulator = ghostty.new(24, 80)
    emulator.feed(b"\x1b[?2048h")
    assert emulator.resize(30, 100) == b"\x1b[48;30;100;480;800t"
    assert emulator.feed(b"\x1b[18t") == b"\x1b[8;30;100t"


QUERIES = {
    "a title report (CVE-2003-0063)": b"\x1b]2;evil\x07\x1b[21t",
    "an icon's report": b"\x1b]1;evil\x07\x1b[20t",
    "titles that were pushed": b"\x1b]0;evil\x07\x1b[22t\x1b[23t\x1b[21;0t",
    "the answerback": b"\x05",
    "a setting with line ends (CVE-2008-2383)": b"\x1bP$q\nevil\n\x1b\\",
    "a setting with payload": b"\x1bP$qevil\rm\x1b\\",
    "a setting that is echoed": b'\x1bP$q"evil\x1b\\\x1bP0$revil\x1b\\',
    "the font (CVE-2022-45063)": b"\x1b]50;evil\x07\x1b]50;?\x07",
    "the clipboard": b"\x1b]52;c;ZXZpbA==\x07\x1b]52;c;?\x07\x1b]52;p;?\x1b\\",
    "kitty's clipboard": b"\x1b]5522;type=write\x07\x1b]5522;type=wdata:mime=ZXZpbA==;ZXZpbA==\x07\x1b]5522;type=read:id=evil;ZXZpbA==\x07",
    "a capability": b"\x1bP+q6576696c\x1b\\\x1bP+q544e\x1b\\",
    "a capability that is set": b"\x1bP+p6576696c\x1b\\\x1bP+q6576696c\x1b\\",
    "a directory": b"\x1b]7;file://h/evil\x07\x1b]7;?\x07",
    "a notification": b"\x1b]9;evil\x07\x1b]777;notify;evil;evil\x07\x1b]99;i=evil:p=?;evil\x07",
    "colours by name": b"\x1b]4;1;evil\x07\x1b]4;1;?\x07\x1b]21;evil=?;foreground=?\x07\x1b]10;evil\x07\x1b]10;?\x07",
    "a hyperlink": b"\x1b]8;id=evil;evil\x07x\x1b]8;;\x07",
    "a prompt's mark": b"\x1b]133;A;evil=1\x07\x1b]133;D;0;evil\x07",
    "iTerm2's reports": b"\x1b]1337;SetUserVar=evil=ZXZpbA==\x07\x1b]1337;ReportVariable=ZXZpbA==\x07\x1b]1337;Capabilities\x07",
    "an image": b"\x1b_Gi=1,a=q;ZXZpbA==\x1b\\\x1b_Gi=31,s=1,v=1,a=q,t=f,f=24;L2V2aWw=\x1b\\",
    "a glyph": b"\x1b_25a1;s;evil\x1b\\\x1b_25a1;q;cp=65\x1b\\",
    "a checksum of what is shown": b"\x1b[H\x1b[2Jevil\x1b[1;1;1;1;1;4*y",
    "a malformed string": b"\x1bP\x1b]\x1bP$q\x1bP+q\x1b_evil\x07\x1b\\\x1b^evil\x9c",
    "keys that are defined": b"\x1bP0;0|17/6576696c\x1b\\\x1b[?26n",
    "a macro": b"\x1bP1;0;0!zevil\x1b\\\x1b[1*z\x1b[?62n",
    "a presentation report": b"\x1b[1$w\x1b[2$w",
    "a shape of the pointer": b"\x1b]22;evil\x07\x1b]22;?evil,__current__\x07",
}


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES.keys())
def test_no_text_of_the_sessions_choosing_is_answered(query: bytes) -> None:
    emulator = ghostty.new(24, 80)
    answers = emulator.feed(query) + emulator.feed(b"\x1b\\") + emulator.feed(query)
    assert MARK not in answers.lower() and HEX_MARK not in answers.lower()
    assert not wordy(answers)


@given(st.lists(st.sampled_from(list(QUERIES.values())) | st.binary(max_size=12), max_size=12).map(b"".join))
@settings(max_examples=150, deadline=None)
def test_nor_is_that_of_queries_that_are_mixed(output: bytes) -> None:
    answers = ghostty.new(24, 80).feed(output)
    assert allowed(answers) == answers
    assert not wordy(answers)


def test_whatever_is_no_answer_of_an_allowed_form_is_dropped() -> None:
    for text in (
        b"evil\r",
        b"\x1b]levil\x1b\\",
        b"\x1bP1+r6576696c=65\x1b\\",
        b"\x1b]52;c;ZXZpbA==\x07",
        b"\x1bP1$revil\x1b\\",
        b"\x1b[evil",
        b"\x1b[\r6n",
    ):
        assert allowed(text) == b""
        assert allowed(b"\x1b[0n" + text + b"\x1b[1;2R") == b"\x1b[0n\x1b[1;2R"


def test_answers_to_a_flood_of_queries_are_bounded() -> None:
    answers = ghostty.new(24, 80).feed(
        b"\x1b]4;" + b";".join(b"%d;?" % (number % 256) for number in range(8000)) + b"\x07" + b"\x1b[c" * 9000
    )
    assert 0 < len(answers) <= MOST_BYTES
    assert allowed(answers) == answers
