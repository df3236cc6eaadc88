"""The attach stream: its query, what clients say on it, and who is attached."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from coprocd.protocol.objects.values import Cells, Offset, Params, SessionRef


class Attach(Params, kw_only=True):
    """The query of `GET /sessions/{session}/attach`."""

    rows: Cells | None = None
    cols: Cells | None = None
    mode: Literal["rw", "ro"] = "rw"
    since: Offset | None = None
    epoch: str | None = None
    injected: Offset | None = None
    lag_bytes: Annotated[int, Meta(ge=64 << 10, le=1 << 30)] | None = None


class AttachResize(Struct, kw_only=True, tag="resize", forbid_unknown_fields=True):
    """What a client sends as its window changes."""

    rows: Cells
    cols: Cells


class AttachAck(Struct, kw_only=True, tag="ack", forbid_unknown_fields=True):
    """… when it has done with the output up to `offset`."""

    offset: Offset


class AttachRedraw(Struct, kw_only=True, tag="redraw", forbid_unknown_fields=True):
    """… to be sent the whole screen again."""


class AttachDetach(Struct, kw_only=True, tag="detach", forbid_unknown_fields=True):
    """… and to go."""


class Client(Struct, kw_only=True):
    """Who is attached to a session. `lag_bytes` of the output it was not sent yet."""

    id: str
    mode: Literal["rw", "ro"]
    rows: int | None
    cols: int | None
    pid: int | None
    attached_at: float
    offset: int
    acked_offset: int | None
    lag_bytes: int


class SessionDetach(Params, kw_only=True):
    session: SessionRef
    client: str | None = None


class Detached(Struct):
    """`clients` are the ids of those that were asked to go."""

    clients: list[str]
