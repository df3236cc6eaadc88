"""What output has set on the terminal that shows it, so that exactly that is reset when the client goes.

Not a terminal: it knows the sequences that leave something behind, and nothing of the contents of the screen. Sans-IO; fed with output that has
passed `coprocd.protocol.queries`, cut anywhere, in which sequences have no controls inside. `drawing` feeds it and asks it for `reset`.
"""

from __future__ import annotations

import re

ALTERNATE_SCREEN = (47, 1047, 1049)
BRACKETED_PASTE = 2004
_ON_BY_DEFAULT = frozenset((7, 8, 25))
"""Autowrap, autorepeat, cursor visible (DECAWM, DECARM, DECTCEM)."""
_TALKS = frozenset((9, 1000, 1001, 1002, 1003, 1004))
"""The terminal sends something of its own accord: mouse, focus."""
_IN_USE = (range(200), range(1000, 1100), range(1240, 1250), range(2000, 2100), range(2500, 2502), range(7700, 7800))
_MORE_IN_USE = frozenset((1337, 5522, 8452, 8840, 9001, 77096))
"""The private modes that terminals have, or may come to have. What others are set does nothing, and is not remembered: output
that sets ever more of them would have those forgotten that count, or what resets them grow without end."""
_COLOURS = frozenset((4, 5, *range(10, 20)))
"""The colours that an OSC of this number sets, and one of 100 more resets."""
_KEY_RESOURCES_MOST = 9
"""xterm's resources of the keyboard (XTMODKEYS) have the numbers up to this; it has eight."""
_STRING_BYTES = 4 << 10
"""A string that is not whole is kept so far; titles are shorter."""
_DIGITS_MOST = 6
_DEPTH_MOST = 64
"""So deep is the stack of keyboard flags followed; terminals have less."""

_CHANGE = re.compile(
    rb"\x1b(?:"
    rb"\[(?P<prefix>[<=>?]?)(?P<numbers>[0-9;:]*)(?P<final>[hlrugmfnW]| q|'z)"
    rb"|\](?P<osc>[^\x07\x18\x1a\x1b]*)(?:\x07|(?=[\x18\x1a\x1b]))"
    rb"|(?P<charset>[(-/][ -/]*)[0-~]"
    rb"|(?P<escape>[=>cHn-o|}~]|[ %][0-~])"
    rb")"
)
_OPEN = re.compile(rb"\x1b(?:[ %(-/]?|\[[0-?]{0,256}[ ']?|\](?P<osc>[^\x07\x18\x1a\x1b]*))\Z")
_TABS_EACH_8 = b"\x1b[?5W"
_SHIFT_IN = b"\x0f"
_SHIFT_OUT = b"\x0e"


class Modes:
    """Those of one terminal, as far as the output of one session has changed them."""

    def __init__(self) -> None:
        self._open = b""
        self.title: str | None = None
        """What was set last."""
        self.clear()

    def clear(self) -> None:
        """All has been reset but the title."""
        self._private: dict[int, None] = {}
        """The private modes that are not as they are by default, in the order in which they were set."""
        self._ansi: dict[int, None] = {}
        self._flags: dict[bytes, bytes] = {}
        """What else is not as it is by default, and the sequence that resets it."""
        self._charsets: dict[bytes, None] = {}
        self._keyboards = {False: 0, True: 0}
        """How many of kitty's keyboard flags are on the stack of the primary and the alternate screen."""

    @property
    def open(self) -> bool:
        """Whether a sequence is in progress that may set something."""
        return bool(self._open)

    @property
    def bracketed_paste(self) -> bool:
        return BRACKETED_PASTE in self._private

    @property
    def alternate_screen(self) -> bool:
        return any(mode in self._private for mode in ALTERNATE_SCREEN)

    @property
    def talks(self) -> bool:
        """Whether the terminal may have sent something that nobody typed as such: the mouse, the focus, keys that are let go."""
        return not _TALKS.isdisjoint(self._private) or any(self._keyboards.values()) or b"keyboard" in self._flags

    def feed(self, data: bytes) -> None:
        """Takes the next piece of output."""
        if self._open:
            data = self._open + data
            self._open = b""
        if _SHIFT_OUT in data or _SHIFT_IN in data:
            self._flag(b"shift", _SHIFT_IN, data.rfind(_SHIFT_OUT) > data.rfind(_SHIFT_IN))
        if b"\x1b" not in data:
            return
        for found in _CHANGE.finditer(data):
            self._apply(found)
        last = data.rfind(b"\x1b")
        begun = _OPEN.match(data, last)
        if begun is not None:
            self._open = data[last : last + _STRING_BYTES]

    def reset(self) -> bytes:
        """What makes the terminal as it was, the contents and the place of its cursor aside; nothing that was not changed is touched."""
        parts = [b"\x1b[?%dl" % mode for mode in self._private if mode not in _ON_BY_DEFAULT and mode not in ALTERNATE_SCREEN]
        parts += [b"\x1b[%dl" % mode for mode in self._ansi]
        alternate = [mode for mode in self._private if mode in ALTERNATE_SCREEN]
        if self._keyboards[True] and alternate:
            parts.append(b"\x1b[<%du" % self._keyboards[True])
        parts += [b"\x1b[?%dl" % mode for mode in alternate]
        if self._keyboards[False]:
            parts.append(b"\x1b[<%du" % self._keyboards[False])
        parts += [b"\x1b[?%dh" % mode for mode in self._private if mode in _ON_BY_DEFAULT]
        parts += [b"\x1b%bB" % designator for designator in self._charsets]
        parts += (self._flags[name] for name in sorted(self._flags))
        return b"".join(parts)

    # -- one change --------------------------------------------------------------------------------------------------------

    def _apply(self, found: re.Match[bytes]) -> None:
        if found["final"] is not None:
            self._control(found["prefix"], found["numbers"], found["final"])
        elif found["osc"] is not None:
            self._osc(found["osc"][:_STRING_BYTES])
        elif found["charset"] is not None:
            self._charset(found["charset"], found[0])
        else:
            self._escape(found["escape"])

    def _control(self, prefix: bytes, numbers: bytes, final: bytes) -> None:
        values = [
            int(number[-_DIGITS_MOST:]) for number in re.split(rb"[;:]", numbers) if number and len(number.lstrip(b"0")) <= _DIGITS_MOST
        ]
        first = values[0] if values else 0
        if final in b"hl" and prefix in (b"?", b""):
            self._set(values, prefix == b"?", final == b"h")
        elif final == b"r" and prefix == b"?":  # as they were when they were saved (XTRESTORE), which may be as they are not by default
            for mode in values:
                self._set([mode], True, mode not in _ON_BY_DEFAULT)
        elif final == b"r" and not prefix:
            self._flag(b"margins", b"\x1b7\x1b[r\x1b8", bool(numbers.strip(b";01")))
        elif final == b" q" and not prefix:
            self._flag(b"shape", b"\x1b[0 q", first != 0)
        elif final == b"u" and prefix:
            self._keyboard(prefix, first)
        elif final in b"mfn" and prefix == b">" and first <= _KEY_RESOURCES_MOST:
            # Key modifiers and formats: without a value a resource of the terminal is as it was (xterm's XTMODKEYS).
            reset = b"m" if final == b"n" else final
            self._flag(b"key%b%d" % (reset, first), b"\x1b[>%d%b" % (first, reset), final == b"n" or len(values) > 1)
        elif final == b"'z":
            self._flag(b"locator", b"\x1b[0'z", first != 0)
        elif final == b"g" and not prefix:
            self._flag(b"tabs", _TABS_EACH_8, True)
        elif final == b"W" and prefix == b"?":
            self._flag(b"tabs", _TABS_EACH_8, first != 5)

    def _set(self, modes: list[int], private: bool, on: bool) -> None:
        kept = self._private if private else self._ansi
        for mode in modes:
            if on != (private and mode in _ON_BY_DEFAULT):
                if _is_in_use(mode, private):
                    kept.pop(mode, None)
                    kept[mode] = None
            else:
                kept.pop(mode, None)
                if private and mode in ALTERNATE_SCREEN:
                    for other in ALTERNATE_SCREEN:
                        kept.pop(other, None)

    def _keyboard(self, operation: bytes, value: int) -> None:
        screen = self.alternate_screen
        if operation == b">":
            self._keyboards[screen] = min(self._keyboards[screen] + 1, _DEPTH_MOST)
        elif operation == b"<":
            self._keyboards[screen] = max(self._keyboards[screen] - max(value, 1), 0)
        elif operation == b"=" and not self._keyboards[screen]:
            self._flag(b"keyboard", b"\x1b[=0u", value != 0)

    def _osc(self, text: bytes) -> None:
        digits, _, rest = text.partition(b";")
        number = digits.lstrip(b"0") or digits[-1:]
        if number in (b"0", b"2"):
            self.title = rest.decode("utf-8", "replace")
        elif number == b"8":
            self._flag(b"link", b"\x1b]8;;\x1b\\", rest.partition(b";")[2] != b"")
        elif number == b"9" and rest.startswith(b"4;"):
            self._flag(b"progress", b"\x1b]9;4;0\x1b\\", not rest.startswith(b"4;0"))
        elif (colour := _number(number)) in _COLOURS:
            self._flag(b"colour%d" % colour, b"\x1b]%d\x1b\\" % (100 + colour), True)
        elif colour - 100 in _COLOURS:
            if not rest:
                self._flags.pop(b"colour%d" % (colour - 100), None)
        elif number == b"22":
            self._flag(b"pointer", b"\x1b]22;\x1b\\", rest != b"")

    def _charset(self, designator: bytes, sequence: bytes) -> None:
        if designator == b"(" and sequence.endswith(b"B"):
            self._charsets.pop(designator, None)
        elif designator[:1] in b"()*+":
            self._charsets[designator[:1]] = None

    def _escape(self, escape: bytes) -> None:
        if escape == b"c":
            self.clear()
        elif escape in b"=>":
            self._flag(b"keypad", b"\x1b>", escape == b"=")
        elif escape == b"H":
            self._flag(b"tabs", _TABS_EACH_8, True)
        elif escape in (b" F", b" G"):
            self._flag(b"c1", b"\x1b F", escape == b" G")
        elif escape[:1] == b"%":
            self._flag(b"coding", b"\x1b%G", escape != b"%G")
        elif len(escape) == 1:
            self._flag(b"shift", _SHIFT_IN, True)

    def _flag(self, name: bytes, reset: bytes, is_set: bool) -> None:
        self._flags.pop(name, None)
        if is_set:
            self._flags[name] = reset


def _is_in_use(mode: int, private: bool) -> bool:
    """Whether a terminal may have this mode."""
    return mode < 100 if not private else mode in _MORE_IN_USE or any(mode in modes for modes in _IN_USE)


def _number(digits: bytes) -> int:
    """The number of an OSC; one that none has where it is no number."""
    return int(digits) if digits.isdigit() and len(digits) <= _DIGITS_MOST else -1
