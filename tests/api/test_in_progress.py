"""What is in progress on a route."""

from __future__ import annotations

import asyncio
import contextlib

from coprocd.api.in_progress import InProgress


async def test_whoever_waits_for_the_end_goes_on_when_the_last_has_ended() -> None:
    posts = InProgress[str]()
    with contextlib.ExitStack() as first, contextlib.ExitStack() as second:
        first.enter_context(posts.during("first"))
        second.enter_context(posts.during("second"))
        ended = asyncio.create_task(posts.ended())
        await asyncio.sleep(0)
        first.close()
        await asyncio.sleep(0)
        assert list(posts) == ["second"] and not ended.done()
        second.close()
        await ended
    assert list(posts) == []


async def test_where_none_is_in_progress_nobody_waits() -> None:
    posts = InProgress[str]()
    with contextlib.suppress(ValueError), posts.during("one that fails"):
        raise ValueError
    await posts.ended()


async def test_they_can_end_while_each_is_told_to() -> None:
    posts = InProgress[str]()
    with contextlib.ExitStack() as stack:
        for name in ("first", "second"):
            stack.enter_context(posts.during(name))
        told = []
        for name in posts:
            told.append(name)
            stack.close()
    assert told == ["first", "second"]
