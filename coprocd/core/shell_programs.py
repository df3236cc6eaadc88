"""Which words of a command are code: the program, what other programs take as a program, and what they evaluate.

A capture there would let what a session prints choose what runs, so it is refused when the trigger is added. Tables of what
is known; a program that is not in them is trusted to take its words as data. Called by `substitution` for command strings,
whose words `shell_words` finds, and for argv lists.
"""

from __future__ import annotations

import re
from typing import NamedTuple, NoReturn

from coprocd.core.parameter import refuse
from coprocd.core.shell_words import RESERVED, UNREADABLE, SimpleCommand, Word, own_variable


class _Options(NamedTuple):
    """Letters of options that take a word; and how many words stand between the options and the program."""

    letters: str = ""
    operands: int = 0


# Programs whose own argument is a program: what follows is judged as a command of its own.
_WRAPPERS: dict[str, _Options] = {
    "builtin": _Options(), "busybox": _Options(), "caffeinate": _Options("tw"), "chroot": _Options("", 1), "chrt": _Options("TPD", 1),
    "command": _Options(), "dbus-run-session": _Options(), "doas": _Options("uC"), "env": _Options("uC"),
    "exec": _Options("a"), "flock": _Options("wE", 1), "gtimeout": _Options("sk", 1), "ionice": _Options("cn"),
    "nice": _Options("n"), "nohup": _Options(), "nsenter": _Options("tSG"), "pkexec": _Options(), "setpriv": _Options(),
    "setsid": _Options(), "stdbuf": _Options("ioe"), "strace": _Options("eopPsuaEbIOSUX"), "sudo": _Options("ugpCchrtTUDR"),
    "systemd-run": _Options("pHMuEtd"), "taskset": _Options("", 1), "time": _Options("fo"), "timeout": _Options("sk", 1),
    "unbuffer": _Options(), "unshare": _Options(), "xargs": _Options("IELnPsda"),
}  # fmt: skip


_TAKE_VARIABLES = frozenset(("env", "sudo", "doas"))


class _Interpreter(NamedTuple):
    """Letters of options whose word is code and of those whose word is data, long options of the first kind, and whether more may follow."""

    code: str
    data: str = ""
    long: tuple[str, ...] = ()
    more: bool = False


_SHELL = _Interpreter("")  # -c takes no word of its own: the code is the first word that is no option
_INTERPRETERS: dict[str, _Interpreter] = {
    **dict.fromkeys(("sh", "bash", "dash", "zsh", "ksh", "mksh", "ash", "fish", "csh", "tcsh", "rbash"), _SHELL),
    **dict.fromkeys(("awk", "gawk", "mawk", "nawk"), _Interpreter("fe", "vF", ("--source", "--file"), more=True)),
    **dict.fromkeys(("sed", "gsed"), _Interpreter("ef", "l", ("--expression", "--file"), more=True)),
    **dict.fromkeys(("node", "nodejs", "deno", "bun"), _Interpreter("epr", "", ("--eval", "--print", "--require"), more=True)),
    "expect": _Interpreter("cf", more=True),
    "gdb": _Interpreter("x", "", ("--command", "--eval-command", "-ex", "-iex"), more=True),
    "lua": _Interpreter("el", more=True),
    "osascript": _Interpreter("el", more=True),
    "perl": _Interpreter("eEMm", "0CFI", more=True),
    "php": _Interpreter("rBRE", more=True),
    "python": _Interpreter("cm", "WX"),
    "Rscript": _Interpreter("e", more=True),
    "ruby": _Interpreter("er", "CEFIK", more=True),
    "tclsh": _Interpreter(""),
}
_STDIN = frozenset(("-", "/dev/stdin", "/dev/fd/0"))

# Programs that evaluate what they are given, or send it to something that does.
_EVALUATORS = frozenset(
    (
        *(
            ".",
            "alias",
            "at",
            "bindkey",
            "eval",
            "getopts",
            "let",
            "mapfile",
            "parallel",
            "read",
            "readarray",
            "screen",
            "script",
            "source",
        ),
        *("su", "tmux", "trap", "unset", "watch"),
    )
)
_RUN_THEIR_INPUT = frozenset(("at", "batch", "ed", "ex", "parallel"))
_DECLARATIONS = frozenset(("declare", "export", "local", "readonly", "typeset"))
_FINDS_RUN = frozenset(("-exec", "-execdir", "-ok", "-okdir"))
_FINDS = frozenset(("find", "gfind", "bfs"))
_REMOTE = frozenset(("ssh", "rsh", "mosh", "autossh"))
_SSH_OPTIONS = "BbcDEeFIiJLlmOopQRSWw"
PLUS_IS_A_COMMAND = frozenset(("vi", "vim", "nvim", "gvim", "view", "less", "more", "ex", "emacs", "emacsclient", "nano"))
"""Programs that read `+…` as an option, most of them as a command to run."""

# Variables that decide which program or library is loaded.
_DECISIVE = re.compile(
    "PATH|IFS|ENV|BASH_ENV|SHELL|SHELLOPTS|BASHOPTS|PS4|LD_.*|DYLD_.*|PYTHON.*|PERL5?.*|RUBY.*|NODE_.*|GIT_.*|.*PAGER|.*EDITOR|VISUAL|BROWSER|LESS.*|.*_COMMAND"
)


def judge(command: SimpleCommand) -> int:
    """Where in its words the program stands (past the end where there is none). `invalid_params` where a capture would be code."""
    words, at, filled, wrapper = command.words, 0, False, ""
    while at < len(words):
        while at < len(words) and (words[at].assigns or (wrapper in _TAKE_VARIABLES and "=" in words[at].plain)):
            _assignment(words[at])
            at += 1
        if at >= len(words):
            break
        word = words[at]
        _steady(command, at)
        if word.captures:
            _code(word, "would be the program itself", "name the program, and give the capture to it as an argument")
        name = program(word)
        if name in RESERVED or name in UNREADABLE:
            if any(each.captures for each in words[at:]):
                _code(
                    next(each for each in words[at:] if each.captures), f"stands after `{name}` and may be a program", "put `;` before it"
                )
            return at
        if name not in _WRAPPERS:
            _arguments(name, words[at:], command.fed)
            if filled and (name in _INTERPRETERS or name in _EVALUATORS or name in _REMOTE or "{" in name or "%" in name):
                _fed(word, "xargs")
            return at
        filled |= name == "xargs" and command.fed
        wrapper = name
        at = _after_wrapper(name, words, at)
    return at


def program(word: Word) -> str:
    """The program's name without its directory and version."""
    name = word.plain.rpartition("/")[2]
    return re.sub(r"[0-9.]+$", "", name) or name


def _code(word: Word, what: str, remedy: str) -> NoReturn:
    refuse(word.at, f"\\{word.captures[0]} {what}", remedy, word.element)


def _evaluated(word: Word, by: str) -> NoReturn:
    _code(word, f"would be read as code by {by}", own_variable(word.captures[0]))


def _fed(word: Word, name: str) -> NoReturn:
    refuse(word.at, f"{name} would run what a capture was printed into", "give it its script, and the capture, as arguments", word.element)


def _assignment(word: Word) -> None:
    name = word.plain.partition("=")[0]
    if "\0" in name:
        _code(word, "would be part of a variable's name", "write the name")
    if word.captures and _DECISIVE.fullmatch(name):
        _code(word, f"would be the value of {name}, which decides what is run", "give it to a variable of another name")


def _steady(command: SimpleCommand, at: int) -> None:
    """What may expand to nothing before or as the program makes a program of the word after it."""
    if any(word.vanishes for word in command.words[: at + 1]):
        for word in command.words[at + 1 :]:
            if command.fed and program(word) in _INTERPRETERS:
                _fed(word, program(word))
            if word.captures:
                _code(word, "would be the program itself where an expansion before it is empty", "put double quotes around the expansion")


def _after_wrapper(name: str, words: list[Word], at: int) -> int:
    """The index of the program that a wrapper runs."""
    options, at = _WRAPPERS[name], at + 1
    unsure = False
    while at < len(words) and words[at].plain.startswith("-") and (len(words[at].plain) > 1 or not options.operands):
        word = words[at]
        at += 1
        if word.plain == "--":
            break
        if name in ("env", "flock", "sudo") and re.match("-[a-zA-Z]*[Sc]|--(split-string|command)", word.plain):
            for each in words[at - 1 : at + 1]:
                if each.captures:
                    _evaluated(each, name)
        if word.plain.startswith("--"):
            unsure = "=" not in word.plain  # it may take the next word
        elif word.plain[-1] in options.letters:
            at += 1
    at += options.operands
    if name == "flock" and at + 1 < len(words) and words[at].plain in ("-c", "--command") and words[at + 1].captures:
        _evaluated(words[at + 1], name)
    if unsure and at + 1 < len(words) and words[at + 1].captures:
        _code(words[at + 1], f"may be the program that {name} runs", "give its options as --option=value")
    return at


def _arguments(name: str, words: list[Word], fed: bool) -> None:
    captured = [word for word in words[1:] if word.captures]
    if fed and name in _RUN_THEIR_INPUT:
        _fed(words[0], name)
    if name in _INTERPRETERS:
        _interpreter(name, words, fed)
    elif name in _EVALUATORS and captured:
        _evaluated(captured[0], name)
    elif name in _DECLARATIONS:
        for word in captured:
            if not word.assigns:
                _code(word, f"would be a name for {name}", f"write {name} NAME=\\{word.captures[0]}")
            _assignment(word)
    elif name in _FINDS:
        for index, word in enumerate(words):
            if word.plain in _FINDS_RUN:
                judge(SimpleCommand(words[index + 1 :], fed))
    elif name in _REMOTE:
        _remote(name, words, fed)
    elif name in ("test", "[") and captured and any(word.plain in ("-v", "-R") for word in words):
        _evaluated(captured[0], f"{name} -v")
    elif name == "for" and len(words) > 2 and words[2].plain == "do" and captured:
        _code(captured[0], "may be the program itself", "name the program, and give the capture to it as an argument")


def _interpreter(name: str, words: list[Word], fed: bool) -> None:
    """Everything up to its script is code; after it, only the words of options that are."""
    known, at = _INTERPRETERS[name], 1
    given = unsure = False
    while at < len(words):
        word = words[at]
        text, at = word.plain, at + 1
        if text in _STDIN or (known is _SHELL and not given and re.match("-[a-zA-Z]*s", text)):
            if fed:
                _fed(words[0], name)
            given |= known is not _SHELL
        elif (text[:1] == "-" or (known is _SHELL and text[:1] == "+")) and text != "--":
            if text in known.long or (text[1:2] != "-" and text[-1] in known.code):
                if at < len(words) and words[at].captures:
                    _evaluated(words[at], name)
                at, given = at + 1, True
                if not known.more:
                    return
            elif text[1:2] in known.data and text[1:2]:
                at += len(text) == 2
            elif word.captures:
                _evaluated(word, name)
            else:  # a long option may take the next word, and so may -o of a shell
                unsure = (text[1:2] == "-" and "=" not in text) or (known is _SHELL and text[-1] in "oO")
        elif word.captures and not given:
            _evaluated(word, name)
        elif unsure or word.vanishes:
            unsure = False
        elif text != "--":
            given = True
            if not known.more:
                return
    if fed and not given:
        _fed(words[0], name)


def _remote(name: str, words: list[Word], fed: bool) -> None:
    """The host may be a capture; what is run there is put together again and read by a shell."""
    at = 1
    while at < len(words) and words[at].plain.startswith("-") and words[at].plain != "--":
        word = words[at]
        at += 2 if word.plain[-1] in _SSH_OPTIONS and len(word.plain) == 2 else 1
        for each in words[at - 1 : at]:
            if each.captures and word.plain[1:2] in ("o", "F", "S", "J", "W"):
                _evaluated(each, name)
    at += at < len(words) and words[at].plain == "--"
    for word in words[at + 1 :]:
        if word.captures:
            given = f"give it as input: printf %s \\{word.captures[0]} | {name} HOST 'x=$(cat); …'"  # a variable would be read there too
            _code(word, f"would be read as code by the shell at the other end of {name}", given)
    if fed and at + 1 >= len(words):
        _fed(words[0], f"the shell at the other end of {name}")
