"""`coprocess.*`: what runs beside a session's job, and reads and types."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from coprocd.protocol.objects.values import Argv, Env, Name, Offset, Params, Seconds, SessionRef


class CoprocessSpec(Params, kw_only=True):
    """What to run as a coprocess: `command` goes through /bin/sh, `argv` does not; one of them is given.

    `from` is `now`, `line` (the first byte of the line that is not ended yet), an offset still retained, or `question`: where
    the job waits for a line of input and nothing was typed since it asked, the line it asked with, else `now`.
    """

    command: Annotated[str, Meta(min_length=1, max_length=128 << 10)] | None = None
    argv: Argv | None = None
    silent: bool = False
    from_: Literal["now", "line", "question"] | Offset = field(default="now", name="from")
    env: Env = {}
    cwd: str | None = None
    on_stall: Literal["end", "wait"] = "end"
    on_full: Literal["pause", "drop", "end"] = "pause"
    input: bool = True
    name: Name | None = None


class CoprocessRun(CoprocessSpec, kw_only=True):
    session: SessionRef


class CoprocessConnect(Params, kw_only=True):
    """The query of `GET /sessions/{session}/coprocess`: as `coprocess.run`, for a connection in place of a job.

    `command` is how it is called where coprocesses are shown.
    """

    command: Annotated[str, Meta(min_length=1, max_length=1000)] = "connection"
    silent: bool = False
    from_: Literal["now", "line", "question"] | Offset = field(default="now", name="from")
    on_stall: Literal["end", "wait"] = "end"
    on_full: Literal["pause", "drop", "end"] = "pause"
    input: bool = True
    name: Name | None = None


class CoprocessStop(Params, kw_only=True):
    session: SessionRef
    name: Name | None = None
    grace_s: Seconds = 2.0


class Stopped(Struct):
    stopped: bool


class CoprocessGet(Params, kw_only=True):
    session: SessionRef


class CoprocessList(Params, kw_only=True):
    session: SessionRef | None = None


CoprocessState = Literal["starting", "running", "ended"]
EndReason = Literal["exited", "stdout_closed", "stopped", "stalled", "not_reading", "connection_lost", "session_ended", "spawn_failed"]


class Coprocess(Struct, kw_only=True):
    """A coprocess, running or ended. `consumed_offset` is where its reading of the output stands."""

    id: str
    session: str
    name: str | None
    command: str
    pid: int | None
    silent: bool
    input: bool
    state: CoprocessState
    started_at: float
    ended_at: float | None
    started_offset: int
    consumed_offset: int
    typed_bytes: int
    cut_bytes: int
    undelivered_bytes: int
    lost: list[tuple[int, int]]
    silent_from: int | None
    silent_to: int | None
    stalled: bool
    started_by: str
    exit_status: int | None
    signal: str | None
    end_reason: EndReason | None
    stderr: str
