"""Output of real programs, recorded at a pty, and output that a program might print though none does: what the screen is tested with."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import shutil
import struct
import subprocess
import sys
import termios
from pathlib import Path

from coprocd.screen import ghostty

ROWS, COLS = 24, 80
_QUIET_S = 0.1
_MOST_BYTES = 256 << 10

_SHELL = """PS1='\\[\\e[1;32m\\]me@here\\[\\e[0m\\]:\\[\\e[34m\\]~\\[\\e[0m\\]$ '
ls --color=always -la /usr/share | head -30
printf '\\e]2;a title\\a\\e]8;;https://example.org/a?b=c\\e\\\\a link\\e]8;;\\e\\\\ and text\\n'
tput smul; echo under; tput rmul; tput bold; echo bold; tput sgr0; tput csr 3 10; tput cup 9 0; echo one; echo two; tput csr 0 23; tput cup 20 5
printf '\\e(0lqqqk\\e(B \\e[5;7mblink\\e[m \\e[38;2;10;200;30mrgb\\e[48;5;17mon blue\\e[K\\e[m\\n'
for i in 1 2 3 4 5 6 7 8; do printf '\\r\\e[K%d0%% [%.*s]' $i $i '########'; done; echo
printf '漢字かな交じり文 e\\u0301 \\U1F469\\u200D\\U1F469\\u200D\\U1F467 \\u2764\\uFE0F \\U1F1E9\\U1F1EA אבג\\n%s\\n' "$(printf 'x%.0s' {1..200})"
exit
"""


def record(argv: list[str], keys: list[bytes], cwd: Path) -> bytes:
    """What `argv` prints at a terminal on which `keys` are typed, each when nothing has come for a moment."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLS, 0, 0))
    env = {"PATH": os.environ["PATH"], "TERM": "xterm-256color", "LANG": "C.UTF-8", "HOME": str(cwd), "PAGER": "less -R"}
    job = subprocess.Popen(argv, stdin=slave, stdout=slave, stderr=slave, cwd=cwd, env=env, start_new_session=True)
    os.close(slave)
    screen, output, keys = ghostty.new(ROWS, COLS), bytearray(), list(keys)
    try:
        while len(output) < _MOST_BYTES:
            if not select.select([master], [], [], _QUIET_S if keys else 10 * _QUIET_S)[0]:
                if not keys:
                    break
                os.write(master, keys.pop(0))
                continue
            try:
                data = os.read(master, 4096)
            except OSError:  # the job has ended
                break
            output += data
            if answers := screen.feed(data):
                os.write(master, answers)
    finally:
        job.kill()
        job.wait()
        os.close(master)
        screen.close()
    return bytes(output)


def record_all(where: Path) -> dict[str, bytes]:
    """The recordings by the programs' names; of those that are there."""
    source = Path(__file__).read_text()
    (where / "text.py").write_text(source)
    git = ["git", "-c", "user.name=A", "-c", "user.email=a@b"]
    subprocess.run(
        [
            "sh",
            "-c",
            "git init -q -b main . && git add . && $0 commit -qm first && echo x >>text.py && $0 commit -qam 'second ü'".replace(
                "$0", " ".join(git)
            ),
        ],
        cwd=where,
        check=True,
        env={"PATH": os.environ["PATH"], "HOME": str(where)},
    )
    programs = {
        "bash": (["bash", "--norc", "-i"], [line.encode() + b"\r" for line in _SHELL.splitlines()]),
        "vim": (
            ["vim", "-u", "NONE", "-N", "-c", "syntax on | set number hlsearch", "text.py"],
            [b"\x06", b"/def\r", b"ihello \x1b", b":vsplit\r", b"\x02", b":q!\r", b"gg", b"V5jd", b":q!\r"],
        ),
        "less": (["less", "-R", "text.py"], [b" ", b" ", b"b", b"/import\r", b"n", b"q"]),
        "top": (["top", "-d", "0.2", "-n", "3"], []),
        "git": (["git", "log", "-p", "--color=always"], [b" ", b" ", b"q"]),
        "python": ([sys.executable, "-c", "import sys\nfor i in range(60): print('\\x1b[%dm%d' % (30 + i % 8, i) * 9)\ninput()"], [b"\r"]),
    }
    return {name: record(argv, keys, where) for name, (argv, keys) in programs.items() if shutil.which(argv[0])}
