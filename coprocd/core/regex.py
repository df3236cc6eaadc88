"""Regular expressions of triggers: RE2 over the text of lines, in time linear in the text.

Owns what RE2 is asked for and with which options, and what is said where it refuses. A compiled pattern means the same
on the text of one line and on many lines joined by LF: no match holds an LF (never_nl), `^` and `$` are a line's start
and end, whatever the user writes (`\\A`, `\\z` and the flag m are rewritten). Must never be given text that is not UTF-8.
The trigger matcher calls it, and whoever must know whether a regex is one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from functools import partial
from weakref import WeakValueDictionary

import re2

from coprocd.core import regex_syntax
from coprocd.protocol.errors import CoprocdError

PATTERN_MOST_BYTES = 16 << 10
"""A regex longer than this is a mistake or an attack."""

PATTERN_MEMORY_BYTES = 2 << 20
"""What RE2 may use for one regex: a third for its states, the rest for a program of about 40,000 steps."""

SET_MEMORY_BYTES = (32 << 20, 256 << 20)
"""What RE2 may use for a set, at least and at most; in between, SET_BYTES_A_STEP for each step of the programs in it."""
SET_BYTES_A_STEP = 128

RECENT_MOST = 256
"""So many are kept though nobody holds them: what is checked first is used next, and need not be compiled twice."""
RECENT_BIG_MOST = 16
BIG_STEPS = 1_000
"""… and so few of those that are larger than this: each may take PATTERN_MEMORY_BYTES."""

GROUPS_MOST = 10
"""\\0 to \\9."""

_CANARY = r"\z"
"""Always matches, and at the end alone: one that matched everywhere would be noted at each byte, which halves the speed."""

_NOWHERE = -1


class Found:
    """One match in a text: where it is, and its groups \\0 to \\9, None where a group takes no part."""

    __slots__ = ("_spans", "_text", "end", "start")

    def __init__(self, text: bytes, spans: Sequence[tuple[int, int]]) -> None:
        self.start, self.end = spans[0]
        self._text = text
        self._spans = spans

    @property
    def groups(self) -> tuple[bytes | None, ...]:
        text = self._text
        return tuple([None if start < 0 else text[start:end] for start, end in self._spans[:GROUPS_MOST]])


class Pattern:
    """A compiled regex. `text` is what the user wrote, `source` what RE2 was given, `steps` the size of its program."""

    __slots__ = ("__weakref__", "_match", "source", "steps", "text")

    def __init__(self, text: str, source: str, regex: re2._Regexp) -> None:
        self.text = text
        self.source = source
        self.steps: int = regex.programsize
        # The inner object: what the binding wraps around each match costs more than to find it.
        self._match = partial(regex._regexp.Match, re2._Anchor.UNANCHORED)

    def search(self, text: bytes) -> Found | None:
        """The leftmost match."""
        spans = self._match(text, 0, len(text))
        return None if spans[0][0] < 0 else Found(text, spans)

    def finditer(self, text: bytes) -> Iterator[Found]:
        """All that do not overlap, from left to right. One that is empty counts only as the first of its line."""
        match, at, length, last, line_end = self._match, 0, len(text), _NOWHERE, _NOWHERE
        while at <= length:
            spans = match(text, at, length)
            start, end = spans[0]
            if start < 0:
                return
            if start == end:
                at = end + 1
                if last != _NOWHERE:
                    if line_end < last:
                        line_end = text.find(b"\n", last)
                        if line_end < 0:
                            line_end = length
                    if start <= line_end:
                        continue
            else:
                at = end
            last = end
            yield Found(text, spans)


class PatternSet:
    """Many patterns, matched in one pass. It says which of them match, not where."""

    __slots__ = ("__weakref__", "_parts", "_patterns")

    @classmethod
    def shared(cls, patterns: Sequence[Pattern], parts: int = 1) -> PatternSet:
        """The set of these patterns, which all that have the same ones share, and its memory, for as long as one of them has it."""
        key = (tuple(patterns), parts)
        found = _shared.get(key)
        if found is None:
            found = _shared[key] = cls(patterns, parts)
        return found

    def __init__(self, patterns: Sequence[Pattern], parts: int = 1) -> None:
        """In several `parts` it takes as many passes, each over fewer states: for patterns that are costly together."""
        self._patterns = list(patterns)
        self._parts: list[tuple[int, int, re2.Set | None]] = []
        size = -(-len(self._patterns) // parts) or 1
        for first in range(0, len(self._patterns), size):
            if size == 1 and parts > 1:
                self._parts.append((first, first + 1, None))
            else:
                self._add(first, min(first + size, len(self._patterns)))

    def _add(self, first: int, last: int) -> None:
        """Compiles a set of patterns, in halves where RE2 has not the memory for it as a whole."""
        try:
            self._parts.append((first, last, _set(self._patterns[first:last])))
        except re2.error:
            if last - first == 1:
                self._parts.append((first, last, None))
                return
            middle = (first + last) // 2
            self._add(first, middle)
            self._add(middle, last)

    def hits(self, text: bytes) -> list[int]:
        """The indices of the patterns that match somewhere in the text, ascending."""
        hits: list[int] = []
        for first, last, together in self._parts:
            matched = None if together is None else together.Match(text)
            canary = last - first
            if matched is None or canary not in matched:
                # The set has run out of memory, which RE2's binding says by an empty answer.
                hits += [index for index in range(first, last) if self._patterns[index].search(text) is not None]
            elif len(matched) > 1:
                hits += sorted(first + index for index in matched if index != canary)
        return hits


_shared: WeakValueDictionary[tuple[tuple[Pattern, ...], int], PatternSet] = WeakValueDictionary()
_held: WeakValueDictionary[str, Pattern] = WeakValueDictionary()
_recent: deque[Pattern] = deque(maxlen=RECENT_MOST)
_recent_big: deque[Pattern] = deque(maxlen=RECENT_BIG_MOST)


def compile(pattern: str) -> Pattern:
    """The compiled pattern, the same one for as long as anybody holds it, and a little longer. `invalid_regex` where it is none."""
    found = _held.get(pattern)
    if found is None:
        found = _held[pattern] = _compiled(pattern)
        (_recent if found.steps <= BIG_STEPS else _recent_big).append(found)
    return found


def _compiled(pattern: str) -> Pattern:
    """A new one; a refusal has the reason, and what to write instead if that is known."""
    try:
        size = len(pattern.encode())
    except UnicodeEncodeError:
        raise _refused(
            pattern, "it holds half a surrogate pair, which is no character", "write `\\x{...}` for a character by its number"
        ) from None
    if size > PATTERN_MOST_BYTES:
        raise _refused(pattern, f"it is {size} bytes long, and {PATTERN_MOST_BYTES} are allowed", "write several triggers")
    tokens = regex_syntax.tokens(pattern)
    refused = regex_syntax.never_supported(tokens)
    if refused is not None:
        raise _refused(pattern, *refused)
    source = "(?m)" + regex_syntax.for_lines(tokens)
    try:
        # Not re2.compile: it keeps the last 128, whatever their size.
        return Pattern(pattern, source, re2._Regexp(source, _options(PATTERN_MEMORY_BYTES)))
    except re2.error as error:
        reason = error.args[0].decode("utf-8", "replace") if error.args else "RE2 refuses it"
        reason = reason.removesuffix(f": {source}")  # which is not as it was written
        raise _refused(pattern, reason, regex_syntax.remedy(tokens, reason)) from None


def _refused(pattern: str, reason: str, remedy: str) -> CoprocdError:
    shown = pattern if len(pattern) <= 100 else pattern[:99] + "…"
    shown = shown.encode("utf-8", "backslashreplace").decode()
    return CoprocdError("invalid_regex", f"the regex `{shown}` cannot be used: {reason}; {remedy}", reason=reason)


def _options(memory_bytes: int) -> re2.Options:
    options = re2.Options()
    options.never_nl = True
    options.log_errors = False
    options.max_mem = memory_bytes
    return options


def _set(patterns: Sequence[Pattern]) -> re2.Set:
    """All in one set, and behind them the canary."""
    least, most = SET_MEMORY_BYTES
    steps = sum(pattern.steps for pattern in patterns)
    together = re2.Set.SearchSet(_options(min(most, least + steps * SET_BYTES_A_STEP)))
    for pattern in patterns:
        together.Add(pattern.source)
    together.Add(_CANARY)
    together.Compile()
    return together
