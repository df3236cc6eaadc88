"""Output that a program might print, though none does: sequences of all kinds, strung together by hypothesis.

Left out is what no other terminal can be told: characters that REP repeats though others were printed or erased since, wide ones in a
charset of line drawing, a single shift that waits for its character.
"""

from __future__ import annotations

from hypothesis import strategies as st

_SGR = [
    b"\x1b[%sm" % code for code in (b"", b"1", b"2", b"3", b"4", b"5", b"7", b"8", b"9", b"21", b"4:3", b"53", b"31", b"44", b"91", b"102")
]
_SGR += [b"\x1b[38;5;200m", b"\x1b[48;2;1;2;3m", b"\x1b[58;5;3m", b"\x1b[58:2::1:2:3m"]
_TEXT = [b"x", b" ", b"hello", b"world ", b"\r\n", b"\n", b"\r", b"\t", b"\b", b"y\x1b[3b", bytes(range(0x30, 0x7B))]
_WIDE = ["漢字".encode(), "e\u0301".encode(), "❤\ufe0f".encode(), "🇩🇪".encode(), "👩".encode(), b"\xe6"]
_CHARSETS = [b"\x1b(0", b"\x1b(B", b"\x1b)0", b"\x0e", b"\x0f", b"\x1bn"]
_MOVES = [b"H", b"5;5H", b"99;99H", b"A", b"3B", b"2C", b"D", b"3G", b"2d", b"s", b"u", b"I"]
_ERASING = [b"J", b"1J", b"2J", b"3J", b"K", b"1K", b"2K", b"3X", b"2P", b"2@", b"L", b"2M", b"S", b"T", b"?J", b"?2K"]
_MODES = [b"?7l", b"?7h", b"4h", b"4l", b"20h", b"20l", b"?6h", b"?6l", b"?25l", b"?25h", b"?2004h", b"?2004l", b"?5h", b"?1h", b"?2026h"]
_MODES += [b"?1000h", b"?1002h", b"?1006h", b"?1000l", b"?12h", b"?1;1004s", b"?2004s", b"?2004r", b">4;2m", b"2 q", b"5 q", b"0 q"]
_MARGINS = [b"2;4r", b"r", b"3;9r", b"?69h", b"?69l", b"3;10s", b"g", b"3g", b"?5W"]
_KEYBOARD = [b">1u", b">5u", b"<u", b"=3u"]
_PROTECTION = [b'1"q', b'0"q']
_CSI = [b"\x1b[" + rest for rest in (*_MOVES, *_ERASING, *_MODES, *_MARGINS, *_KEYBOARD, *_PROTECTION)]
_ESC = [b"\x1b" + rest for rest in (b"7", b"8", b"D", b"E", b"M", b"H", b"=", b">", b"c")]
_OSC = [
    b"\x1b]8;;http://a.b/c\x07",
    b"\x1b]8;id=z;http://d\x1b\\",
    b"\x1b]8;;\x07",
    b"\x1b]2;title\x07",
    b"\x1b]4;5;rgb:12/34/56\x07",
    b"\x1b]104\x07",
]
_OSC += [b"\x1b]10;#123456\x07", b"\x1b]110\x07"]
_CUT = [b"\x1b[3", b"\x1b", b"\x1bPq", b"\x1b]2;cut", b"\x18", b"\x1b\\"]
ALTERNATE = [b"\x1b[?1049h", b"\x1b[?1049l", b"\x1b[?1047h", b"\x1b[?47h"]

_ALWAYS = [*_SGR, *_TEXT, *_CSI, *_ESC, *_OSC, *_CUT]


def printed(*, alternate: bool) -> st.SearchStrategy[bytes]:
    """Output in which the screens are switched, or not."""
    switches = ALTERNATE if alternate else []
    kinds = st.sampled_from([[*_ALWAYS, *switches, *_WIDE], [*_ALWAYS, *switches, *_CHARSETS]])
    return kinds.flatmap(lambda tokens: st.lists(st.sampled_from(tokens), max_size=60)).map(b"".join)


SIZES = st.tuples(st.integers(1, 30), st.integers(2, 100))
