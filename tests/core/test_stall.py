"""A stall is a condition that holds while nothing moves, and for how long."""

from __future__ import annotations

from coprocd.core.stall import StillWatch


def test_what_does_not_hold_has_not_stood_still() -> None:
    watch = StillWatch()
    assert [watch.seconds(False, 7, now) for now in (0.0, 10.0, 99.0)] == [0.0, 0.0, 0.0]


def test_the_seconds_count_from_when_the_condition_was_first_seen() -> None:
    watch = StillWatch()
    assert [watch.seconds(True, 7, now) for now in (100.0, 101.5, 104.0)] == [0.0, 1.5, 4.0]


def test_a_byte_that_moves_begins_the_count_anew() -> None:
    watch = StillWatch()
    assert [watch.seconds(True, moved, now) for moved, now in [(7, 0.0), (7, 5.0), (8, 6.0), (8, 8.0)]] == [0.0, 5.0, 0.0, 2.0]


def test_a_condition_that_ends_ends_the_count() -> None:
    watch = StillWatch()
    watch.seconds(True, 7, 0.0)
    assert watch.seconds(False, 7, 5.0) == 0.0
    assert [watch.seconds(True, 7, now) for now in (6.0, 7.0)] == [0.0, 1.0]


def test_a_byte_that_moved_while_the_condition_did_not_hold_is_no_news_later() -> None:
    watch = StillWatch()
    watch.seconds(False, 1, 0.0)
    watch.seconds(False, 2, 1.0)
    assert [watch.seconds(True, 2, now) for now in (2.0, 3.0)] == [0.0, 1.0]
