"""Fixtures of the tests that have descriptors of their own."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import pytest

from coprocd.platform import memory, pipes


@pytest.fixture(params=["splice and memfd", "portable"])
def platform(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both platform paths, one after the other."""
    if request.param == "portable":
        monkeypatch.setattr(pipes, "AVAILABLE", False)
        monkeypatch.setattr(memory, "AVAILABLE", False)
    elif not (pipes.AVAILABLE and memory.AVAILABLE):
        pytest.skip("this system has only the portable path")
    return str(request.param)


@pytest.fixture
def stack() -> Iterator[contextlib.ExitStack]:
    """Closes what a test opened; and no descriptor may be left over."""
    before = os.listdir("/dev/fd")
    with contextlib.ExitStack() as stack:
        yield stack
    assert len(os.listdir("/dev/fd")) == len(before)
