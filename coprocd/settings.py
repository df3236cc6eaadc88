"""Settings: every limit with its unit and its reason, frozen once read.

`[limits]` and `[sessions]` of config.toml hold any of theirs by name. A file that is broken is an error that says where. Its
`profiles` are not settings: they change while the daemon runs (`coprocd.runtime.profiles`).
"""

from __future__ import annotations

import os
import tomllib
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from coprocd.protocol.errors import CoprocdError

Positive = Annotated[float, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(ge=1)]
RingBytes = Annotated[int, msgspec.Meta(ge=4096, le=1 << 30)]
"""A ring in memory: at least a page, at most what the log of a session may be."""


Table = TypeVar("Table", bound=msgspec.Struct)


class SessionSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the jobs of sessions are run: `[sessions]`."""

    scope: Literal["auto", "never", "always"] = "auto"
    """Whether each session gets a transient scope of systemd's: `auto` where the user's systemd runs the daemon, `always` wherever it answers."""

    memory_max: Annotated[int, msgspec.Meta(ge=1 << 20)] | None = None
    """Memory of a session's scope, in bytes (MemoryMax=): past it the kernel ends a process of that session, and of no other."""

    tasks_max: Annotated[int, msgspec.Meta(ge=1)] | None = None
    """Processes and threads of a session's scope (TasksMax=)."""

    ssh_auth_link: bool = True
    """Whether sessions get a link for SSH_AUTH_SOCK that follows the newest agent, in place of the agent of whoever made them."""

    window_size: Literal["latest", "smallest", "fixed"] = "latest"
    """Whose size a session has with several clients attached: who was active last, what fits all of them, or nobody's."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The limits of a daemon. `_s` are seconds, `_bytes` bytes."""

    stall_timeout_s: Positive = 5.0
    """A session and a coprocess that wait for each other this long are a deadlock: longer than any job takes to come back for its input."""

    not_reading_s: Positive = 30.0
    """A coprocess that holds its session up and takes nothing for so long never will."""

    close_grace_s: Annotated[float, msgspec.Meta(ge=0)] = 2.0
    """Between SIGTERM and SIGKILL where it is no call with a `grace_s` that ends something: time to write a last file. A coprocess of a job
    that has ended, which takes nothing for so long, has had its time too."""

    drain_quiet_s: Positive = 0.2
    """After the job's end, output is waited for until the terminal was quiet for so long: a background child may hold it open for ever."""

    drain_most_s: Positive = 1.0
    """… and so long in all, while nobody holds it up: a child that prints now and then never lets it be quiet."""

    drain_most_bytes: Count = 1 << 20
    """… and no more than this is taken after the job's end: such a child may also print for ever."""

    stdout_settle_s: Positive = 0.3
    """A coprocess whose stdout ended has this long to end by itself before it counts as having closed it."""

    input_queue_bytes: RingBytes = 1 << 20
    """What is typed and not yet taken by the job, a session: a large paste. More is refused with `input_full`."""

    coprocess_typing_bytes: RingBytes = 64 << 10
    """Of which a coprocess may fill so much before its stdout is not read: a pipe's worth, so that others get a word in."""

    stderr_bytes: RingBytes = 128 << 10
    """The stderr kept of a coprocess; of these at most 100,000 characters are reported."""

    ended_sessions_most: Annotated[int, msgspec.Meta(ge=0)] = 100
    """Ended sessions kept, with their logs."""

    ended_sessions_s: Annotated[float, msgspec.Meta(ge=0)] = 3600.0
    """… and for how long."""

    ended_coprocesses_most: Count = 8
    """Ended coprocesses kept with their stderr, a session."""

    idempotency_keys_most: Count = 256
    """Keys of typed input remembered, a session: a caller that tries again does so soon."""

    trigger_fires_per_s: Count = 50
    """One trigger of one session fires so often at most: what it does may be what it fires on."""

    session_fires_per_s: Count = 1000
    """… and all of a session together: ten seconds of that fill the event log for everybody. Each fires twice a second whatever the others do."""

    marks_most: Count = 1000
    """Marks kept of a session, the newest."""

    events_most: Count = 10_000
    """Events kept for subscribers that come late or lag."""

    events_bytes: Count = 8 << 20
    """… and their size: stderr of ended coprocesses is in them."""

    commands_most: Count = 8
    """Commands of triggers that run at once: a flood that fires must not fill the machine."""

    commands_waiting_most: Count = 100
    """… and that wait for their turn; more are refused, and that is told."""

    command_timeout_s: Positive = 600.0
    """A command that takes longer hangs, and others wait for its place."""

    scrollback_bytes: Annotated[int, msgspec.Meta(ge=0, le=16 << 20)] = 4 << 20
    """Memory for lines above a screen, a session that is drawn: some 5,000 of 120 columns. A checkpoint holds them all."""

    screens_live_most: Count = 32
    """Screens kept in the worker at once, each with its scrollback: the others are in checkpoints, and there again in a few milliseconds."""

    sessions: SessionSettings = SessionSettings()

    def limits(self) -> dict[str, Any]:
        """`[limits]` alone, by name."""
        return {name: value for name, value in msgspec.to_builtins(self).items() if name != "sessions"}


def load(path: str) -> Settings:
    """The settings in config.toml at `path`, or the defaults when there is no file. `invalid_params` names file, fault and remedy."""
    try:
        with open(path, "rb") as file:
            document = tomllib.load(file)
    except FileNotFoundError:
        return Settings()
    except OSError as error:
        raise _broken(path, error.strerror or str(error)) from error
    except RecursionError as error:
        raise _broken(path, "it is nested too deeply") from error
    except ValueError as error:  # no TOML, or no UTF-8
        raise _broken(path, str(error)) from error
    return check(path, document)


def check(path: str, document: dict[str, Any]) -> Settings:
    """The settings in a config.toml that is TOML. What stands in `profiles` is `coprocd.core.profiles`' to judge."""
    if unknown := sorted(document.keys() - {"limits", "sessions", "profiles"}):
        raise _broken(
            path,
            f"there is no table {unknown[0]!r}, settings stand in [limits] and [sessions], triggers in [[profiles.NAME.triggers]]",
        )
    limits = _table(path, document, "limits", Settings)
    return msgspec.structs.replace(limits, sessions=_table(path, document, "sessions", SessionSettings))


def _table(path: str, document: dict[str, Any], name: str, kind: type[Table]) -> Table:
    """What stands in one table, the rest as shipped."""
    found, known = document.get(name, {}), [field for field in kind.__struct_fields__ if field != "sessions"]
    if isinstance(found, dict) and (unknown := sorted(found.keys() - set(known))):
        raise _broken(path, f"[{name}] has no setting {unknown[0]!r}{_nearest(unknown[0], known)}")
    try:
        return msgspec.convert(found, kind)
    except msgspec.ValidationError as error:
        raise _broken(path, f"in [{name}]: {str(error).replace('`$.', '`')}") from error


def _broken(path: str, fault: str) -> CoprocdError:
    return CoprocdError("invalid_params", f"{os.path.abspath(path)}: {fault}; correct it, or move the file away for the defaults")


def _nearest(name: str, known: list[str]) -> str:
    """The setting that was meant, perhaps."""
    from difflib import get_close_matches

    near = get_close_matches(name, known, 1)
    return f" (did you mean {near[0]!r}?)" if near else ""
