"""What every method is handed: the daemon it works on and the connection that it was called over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from coprocd.api.connection import Connection

# A method's function: `async def verb(call, params) -> result`, or `async def verb(call)` for one that takes no params.
Handler = Callable[..., Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Call:
    """One request or batch. `daemon` is the composition root: `.sessions.resolve(ref).id`, `.events`, and what else the methods need.

    `connection` is None where no notification can follow (POST). What stands in `after` is done once the answer is on its way:
    so a subscription's first event comes after its number, and a daemon that is told to end has said that it will.
    """

    daemon: Any
    connection: Connection | None = None
    after: list[Callable[[], None]] = field(default_factory=list)

    def finish(self) -> None:
        """The answer is on its way (or there is none): does what was put off until now."""
        for action in self.after:
            action()
        self.after.clear()
