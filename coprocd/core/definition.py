"""A trigger as it was defined, and the id by which its state is kept."""

from __future__ import annotations

import msgspec

from coprocd.protocol.objects import TriggerSpec


class Definition(msgspec.Struct, frozen=True):
    """One trigger, of a session or of a profile."""

    id: str
    spec: TriggerSpec
