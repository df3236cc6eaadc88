"""The daemon's reserve: descriptors that no session gets, so that it can always answer, hand over and close.

What is refused says how many there are of what ran out, and there is room again as soon as something has ended.
"""

from __future__ import annotations

from coprocd.platform import descriptors
from coprocd.protocol.errors import CoprocdError

RESERVE_FDS = 128
"""Connections, a hand-over to another keeper, and the descriptors of one job on their way. A small limit keeps a quarter of it."""


def require_descriptors(what: str) -> None:
    """`resource_exhausted` when only the reserve is left; `what` is what cannot be started."""
    used, most = descriptors.count(), descriptors.limit()
    if used + min(RESERVE_FDS, most // 4) > most:
        raise CoprocdError(
            "resource_exhausted",
            f"no descriptors for {what}: {used} of {most} are in use, and the rest is kept for what runs; "
            "close sessions, or raise the limit of open files (coprocctl doctor shows it)",
            descriptors_used=used,
            descriptors_most=most,
        )


def most_connections(asked: int) -> int:
    """How many connections there may be, so that sessions have as many descriptors."""
    return min(asked, max(16, descriptors.limit() // 4))
