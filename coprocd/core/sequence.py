"""Where something can be put between two parts of an output without breaking what is in progress: an escape sequence (ECMA-48), a character."""

from __future__ import annotations

import re

LOOK_BACK_BYTES = 4096
"""A sequence that has gone on for longer than this is taken for one that will not end."""

_OPEN = re.compile(
    rb"\x1b(?:[ -/]*|\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b\x18\x1a]*\x1b?)\Z|[\xc2-\xf4]\Z|[\xe0-\xf4][\x80-\xbf]\Z|[\xf0-\xf4][\x80-\xbf]{2}\Z"
)


def in_progress(tail: bytes) -> bool:
    """Whether an escape sequence or a UTF-8 character has begun in `tail`, the last output, and not ended."""
    return _OPEN.search(tail) is not None
