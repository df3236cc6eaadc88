"""`prompt.*`: what a program asks the person who is attached."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from coprocd.protocol.objects.values import Params, Seconds, SessionRef

PromptKind = Literal["text", "file", "password", "confirm"]
PromptAnswered = Annotated[str, Meta(max_length=64 << 10)] | bool | None


class PromptAsk(Params, kw_only=True):
    session: SessionRef
    kind: PromptKind
    message: Annotated[str, Meta(min_length=1, max_length=1000)]
    timeout_s: Seconds | None = None


class PromptAnswer(Params, kw_only=True):
    prompt: Annotated[str, Meta(min_length=1, max_length=255)]
    value: PromptAnswered


class PromptValue(Struct):
    """What was answered: text; for `confirm` true or false; null: whoever was asked refused."""

    value: str | bool | None


class Prompt(Struct, kw_only=True):
    """A question that waits for its answer. Of several the oldest is shown; `waiting` is how many come after it."""

    id: str
    session: str
    kind: PromptKind
    message: str
    asked_at: float
    waiting: int
