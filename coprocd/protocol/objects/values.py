"""What all shapes share: single values with their limits (those of running things are in coprocd.settings), and the base of params."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

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
Cells = Annotated[int, Meta(ge=1, le=65535)]
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
