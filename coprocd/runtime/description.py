"""A session as its callers see it: what `session.get` and `session.list` answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coprocd.platform import processes
from coprocd.protocol import objects
from coprocd.protocol.errors import CoprocdError

if TYPE_CHECKING:
    from coprocd.runtime.session import Session

SUMMARY_STDERR = 1000
"""Characters of a coprocess's stderr shown with its session; `coprocess.get` has all of it."""


def describe_session(session: Session) -> objects.Session:
    """How it is now; `session_not_found` when it was dropped meanwhile."""
    if session.dropped:
        raise CoprocdError("session_not_found", f"session {session.record.name} was closed meanwhile", session=session.id)
    record, log = session.record, session.log
    current, front = session.coprocesses.typing, session.typing.foreground()
    return objects.Session(
        id=record.id,
        name=record.name,
        argv=record.argv,
        pid=record.pid,
        state=record.state,
        exit_status=record.exit_status if not session.running else None,
        signal=record.signal if not session.running else None,
        rows=record.rows,
        cols=record.cols,
        cwd=record.directory or processes.shown(session.current_directory()),
        title=record.title,
        tty=record.tty,
        created_at=record.created_at,
        ended_at=record.ended_at,
        epoch=log.epoch,
        output_offset=log.end,
        retained_from=log.retained_from,
        log_bytes=record.log_bytes,
        input_bytes=session.input.waiting_bytes if session.connected else 0,
        clients=[viewer.describe() for viewer in session.viewers],
        paused=session.pump.paused(),
        coprocess=current.describe(SUMMARY_STDERR) if current is not None else None,
        observers=sum(c.running and not c.record.input for c in session.coprocesses),
        prompt=session.context.prompts.current(session),
        profile=record.profile,
        user=record.user,
        host=record.host,
        input_held=record.input_held,
        variables=record.variables,
        labels=record.labels,
        foreground=front,
        activity=session.typing.activity(front),
    )
