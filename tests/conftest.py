"""The order of the tests."""

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with a test that may take minutes, and says so by a timeout of its own, come first: no worker waits for them at the end."""
    long = {item.path for item in items if (own := item.get_closest_marker("timeout")) and own.args[0] > 120}
    items.sort(key=lambda item: item.path not in long)
