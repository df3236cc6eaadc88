"""Anything at all, fed to the core and to what reads bytes of others: it means the same in pieces, and nothing escapes but our errors."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import socket

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from coprocd.core.canonical import CanonicalLine, LineRules
from coprocd.core.keys import encode
from coprocd.core.modes import InputModes
from coprocd.core.paste import paste
from coprocd.core.ring import FeedPosition, Ring
from coprocd.keeper import wire
from coprocd.platform import memory
from coprocd.protocol.errors import CoprocdError
from coprocd.runtime.record import Record

TEXT = st.text(alphabet=st.characters(exclude_categories=()), max_size=30)
ESCAPES = st.lists(
    st.sampled_from([b"\x1b", b"[", b"?", b"2004", b"1", b";", b"h", b"l", b"c", b"!p"]) | st.binary(max_size=3), max_size=40
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8), lambda x: st.lists(x, max_size=3), max_leaves=6
)


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(at % (len(data) + 1) for at in cuts), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges)]


@settings(max_examples=200, deadline=None)
@given(ESCAPES, st.lists(st.integers(0, 1000), max_size=10))
def test_modes_do_not_depend_on_how_output_is_cut(pieces: list[bytes], cuts: list[int]) -> None:
    data = b"".join(pieces)
    fed = []
    for chunks in ([data], cut(data, cuts), pieces, [bytes([byte]) for byte in data]):
        modes = InputModes()
        for chunk in chunks:
            modes.feed(chunk)
        fed.append((modes.bracketed_paste, modes.application_cursor))
    assert len(set(fed)) == 1


@settings(deadline=None)
@given(st.binary(max_size=200), st.lists(st.integers(0, 1000), max_size=10))
def test_the_length_of_a_line_does_not_depend_on_how_it_is_typed(data: bytes, cuts: list[int]) -> None:
    rules, line, dropped = LineRules(), CanonicalLine(), 0
    for piece in cut(data, cuts):
        typed = line.type(piece, rules)
        line, dropped = typed.line, dropped + typed.cut
    assert (line, dropped) == CanonicalLine().type(data, rules)[:2]


ALL_TEXT = TEXT | st.sampled_from(["\ud800", "ß", "\x00", "ﬁ", "Up", "F5", "Tab", "Enter", "Space", "é"])
KEYS = st.lists(st.sampled_from(["C-", "M-", "S-"]), max_size=3).flatmap(
    lambda modifiers: ALL_TEXT.map(lambda base: "".join(modifiers) + base)
)


@settings(max_examples=300, deadline=None)
@given(KEYS, st.booleans())
def test_any_name_of_a_key_gives_a_few_bytes_or_invalid_params(name: str, application_cursor: bool) -> None:
    try:
        data = encode([name], application_cursor)
    except CoprocdError as error:
        assert error.code == "invalid_params"
    else:
        assert 1 <= len(data) <= 9


@settings(deadline=None)
@given(TEXT, st.booleans())
def test_no_text_that_is_pasted_acts_as_an_escape(text: str, bracketed: bool) -> None:
    data = paste(text, bracketed)
    assert data.count(b"\x1b") == 2 * bracketed
    assert not re.search("[\x80-\x9f]", data.decode())


@settings(deadline=None)
@given(st.integers(0, 2**60), st.integers(0, 2**20), st.integers(0, 2**16))
def test_whatever_promise_was_left_the_bytes_in_the_pipe_end_where_the_ring_then_ends(end: int, promised: int, in_pipe: int) -> None:
    slots = [end, end + promised]
    ring = Ring(slots, 0, 0, 1 << 22)
    at = ring.recover(in_pipe)
    ring.keep()
    assert at + in_pipe == ring.end
    assert ring.end == end + (promised or in_pipe)


@settings(deadline=None)
@given(st.integers(0, 2**60), st.integers(0, 2**20), st.integers(0, 2**16))
def test_whatever_promise_was_left_a_feed_neither_goes_back_nor_ahead_of_its_pipe(filled: int, promised: int, in_pipe: int) -> None:
    position = FeedPosition([filled, filled + promised], 0)
    position.recover(in_pipe)
    assert position.position == (filled if promised else filled - in_pipe)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary(max_size=60) | JSON.map(lambda value: wire.encode({"value": value})), max_size=4), st.integers(1, 50))
def test_the_wire_takes_any_bytes_or_says_that_they_are_not_its_own(pieces: list[bytes], size: int) -> None:
    left, right = socket.socketpair()
    decoder = wire.Decoder()
    with left, right:
        left.sendall(b"".join(pieces))
        left.close()
        with contextlib.suppress(wire.WireError):
            while decoder.receive(right):
                for message, fds in decoder.messages():
                    assert isinstance(message, dict)
                    assert fds == []


@settings(deadline=None)
@given(JSON)
@example(float("inf"))
def test_any_body_of_a_frame_is_a_message_or_a_wire_error(value: object) -> None:
    for body in (value, {"fds": value}, {"version": value, "min": value}):
        text = json.dumps(body).encode()
        left, right = socket.socketpair()
        with left, right, contextlib.suppress(wire.WireError):
            left.sendall(len(text).to_bytes(4, "big") + text)
            decoder = wire.Decoder()
            decoder.receive(right)
            for message, _ in decoder.messages():
                wire.agree(message)


class Note(msgspec.Struct):
    text: str


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text(max_size=40), max_size=4), st.lists(st.tuples(st.integers(0, 255), st.binary(min_size=1, max_size=8)), max_size=4))
def test_a_record_that_was_scribbled_on_is_one_of_those_written_or_none(texts: list[str], scribbles: list[tuple[int, bytes]]) -> None:
    fd = memory.create("coprocd-fuzz", 512)
    record = Record(fd, 0, 256, Note)
    for text in texts:
        record.write(Note(text))
    for at, data in scribbles:
        os.pwrite(fd, data, at)  # one of the two copies
    read = Record(fd, 0, 256, Note).read()
    os.close(fd)
    assert read is None or read.text in texts
