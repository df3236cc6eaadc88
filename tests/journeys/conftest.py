"""One daemon for the tests of a file that need no limits of their own, and a session of it."""

from collections.abc import Iterator

import pytest
from support.live import Live, live


@pytest.fixture(scope="module")
def daemon() -> Iterator[Live]:
    with live() as started:
        yield started


@pytest.fixture
def echo(daemon: Live) -> Iterator[str]:
    """A session that sends back what it is sent."""
    session = daemon.raw_cat()
    yield session
    daemon.call("session.close", session=session)
