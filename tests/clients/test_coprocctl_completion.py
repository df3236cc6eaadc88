"""The completion scripts, in the real shells. Whatever shell is not installed is skipped."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from coprocctl_command import Command, Peer, Script

# What is typed, and words that completion must offer for the last of it.
CASES = [
    ("", ["new", "list", "ls", "daemon", "run-coprocess", "kill", "completion"]),
    ("run", ["run-coprocess"]),
    ("daemon ", ["start", "stop", "status", "restart", "logs"]),
    ("daemon stop --a", ["--all"]),
    ("send ", ["chat", "build-1"]),
    ("send ch", ["chat"]),
    ("kill chat b", ["build-1"]),
    ("--json logs ", ["chat", "build-1"]),
    ("logs -f ", ["chat", "build-1"]),
    ("--socket /tmp/x send ", ["chat", "build-1"]),
    ("run-coprocess chat --on-stall ", ["end", "wait"]),
    ("rpc session.l", ["session.list"]),
    ("signal chat ", ["HUP", "WINCH"]),
    ("events --session ", ["chat", "build-1"]),
    ("trigger ", ["add", "list", "remove", "import"]),
    ("trigger remove ", ["zmodem", "t6274226b2d"]),
    ("trigger add x run_", ["run_coprocess", "run_command"]),
    ("completion ", ["bash", "zsh", "fish"]),
]


@pytest.fixture
def script(coprocctl: Command, request: pytest.FixtureRequest) -> Path:
    """The completion script of the shell that the test is named after, beside a `coprocctl` that knows two sessions."""
    shell = request.node.originalname.split("_")[1]
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    stub = coprocctl.root / "bin" / "coprocctl"
    stub.parent.mkdir()
    stub.write_text(
        "#!/bin/sh\ncase $* in 'list --names') printf 'chat\\nbuild-1\\n' ;; 'trigger list --names') printf 'zmodem\\nt6274226b2d\\n' ;; esac\n"
    )
    stub.chmod(0o755)
    path = coprocctl.root / "_coprocctl"
    path.write_bytes(coprocctl("completion", shell).stdout)
    return path


def environment(script: Path) -> dict[str, str]:
    return {"PATH": f"{script.parent / 'bin'}:{os.environ['PATH']}", "HOME": str(script.parent), "TERM": "dumb", "LANG": "C.UTF-8"}


def test_bash_offers_commands_options_and_sessions(script: Path) -> None:
    lines = ["source _coprocctl", "complete -p coprocctl || exit 9"]
    for typed, _ in CASES:
        words = " ".join(f"'{word}'" for word in ["coprocctl", *typed.split(" ")])
        lines += [
            f"COMP_WORDS=({words}); COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 )); COMPREPLY=()",
            "_shtab_coprocctl",
            'echo "${COMPREPLY[*]}"',
        ]
    done = subprocess.run(
        ["bash", "--norc", "-c", "\n".join(lines)], cwd=script.parent, env=environment(script), capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
    offered = [line.split() for line in done.stdout.splitlines()[1:]]
    for (typed, expected), words in zip(CASES, offered, strict=True):
        assert set(expected) <= set(words), typed


def test_fish_offers_commands_options_and_sessions(script: Path) -> None:
    lines = ["source _coprocctl", *(f"echo (complete -C 'coprocctl {typed}' | string replace -r '\\t.*' '')" for typed, _ in CASES)]
    done = subprocess.run(
        ["fish", "--no-config", "-c", "\n".join(lines)],
        cwd=script.parent,
        env=environment(script),
        capture_output=True,
        text=True,
        check=True,
    )
    offered = [line.split() for line in done.stdout.splitlines()]
    for (typed, expected), words in zip(CASES, offered, strict=True):
        assert set(expected) <= set(words), typed


def test_zsh_completes_commands_options_and_sessions(script: Path) -> None:
    """Typed to an interactive zsh, since its completion works nowhere else. A Tab after what is unique completes it."""
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(script.parent)
        os.execvpe("zsh", ["zsh", "-f", "-i"], environment(script))
    try:
        os.write(
            fd,
            b"PS1='READY''> '; fpath=($PWD $fpath); autoload -Uz compinit; compinit -D -u; unset zle_bracketed_paste\n",
        )
        read_until(fd, rb"READY> ")
        for typed, completed in [
            ("run", "run-coprocess "),
            ("daemon sto", "daemon stop "),
            ("daemon stop --a", "daemon stop --all "),
            ("send ch", "send chat "),
            ("kill chat b", "kill chat build-1 "),
            ("--json logs ch", "--json logs chat "),
            ("--socket /tmp/x send b", "--socket /tmp/x send build-1 "),
            ("run-coprocess chat --on-stall w", "run-coprocess chat --on-stall wait "),
            ("rpc session.l", "rpc session.list "),
            ("trigger disable z", "trigger disable zmodem "),
            ("events --session c", "events --session chat "),
        ]:
            os.write(fd, f"coprocctl {typed}\t".encode())
            read_until(fd, re.escape(f"coprocctl {completed}".encode()))
            os.write(fd, b"\x15")  # ^U empties the line
    finally:
        os.close(fd)
        os.waitpid(pid, 0)


def read_until(fd: int, pattern: bytes) -> bytes:
    """What a terminal shows until `pattern` is seen, without its escape sequences."""
    seen = b""
    while not re.search(pattern, seen):
        assert select.select([fd], [], [], 30)[0], f"{pattern!r} did not come: {seen!r}"
        seen = re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]", b"", seen + os.read(fd, 4096))
    return seen


def test_a_session_with_the_name_of_a_command_is_not_run_by_bash(peer: Callable[[Script], Peer], coprocctl: Command) -> None:
    """bash expands what `compgen -W` is given: this made `pwned` while `list --names` printed names as they are."""
    peer(lambda request: {"result": [{"name": "$(touch pwned)", "id": "5e55"}, {"name": "chat", "id": "c4a7"}]})
    words = "COMP_WORDS=(coprocctl send ''); COMP_CWORD=2; _shtab_coprocctl; echo \"${COMPREPLY[*]}\""
    script = f'coprocctl() {{ "{sys.executable}" -m coprocctl "$@"; }}; eval "$(coprocctl completion bash)"; {words}'
    done = subprocess.run(
        ["bash", "--norc", "-c", script], cwd=coprocctl.root, env=coprocctl.env, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["5e55", "chat"]
    assert not (coprocctl.root / "pwned").exists()
