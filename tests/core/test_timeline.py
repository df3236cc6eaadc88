"""The timeline: what is shown of an output, whoever goes along it and however often they stop."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from coprocd.core.timeline import Injection, Output, Place, Silent, Step, after, steps

Ranges = list[tuple[int, int]]


def test_output_that_is_not_silenced_is_one_step() -> None:
    assert list(steps(Place(3), 10, [], [])) == [Output(3, 10)]


def test_nothing_new_is_no_step() -> None:
    assert list(steps(Place(10, 1), 10, [], [Injection(0, 10, b"seen")])) == []


def test_a_silenced_range_is_passed_over() -> None:
    assert list(steps(Place(0), 10, [(2, 5)], [])) == [Output(0, 2), Silent(2, 5), Output(5, 10)]


def test_what_is_injected_comes_before_the_byte_at_its_offset() -> None:
    made = [Injection(0, 4, b"a"), Injection(1, 4, b"b"), Injection(2, 10, b"c")]
    assert list(steps(Place(0), 10, [], made)) == [Output(0, 4), made[0], made[1], Output(4, 10), made[2]]


def test_what_is_injected_into_silence_is_shown() -> None:
    made = [Injection(0, 4, b"a")]
    assert list(steps(Place(0), 8, [(2, 8)], made)) == [Output(0, 2), Silent(2, 4), made[0], Silent(4, 8)]


def test_what_was_injected_before_the_place_and_not_seen_is_shown_at_once() -> None:
    late = Injection(0, 3, b"late")
    assert list(steps(Place(5, 0), 8, [], [late])) == [late, Output(5, 8)]


@st.composite
def timelines(draw: st.DrawFn) -> tuple[int, Ranges, list[Injection], list[int]]:
    end = draw(st.integers(0, 60))
    edges = sorted(draw(st.sets(st.integers(0, end), max_size=6)))
    silences = [(start, stop) for index, (start, stop) in enumerate(pairwise(edges)) if index % 2 == 0]
    offsets = sorted(draw(st.lists(st.integers(0, end), max_size=5)))
    injections = [Injection(number, offset, b"%d" % number) for number, offset in enumerate(offsets)]
    return end, silences, injections, sorted(draw(st.lists(st.integers(0, end), max_size=5)))


def _shown(walked: list[Step]) -> list[str]:
    """Each byte by its offset, each injection by its number."""
    shown: list[str] = []
    for step in walked:
        if isinstance(step, Injection):
            shown.append(f"injected {step.number}")
        elif isinstance(step, Output):
            shown += [str(offset) for offset in range(step.start, step.stop)]
    return shown


@given(timelines())
def test_who_stops_on_the_way_is_shown_the_same(timeline: tuple[int, Ranges, list[Injection], list[int]]) -> None:
    end, silences, injections, stops = timeline
    whole = list(steps(Place(0), end, silences, injections))
    place, parts = Place(0), list[Step]()
    for stop in [*stops, end]:
        within = [(max(start, place.offset), min(to, stop)) for start, to in silences if start < stop and to > place.offset]
        for step in steps(place, stop, within, injections):
            parts.append(step)
            place = after(place, step)
    assert _shown(parts) == _shown(whole)
    assert place == Place(end, len(injections))


@given(timelines())
def test_all_that_is_not_silenced_is_shown_once_and_nothing_else(timeline: tuple[int, Ranges, list[Injection], list[int]]) -> None:
    end, silences, injections, _ = timeline
    walked = list(steps(Place(0), end, silences, injections))
    silenced = {offset for start, stop in silences for offset in range(start, stop)}
    assert [shown for shown in _shown(walked) if not shown.startswith("i")] == [str(o) for o in range(end) if o not in silenced]
    assert all(step.start < step.stop for step in walked if not isinstance(step, Injection))
    assert any(isinstance(step, Silent) for step in walked) == bool(silenced)
