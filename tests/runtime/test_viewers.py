"""What the viewers of a session share: snapshots, and being woken."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from coprocd.core.timeline import Place
from coprocd.protocol.errors import CoprocdError
from coprocd.runtime.screen import Snapshot
from coprocd.runtime.session import Session
from coprocd.runtime.viewers import SNAPSHOT_EVERY_S, Viewers


class Screen:
    """One that counts how often it is asked; `fails` where there is none."""

    def __init__(self, fails: bool = False) -> None:
        self.asked = 0
        self._fails = fails

    async def snapshot(self) -> Snapshot:
        self.asked += 1
        await asyncio.sleep(0)
        if self._fails:
            raise CoprocdError("screen_unavailable", "there is none")
        return Snapshot(Place(1000 * self.asked), 24, 80, b"%d" % self.asked)


def viewers(screen: Screen, printed: bytes = b"") -> Viewers:
    log = SimpleNamespace(
        end=len(printed), retained_from=0, ring=SimpleNamespace(capacity=1 << 20), read=lambda at, size: printed[at : at + size]
    )
    display = SimpleNamespace(place_at_end=lambda: Place(len(printed)))
    record = SimpleNamespace(rows=24, cols=80)
    session: Any = SimpleNamespace(id="s1", screen=screen, log=log, display=display, record=record, dropped=False)
    return Viewers(cast(Session, session))


async def test_however_many_ask_a_session_makes_no_more_than_five_snapshots_a_second() -> None:
    screen = Screen()
    shared = viewers(screen)
    loop = asyncio.get_running_loop()
    begun = loop.time()
    after = 0
    while loop.time() < begun + 3 * SNAPSHOT_EVERY_S:
        redraws = await asyncio.gather(*(shared.snapshot(after) for _ in range(50)))
        assert len({id(redraw) for redraw in redraws}) == 1 and redraws[0] is not None
        after = redraws[0].place.offset + 1  # who was overtaken meanwhile wants another
    assert 3 <= screen.asked <= 5


async def test_one_that_is_fresh_serves_whoever_comes_and_one_that_is_not_far_enough_does_not() -> None:
    screen = Screen()
    shared = viewers(screen)
    first = await shared.snapshot(0)
    assert await shared.snapshot(1000) is first and screen.asked == 1
    second = await shared.snapshot(1001)
    assert second is not None and second.place == Place(2000)


async def test_where_there_is_no_screen_the_last_lines_are_shown_on_an_empty_one() -> None:
    printed = b"".join(b"line %d\n" % number for number in range(20_000))
    shown = await viewers(Screen(fails=True), printed).snapshot(0)
    assert shown is not None and shown.data.endswith(b"\x1b[H\x1b[2J")
    assert 0 <= (64 << 10) - (len(printed) - shown.place.offset) < 20 and printed[shown.place.offset - 1 :].startswith(b"\nline ")
