"""A notification, as the terminal shows it on the desktop: OSC 9 or OSC 777, with text that cannot be anything else."""

from __future__ import annotations

import os

_MOST_CHARACTERS = 300
_BELL = b"\x07"


def sequence(text: str, title: str, environment: os._Environ[str] | dict[str, str] = os.environ) -> bytes:
    """What shows `text`. Where it is not known which of the two the terminal understands it gets both, as over ssh: what it does not know has no effect."""
    text, title = _clean(text), _clean(title).replace(";", ",")
    # ConEmu and others take a number in front for a command: progress, sleep.
    plain = b"\x1b]9;%b%b" % (b" " if text[:1].isdigit() else b"", text.encode()) + _BELL
    titled = b"\x1b]777;notify;%b;%b" % (title.encode(), text.encode()) + _BELL
    if "VTE_VERSION" in environment or environment.get("TERM", "").startswith("rxvt"):
        shown = titled
    elif environment.get("TERM_PROGRAM", "tmux") not in ("tmux", "screen") or "KITTY_WINDOW_ID" in environment:
        shown = plain
    else:
        shown = plain + titled
    if "TMUX" in environment:  # which passes it on if it may (allow-passthrough)
        return b"\x1bPtmux;%b\x1b\\" % shown.replace(b"\x1b", b"\x1b\x1b")
    return shown


def _clean(text: str) -> str:
    """In one line, without anything that is not shown."""
    text = "".join(character if character.isprintable() else " " for character in text[:_MOST_CHARACTERS])
    return " ".join(text.split()).encode("utf-8", "replace").decode()
