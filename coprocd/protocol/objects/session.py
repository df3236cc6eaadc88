"""`session.*`: sessions, what is typed into them and what they printed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from coprocd.protocol.objects.attach import Client
from coprocd.protocol.objects.coprocess import Coprocess, CoprocessSpec
from coprocd.protocol.objects.prompt import Prompt
from coprocd.protocol.objects.trigger import ProfileName, TriggerGiven
from coprocd.protocol.objects.values import Argv, Cells, Env, Key, Labels, LogBytes, Name, Offset, Params, Seconds, SessionRef


class SessionCreate(Params, kw_only=True):
    """`argv` runs as it is, `shell` through /bin/sh -c; with neither the user's shell runs as a login shell."""

    argv: Argv | None = None
    shell: Annotated[str, Meta(min_length=1, max_length=128 << 10)] | None = None
    name: Name | None = None
    cwd: str | None = None
    env: Env = {}
    clear_env: bool = False
    rows: Cells = 24
    cols: Cells = 80
    profile: ProfileName = "default"
    coprocess: CoprocessSpec | None = None
    triggers: Annotated[list[TriggerGiven], Meta(max_length=2_000)] = []
    labels: Labels = {}
    key: Key | None = None
    lease_s: Annotated[float, Meta(gt=0, le=31_536_000)] | None = None
    log_bytes: LogBytes = 4 << 20
    remove: bool = False


class SessionList(Params, kw_only=True):
    labels: Labels | None = None
    state: Literal["running", "exited"] | None = None


class SessionGet(Params, kw_only=True):
    session: SessionRef


class SessionRename(Params, kw_only=True):
    session: SessionRef
    name: Name


class SessionResize(Params, kw_only=True):
    session: SessionRef
    rows: Cells
    cols: Cells


class SessionSignal(Params, kw_only=True):
    session: SessionRef
    signal: str | int


class SessionClose(Params, kw_only=True):
    session: SessionRef
    grace_s: Seconds = 2.0


class Precondition(Params, kw_only=True):
    """Checked and acted on in one turn: what is not met leaves the session untouched."""

    offset: Offset | None = None
    echo: bool | None = None
    at_prompt: bool | None = None
    foreground: str | None = None


class _Typing(Params, kw_only=True):
    session: SessionRef
    key: Key | None = None
    if_: Precondition | None = field(default=None, name="if")


class SessionSendText(_Typing, kw_only=True):
    text: str
    enter: bool = False


class SessionSendKeys(_Typing, kw_only=True):
    keys: Annotated[list[str], Meta(max_length=10_000)]


class SessionPaste(_Typing, kw_only=True):
    text: str


class SessionSendBytes(_Typing, kw_only=True):
    data_b64: str


class Accepted(Struct):
    """`accepted_bytes` are stored and will be typed, crashes of the daemon included; `offset` is the output's end then."""

    accepted_bytes: int
    offset: int


class SessionRead(Params, kw_only=True):
    session: SessionRef
    from_offset: Offset | None = None
    max_bytes: Annotated[int, Meta(ge=1, le=4 << 20)] = 65536
    wait_s: Annotated[float, Meta(ge=0, le=3600)] = 0.0
    format: Literal["b64", "text"] = "b64"


class SessionInject(Params, kw_only=True):
    session: SessionRef
    data_b64: Annotated[str, Meta(max_length=1 << 20)]


class SessionCapture(Params, kw_only=True):
    session: SessionRef
    format: Literal["text", "ansi", "html", "json"] = "text"
    scrollback: Annotated[int, Meta(ge=0, le=1_000_000)] = 0


class SessionSetVariable(Params, kw_only=True):
    session: SessionRef
    name: Annotated[str, Meta(min_length=1, max_length=255)]
    value: Annotated[str, Meta(max_length=64 << 10)]


class SessionAnnotate(Params, kw_only=True):
    session: SessionRef
    offset: Offset
    text: Annotated[str, Meta(max_length=64 << 10)]


class SessionMarks(Params, kw_only=True):
    session: SessionRef


class Output(Struct, kw_only=True, omit_defaults=True):
    """A run of output. `silent` lists its parts that a silent coprocess kept from the screen; `eof`: none will follow."""

    offset: int
    next_offset: int
    lost_bytes: int
    silent: list[tuple[int, int]]
    eof: bool
    data_b64: str | None = None
    text: str | None = None


class Cursor(Struct):
    """Where the cursor is, counted from 0, and whether it is shown."""

    row: int
    column: int
    visible: bool


class Captured(Struct, kw_only=True):
    """A screen as it was at an offset of the output. `data` is text, for `json` a list of rows; `scrollback` of them were above the screen."""

    data: str | list[dict[str, Any]]
    rows: int
    cols: int
    cursor: Cursor
    title: str
    alternate: bool
    scrollback: int
    offset: int


class Paused(Struct):
    """Why a session prints nothing: `coprocess`, with the id of the one that holds it; `memory`, which the log lacks; `stopped`, its terminal by ^S."""

    why: Literal["coprocess", "memory", "stopped"]
    by: str | None


class Foreground(Struct):
    """The process group in front on the terminal."""

    pid: int
    argv: list[str]


class Session(Struct, kw_only=True):
    id: str
    name: str
    argv: list[str]
    pid: int | None
    state: Literal["running", "exited"]
    exit_status: int | None
    signal: str | None
    rows: int
    cols: int
    cwd: str
    title: str
    tty: str
    created_at: float
    ended_at: float | None
    epoch: str
    output_offset: int
    retained_from: int
    log_bytes: int
    input_bytes: int
    clients: list[Client]
    paused: Paused | None
    coprocess: Coprocess | None
    observers: int
    prompt: Prompt | None
    profile: str
    user: str | None
    host: str | None
    input_held: bool
    variables: dict[str, str]
    labels: dict[str, str]
    foreground: Foreground | None
    activity: Literal["at_prompt", "running", "awaiting_input"] | None
