"""Pasted text made harmless: what a clipboard holds may not act as keys.

As xterm and iTerm2 do: line ends become CR, and ESC with the C1 controls goes, so that nothing in the text can end a
bracketed paste or start a sequence.
"""

from __future__ import annotations

import re

_START, _END = b"\x1b[200~", b"\x1b[201~"
_HARMFUL = re.compile("[\x1b\x80-\x9f]")


def paste(text: str, bracketed: bool) -> bytes:
    """The bytes to type; `bracketed` where the job has asked for it (DECSET 2004)."""
    data = _HARMFUL.sub("", text).replace("\r\n", "\r").replace("\n", "\r").encode(errors="replace")
    return _START + data + _END if bracketed else data
