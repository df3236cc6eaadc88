"""When a lost connection is made anew, and what was typed meanwhile."""

from __future__ import annotations

from coprocctl.terminal.reconnection import ATTEMPT_S, EACH_S, KEPT_BYTES, SHORT_S, Reconnection


def test_one_that_has_lasted_is_made_anew_at_once_and_again_after_a_moment() -> None:
    reconnection = Reconnection(30)
    reconnection.made(100)
    reconnection.lost(200)
    assert reconnection.due_at == 200
    reconnection.begin(200)
    assert reconnection.due_at == 200 + ATTEMPT_S
    assert not reconnection.failed(201)
    assert reconnection.due_at == 201 + EACH_S


def test_one_that_was_short_is_made_anew_when_it_would_have_lasted() -> None:
    reconnection = Reconnection(30)
    reconnection.made(100)
    reconnection.lost(100.25)
    assert reconnection.due_at == 100 + SHORT_S


def test_it_is_tried_for_so_long_from_the_first_loss_on_and_anew_once_it_was_there() -> None:
    reconnection = Reconnection(30)
    reconnection.made(100)
    reconnection.lost(200)
    reconnection.lost(225)
    assert not reconnection.failed(229)
    assert reconnection.failed(231)
    reconnection.made(240)
    reconnection.lost(300)
    assert not reconnection.failed(329)


def test_what_is_typed_meanwhile_is_kept_in_order_once_and_not_without_end() -> None:
    reconnection = Reconnection(30)
    assert reconnection.keep(b"one ") and reconnection.keep(b"two")
    assert reconnection.made(1) == b"one two"
    assert reconnection.made(2) == b""
    assert reconnection.keep(b"x" * (KEPT_BYTES - 1))
    assert not reconnection.keep(b"yz")
    assert reconnection.keep(b"z")
    assert len(reconnection.made(3)) == KEPT_BYTES
