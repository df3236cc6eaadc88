"""Fixtures of the tests of the screen: the recordings are made once."""

from __future__ import annotations

import pytest
from recording import record_all


@pytest.fixture(scope="session")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Output of real programs, by their names."""
    return record_all(tmp_path_factory.mktemp("recordings"))
