"""A command for /bin/sh -c with captures in it: where each stands, and the text in which it is a quoted variable.

A capture is never pasted into the text: the shell finds it in the environment, after it has parsed the command. So all that
must be right here is the quoting at the place (XCU 2.2), which takes a scanner of single and double quotes, `$( )`, `( )`,
backslashes, line continuations and comments. What shells do not agree on, or what is evaluated a second time, is refused with
a capture in it: `$(( ))`, `${ }`, backquotes, here-documents, `case`, functions, `$' '`. `shell_programs` judges the words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NoReturn

from coprocd.core.parameter import Piece, characters, refuse

VARIABLE = "COPROCD_MATCH_{}"
_DEPTH_MOST = 20  # nested $( ) and ( ): far past what anybody writes, far below Python's own stack
RESERVED = frozenset(("if", "then", "else", "elif", "fi", "do", "done", "while", "until", "{", "}", "!"))
UNREADABLE = frozenset(("case", "esac", "function", "select", "coproc", "[["))
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")


@dataclass(slots=True)
class Word:
    """A word, or with `element` one of an argv list and `at` its index, without its quotes: in `text` a capture is U+0000, and `$` or a backquote stands for all that an expansion may become.

    `leading` are the captures that it may begin with: what stands before them may be empty.
    """

    at: int
    text: str = ""
    captures: list[int] = field(default_factory=list)
    leading: list[int] = field(default_factory=list)
    quoted: bool = False
    braced: bool = False
    element: bool = False
    loose: bool = False

    def add(self, capture: int) -> None:
        self.inside([capture])
        self.text += "\0"

    def inside(self, captures: list[int]) -> None:
        """Captures of a $( ) in it."""
        if not self.text.strip("\0$`"):
            self.leading.extend(captures)
        self.captures.extend(captures)

    @property
    def plain(self) -> str:
        """The text where its expansions are empty."""
        return self.text.replace("$", "").replace("`", "")

    @property
    def vanishes(self) -> bool:
        """Whether an expansion that is empty leaves no word at all: one without quotes, or of `$@`."""
        return self.loose and not self.plain

    @property
    def assigns(self) -> bool:
        """Whether it is `NAME=…` with a name that no capture is part of."""
        return _ASSIGNMENT.match(self.text) is not None


@dataclass(slots=True)
class SimpleCommand:
    """Its words, assignments before it included, redirections not; `fed`: it may read what was captured, or a file of that name."""

    words: list[Word]
    fed: bool = False


@dataclass(slots=True)
class Scanned:
    text: str
    commands: list[SimpleCommand]


class _TooIntricate(Exception):
    """No fault as long as there is no capture."""


def own_variable(capture: int) -> str:
    """What to write in place of a capture where it cannot stand."""
    return f'write "${VARIABLE.format(capture)}" there, quoted as that program wants it'


def scan(parameter: str) -> Scanned:
    """The command's text and its simple commands. `invalid_params` where a capture cannot be quoted, or a quote has no end."""
    items = characters(parameter)
    for item, at in items:
        if item == "\0":
            refuse(at, "no command can hold a NUL", "leave it out")
    scanner = _Scanner(items)
    try:
        scanner.read(None, 0)
    except _TooIntricate:
        # Nothing of the session's is in it: it is the author's own, and the shell's to judge.
        return Scanned("".join(item for item, _ in items if isinstance(item, str)), [])
    return Scanned("".join(scanner.out), scanner.commands)


class _Scanner:
    def __init__(self, items: list[Piece]) -> None:
        self._items = items
        self._at = 0
        self._captures = [item for item, _ in items if isinstance(item, int)]
        self._seen = self._fed = False
        self._unread = False
        self.out: list[str] = []
        self.commands: list[SimpleCommand] = []

    # -- characters -------------------------------------------------------------------------------------------------

    def _peek(self, joined: bool = True) -> str | int | None:
        items = self._items
        if joined:  # the shell takes a backslash and a line end away before it looks at anything else
            while self._at + 1 < len(items) and items[self._at][0] == "\\" and items[self._at + 1][0] == "\n":
                self._at += 2
        return items[self._at][0] if self._at < len(items) else None

    def _place(self) -> int:
        index = min(self._at, len(self._items) - 1)
        return self._items[index][1] if index >= 0 else 0

    def _take(self) -> str:
        item = self._items[self._at][0]
        assert isinstance(item, str)
        self._at += 1
        self.out.append(item)
        return item

    def _capture(self, form: str, word: Word) -> None:
        capture = self._items[self._at][0]
        assert isinstance(capture, int)
        self._at += 1
        self._seen = True
        self.out.append(form % VARIABLE.format(capture))
        word.add(capture)

    # -- what is refused --------------------------------------------------------------------------------------------

    def _intricate(self, at: int, what: str) -> NoReturn:
        if not self._captures:
            raise _TooIntricate
        name = f"\\{self._captures[0]}"
        refuse(at, f"{what}, where a capture such as {name} cannot be quoted for every shell", own_variable(self._captures[0]))

    def _no_capture(self, item: str | int | None, where: str) -> None:
        if isinstance(item, int):
            refuse(self._place(), f"\\{item} stands {where}", own_variable(item))

    # -- the grammar ------------------------------------------------------------------------------------------------

    def read(self, opened: int | None, depth: int) -> None:
        """Commands up to the end, or to the `)` of what was `opened` there."""
        if depth > _DEPTH_MOST:
            self._intricate(self._place(), f"$( ) and ( ) nested more than {_DEPTH_MOST} deep")
        state = _Line()
        while (item := self._peek()) is not None:
            if item == ")":
                if opened is None:
                    self._intricate(self._place(), "a `)` that nothing opened")
                break
            if isinstance(item, int):
                self._capture('"${%s}"', state.word_at(self._place()))
            elif item in " \t":
                self._end_word(state)
                self._take()
            elif item in "\n;&|":
                self._operator(state)
            elif item in "<>":
                self._redirection(state)
            elif item == "(":
                self._subshell(state, depth)
            elif item == "#" and state.word is None:
                self._comment()
            else:
                self._character(item, state, depth)
        else:
            if opened is not None and not self._unread:
                refuse(opened, "a `(` without its `)`", "close it")
        self._end_command(state, piped=False)

    def _character(self, item: str, state: _Line, depth: int) -> None:
        word = state.word_at(self._place())
        if item == "'":
            self._single(word)
        elif item == '"':
            self._double(word, depth)
        elif item == "\\":
            self._escaped(word)
        elif item == "$":
            # No field splitting in an assignment (XCU 2.9.1).
            self._dollar(word, depth, quoted=False, whole=word.assigns and state.may_assign())
        elif item == "`":
            self._backquoted(word)
        else:
            word.braced |= item == "{"
            word.text += self._take()

    def _single(self, word: Word) -> None:
        start = self._place()
        word.quoted = True
        self._take()
        while (item := self._peek(joined=False)) != "'":
            if item is None:
                refuse(start, "a single quote without its end", "close it, or write \\\\' for the character itself")
            elif isinstance(item, int):
                self._capture("'\"${%s}\"'", word)
            else:
                word.text += self._take()
        self._take()

    def _double(self, word: Word, depth: int) -> None:
        start = self._place()
        word.quoted = True
        self._take()
        while (item := self._peek()) != '"':
            if item is None:
                if self._unread:
                    return
                refuse(start, "a double quote without its end", 'close it, or write \\\\" for the character itself')
            elif isinstance(item, int):
                self._capture("${%s}", word)
            elif item == "\\":
                self._escaped(word)
            elif item == "$":
                self._dollar(word, depth, quoted=True, whole=True)
            elif item == "`":
                self._backquoted(word)
            else:
                word.text += self._take()
        self._take()

    def _escaped(self, word: Word) -> None:
        word.quoted = True
        self._take()
        item = self._peek(joined=False)
        self._no_capture(item, "right after a backslash, which would take a quote's meaning away")
        if item is not None:
            word.text += self._take()

    def _dollar(self, word: Word, depth: int, quoted: bool, whole: bool) -> None:
        start = self._place()
        word.text += self._take()
        item = self._peek()
        self._no_capture(item, "right after a `$`")
        word.loose |= not quoted or item in ("@", "{")
        if item == "(":
            self._take()
            if self._peek() == "(":
                self._until_closed("(", ")", 1, "inside $(( )), where its text would be evaluated", start)
            else:
                self._substitution(word, start, depth, whole)
        elif item == "{":
            self._until_closed("{", "}", 0, "inside ${ }", start)
        elif item == "'" and not quoted:
            self._intricate(start, "$' ', which shells read in two ways")
        else:
            self._name()

    def _name(self) -> None:
        """Of a variable: it says nothing of what the word becomes."""
        first = True
        while isinstance(item := self._peek(), str) and item.isascii() and (item.isalnum() or item == "_" or (first and item in "@*#?-$!")):
            self._take()
            if first and not (item.isalpha() or item == "_"):
                return
            first = False

    def _substitution(self, word: Word, start: int, depth: int, whole: bool) -> None:
        first = self._at
        self.read(start, depth + 1)
        inside = [item for item, _ in self._items[first : self._at] if isinstance(item, int)]
        if self._peek() == ")":
            self._take()
        if inside and not whole:
            refuse(
                start,
                f"what $( ) prints of \\{inside[0]} would be split into words, and may be a program or options",
                'put double quotes around it: "$(…)"',
            )
        word.inside(inside)

    def _until_closed(self, opening: str, closing: str, depth: int, where: str, start: int) -> None:
        while (item := self._peek()) is not None:
            self._no_capture(item, where)
            if item in ("'", '"', "\\", "`", "$") or (opening == "{" and item in ("(", ")")):
                self._intricate(start, "quotes or another expansion inside one")
            self._take()
            depth += (item == opening) - (item == closing)
            if depth == 0:
                return
        refuse(start, f"a `{opening}` without its `{closing}`", "close it")

    def _backquoted(self, word: Word) -> None:
        start = self._place()
        word.text += self._take()
        word.loose = True
        while (item := self._peek(joined=False)) != "`":
            self._no_capture(item, "in backquotes, where quotes are read twice")
            if item is None:
                refuse(start, "a backquote without its end", "close it, or use $( )")
            self._take()
            if item == "\\" and isinstance(self._peek(joined=False), str):
                self._take()
        self._take()

    def _comment(self) -> None:
        while (item := self._peek(joined=False)) is not None and item != "\n":
            if isinstance(item, int):
                self._capture("%s", Word(0))
            else:
                self._take()

    def _subshell(self, state: _Line, depth: int) -> None:
        start = self._place()
        if state.word is not None or state.words or state.redirects:
            self._intricate(start, "a function, or a `(` inside a command")
        self._take()
        if self._peek() == "(":
            self._intricate(start, "((, which is arithmetic in some shells")
        self.read(start, depth + 1)
        if self._peek() == ")":
            self._take()

    def _redirection(self, state: _Line) -> None:
        start = self._place()
        if state.word is not None and re.fullmatch("[0-9]+", state.word.text) and not state.word.quoted:
            state.word = None  # the descriptor's number
        elif state.word is not None and state.word.braced:
            self._intricate(start, "a descriptor in braces")
        self._end_word(state)
        first = self._take()
        if first == "<" and self._peek() == "<":
            rest = self._items[self._at :]
            for item, at in rest:
                if isinstance(item, int):
                    refuse(at, f"\\{item} stands after a here-document begins", own_variable(item))
            self.out.extend(item for item, _ in rest if isinstance(item, str))
            self._at, self._unread = len(self._items), True
            return
        following = self._peek()
        if isinstance(following, str) and following in "<>&|":
            self._take()
        elif following == "(":
            self._intricate(start, f"{first}( ), which not every shell has")
        state.redirects, state.reads = True, first == "<"

    def _operator(self, state: _Line) -> None:
        operator = self._take()
        doubled = operator in ";&|" and self._peek() == operator
        if doubled:
            self._take()
        self._end_command(state, piped=operator == "|" and not doubled)

    def _end_command(self, state: _Line, piped: bool) -> None:
        self._end_word(state)
        if state.words:
            self.commands.append(SimpleCommand(state.words, self._fed or state.fed))
        state.words, state.redirects, state.fed = [], False, False
        self._fed |= piped and self._seen

    def _end_word(self, state: _Line) -> None:
        word, state.word = state.word, None
        if word is None:
            return
        if state.redirects:
            state.redirects = False
            state.fed |= state.reads and bool(word.captures)
            return
        if not state.words and not word.quoted and not word.captures:
            if word.text in UNREADABLE:
                self._intricate(word.at, f"`{word.text}`")
            if word.text in RESERVED:
                return
        if word.braced and word.captures:
            refuse(word.at, "a brace that is not quoted, in a word with a capture", "quote the brace")
        state.words.append(word)


@dataclass(slots=True)
class _Line:
    """Of the list that is being read: the simple command so far."""

    words: list[Word] = field(default_factory=list)
    word: Word | None = None
    redirects: bool = False
    reads: bool = False
    fed: bool = False

    def word_at(self, at: int) -> Word:
        if self.word is None:
            self.word = Word(at)
        return self.word

    def may_assign(self) -> bool:
        return all(word.assigns for word in self.words) and not self.redirects
