"""A trigger as it was defined, and the id by which its state is kept."""

from __future__ import annotations

from functools import cached_property

import msgspec

from coprocd.core import regex
from coprocd.protocol.objects import TriggerSpec


class Definition(msgspec.Struct, frozen=True, dict=True):
    """One trigger, of a session or of a profile."""

    id: str
    spec: TriggerSpec

    @cached_property
    def pattern(self) -> regex.Pattern:
        """Its regex, compiled once. No field: it is neither stored nor compared."""
        return regex.compile(self.spec.regex)
