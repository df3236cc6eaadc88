"""Whether, and how, a session's job enters a transient scope of the user's systemd: a cgroup of its own, with limits of its own.

What happens in the job's process stands in `coprocd.platform.scope`. A failure there never makes a session fail: the job
runs on in the keeper's cgroup, and it is logged here.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys

from coprocd.platform import scope, service
from coprocd.settings import SessionSettings

log = logging.getLogger("coprocd.scope")

LOOK_AFTER_S = scope.TIMEOUT_S + 1
"""When the job must be in its scope, or never will."""


def unit(session_id: str) -> str:
    """The name of a session's scope."""
    return f"coprocd-{session_id}.scope"


def wanted(settings: SessionSettings) -> bool:
    """Whether systemd is to be asked.

    `auto`: where the user's manager has started this daemon. Elsewhere it may end before the sessions do, at logout, and would take them along.
    """
    return settings.scope == "always" or (settings.scope == "auto" and service.managed() and os.path.exists(scope.manager_path()))


def entering(settings: SessionSettings, session_id: str, argv: list[str], join: bool = False) -> list[str]:
    """`argv`, with the program in front that makes the session's scope and enters it, where one is wanted; with `join` it must be there."""
    if not wanted(settings) or not os.path.exists(scope.__file__):  # removed by an upgrade under way
        return argv
    limits = [str(limit or 0) for limit in (settings.memory_max, settings.tasks_max)]
    return [sys.executable, "-I", "-S", scope.__file__, scope.manager_path(), unit(session_id), str(int(join)), *limits, "--", *argv]


def look_later(settings: SessionSettings, session_id: str, pid: int) -> None:
    """Logs, when it had time enough, that the job `pid` did not get into its scope."""
    if wanted(settings):
        asyncio.get_running_loop().call_later(LOOK_AFTER_S, _look, session_id, pid)


def _look(session_id: str, pid: int) -> None:
    if scope.contains(pid, unit(session_id)) is False:
        log.warning("session %s: its job %d is in no scope of its own, systemd did not make %s", session_id, pid, unit(session_id))
