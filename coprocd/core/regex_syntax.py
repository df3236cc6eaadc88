"""The syntax of a regex, as far as RE2 differs from the ICU and PCRE that people know.

Cuts a regex into tokens, rewrites those that would mean the start or end of the whole text, and says for the usual
things that RE2 has not what to write instead. It judges nothing else: what is a regex, RE2 decides. core/regex.py calls it.
"""

from __future__ import annotations

import re

_TOKEN = re.compile(
    r"""
      (?P<quoted> \\Q .*? (?: \\E | \Z ) )
    | (?P<escape> \\ (?: [xpPNogk] \{ [^}]* \} | [gk] [<'] [^>']* [>']? | x [0-9A-Fa-f]{2} | u \{? [0-9A-Fa-f]* \}? | U [0-9A-Fa-f]{8} | c . | . | \Z ) )
    | (?P<class> \[ \^? \]? (?: \[:\^?\w+:\] | \\Q .*? \\E | \\ (?: [xpPN] \{ [^}]* \} | . ) | [^\]\\] )* \]? )
    | (?P<group> \( (?: \? (?: P?<?[=!] | P?<\w* >? | P[=>] [^)]* \)? | [>\#|&'] | R\) | [+-]?\d+\) | \( | [A-Za-z-]* [:)]? ) | \*[A-Z]* )? )
    | (?P<repeat> (?: [*+?] | \{ \d* ,? \d* \} ) [?+]? )
    | (?P<plain> . )
    """,
    re.VERBOSE | re.DOTALL,
)
_FLAGS = re.compile(r"\(\?([imsU]*)(?:(-)([imsU]*))?([:)])")
_CLASS_ESCAPE = re.compile(r"\\(?:u\{?[0-9A-Fa-f]*\}?|.)", re.DOTALL)

_LINE = "each line is matched by itself"
_ESCAPES = {
    "Z": "write `$` or `\\z` for the end of the line",
    "G": f"leave it out: {_LINE}",
    "K": "put what is wanted in a group and use \\1",
    "R": f"leave it out: {_LINE}, without its end",
    "X": "write `.` for one character",
    "N": "write `\\x{...}` for a character by its number, `.` for any",
    "h": "write `[ \\t]`",
    "H": "write `[^ \\t]`",
    "V": "write `.`",
    "u": "write `\\x{201c}` for U+201C",
    "U": "write `\\x{1f600}` for U+1F600",
    "e": "leave it out: escape sequences are gone when a line is matched",
    "c": "leave it out: control characters are gone when a line is matched",
    "o": "write `\\x{...}` with the number in hexadecimal",
    "k": "write out what is to come again: there are no back-references",
    "g": "write out what is to come again: there are no back-references",
}
_NO_LOOK = "RE2 does not look ahead or behind, which keeps matching linear: match the surroundings too and use a group (\\1) for the part that is wanted"
_GROUPS = {
    "(?=": _NO_LOOK,
    "(?!": _NO_LOOK,
    "(?<=": _NO_LOOK,
    "(?<!": _NO_LOOK,
    "(?>": "write `(?:`: RE2 never tries again, so an atomic group gains nothing",
    "(?#": "leave the comment out",
    "(?P=": "write out what is to come again: there are no back-references",
    "(?P>": "write the pattern out: there is no recursion",
    "(?R": "write the pattern out: there is no recursion",
    "(?|": "write `(?:` and look at the group that took part",
    "(?&": "write the pattern out: there is no recursion",
    "(?'": "write `(?P<name>`",
    "(?(": "write both cases as two alternatives, or as two triggers",
    "(*": "leave it out: RE2 has no verbs",
}

Token = tuple[str, str]
"""Its kind, a group's name in _TOKEN, and its text."""


def tokens(pattern: str) -> list[Token]:
    """The pattern in pieces; joined they are the pattern."""
    return [(match.lastgroup or "plain", match.group()) for match in _TOKEN.finditer(pattern)]


def for_lines(pieces: list[Token]) -> str:
    """The regex with line starts and ends in place of those of the text, to be compiled with the flag m on."""
    return "".join(_for_lines(kind, text) for kind, text in pieces)


def _for_lines(kind: str, text: str) -> str:
    if kind == "escape":
        return {"\\A": "^", "\\z": "$"}.get(text, text)
    if kind != "group" or "m" not in text:
        return text
    flags = _FLAGS.fullmatch(text)
    if flags is None:
        return text
    on, minus, off, end = flags.groups("")
    on, off = on.replace("m", ""), off.replace("m", "")
    if not on and not off:
        return "(?:" if end == ":" else "(?:)"
    return f"(?{on}{minus if off else ''}{off}{end}"


def never_supported(pieces: list[Token]) -> tuple[str, str] | None:
    """Reason and remedy where RE2 would take what cannot hold here."""
    if ("escape", "\\C") in pieces:
        return "`\\C` is one byte, which may be a part of a character", "write `.` for one character"
    return None


def remedy(pieces: list[Token], reason: str) -> str:
    """What to write instead, for a regex that RE2 has refused for the reason."""
    for kind, text in pieces:
        found = None
        if kind == "escape":
            found = _escape(text)
        elif kind == "class":
            found = next((answer for answer in map(_escape, _CLASS_ESCAPE.findall(text)) if answer), None)
        elif kind == "group":
            found = _group(text)
        elif kind == "repeat" and len(text) > 1 and text.endswith("+"):
            found = f"leave the last `+` of `{text}` out: RE2 never tries again, so a possessive repetition gains nothing"
        if found is not None:
            return found
    if "repetition size" in reason:
        return "write at most 1000 repetitions, all that are nested multiplied, and the smaller number first"
    if "too large" in reason:
        return "write it shorter, with fewer repetitions of long parts, or as several triggers"
    if "missing" in reason or "unexpected" in reason or "no argument" in reason:
        return "write a backslash before a character that stands for itself"
    return "see the syntax of RE2 (https://github.com/google/re2/wiki/Syntax)"


def _escape(text: str) -> str | None:
    name = text[1:2]
    if text[1:].isdigit() and name != "0" and len(text) == 2:
        return f"write out what `{text}` is to repeat: there are no back-references, which keeps matching linear"
    if name and not name.isascii():
        return f"write `{name}` without the backslash"
    answer = _ESCAPES.get(name)
    return None if answer is None else f"in place of `{text}`: {answer}"


def _group(text: str) -> str | None:
    for begin in sorted(_GROUPS, key=len, reverse=True):
        if text.startswith(begin):
            return _GROUPS[begin]
    flags = text[2:].rstrip(":)")
    if text.startswith("(?") and "x" in flags and flags.replace("-", "").isalpha():
        return "leave the flag x out, and the spaces and comments of the regex too"
    if text.startswith("(?") and set(flags) - set("imsU-") and flags.replace("-", "").isalpha() and "<" not in flags:
        return "use of the flags only i, m, s and U"
    return None
