"""What a terminal's output shows, line by line, with the output offset of every character: what triggers are matched against.

Escape sequences (ECMA-48) and control characters leave no trace, a tab excepted. A line ends at CR, at LF, and where the cursor leaves it.
Bytes that are no UTF-8 stand as 0x1a, one for one. Chunks may be cut anywhere: what has begun and not ended is kept, a few KiB at most.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import NamedTuple

SEQUENCE_MOST = 4096
"""Bytes kept of a sequence in progress; a longer string (a picture) is passed over without being kept."""

GROUND, STRING = 0, 1
"""States between chunks: nothing in progress (what is, is kept whole), or inside a string that is passed over."""

_PLAIN = bytes(range(256)).translate(bytes.maketrans(b"\r", b"\n"))
_SPECIAL = bytes([*range(0x00, 0x09), 0x0B, 0x0C, *range(0x0E, 0x20), 0x7F])

_TOKEN = re.compile(
    rb"\x1b(?:"
    rb"\[(?P<parameters>[0-?]*)[ -/]*(?P<final>[@-~])"
    rb"|(?P<string>\](?P<payload>[^\x07\x18\x1a\x1b]*)(?:\x07|\x1b\\)|[PX^_\]][^\x18\x1a\x1b\x07]*(?:\x07[^\x18\x1a\x1b\x07]*)*(?:\x1b\\|[\x18\x1a]))"
    rb"|(?P<simple>[ -/]+[0-~]|[0-OQ-WYZ\\`-~])"
    rb"|(?P<open>\[[0-?]*[ -/]*\Z|[PX^_\]][^\x18\x1a\x1b]*\x1b?\Z|[ -/]*\Z)"
    rb"|(?P<broken>(?=[\x00-\x1f\x7f-\xff])|\[[0-?]*[ -/]*|[PX^_\]][^\x18\x1a\x1b]*)"
    rb")"
    rb"|(?P<leave>[\x0b\x0c])|(?P<bell>\x07)|[\x00-\x06\x08\x0e-\x1a\x1c-\x1f\x7f]"
)
_STRING_END = re.compile(rb"\x1b\\|[\x07\x18\x1a]|(?=\x1b[^\\])")
_LEAVING = frozenset(b"ABEFHfd")
_CUT_CHARACTER = re.compile(rb"(?:[\xc2-\xdf]|[\xe0-\xef][\x80-\xbf]?|[\xf0-\xf4][\x80-\xbf]{0,2})\Z")


class Sign(NamedTuple):
    """Something in the output beside text: a `bell`, or an `osc` with its payload."""

    kind: str
    offset: int
    payload: bytes


class Text(NamedTuple):
    """The visible text of a chunk. `starts[i]` of the text has the output offset `offsets[i]`, and so on up to the next."""

    text: bytes
    """Lines end with \\n, whatever ended them."""

    ended_by: bytes
    """The same, with CR where it was CR."""

    starts: list[int]
    offsets: list[int]
    alternate: list[tuple[int, bool]]
    """From where on in the text the alternate screen shows, or does not."""
    signs: list[Sign]

    def offset(self, index: int) -> int:
        """The output offset of the character at `index`."""
        at = bisect_right(self.starts, index) - 1
        return self.offsets[at] + index - self.starts[at]


class Lines:
    """Turns output into text. Fed in order; `state` and what it keeps go from chunk to chunk."""

    __slots__ = ("_kept", "alternate", "state")

    def __init__(self, state: int = GROUND, alternate: bool = False) -> None:
        self.state = state
        self.alternate = alternate
        self._kept = b""

    @property
    def kept(self) -> int:
        """How many of the last bytes are kept until what they begin has ended."""
        return len(self._kept)

    def restart(self) -> None:
        """Nothing is in progress."""
        self.state = GROUND
        self._kept = b""

    def feed(self, data: bytes, offset: int) -> Text:
        """The text of the next chunk; `offset` is the output offset of its first byte."""
        if self._kept:
            data, offset, self._kept = self._kept + data, offset - len(self._kept), b""
        if self.state == STRING:
            end = _STRING_END.search(data)
            if end is None:
                self._kept = b"\x1b" if data.endswith(b"\x1b") else b""
                return Text(b"", b"", [0], [offset], [], [])
            self.state = GROUND
            data, offset = data[end.end() :], offset + end.end()
        if cut := _CUT_CHARACTER.search(data, max(0, len(data) - 3)):
            self._kept, data = data[cut.start() :], data[: cut.start()]
        if len(data.translate(None, _SPECIAL)) == len(data):
            data = _utf8(data)
            return Text(data.translate(_PLAIN), data, [0], [offset], [], [])
        return self._strip(data, offset)

    def _strip(self, data: bytes, offset: int) -> Text:
        pieces: list[bytes] = []
        starts, offsets, alternate, signs = [0], [offset], [], []
        size = at = 0
        for token in _TOKEN.finditer(data):
            begun, kind = token.start(), token.lastgroup
            if begun > at:
                pieces.append(data[at:begun])
                size += begun - at
            at = token.end()
            if kind == "open":
                self._keep(data[begun:])
                at = len(data)
                break
            leaves = kind == "leave"
            if kind == "final":
                final = token["final"][0]
                if (
                    final in b"hl"
                    and token["parameters"][:1] == b"?"
                    and set(token["parameters"][1:].split(b";")) & {b"47", b"1047", b"1049"}
                ):
                    self.alternate = final == 0x68
                    alternate.append((size + 1, self.alternate))
                    leaves = True
                leaves = leaves or final in _LEAVING
            elif kind == "simple":
                leaves = token["simple"] in (b"D", b"E", b"M", b"c")
                if token["simple"] == b"c":
                    self.alternate = False
                    alternate.append((size + 1, False))
            elif kind == "bell":
                signs.append(Sign("bell", offset + begun, b""))
            elif token["payload"] is not None:
                signs.append(Sign("osc", offset + begun, token["payload"][:SEQUENCE_MOST]))
            if leaves:
                pieces.append(b"\n")
                starts.append(size)
                offsets.append(offset + begun)
                size += 1
            if starts[-1] == size:
                offsets[-1] = offset + at
            else:
                starts.append(size)
                offsets.append(offset + at)
        if at < len(data):
            pieces.append(data[at:])
        text = _utf8(b"".join(pieces))
        return Text(text.translate(_PLAIN), text, starts, offsets, alternate, signs)

    def _keep(self, begun: bytes) -> None:
        """A sequence has begun: it is kept until it has ended, or passed over when it is too long."""
        begun += self._kept
        if len(begun) <= SEQUENCE_MOST:
            self._kept = begun
        else:
            self.state = STRING
            self._kept = b"\x1b" if begun.endswith(b"\x1b") else b""


def _utf8(data: bytes) -> bytes:
    """`data`, with 0x1a in place of every byte that is no UTF-8."""
    if data.isascii():
        return data
    text = data.decode("utf-8", "surrogateescape")
    return text.translate(_ESCAPED).encode() if not text.isascii() and any("\udc80" <= c <= "\udcff" for c in set(text)) else data


_ESCAPED = dict.fromkeys(range(0xDC80, 0xDD00), 0x1A)
