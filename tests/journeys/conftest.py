"""One daemon for the tests of a file that need no limits of their own."""

from collections.abc import Iterator

import pytest
from support.live import Live, live


@pytest.fixture(scope="module")
def daemon() -> Iterator[Live]:
    with live() as started:
        yield started
