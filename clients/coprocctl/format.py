"""One value as people read it: ages, sizes, states, command lines, and text that nobody may trust.

Whatever a session can influence (names, titles, commands, messages) goes through `escaped` before it reaches a terminal.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

_SAFE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./-_")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\x1b": "\\e"}


def escaped(text: object, keep: str = "") -> str:
    """`text` with control, bidi, zero-width and all other characters that do not print written as `\\n`, `\\x07`, `\\u202e`."""
    text = str(text)
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in keep else _code(char) for char in text)


def command_line(argv: Iterable[str]) -> str:
    """The words of a command as one would type them to a shell, escaped."""
    return escaped(" ".join(_quoted(word) for word in argv))


def age(seconds: float) -> str:
    """A duration in its largest unit: `12s`, `4m`, `3h`, `2d`."""
    left = max(int(seconds), 0)
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if left >= length:
            return f"{left // length}{unit}"
    return f"{left}s"


def size(count: float) -> str:
    """A number of bytes: `512 B`, `4.0 MiB`."""
    for unit, length in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= length:
            return f"{count / length:.1f} {unit}"
    return f"{int(count)} B"


def moment(timestamp: float) -> str:
    """A time of day with its milliseconds, local."""
    import time

    return time.strftime("%H:%M:%S", time.localtime(timestamp)) + f".{int(timestamp * 1000) % 1000:03d}"


def ended(status: int | None, signal: str | None) -> str:
    """How a process ended: `exited 0`, `SIGTERM`."""
    if signal:
        return escaped(signal)
    return "exited" if status is None else f"exited {status}"


def session_state(session: dict[str, Any]) -> str:
    """A session's state in a word or two."""
    if session["state"] != "running":
        return ended(session["exit_status"], session["signal"])
    return "paused" if session.get("paused") else "running"


def coprocess_state(coprocess: dict[str, Any]) -> str:
    """A coprocess's state, and why it ended."""
    if coprocess["state"] != "ended":
        return f"{coprocess['state']}, stalled" if coprocess.get("stalled") else str(coprocess["state"])
    how = ended(coprocess["exit_status"], coprocess["signal"])
    reason = coprocess.get("end_reason")
    if reason == "spawn_failed":
        return "not started (spawn_failed)"
    return how if reason in (None, "exited") else f"{how} ({reason})"


def lost_line(names: list[str]) -> str:
    """The sessions that ended because keeper and daemon were killed together."""
    shown = ", ".join(escaped(name) for name in names[:5]) + (", …" if len(names) > 5 else "")
    return f"{plural(len(names), 'session')} lost when keeper and daemon were killed: {shown}"


def plural(count: int, noun: str) -> str:
    """`1 session`, `2 sessions`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}{'es' if noun.endswith('s') else 's'}"


def _code(char: str) -> str:
    number = ord(char)
    if char in _SHORT:
        return _SHORT[char]
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _quoted(word: str) -> str:
    """As shlex.quote, without its imports."""
    if word and _SAFE.issuperset(word):
        return word
    return "'" + word.replace("'", "'\"'\"'") + "'"
