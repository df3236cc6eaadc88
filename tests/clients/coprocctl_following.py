"""What a session prints and what happens, awaited through the command itself."""

from __future__ import annotations

import json
import os
import select
import sys
from typing import Any

from coprocctl_command import Beside, Command

RAW = "import sys, tty; tty.setraw(0); print('ready', flush=True); "


def read_until(command: Command, session: str, wanted: bytes) -> bytes:
    """What a session printed, as `logs -f` shows it, up to `wanted`."""
    with command.spawn("logs", "-f", session) as following:
        assert following.stdout
        seen = b""
        while wanted not in seen:
            assert select.select([following.stdout], [], [], 30)[0], f"{wanted!r} did not come: {seen!r}"
            data = os.read(following.stdout.fileno(), 65536)
            assert data, f"{wanted!r} did not come: {seen!r}"
            seen += data
    return seen


def next_event(following: Beside, type_: str) -> dict[str, Any]:
    """The next event of that type that `events --json` prints."""
    assert following.stdout
    for line in following.stdout:
        event: dict[str, Any] = json.loads(line)
        if event["type"] == type_:
            return event
    raise AssertionError(f"no {type_}")


def raw_reader(command: Command, name: str, size: int) -> None:
    """A session that reads `size` bytes as they are typed, and then prints their digest."""
    code = RAW + f"import hashlib; h = hashlib.sha256(sys.stdin.buffer.read({size})).hexdigest(); print('digest', h, flush=True)"
    command.text("new", "-d", "--name", name, "--", sys.executable, "-c", code)
    read_until(command, name, b"ready")
