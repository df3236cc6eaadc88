"""`command.*`: what triggers have run apart from a session."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from coprocd.protocol.objects.values import Params, Seconds, SessionRef

CommandId = Annotated[str, Meta(min_length=1, max_length=255)]
CommandFailure = Literal["exit_status", "signal", "timed_out", "spawn_failed", "too_many_commands", "stopped"]


class CommandList(Params, kw_only=True):
    session: SessionRef | None = None


class CommandGet(Params, kw_only=True):
    command_id: CommandId


class CommandWait(Params, kw_only=True):
    command_id: CommandId
    timeout_s: Seconds | None = None


class Command(Struct, kw_only=True):
    """A command, running or completed. One that is `waiting` for its turn counts as running, with `pid` null.

    Where `truncated`, a line stands in `output` in the place of what was left out.
    """

    command_id: str
    session: str
    started_by: str
    command: str
    pid: int | None
    state: Literal["completed", "running", "awaiting_input"]
    waiting: bool
    exit_status: int | None
    signal: str | None
    status_source: Literal["job"]
    failure: CommandFailure | None
    output: str
    truncated: bool
    left_out_bytes: int
    cwd: str
    created_at: float
    duration_s: float
    offset_start: int | None
    offset_end: int | None
