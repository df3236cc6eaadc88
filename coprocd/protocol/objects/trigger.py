"""`trigger.*`, and the marks that triggers leave."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from coprocd.protocol.objects.values import Argv, Name, Params, Seconds, SessionRef

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
