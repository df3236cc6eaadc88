"""Keys by name: the bytes that an xterm sends for `Enter`, `C-c`, `M-x`, `S-Up`, `F5` or a plain character.

Names are those of tmux's send-keys, with the usual synonyms; modifiers are C- (control), M- (alt) and S- (shift), in
any order. The encodings are xterm's (ctlseqs, "PC-Style Function Keys"); with application cursor keys (DECCKM) on,
unmodified arrows, Home and End take their SS3 form.
"""

from __future__ import annotations

import re

from coprocd.protocol.errors import CoprocdError

_ESC = b"\x1b"

# name (lower case) → bytes
_PLAIN: dict[str, bytes] = {
    "enter": b"\r",
    "return": b"\r",
    "tab": b"\t",
    "btab": b"\x1b[Z",
    "escape": _ESC,
    "esc": _ESC,
    "space": b" ",
    "bspace": b"\x7f",
    "backspace": b"\x7f",
}

# name → final byte of CSI … (or SS3 …)
_CURSOR: dict[str, bytes] = {"up": b"A", "down": b"B", "right": b"C", "left": b"D", "home": b"H", "end": b"F"}

# name → number in CSI number ~
_TILDE: dict[str, int] = {
    "insert": 2, "ic": 2, "delete": 3, "dc": 3, "pageup": 5, "ppage": 5, "pgup": 5, "pagedown": 6, "npage": 6, "pgdn": 6,
    "f5": 15, "f6": 17, "f7": 18, "f8": 19, "f9": 20, "f10": 21, "f11": 23, "f12": 24,
    "f13": 25, "f14": 26, "f15": 28, "f16": 29, "f17": 31, "f18": 32, "f19": 33, "f20": 34,
}  # fmt: skip
_SS3: dict[str, bytes] = {"f1": b"P", "f2": b"Q", "f3": b"R", "f4": b"S"}

_MODIFIED = re.compile(r"((?:[CMS]-)+)(.+)", re.DOTALL)
_CONTROL = {"@": 0, " ": 0, "[": 27, "\\": 28, "]": 29, "^": 30, "_": 31, "/": 31, "?": 127}


def encode(names: list[str], application_cursor: bool = False) -> bytes:
    """The bytes for all the keys, in order. An unknown name is `invalid_params`, and no byte is returned."""
    return b"".join(_key(name, application_cursor) for name in names)


def _key(name: str, application_cursor: bool) -> bytes:
    match = _MODIFIED.fullmatch(name)
    if match is None:
        return _named(name, application_cursor)
    modifiers, base = match.groups()
    control, alt, shift = "C-" in modifiers, "M-" in modifiers, "S-" in modifiers
    key = base.lower()
    if key in _CURSOR or key in _TILDE or key in _SS3:
        return _function(key, 1 + shift + 2 * alt + 4 * control)
    if key in ("tab",) and shift and not control:
        return (_ESC if alt else b"") + _PLAIN["btab"]
    upper = base.upper() if shift and len(base) == 1 else base
    if len(base) == 1 and len(upper) != 1:
        raise _unknown(name)
    data = _named(upper, False)
    if control:
        data = _with_control(name, data)
    return _ESC + data if alt else data


def _named(name: str, application_cursor: bool) -> bytes:
    key = name.lower()
    if len(name) == 1:
        try:
            return name.encode()
        except UnicodeEncodeError:
            raise _unknown(name) from None
    if key in _PLAIN:
        return _PLAIN[key]
    if key in _CURSOR:
        return (b"\x1bO" if application_cursor else b"\x1b[") + _CURSOR[key]
    if key in _SS3:
        return b"\x1bO" + _SS3[key]
    if key in _TILDE:
        return b"\x1b[%d~" % _TILDE[key]
    raise _unknown(name)


def _unknown(name: str) -> CoprocdError:
    return CoprocdError(
        "invalid_params",
        f"no key is named {name!r}, so nothing was typed: use one character, or a name such as Enter, Tab, Escape, Space, "
        "BSpace, Up, Home, PageUp, Delete or F1 … F20, with C-, M- or S- before it (text is typed with session.send_text)",
        key=name,
    )


def _function(key: str, modifier: int) -> bytes:
    if key in _TILDE:
        return b"\x1b[%d;%d~" % (_TILDE[key], modifier)
    return b"\x1b[1;%d%s" % (modifier, _CURSOR.get(key) or _SS3[key])


def _with_control(name: str, data: bytes) -> bytes:
    if data in (b"\r", b"\t", _ESC):
        return data
    if data == b"\x7f":
        return b"\x08"
    if len(data) == 1:
        char = chr(data[0])
        if char.isalpha():
            return bytes([ord(char.lower()) & 0x1F])
        if char in _CONTROL:
            return bytes([_CONTROL[char]])
    raise CoprocdError("invalid_params", f"no terminal has bytes for the key {name!r}, so nothing was typed", key=name)
