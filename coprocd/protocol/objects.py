"""The shapes of params and results, strict: an unknown field, a wrong type or a value out of range is `invalid_params`.

Durations are seconds (`_s`), sizes bytes, offsets absolute byte positions in a session's output; times are seconds
since the Unix epoch. OpenRPC's schemas are made from these.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

# -- limits of single values; those of running things are in coprocd.settings ---------------------------------------

Name = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=255,
        pattern=r"^[^@/\x00-][^/\x00]*$",
        description="1 to 255 characters, no `/`, no NUL, not beginning with `@` or `-`",
    ),
]
SessionRef = Annotated[str, Meta(min_length=1, max_length=255, description="an id, a name, or a unique prefix of an id")]
Rows = Annotated[int, Meta(ge=1, le=65535)]
Offset = Annotated[int, Meta(ge=0, le=2**62)]
Seconds = Annotated[float, Meta(ge=0, le=31_536_000)]
Key = Annotated[str, Meta(min_length=1, max_length=255, description="idempotency: the same key again has no second effect")]
Argv = Annotated[list[str], Meta(min_length=1, max_length=10_000)]
Env = dict[str, str | None]
Labels = Annotated[dict[str, str], Meta(max_length=100)]
LogBytes = Annotated[int, Meta(ge=64 << 10, le=1 << 30)]


class Params(Struct, forbid_unknown_fields=True):
    """Base of all params."""


class Nothing(Struct):
    """An empty object."""


# -- coprocesses ----------------------------------------------------------------------------------------------------


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
EndReason = Literal["exited", "stdout_closed", "stopped", "stalled", "not_reading", "session_ended", "spawn_failed"]


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


# -- triggers -------------------------------------------------------------------------------------------------------

TriggerRef = Annotated[str, Meta(min_length=1, max_length=255, description="a trigger's id, or its name")]
PROFILE_NAME_PATTERN = r"^[A-Za-z0-9_.][A-Za-z0-9_. -]*$"
ProfileName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=100,
        pattern=PROFILE_NAME_PATTERN,
        description="1 to 100 letters, digits, blanks, `_`, `.` and `-`, not beginning with a blank or `-`",
    ),
]
Action = Literal[
    "run_coprocess",
    "run_silent_coprocess",
    "run_command",
    "send_text",
    "inject",
    "stop",
    "notify",
    "alert",
    "bell",
    "set_title",
    "set_variable",
    "set_directory",
    "set_host",
    "prompt",
    "mark",
    "named_mark",
    "annotate",
    "capture",
    "highlight",
    "highlight_line",
    "sgr",
    "hyperlink",
    "call",
    "buffer_input",
    "password",
]
TriggerEvent = Literal[
    "prompt",
    "command_finished",
    "directory_changed",
    "host_changed",
    "user_changed",
    "idle",
    "activity_after_idle",
    "session_ended",
    "bell",
    "long_running_command",
    "custom_escape_sequence",
    "notification_posted",
    "progress",
    "job_started",
    "job_ended",
    "variable_changed",
]


Regex = Annotated[str, Meta(max_length=16 << 10)]
ActionName = Annotated[str, Meta(max_length=100)]
"""Of ours or of iTerm2's classes: `coprocd.core.trigger_spec` knows both."""
TriggerParameter = Annotated[str, Meta(max_length=64 << 10)] | Argv | dict[str, Any]
Position = Annotated[int, Meta(ge=0, le=1_000_000)]


class TriggerSpec(Params, kw_only=True):
    """A regular expression on a line that the session prints, or an event, and what is done then.

    `parameter` is text, or for `run_coprocess`, `run_silent_coprocess` and `run_command` also a list of arguments that no shell sees.
    """

    regex: Regex = ""
    action: Action
    parameter: TriggerParameter | None = None
    name: Name | None = None
    instant: bool = False
    enabled: bool = True
    once: bool = False
    cooldown_s: Seconds = 0.0
    interactive_apps: bool = True
    event: TriggerEvent | None = None
    event_params: dict[str, Any] = {}


class Trigger(TriggerSpec, kw_only=True):
    """A trigger of a session, or of a profile: then its counts are of one session, or of all together where no session is named."""

    id: str
    session: str | None
    profile: str | None
    position: int
    fired: int = 0
    suppressed: int = 0
    refused: int = 0
    last_fired_at: float | None = None
    disabled_why: str | None = None


class Mark(Struct, kw_only=True):
    """A place in a session's output that a trigger or `session.annotate` has marked; `end` is where the text ends that it is about."""

    id: str
    session: str
    offset: int
    end: int | None
    line_offset: int | None
    kind: Literal["mark", "named_mark", "prompt", "annotation", "capture", "highlight", "highlight_line", "sgr", "hyperlink"]
    name: str | None
    text: str | None
    trigger: str | None
    created_at: float


class TriggerGiven(TriggerSpec, kw_only=True):
    """A trigger as a caller gives it: `action` may be a class name of iTerm2's."""

    action: ActionName  # type: ignore[assignment]


class TriggerAdd(TriggerGiven, kw_only=True):
    session: SessionRef | None = None
    profile: ProfileName | None = None
    position: Position | None = None


class TriggerList(Params, kw_only=True):
    session: SessionRef | None = None
    profile: ProfileName | None = None


class TriggerGet(Params, kw_only=True):
    trigger: TriggerRef


class TriggerUpdate(Params, kw_only=True):
    """What is not given stays as it is."""

    trigger: TriggerRef
    regex: Regex | UnsetType = UNSET
    action: ActionName | UnsetType = UNSET
    parameter: TriggerParameter | UnsetType | None = UNSET
    name: Name | UnsetType | None = UNSET
    instant: bool | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    once: bool | UnsetType = UNSET
    cooldown_s: Seconds | UnsetType = UNSET
    interactive_apps: bool | UnsetType = UNSET
    event: TriggerEvent | UnsetType | None = UNSET
    event_params: dict[str, Any] | UnsetType = UNSET
    position: Position | None = None


class TriggerTest(Params, kw_only=True):
    regex: Regex
    text: Annotated[str, Meta(max_length=1 << 20)]
    instant: bool = False
    parameter: TriggerParameter | None = None
    action: ActionName | None = None


class TriggerMatch(Struct, kw_only=True):
    """A place where a regex matches. `expanded` is the parameter as the action would get it, or as text where no action is given."""

    start: int
    end: int
    groups: list[str | None]
    expanded: str | list[str] | dict[str, Any] | None
    refused: str | None


class TriggerTestResult(Struct):
    matches: list[TriggerMatch]


class TriggerImport(Params, kw_only=True):
    document: Any
    format: Literal["iterm2"] = "iterm2"
    session: SessionRef | None = None
    profile: ProfileName | None = None


class ImportDisabled(Struct):
    """What was imported and is off."""

    index: int
    id: str
    reason: str


class ImportRejected(Struct):
    """What was not imported."""

    index: int
    reason: str


class TriggerImported(Struct):
    """What has become of a document; `added` are all triggers that there are now, those that are off included."""

    added: list[Trigger]
    disabled: list[ImportDisabled]
    rejected: list[ImportRejected]


class TriggerExport(Params, kw_only=True):
    session: SessionRef | None = None
    profile: ProfileName | None = None
    format: Literal["iterm2"] = "iterm2"


# -- sessions -------------------------------------------------------------------------------------------------------


class SessionCreate(Params, kw_only=True):
    """`argv` runs as it is, `shell` through /bin/sh -c; with neither the user's shell runs as a login shell."""

    argv: Argv | None = None
    shell: Annotated[str, Meta(min_length=1, max_length=128 << 10)] | None = None
    name: Name | None = None
    cwd: str | None = None
    env: Env = {}
    clear_env: bool = False
    rows: Rows = 24
    cols: Rows = 80
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
    rows: Rows
    cols: Rows


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
    clients: list[dict[str, Any]]
    paused: Paused | None
    coprocess: Coprocess | None
    observers: int
    profile: str
    user: str | None
    host: str | None
    input_held: bool
    variables: dict[str, str]
    labels: dict[str, str]
    foreground: Foreground | None
    activity: Literal["at_prompt", "running", "awaiting_input"] | None


# -- commands -------------------------------------------------------------------------------------------------------

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


# -- events ---------------------------------------------------------------------------------------------------------


class EventsSubscribe(Params, kw_only=True):
    types: list[str] | None = None
    session: SessionRef | None = None
    since_seq: Offset | None = None
    epoch: str | None = None


class EventsUnsubscribe(Params, kw_only=True):
    subscription: str


class Subscription(Struct):
    """`seq` is the number of the last event before the subscription began; `epoch` one life of the numbering."""

    subscription: str
    seq: int
    epoch: str


# -- the daemon -----------------------------------------------------------------------------------------------------


class ProtocolRange(Struct):
    min: int
    max: int


class DaemonInfo(Struct, kw_only=True):
    pid: int
    keeper_pid: int
    screen_pid: int | None
    supervisor: Literal["keeper", "systemd"]
    version: str
    python: str
    protocol: ProtocolRange
    uptime_s: float
    socket: str
    log: str
    sessions: int
    coprocesses: int
    lost: list[str]
    profiles: list[str]
    config_fault: str | None
    limits: dict[str, float]
    platform: dict[str, bool]


class Reloaded(Struct):
    """`profiles` are those whose triggers are others now."""

    profiles: list[str]


class DaemonRestart(Params, kw_only=True):
    keeper: bool = False


class DaemonShutdown(Params, kw_only=True):
    sessions: bool = False


class ShutdownReport(Struct):
    """`sessions` wait with the keeper (or were ended)."""

    sessions: int
