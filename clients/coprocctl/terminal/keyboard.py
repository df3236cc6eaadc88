"""What is typed, and which of it is for the client: the key that detaches, and the one that stops what pauses the session.

Sans-IO, with the time given. A key is known in each way in which terminals send it: as a byte, as kitty's keyboard protocol has it (with event types, alternate keys and
locks), and as xterm's modifyOtherKeys has it. What is pasted, where the session has asked for bracketed paste, holds no keys.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Literal, TypeAlias

    Typed: TypeAlias = "tuple[Literal['typed', 'detach', 'stop'], bytes]"

TWICE_S = 0.3
"""The key that detaches, pressed again within this, is typed."""
CUT_S = 0.05
"""How long the rest of a key's sequence is waited for."""
PASTE_S = 1.0
"""A paste that brings nothing for so long is over, though its end did not come."""

_CTRL, _SHIFT, _LOCKS = 4, 1, 64 | 128
"""Bits of a key's modifiers, which are sent with one added."""
_RELEASE = b"3"
_REPEAT = b"2"

_ENCODED = re.compile(
    rb"\x1b\[(?:27;(?P<old_modifiers>[0-9]{1,4});(?P<old_code>[0-9]{1,8})~"
    rb"|(?P<code>[0-9]{1,8})(?::(?P<shifted>[0-9]{0,8}))?(?::(?P<base>[0-9]{0,8}))?;(?P<modifiers>[0-9]{1,4})(?::(?P<event>[0-9]))?(?:;[0-9:]*)?u)"
)
_CUT = re.compile(rb"\x1b\[[0-9][0-9;:]{0,40}\Z")
_PASTE_BEGINS, _PASTE_ENDS = b"\x1b[200~", b"\x1b[201~"


class Key:
    """A key with Ctrl, as `^X` or `C-x` names it."""

    def __init__(self, name: str) -> None:
        """Raises ValueError for what is no such key."""
        letter = name[1:] if name.startswith("^") else name[2:] if name[:2] in ("C-", "c-") else ""
        if len(letter) != 1 or not "@" <= letter.upper() <= "_":
            raise ValueError(name)
        self.byte = bytes([ord(letter.upper()) & 0x1F])
        self.name = f"C-{letter.lower()}"
        self._codes = frozenset(map(ord, (letter.lower(), letter.upper())))

    def pressed(self, found: re.Match[bytes]) -> bool:
        """Whether an encoded key is this one, pressed or let go."""
        if found["old_code"] is not None:
            code, modifiers = int(found["old_code"]), int(found["old_modifiers"]) - 1
            return code in self._codes and self._only_ctrl(modifiers, shifted=code)
        code, shifted, base = int(found["code"]), int(found["shifted"] or 0), int(found["base"] or 0)
        modifiers = int(found["modifiers"]) - 1
        # On a layout with other letters the key in the place of ours is ours.
        return (code in self._codes or shifted in self._codes or (code > 127 and base in self._codes)) and self._only_ctrl(
            modifiers, shifted
        )

    def _only_ctrl(self, modifiers: int, shifted: int) -> bool:
        """Shift may be held where it makes the character, as for _ and ^."""
        needs_shift = shifted in self._codes and not chr(shifted).isalpha()
        return modifiers & ~(_LOCKS | (_SHIFT if needs_shift else 0)) == _CTRL


class Keyboard:
    """The keyboard of one attachment."""

    def __init__(self, detach: Key | None) -> None:
        self.stop: Key | None = None
        """The key that stops, where there is something to stop."""
        self._detach = detach
        self._cut = b""
        self._pressed_at: float | None = None
        self._paste_tail: bytes | None = None
        """Inside a paste, its last bytes."""
        self._came_at = 0.0
        self.due_at: float | None = None
        """When `due` has something to say, if nothing is typed before. Not derived when asked for: the loop asks twice a key."""

    def due(self, now: float) -> list[Typed]:
        """What has come of what was typed, now that nothing followed."""
        found: list[Typed] = []
        if self._pressed_at is not None and now >= self._pressed_at + TWICE_S:
            self._pressed_at = None
            found.append(("detach", b""))
        elif self._cut and now >= self._came_at + CUT_S:
            found.append(("typed", self._cut))
            self._cut = b""
        self._plan()
        return found

    def _plan(self) -> None:
        if self._pressed_at is not None:
            self.due_at = self._pressed_at + TWICE_S
        else:
            self.due_at = self._came_at + CUT_S if self._cut else None

    def feed(self, data: bytes, now: float, pastes: bool) -> list[Typed]:
        """What comes of what was typed now. `pastes`: the terminal marks where a paste begins and ends."""
        if data.isalnum() and not self._cut and self._pressed_at is None and self._paste_tail is None:  # as nearly always
            self._came_at = now
            return [("typed", data)]
        found: list[Typed] = []
        if self._paste_tail is not None and now - self._came_at > PASTE_S:
            self._paste_tail = None
        self._came_at = now
        if self._cut:
            data = self._cut + data
            self._cut = b""
        while data:
            if self._paste_tail is not None:
                data = self._pasted(data, found)
                continue
            begins = data.find(_PASTE_BEGINS) if pastes else -1
            if begins >= 0:
                self._keys(data[:begins], now, found)
                self._paste_tail = b""
                self._type(_PASTE_BEGINS, found)
                data = data[begins + len(_PASTE_BEGINS) :]
                continue
            cut = _CUT.search(data)
            if cut is not None:
                self._cut = data[cut.start() :]
                data = data[: cut.start()]
            self._keys(data, now, found)
            break
        self._plan()
        return found

    def _pasted(self, data: bytes, found: list[Typed]) -> bytes:
        """Types what belongs to the paste, and returns what comes after it."""
        assert self._paste_tail is not None
        joined = self._paste_tail + data
        ends = joined.find(_PASTE_ENDS)
        if ends < 0:
            self._paste_tail = joined[-(len(_PASTE_ENDS) - 1) :]
            self._type(data, found)
            return b""
        length = ends + len(_PASTE_ENDS) - len(self._paste_tail)
        self._paste_tail = None
        self._type(data[:length], found)
        return data[length:]

    def _keys(self, data: bytes, now: float, found: list[Typed]) -> None:
        """What is typed that is no paste."""
        at = 0
        for start, end, what in self._presses(data):
            self._type(data[at:start], found)
            at = end
            if what == "detach":
                self._on_detach(data[start:end], now, found)
            elif what == "stop":
                found.append(("stop", b""))
        self._type(data[at:], found)

    def _presses(self, data: bytes) -> list[tuple[int, int, str]]:
        """Where keys of ours are, and which; "" for one that is let go, or held, and so does nothing."""
        presses = []
        for key, what in ((self._detach, "detach"), (self.stop, "stop")):
            if key is None:
                continue
            start = data.find(key.byte)
            while start >= 0:
                presses.append((start, start + 1, what))
                start = data.find(key.byte, start + 1)
            if b"\x1b[" in data:
                presses += [
                    (match.start(), match.end(), "" if match["event"] in (_RELEASE, _REPEAT) else what)
                    for match in _ENCODED.finditer(data)
                    if key.pressed(match)
                ]
        return sorted(presses)

    def _on_detach(self, pressed: bytes, now: float, found: list[Typed]) -> None:
        if self._pressed_at is not None and now < self._pressed_at + TWICE_S:
            self._pressed_at = None
            found.append(("typed", pressed))
        else:
            self._pressed_at = now

    def _type(self, data: bytes, found: list[Typed]) -> None:
        if not data:
            return
        if self._pressed_at is not None:  # something else was typed behind it: it was meant
            self._pressed_at = None
            found.append(("detach", b""))
        found.append(("typed", data))
