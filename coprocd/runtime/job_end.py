"""How the job of a session is brought to its end: asked, then killed, and last hung up, all within a bound.

Used by `Session.close` alone. It signals through the keeper, which holds the pid; it never looks at output.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from typing import TYPE_CHECKING

from coprocd.platform import processes, terminal

if TYPE_CHECKING:
    from coprocd.runtime.session import Session

log = logging.getLogger("coprocd.job_end")

KILL_AGAIN_S = 0.5
KILLS_MOST = 4


async def end_job(session: Session, grace_s: float) -> None:
    """Hangs the job up, and kills it after the grace. Returns when its output has ended, whether or not the job has.

    One that has become another user's gets no signal of ours: it is left to the hangup of its terminal, which needs no permission.
    """
    drained, keeper = session.pump.drained, session.context.keeper
    foreground, reached = terminal.foreground(session.master), False
    for number in (signal.SIGHUP, signal.SIGCONT):
        reached = await keeper.signal(session.key, number)
        if foreground is not None and foreground != session.record.pid:
            _signal_group(foreground, number)
    if reached or not is_anothers(session):
        await asyncio.wait([drained], timeout=grace_s)
        for _ in range(KILLS_MOST):
            if drained.done():
                return
            await keeper.signal(session.key, signal.SIGKILL)
            if session.pump.draining:
                session.pump.end()
            await asyncio.wait([drained], timeout=KILL_AGAIN_S)
        grace_s = 0
    if not drained.done():
        session.hang_up()
        await keeper.drop(session.key, "master", "pipe_read", "pipe_write")
        await asyncio.wait([session.job_ended], timeout=max(grace_s, KILL_AGAIN_S))
        if not session.job_ended.done():
            log.warning("session %s: its job, pid %s, cannot be killed and outlives its terminal", session.id, session.record.pid)


def is_anothers(session: Session) -> bool:
    """Whether the job lives and has become another user's, which only that one and root may signal."""
    return session.record.pid is not None and processes.is_anothers(session.record.pid)


def _signal_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        pass
