"""What has killed a screen worker: fed again in small pieces, then passed over; and a session that goes on doing it has no screen for a while."""

from __future__ import annotations

from coprocd.core.poison import FAULTS_MOST, FAULTS_S, OFF_MOST_S, OFF_S, PIECE_BYTES, SMALL_BYTES, Poison


def test_what_has_killed_once_is_fed_again_in_small_pieces_and_the_rest_is_not() -> None:
    poison = Poison()
    assert poison.limit(0, 100_000) == (100_000, PIECE_BYTES) and not poison.suspected
    poison.fault(0.0, (8192, 16384))
    assert poison.suspected
    assert poison.limit(0, 100_000) == (8192, PIECE_BYTES)
    assert poison.limit(8192, 100_000) == (16384, SMALL_BYTES)
    assert poison.limit(9000, 9500) == (9500, SMALL_BYTES)
    assert poison.limit(16384, 100_000) == (100_000, PIECE_BYTES)
    assert list(poison.split(0, 100_000)) == [(0, 100_000, True)]


def test_what_kills_a_second_time_is_passed_over() -> None:
    poison = Poison()
    poison.fault(0.0, (0, 8192))
    poison.fault(0.5, (640, 704))
    assert list(poison.split(0, 1000)) == [(0, 640, True), (640, 704, False), (704, 1000, True)]
    assert list(poison.split(650, 660)) == [(650, 660, False)]
    assert poison.suspects(640, 704) and not poison.suspects(8000, 8200)


def test_what_will_not_be_fed_again_is_forgotten() -> None:
    poison = Poison()
    poison.fault(0.0, (0, 8192))
    poison.fault(0.5, (640, 704))
    poison.forget(700)
    assert poison.suspected and list(poison.split(600, 800))[1] == (640, 704, False)
    poison.forget(8192)
    assert not poison.suspected and list(poison.split(600, 800)) == [(600, 800, True)]


def test_a_session_that_kills_again_and_again_has_no_screen_for_longer_each_time() -> None:
    poison, now, off = Poison(), 1000.0, []
    for _ in range(8):
        for _ in range(FAULTS_MOST):
            assert poison.off_until <= now
            poison.fault(now, None)
        off.append(poison.off_until - now)
        now = poison.off_until
    assert off[:3] == [OFF_S, OFF_S * 2, OFF_S * 4] and off[-1] == OFF_MOST_S


def test_faults_that_are_long_past_do_not_count() -> None:
    poison = Poison()
    for number in range(20):
        poison.fault(number * FAULTS_S / (FAULTS_MOST - 1), None)
    assert poison.off_until == 0.0
