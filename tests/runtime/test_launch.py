"""What a job is started with."""

from __future__ import annotations

import msgspec
import pytest

from coprocd.runtime import launch


def test_a_variable_that_is_no_utf8_is_left_out_since_no_record_can_hold_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """One in the daemon's own environment made each `session.create` an internal error."""
    monkeypatch.setenv("ODD", "a\udcff")
    monkeypatch.setenv("EVEN", "é")
    environment = launch.base_environment()
    msgspec.json.encode(environment)
    assert "ODD" not in environment and environment["EVEN"] == "é"
