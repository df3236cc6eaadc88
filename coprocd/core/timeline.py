"""What is shown of an output, in order: its bytes, without those that are silenced, and what was injected, at its place.

The screen and every viewer go along it, each at its own pace, and so all show the same. Sans-IO: it is given the silenced
ranges and the injections, and says what comes next. The display of a session calls it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeAlias


class Place(NamedTuple):
    """How far a viewer is: before the byte at `offset`, with the first `injected` injections of the session behind it."""

    offset: int
    injected: int = 0


class Injection(NamedTuple):
    """Bytes that are shown before the byte at `offset`; `number` counts them from 0 on."""

    number: int
    offset: int
    data: bytes


class Output(NamedTuple):
    """The bytes of the output from `start` to `stop` are shown."""

    start: int
    stop: int


class Silent(NamedTuple):
    """Those from `start` to `stop` are not."""

    start: int
    stop: int


Step: TypeAlias = Output | Silent | Injection


def steps(place: Place, until: int, silences: Iterable[tuple[int, int]], injections: Iterable[Injection]) -> Iterator[Step]:
    """What leads from `place` to the offset `until`, with what is injected there; silences and injections in their order.

    An injection that the place has passed and not seen is shown at once: it came while what was before it was not settled.
    """
    at = place.offset
    waiting = [injection for injection in injections if injection.number >= place.injected and injection.offset <= until]
    for start, stop in [*silences, (until, until)]:
        for kind, end in ((Output, min(start, until)), (Silent, min(stop, until))):
            while waiting and waiting[0].offset <= end:
                injection = waiting.pop(0)
                if injection.offset > at:
                    yield kind(at, injection.offset)
                    at = injection.offset
                yield injection
            if end > at:
                yield kind(at, end)
                at = end


def after(place: Place, step: Step) -> Place:
    """The place behind a step."""
    if isinstance(step, Injection):
        return Place(place.offset, step.number + 1)
    return Place(step.stop, place.injected)
