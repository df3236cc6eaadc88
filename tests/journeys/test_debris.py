"""Nothing piles up: a thousand sessions come and go, and daemon and keeper are as they were."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support.faulty import await_remains, remains
from support.live import Live, RpcError, live, resident_bytes

SESSIONS = 1000
BATCH = 50
GROWTH_MOST = 4 << 20
"""Of each process over the last 500 of them: 8 KB a session would be seen."""


@pytest.fixture
def daemon() -> Iterator[Live]:
    with live(drain_quiet_s=0.02, stdout_settle_s=0.02, close_grace_s=0.2, ended_sessions_most=BATCH, events_most=1000) as started:
        yield started


def batch(daemon: Live, first: int) -> None:
    """Sessions are created, and closed, dropped as the oldest or removed by themselves; one in ten with a coprocess, by turns silent."""
    calls = []
    for number in range(first, first + BATCH):
        params: dict[str, Any] = {"argv": ["true"], "remove": number % 3 == 0, "labels": {"n": str(number)}}
        if number % 10 == 0:
            params["coprocess"] = {"command": "cat; echo done >&2", "silent": number % 20 == 0}
        calls.append(daemon.client.send("session.create", **params))
    created = [daemon.client.answer(call)["id"] for call in calls]
    closes = [daemon.client.send("session.close", session=session) for n, session in enumerate(created) if n % 3 == 1]
    for close in closes:
        try:
            daemon.client.answer(close)
        except RpcError as error:
            assert error.code == "session_not_found"  # by then it was among the oldest, and dropped


@pytest.mark.timeout(300)
def test_a_thousand_sessions_leave_no_descriptor_zombie_memory_or_file(daemon: Live) -> None:
    def all_gone() -> None:
        for session in daemon.call("session.list"):
            daemon.client.send("session.close", session=session["id"])
        while daemon.call("session.list"):
            pass
        daemon.client.close()
        daemon.subscribe()

    batch(daemon, 0)
    all_gone()
    daemon.loaded()
    before = remains(daemon)
    sizes: list[int] = []
    for first in range(BATCH, SESSIONS, BATCH):
        batch(daemon, first)
        if first == SESSIONS // 2:
            sizes = [resident_bytes(pid) for pid in daemon.pids()]
    all_gone()
    await_remains(daemon, before)
    grown = [resident_bytes(pid) - size for pid, size in zip(daemon.pids(), sizes, strict=True)]
    assert max(grown) < GROWTH_MOST, grown
