"""The reader of a websocket's messages, against frames made by the library that others use."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from coprocd.protocol.messages import MessageReader

MOST_BYTES = 1000

_messages = st.lists(
    st.tuples(st.sampled_from([Opcode.BINARY, Opcode.TEXT]), st.text(max_size=200).map(str.encode), st.integers(1, 4)), max_size=6
)


def fragments(opcode: Opcode, data: bytes, number: int) -> list[Frame]:
    size = -(-len(data) // number) or 1
    parts = [data[start : start + size] for start in range(0, len(data), size)] or [b""]
    return [Frame(opcode if at == 0 else Opcode.CONT, part, fin=at == len(parts) - 1) for at, part in enumerate(parts)]


def all_of(reader: MessageReader, data: bytes = b"") -> list[tuple[Opcode, bytes]]:
    found = []
    message = reader.take(data)
    while message is not None:
        if message.opcode is not Opcode.CONT:
            found.append((message.opcode, bytes(message.data)))
        message = reader.take()
    return found


@given(_messages, st.booleans(), st.lists(st.integers(1, 50)))
def test_messages_are_whole_wherever_their_bytes_are_cut(messages: list[tuple[Opcode, bytes, int]], masked: bool, cuts: list[int]) -> None:
    reader = MessageReader(masked, MOST_BYTES)
    sent = b"".join(frame.serialize(mask=masked) for message in messages for frame in fragments(*message))
    found = []
    for cut in [*cuts, len(sent)]:
        found += all_of(reader, sent[:cut])
        sent = sent[cut:]
    reader.feed(sent)
    found += all_of(reader)
    assert found == [(opcode, data) for opcode, data, _ in messages]
    assert reader.broken is None


def test_what_is_for_control_comes_between_the_fragments_of_a_message() -> None:
    reader = MessageReader(False, MOST_BYTES)
    first, last = fragments(Opcode.BINARY, b"abcd", 2)
    reader.feed(b"".join(frame.serialize(mask=False) for frame in (first, Frame(Opcode.PING, b"p"), last)))
    assert all_of(reader) == [(Opcode.PING, b"p"), (Opcode.BINARY, b"abcd")]


def test_no_more_is_parsed_than_is_taken() -> None:
    reader = MessageReader(True, MOST_BYTES)
    reader.feed(Frame(Opcode.BINARY, b"a").serialize(mask=True) + b"\xff\xff")
    assert (message := reader.take()) is not None and message.data == b"a"
    assert reader.broken is None
    assert reader.take() is None and reader.broken is not None


def frames(*them: Frame) -> bytes:
    return b"".join(frame.serialize(mask=True) for frame in them)


BROKEN = {
    "not masked": (Frame(Opcode.BINARY, b"a").serialize(mask=False), 1002),
    "of no kind": (b"\x83\x80mask", 1002),
    "reserved bit": (b"\xc2\x80mask", 1002),
    "control in fragments": (b"\x09\x80mask", 1002),
    "goes on": (frames(Frame(Opcode.CONT, b"goes on")), 1002),
    "begins twice": (frames(Frame(Opcode.TEXT, b"a", fin=False), Frame(Opcode.TEXT, b"b")), 1002),
    "half a close code": (frames(Frame(Opcode.CLOSE, b"\x03")), 1002),
    "text": (frames(Frame(Opcode.TEXT, b"\xff")), 1007),
    "reason": (frames(Frame(Opcode.CLOSE, b"\x03\xe8\xff")), 1007),
    "long frame": (frames(Frame(Opcode.BINARY, b"x" * (MOST_BYTES + 1)))[:8], 1009),
    "long message": (frames(*(Frame(Opcode.BINARY if at == 0 else Opcode.CONT, b"x" * 600, fin=False) for at in range(2))), 1009),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_no_websockets_breaks_it_for_good(what: str) -> None:
    sent, code = BROKEN[what]
    reader = MessageReader(True, MOST_BYTES)
    assert all_of(reader, frames(Frame(Opcode.BINARY, b"before")) + sent) == [(Opcode.BINARY, b"before")]
    assert reader.broken is not None and reader.broken[0] == code and reader.broken[1]
    assert all_of(reader, frames(Frame(Opcode.BINARY, b"behind"))) == []
