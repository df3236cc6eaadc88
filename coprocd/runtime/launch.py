"""What is started, and where: command line, environment, directory and executable of a job.

Files are looked up in a thread of their own with a time limit, since a file system may hang; the keeper, which must
not, is then told absolute paths.
"""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import threading
from collections.abc import Callable
from typing import TypeVar

from coprocd.protocol.environment import OUTER
from coprocd.protocol.errors import CoprocdError

LOOKUP_TIMEOUT_S = 2.0

DEFAULT_TERM = "xterm-256color"

Found = TypeVar("Found")


def base_environment() -> dict[str, str]:
    """The daemon's own environment, less what is not for jobs, and less what is no UTF-8, which no record can hold."""
    return {name: value for name, value in os.environ.items() if name not in OUTER and _is_utf8(name) and _is_utf8(value)}


def _is_utf8(text: str) -> bool:
    """Whether no byte of it stands for itself only (PEP 383)."""
    return not any("\udc80" <= character <= "\udcff" for character in text)


def overlay(base: dict[str, str], over: dict[str, str | None]) -> dict[str, str]:
    """`base` with `over` laid over it; null takes a variable away. `invalid_params` for what no environment can hold."""
    for name, value in over.items():
        if not name or "=" in name or "\0" in name or "\0" in (value or ""):
            raise CoprocdError("invalid_params", f"no environment variable can be {name!r}={value!r}: names hold no `=`, neither holds NUL")
    return {name: value for name, value in (base | over).items() if value is not None}


def login_shell(env: dict[str, str]) -> list[str]:
    """The user's shell, as a login shell."""
    shell = env.get("SHELL")
    if not shell:
        try:
            shell = pwd.getpwuid(os.getuid()).pw_shell
        except KeyError:
            shell = ""
    return [shell or "/bin/sh", "-l"]


def home() -> str:
    """Where a session starts that was told no directory."""
    return os.path.expanduser("~")


def in_shell(command: str) -> list[str]:
    """`command` as /bin/sh runs it."""
    return ["/bin/sh", "-c", command]


async def resolve(argv: list[str], env: dict[str, str], cwd: str) -> list[str]:
    """`argv` with the absolute path of its executable, for a job in the directory `cwd`; `spawn_failed` says what is missing."""
    if any("\0" in arg for arg in argv) or "\0" in cwd:
        raise CoprocdError("invalid_params", "no argument and no directory can hold NUL")
    try:
        return [await aside(_executable, argv[0], env, cwd), *argv[1:]]
    except TimeoutError as error:
        raise CoprocdError(
            "spawn_failed", f"the file system of {cwd} or of {argv[0]} did not answer within {LOOKUP_TIMEOUT_S:g} s; nothing was started"
        ) from error


async def aside(look_up: Callable[..., Found], *arguments: object) -> Found:
    """What `look_up` returns or raises in a thread of its own; TimeoutError after LOOKUP_TIMEOUT_S, and then it may go on for ever.

    Not the loop's executor: a thread that hangs in the file system must hold up neither the others nor our end.
    """
    loop = asyncio.get_running_loop()
    found: asyncio.Future[Found] = loop.create_future()

    def settle(result: Found | None, error: Exception | None) -> None:
        if found.done():
            return
        if error is not None:
            found.set_exception(error)
        else:
            found.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result, failure = None, None
        try:
            result = look_up(*arguments)
        except Exception as error:
            failure = error
        try:
            loop.call_soon_threadsafe(settle, result, failure)
        except RuntimeError:
            pass  # the loop has ended meanwhile

    threading.Thread(target=run, daemon=True).start()
    async with asyncio.timeout(LOOKUP_TIMEOUT_S):
        return await found


def _executable(command: str, env: dict[str, str], cwd: str) -> str:
    if not os.path.isabs(cwd):
        raise CoprocdError("invalid_params", f"the directory {cwd!r} is not an absolute path")
    if not os.path.isdir(cwd):
        raise CoprocdError(
            "spawn_failed", f"the directory {cwd} {'is no directory' if os.path.exists(cwd) else 'does not exist'}; nothing was started"
        )
    if not os.access(cwd, os.X_OK):
        raise CoprocdError("spawn_failed", f"the directory {cwd} may not be entered; nothing was started")
    if not command:
        raise CoprocdError("spawn_failed", "the command is empty; nothing was started")
    if os.sep in command:
        path = os.path.join(cwd, command)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
        raise CoprocdError(
            "spawn_failed", f"{command} {'is not executable' if os.path.exists(path) else 'does not exist'} (in {cwd}); nothing was started"
        )
    search = env.get("PATH", os.defpath)
    found = shutil.which(command, path=search)
    if found is None:
        raise CoprocdError("spawn_failed", f"{command} is not found in PATH={search}; nothing was started")
    return os.path.join(cwd, found)
