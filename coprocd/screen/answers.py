"""What a terminal may answer to a query: forms that hold numbers and known words, and nothing that the session itself has printed.

An answer is typed into the session. Were there a query whose answer a file could choose (a title report, a clipboard, an echoed
setting), printing that file would type commands. So it is not the queries that are looked at but the answers: whatever is not
one of these forms, whole, is dropped. Called with all that the emulator answers.
"""

from __future__ import annotations

import re

MOST_BYTES = 16 << 10
"""Answers to one piece of output: many more than any program asks for at once, and too few to fill the session's input."""

_NUMBERS = rb"[0-9]{1,10}(?:;[0-9]{1,10}){0,31}"
_COLOR = rb"rgb:[0-9a-fA-F]{2,4}(?:/[0-9a-fA-F]{2,4}){2}"
_ST = rb"(?:\x07|\x1b\\)"

_ALLOWED = re.compile(
    rb"\x1b\[[?>]?" + _NUMBERS + rb"c"  # DA1, DA2
    rb"|\x1bP!\|[0-9A-F]{8}\x1b\\"  # DA3
    rb"|\x1b\[\??" + _NUMBERS + rb"[nR]"  # DSR, CPR
    rb"|\x1b\[\??" + _NUMBERS + rb"\$y"  # DECRPM
    rb"|\x1b\[\?[0-9]{1,3}u"  # the kitty keyboard's flags
    rb"|\x1b\[(?:4|6|8|48);" + _NUMBERS + rb"t"  # sizes: of the text in pixels, a cell, the text in cells, all of it in band
    rb"|\x1b\](?:4;[0-9]{1,3}|1[0-2]);"
    + _COLOR
    + _ST  # colours
    + rb"|\x1bP>\|[A-Za-z]{1,16}\x1b\\"  # XTVERSION: the emulator's name
    rb"|\x1bP[01]\$r(?:[0-9;:]{0,255}m|[0-9;]{0,16}[rs]|[0-9] q)?\x1b\\"  # DECRQSS: SGR, margins, the cursor's shape
)


def allowed(answers: bytes) -> bytes:
    """What of `answers` may be typed."""
    found, size = [], 0
    for match in _ALLOWED.finditer(answers):
        size += len(match[0])
        if size > MOST_BYTES:
            break
        found.append(match[0])
    return b"".join(found)
