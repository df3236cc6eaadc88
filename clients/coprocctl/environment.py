"""The environment that a session or a daemon inherits from whoever starts it.

What describes the terminal around us, or the session we run in, is not theirs: they have their own.
"""

from __future__ import annotations

import os

from coprocd.protocol.environment import OUTER


def inherited() -> dict[str, str]:
    """Our environment without OUTER."""
    return {name: value for name, value in os.environ.items() if name not in OUTER}


def session_environment(extra: list[tuple[str, str]]) -> tuple[dict[str, str], list[str]]:
    """What a new session gets, and the names that it cannot get, since JSON carries no bytes that are not UTF-8.

    extra:  of `--env`, laid over what is inherited
    """
    kept, left_out = {}, []
    for name, value in inherited().items():
        if _is_text(name) and _is_text(value):
            kept[name] = value
        else:
            left_out.append(name)
    return {**kept, **dict(extra)}, left_out


def _is_text(text: str) -> bool:
    """Whether `text` holds none of the surrogates that stand for undecodable bytes (PEP 383)."""
    return text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text)
