"""`daemon.*`: the daemon itself."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from coprocd.protocol.objects.values import Params


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
