"""Throttles: so many a second in the long run, whoever shares one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from coprocd.core.throttle import KEPT_PER_S, SharedThrottle, Throttle


def test_as_many_as_the_rate_pass_at_once_and_then_as_many_a_second() -> None:
    throttle = Throttle(5, 0.0)
    assert [throttle.take(0.0) for _ in range(7)] == [True] * 5 + [False] * 2
    assert [throttle.take(0.2), throttle.take(0.2)] == [True, False]


def test_the_first_that_is_refused_is_known_and_again_after_a_quiet_second() -> None:
    throttle = Throttle(1, 0.0)
    throttle.take(0.0)
    throttle.take(0.1)
    throttle.take(0.2)
    assert throttle.refused == 2
    assert throttle.take(5.0)
    assert not throttle.take(5.0)
    assert throttle.refused == 1


def test_one_alone_is_refused_by_its_own_rate_and_many_by_the_rate_of_all() -> None:
    shared = SharedThrottle(10, 100, 0.0)
    assert [shared.take("a", 0.0) for _ in range(10)] == [None] * 10
    refused = shared.take("a", 0.0)
    assert refused is not None and (refused.first, refused.per_s, refused.all) == (True, 10, False)
    taken = 10 - KEPT_PER_S  # by "a", of what all have
    passed = sum(shared.take(f"b{number}", 0.0) is None for _ in range(10) for number in range(100))
    assert passed == 100 * KEPT_PER_S + 100 - taken
    assert [shared.take("c", 0.0) for _ in range(KEPT_PER_S)] == [None] * KEPT_PER_S
    refused = shared.take("c", 0.0)
    assert refused is not None and (refused.per_s, refused.all) == (100, True)


def test_a_flood_of_others_leaves_each_what_it_is_kept() -> None:
    shared = SharedThrottle(50, 5, 0.0)
    for step in range(10_000):
        shared.take(f"loud{step % 7}", step / 1000)
    assert shared.take("quiet", 10.0) is None


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.floats(0, 0.2)), max_size=300))
def test_never_do_more_pass_than_the_rates_allow(asked: list[tuple[str, float]]) -> None:
    shared, now = SharedThrottle(5, 8, 0.0), 0.0
    passed: dict[str, int] = {}
    for key, after in asked:
        now += after
        passed[key] = passed.get(key, 0) + (shared.take(key, now) is None)
    assert all(count <= 5 + 5 * now + 1e-6 for count in passed.values())
    assert sum(passed.values()) <= 8 + 8 * now + len(passed) * (KEPT_PER_S + KEPT_PER_S * now) + 1e-6


def test_what_is_gone_begins_anew() -> None:
    shared = SharedThrottle(1, 10, 0.0)
    shared.take("a", 0.0)
    assert shared.take("a", 0.0) is not None
    shared.forget_gone(["b"])
    assert shared.take("a", 0.0) is None
