"""Pasted text made harmless: what a clipboard holds may not act as keys.

Line ends become CR, and tabs stay; every other C0 control, DEL and the C1 controls go. So nothing in the text can interrupt
the job, end its input or a bracketed paste, erase what stands before it, or start a sequence. Never reads a mode: the caller
says whether the job asked for brackets, and the text is cleaned the same either way.
"""

from __future__ import annotations

import re

_START, _END = b"\x1b[200~", b"\x1b[201~"
_HARMFUL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")  # all of Unicode's Cc but tab, LF and CR


def paste(text: str, bracketed: bool) -> bytes:
    """The bytes to type; `bracketed` where the job has asked for it (DECSET 2004)."""
    data = _HARMFUL.sub("", text).replace("\r\n", "\r").replace("\n", "\r").encode(errors="replace")
    return _START + data + _END if bracketed else data
