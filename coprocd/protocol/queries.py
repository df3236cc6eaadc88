"""Takes the questions to the terminal out of a session's output, for whoever shows that output on a terminal.

The daemon's screen answers them, once; a terminal that is shown them would answer again, and what it answers would be typed.
Sans-IO, imports nothing of ours; clients call it before they draw. A question is dropped whole, whatever else it does, and nothing
but questions goes. ST stands in its place: what was in progress before it ends there, as it would have. Controls inside a sequence are
put before it, so that whoever looks for sequences in what is left finds them whole; the characters of C1 go, with which some terminals begin
sequences and the screen does not. What is cut across two pieces is held back until it is known what it is, never more than HELD_MOST_BYTES.

What asks, by xterm's control sequences and those of its kin:

    ENQ, and DECID (ESC Z)
    DA 1 to 3, DSR                          CSI c, CSI > c, CSI = c; CSI n, CSI ? n
    DECRQM, XTVERSION                       CSI $ p, CSI > q
    DECREQTPARM, DECRQCRA, other reports    CSI x, CSI * y; CSI $ u, & u, $ w, + x, " v, ' |, # R, # |
    kitty's keyboard                        CSI ? u
    XTSMGRAPHICS, XTQMODKEYS, XTQFMTKEYS    CSI ? S, CSI ? m, CSI ? f
    reports of the window                   CSI 11, 13 to 16, 18 to 21 t
    sizes that are told unasked from now on CSI ? 2048 h
    DECRQSS, XTGETTCAP, XTGETXRES           DCS $ q, DCS + q, DCS + Q
    what is for a multiplexer around it     DCS tmux;
    colours, fonts, clipboard, pointer, …   OSC with a parameter that begins with ?
    xterm's allowed features                OSC 60, OSC 61
    iTerm2's reports and uploads            OSC 1337 ; Report…, RequestUpload, Capabilities
    kitty's graphics and clipboard          APC G with a=q, OSC 5522 ; type=read
    kitty's notifications                   OSC 99 with p=? or p=alive

ESC % with anything but G goes too: it leads a terminal out of UTF-8, where single bytes begin sequences that would not be seen here.
"""

from __future__ import annotations

import re

HELD_MOST_BYTES = 4 << 10
"""No question is longer: what is, and could be one as far as it goes, is dropped."""

_ENQ = b"\x05"
_CAN = b"\x18"
_ST = b"\x1b\\"
"""What ends a string (ECMA-48 §8.3.143), and has no effect anywhere else."""
_CUT_C1 = b"\xc2"
_C1 = re.compile(rb"\xc2[\x80-\x9f]")

_CONTROLS = bytes(byte for byte in range(0x20) if byte not in (0x18, 0x1A, 0x1B)) + b"\x7f"
_CONTROL = rb"[\x00-\x17\x19\x1c-\x1f\x7f]"
"""What may stand inside a sequence: it has its own effect there and then, and does not end the sequence."""
_NO_CONTROLS = bytes(byte for byte in range(0x100) if byte not in _CONTROLS)
_OSC_TEXT = rb"[^\x07\x18\x1a\x1b]*+"
_STRING_TEXT = rb"[^\x18\x1a\x1b]*+"
_OSC_END = rb"\x07|(?=[\x18\x1a\x1b])"
"""CAN, SUB and ESC end any string. An ESC, with which ST begins too, stays: it begins a sequence of its own, which as ST has no effect."""
_STRING_END = rb"(?=[\x18\x1a\x1b])"
_CONTROL_END = rb"[@-~]|(?=[\x18\x1a\x1b\x80-\xff])"

_SEQUENCE = re.compile(
    rb"\x1b(?:\[(?P<control>\?%bm|%b[cnpqtuvwxyRSfh|])" % ((rb"[0-?]*+[ -/]*+",) * 2)
    + rb"|\[[ -?]{%d,}+[@-~]?" % HELD_MOST_BYTES
    # Titles, directories, links, notifications and shell marks ask nothing.
    + rb"|\](?!(?:[012789]|133|633|777);)(?P<osc>%b)(?:%b)" % (_OSC_TEXT, _OSC_END)
    + rb"|(?P<string>[P_]%b)%b" % (_STRING_TEXT, _STRING_END)
    + rb"|%%%b*+[0-FH-~]|Z)" % _CONTROL
)
"""The sequences among which the questions are."""
_MIXED = re.compile(rb"\x1b(?=%b|\[[ -?]*+%b)%b*+(?:\[(?:[ -?]|%b)*+)?" % (*[_CONTROL] * 4,))
"""The beginning of a sequence with controls inside."""
_UNUSUAL = re.compile(rb"\x1b(?!\[(?:[0-9;:]*+[@A-HJ-MPSTXZ`abd-fms]|\?[0-9;]*+[JK])|[78DEM\\])")
"""A sequence other than those that only move the cursor, erase, or set how text looks: they are most of those there are."""
_OPEN_CONTROL = re.compile(rb"\x1b(?:\[(?P<parameters>[ -?]*+)|%%%b*+)?" % _CONTROL)
_OPEN_STRING = re.compile(rb"\x1b(?:\](?P<osc>%b)|(?P<string>[P_]%b))" % (_OSC_TEXT, _STRING_TEXT))
_END_OF_CONTROL = re.compile(_CONTROL_END)
_END_OF_OSC = re.compile(_OSC_END)
_END_OF_STRING = re.compile(_STRING_END)

_CONTROL_ASKS = re.compile(
    rb"[>=]?[0-9;:]*c|\??[0-9;:]*(?:n|\$p)|>[0-9;:]*q|\?[0-9;:]*[uSmf]"
    rb"|[0-9;:]*(?:x|\*y|[$&]u|\$w|\+x|\"v|'\||#[R|])|0*(?:1[134-689]|2[01])(?:[;:].*)?t"
)
_SIZES_TOLD = re.compile(rb"\?(?:.*;)?0*2048(?:;.*)?h")
_OSC_NUMBER = re.compile(rb"0*([0-9]*)(;?)")
_OSC_NUMBERS = frozenset((b"4", b"5", *(b"%d" % number for number in range(10, 20)), b"21", b"22", b"50", b"176", b"702"))
"""Those whose parameters are set, or asked for with a question mark."""
_OSC_NUMBER_MOST = max(map(len, (*_OSC_NUMBERS, b"1337", b"5522")))
_ITERM2 = (b"Report", b"RequestUpload", b"Capabilities")
_ASKS_BY_KEY = {b"99": frozenset((b"p=?", b"p=alive")), b"5522": frozenset((b"type=read",))}
_DCS = (b"$q", b"+q", b"+Q", b"tmux;")


class Queries:
    """The filter of one stream."""

    __slots__ = ("_held", "_passed_until", "_swallowed_until", "usual")

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forgets what is held back: what comes next begins anew."""
        self._held = b""
        self._passed_until: re.Pattern[bytes] | None = None
        """What ends the string that is passed on, if one is in progress."""
        self._swallowed_until: re.Pattern[bytes] | None = None
        """What ends the sequence that is dropped, if one is in progress."""
        self.usual = True
        """Whether the sequences that begin in what was last returned only move the cursor, erase, or set how text looks."""

    @property
    def between(self) -> bool:
        """Whether what was returned so far ends between two escape sequences, where something can be put in."""
        return self._passed_until is None

    @property
    def idle(self) -> bool:
        """Whether all that was fed was returned, or dropped, and nothing is in progress: then text can go past it."""
        return not self._held and self._passed_until is None and self._swallowed_until is None

    def feed(self, data: bytes) -> bytes:
        """Takes the next piece of output, of any size, and returns it without its questions."""
        if _ENQ in data:
            data = data.replace(_ENQ, b"")
        if self._held:
            data = self._held + data
            self._held = b""
        cut = b""
        if _CUT_C1 in data:
            data = _C1.sub(b"", data)
            if data.endswith(_CUT_C1):
                data, cut = data[:-1], _CUT_C1
        if self._swallowed_until is not None:
            data = self._swallow(data)
        if self._passed_until is not None and self._passed_until.search(data) is not None:
            self._passed_until = None
        last = data.rfind(b"\x1b")
        self.usual = True
        if last >= 0:
            data = self._without_questions(data, last)
        self._held += cut
        return data

    def _without_questions(self, data: bytes, last: int) -> bytes:
        """`data`, whose last sequence begins at `last`, up to where it is known what it is."""
        if _MIXED.match(data, last) is not None:
            data = data[:last] + _MIXED.sub(_apart, data[last:])
            last = data.rfind(b"\x1b")
        known = self._until_open(data, last)
        self.usual = _UNUSUAL.search(data, 0, known) is None
        if self.usual:
            data = data[:known]
        elif known == len(data):
            data = _SEQUENCE.sub(_without_question, _MIXED.sub(_apart, data))
        else:
            # What begins behind ends a string that is in progress, as CAN does.
            data = _SEQUENCE.sub(_without_question, _MIXED.sub(_apart, data[:known] + _CAN))[:-1]
        return data if self._swallowed_until is None else data + _ST

    def _swallow(self, data: bytes) -> bytes:
        """What comes after the sequence that is dropped."""
        assert self._swallowed_until is not None
        end = self._swallowed_until.search(data)
        if end is None:
            return b""
        self._swallowed_until = None
        return data[end.end() :]

    def _until_open(self, data: bytes, last: int) -> int:
        """Up to where `data` is known: to `last`, where the sequence that begins there is not whole and may ask, else to its end."""
        found = _OPEN_CONTROL.fullmatch(data, last)
        if found is not None:
            if found["parameters"] is not None and len(found["parameters"]) >= HELD_MOST_BYTES:
                self._swallowed_until = _END_OF_CONTROL
            else:
                self._held = data[last:]
            return last
        found = _OPEN_STRING.fullmatch(data, last)
        if found is None:
            return len(data)
        end = _END_OF_STRING if found["osc"] is None else _END_OF_OSC
        if _string_asks(found, whole=False) is False:
            self._passed_until = end
            return len(data)
        if len(found[found.lastgroup or 0]) >= HELD_MOST_BYTES:
            self._swallowed_until = end
        else:
            self._held = data[last:]
        return last


def _without_question(found: re.Match[bytes]) -> bytes:
    """What is left of a sequence."""
    if found["control"] is not None:
        control = found["control"]
        if len(control) > HELD_MOST_BYTES:
            return _ST
        if _SIZES_TOLD.fullmatch(control) is not None:
            kept = b";".join(number for number in control[1:-1].split(b";") if number.lstrip(b"0") != b"2048")
            return b"\x1b[?%bh" % kept if kept else _ST
        return _ST if _CONTROL_ASKS.fullmatch(control) is not None else found[0]
    return found[0] if _string_asks(found, whole=True) is False else _ST


def _apart(found: re.Match[bytes]) -> bytes:
    """The controls inside a sequence, and then the sequence: the same effect. What is in progress before them ends, as with the sequence."""
    return _ST + found[0].translate(None, _NO_CONTROLS) + found[0].translate(None, _CONTROLS)


def _string_asks(found: re.Match[bytes], whole: bool) -> bool | None:
    """Whether a string asks, DECID among them; None: that is not known yet. What it says of a beginning holds for all that begins so."""
    text, asks = (found["osc"], _osc_asks) if found["osc"] is not None else (found["string"], _other_asks)
    if text is None:
        return True
    if len(text) >= HELD_MOST_BYTES:
        text, whole = text[:HELD_MOST_BYTES], False
    return asks(text.translate(None, _CONTROLS), whole)


def _osc_asks(text: bytes, whole: bool) -> bool | None:
    begun = _OSC_NUMBER.match(text)
    assert begun is not None
    number, parted = begun.groups()
    rest = text[begun.end() :]
    if not parted and (rest or whole or len(number) > _OSC_NUMBER_MOST):
        return number in (b"60", b"61") and not rest
    if not parted:
        return None
    if number in (b"60", b"61"):
        return True
    if number == b"1337":
        return _begins(rest, _ITERM2, whole)
    if number == b"52":
        _, parted, data = rest.partition(b";")
        return _begins(data, (b"?",), whole) if parted else False if whole else None
    if number in (b"99", b"5522"):
        about, parted, _ = rest.partition(b";")
        asks = not _ASKS_BY_KEY[number].isdisjoint(about.split(b":"))
        return asks if parted or whole else None
    if number not in _OSC_NUMBERS:
        return False
    if any(parameter.startswith(b"?") or parameter.endswith(b"=?") for parameter in rest.split(b";")):
        return True
    return False if whole else None


def _other_asks(text: bytes, whole: bool) -> bool | None:
    """Of a DCS or an APC, with the letter that it begins with."""
    if text.startswith(b"P"):
        return _begins(text[1:].lstrip(b"0123456789:;"), _DCS, whole)
    if not text.startswith(b"_G"):
        return False if len(text) > 1 or whole else None
    keys, parted, _ = text[2:].partition(b";")
    return b"a=q" in keys.split(b",") if parted or whole else None


def _begins(text: bytes, beginnings: tuple[bytes, ...], whole: bool) -> bool | None:
    """Whether `text` begins with one of them; None while it may come to."""
    if text.startswith(beginnings):
        return True
    return None if not whole and any(beginning.startswith(text) for beginning in beginnings) else False
