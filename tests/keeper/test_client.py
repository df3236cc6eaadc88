"""The daemon's end of the connection to its keeper, at the daemon's end."""

from __future__ import annotations

import asyncio

import pytest
from support.keeper import lone_keeper

from coprocd.keeper.client import KeeperClient


@pytest.mark.timeout(20)
async def test_what_is_asked_after_the_end_waits_and_can_be_cancelled() -> None:
    """A job that ended in that moment had the daemon ask again and again, without a pause: it took a processor for itself until it was killed."""
    with lone_keeper() as keeper:
        client = KeeperClient(keeper.socket, lambda: [], lambda key, job: None, lambda lost: None)
        await client.connect()
        client.close()
        asked = asyncio.create_task(client.drop("session/one"))
        await asyncio.sleep(0)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
