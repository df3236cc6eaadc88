"""The event log: numbered, bounded, never silent about what is missing."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coprocd.core.event_log import EventLog


def make(**limits: Any) -> EventLog:
    clock = count(1000)
    return EventLog(epoch="e1", clock=lambda: float(next(clock)), **limits)


def seqs(events: Any) -> list[int]:
    return [event["seq"] for event in events]


def test_events_are_numbered_from_one_and_stamped() -> None:
    log = make()
    assert log.append("session.created", "s1", name="chat") == 1
    assert list(log.read()) == [{"seq": 1, "epoch": "e1", "time": 1000.0, "type": "session.created", "session": "s1", "name": "chat"}]


def test_a_reader_gets_what_came_after_the_number_it_names() -> None:
    log = make()
    for _ in range(5):
        log.append("input")
    assert seqs(log.read(3)) == [4, 5]
    assert list(log.read(5)) == []


def test_types_and_session_choose() -> None:
    log = make()
    log.append("input", "s1")
    log.append("session.exited", "s1")
    log.append("input", "s2")
    assert seqs(log.read(types=["input"])) == [1, 3]
    assert seqs(log.read(session="s1")) == [1, 2]
    assert seqs(log.read(types=["input"], session="s2")) == [3]


def test_the_log_holds_no_more_events_than_its_bound_and_says_what_is_missing() -> None:
    log = make(max_events=3)
    for _ in range(10):
        log.append("input")
    events = list(log.read(2))
    assert events[0] == {"seq": 7, "epoch": "e1", "time": 1010.0, "type": "dropped", "session": None, "from_seq": 3, "to_seq": 7}
    assert seqs(events[1:]) == [8, 9, 10]


def test_the_log_holds_no_more_bytes_than_its_bound() -> None:
    log = make(max_bytes=1000)
    for _ in range(100):
        log.append("coprocess.ended", stderr="x" * 100)
        assert log.retained_bytes <= 1000
    log.append("coprocess.ended", stderr="x" * 2000)
    assert log.retained_bytes == 0
    assert list(log.read(100)) == [
        {"seq": 101, "epoch": "e1", "time": 1101.0, "type": "dropped", "session": None, "from_seq": 101, "to_seq": 101}
    ]


def test_dropped_is_told_whatever_was_asked_for() -> None:
    log = make(max_events=1)
    log.append("input", "s1")
    log.append("input", "s1")
    assert [event["type"] for event in log.read(types=["session.exited"], session="s2")] == ["dropped"]


def test_a_reader_of_another_epoch_gets_one_dropped_and_then_all_that_is_retained() -> None:
    log = make(max_events=2)
    for _ in range(3):
        log.append("input")
    cursor = log.cursor(since_seq=500, epoch="e0")
    first, *rest = cursor.take()
    assert (first["type"], first["from_seq"], first["to_seq"]) == ("dropped", 0, 1)
    assert seqs(rest) == [2, 3]
    assert cursor.take() == []


def test_a_number_ahead_of_the_log_is_of_another_epoch() -> None:
    log = make()
    log.append("input")
    assert [event["type"] for event in log.cursor(since_seq=9).take()] == ["dropped", "input"]


def test_a_reader_that_names_no_number_begins_with_the_next_event() -> None:
    log = make()
    log.append("input")
    cursor = log.cursor()
    assert not cursor.behind
    log.append("bell")
    assert cursor.behind
    assert seqs(cursor.take()) == [2]


def test_a_cursor_that_was_overtaken_is_told_once() -> None:
    log = make(max_events=2)
    cursor = log.cursor()
    for _ in range(5):
        log.append("input")
    assert [event["type"] for event in cursor.take(1)] == ["dropped"]
    assert seqs(cursor.take(1)) == [4]
    assert seqs(cursor.take()) == [5]


def test_listeners_are_called_after_each_event_until_they_are_taken_off() -> None:
    log = make()
    seen: list[int] = []

    def listener() -> None:
        seen.append(log.seq)

    log.listen(listener)
    log.append("input")
    log.append("input")
    log.unlisten(listener)
    log.unlisten(listener)
    log.append("input")
    assert seen == [1, 2]


def test_a_listener_that_raises_breaks_neither_the_writer_nor_other_listeners() -> None:
    errors: list[Exception] = []
    log = make(on_listener_error=errors.append)
    seen: list[int] = []
    log.listen(lambda: 1 // 0)
    log.listen(lambda: seen.append(log.seq))
    assert log.append("input") == 1
    assert seen == [1]
    assert [type(error) for error in errors] == [ZeroDivisionError]


def test_what_json_cannot_hold_raises_at_its_writer_and_leaves_no_trace() -> None:
    log = make()
    with pytest.raises(TypeError):
        log.append("input", origin=object())
    assert log.seq == 0
    assert list(log.read()) == []


@given(st.lists(st.one_of(st.just("append"), st.integers(1, 4))), st.integers(1, 5))
def test_every_number_is_either_seen_once_in_order_or_within_one_dropped(steps: list[Any], max_events: int) -> None:
    log = make(max_events=max_events)
    cursor = log.cursor(0)
    accounted: list[int] = []
    for step in [*steps, 1000]:
        if step == "append":
            log.append("input")
            continue
        for event in cursor.take(step):
            accounted += range(event["from_seq"], event["to_seq"] + 1) if event["type"] == "dropped" else [event["seq"]]
    assert accounted == list(range(1, log.seq + 1))
