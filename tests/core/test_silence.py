"""Silenced ranges: opened and closed at exact offsets, bounded, and safe from a kill between two stores."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from coprocd.core.silence import OPEN, Silence

EVERYTHING = 1 << 40


def make(most: int = 3) -> Silence:
    return Silence([0] * (1 + 2 * most), 0, most)


def test_nothing_is_silenced_at_first() -> None:
    silence = make()
    assert silence.opened_at is None
    assert silence.within(0, EVERYTHING) == []


def test_an_open_range_silences_all_that_follows() -> None:
    silence = make()
    assert silence.open(10, 0)
    assert silence.opened_at == 10
    assert silence.within(0, 50) == [(10, 50)]
    assert silence.within(20, 30) == [(20, 30)]
    assert silence.within(0, 10) == []


def test_a_closed_range_ends_before_its_end() -> None:
    silence = make()
    silence.open(10, 0)
    silence.close(20)
    assert silence.opened_at is None
    assert silence.within(0, 50) == [(10, 20)]
    assert silence.within(19, 50) == [(19, 20)]
    assert silence.within(20, 50) == []


def test_a_range_closed_where_it_began_was_nothing() -> None:
    silence = make(1)
    for end in (10, 9):
        silence.open(10, 0)
        silence.close(end)
        assert silence.within(0, EVERYTHING) == []
    assert silence.open(11, 0)


def test_closing_or_lifting_without_an_open_range_changes_nothing() -> None:
    silence = make()
    silence.close(5)
    silence.lift()
    silence.open(10, 0)
    silence.close(20)
    silence.close(30)
    silence.lift()
    assert silence.within(0, 50) == [(10, 20)]


def test_a_lifted_range_is_shown_and_earlier_ones_stay_silenced() -> None:
    silence = make()
    silence.open(10, 0)
    silence.close(20)
    silence.open(30, 0)
    silence.lift()
    assert silence.opened_at is None
    assert silence.within(0, 50) == [(10, 20)]


def test_a_range_may_begin_where_one_ended() -> None:
    silence = make()
    silence.open(10, 0)
    silence.close(20)
    silence.open(20, 0)
    assert silence.within(0, 30) == [(10, 20), (20, 30)]


def test_a_full_list_refuses_another_range_while_the_log_holds_them_all() -> None:
    silence = make(2)
    for begun in (0, 20):
        silence.open(begun, 0)
        silence.close(begun + 10)
    assert not silence.open(40, 9)
    assert silence.opened_at is None
    assert silence.within(0, 50) == [(0, 10), (20, 30)]


def test_a_full_list_forgets_ranges_that_the_log_no_longer_holds() -> None:
    silence = make(2)
    for begun in (0, 20):
        silence.open(begun, 0)
        silence.close(begun + 10)
    assert silence.open(40, 10)
    assert silence.opened_at == 40
    assert silence.within(0, 50) == [(20, 30), (40, 50)]


def test_a_full_list_of_old_ranges_is_emptied_at_once() -> None:
    silence = make(3)
    for begun in (0, 20, 40):
        silence.open(begun, 0)
        silence.close(begun + 10)
    assert silence.open(90, 60)
    assert silence.within(0, 100) == [(90, 100)]


def test_no_slots_but_its_own_are_used() -> None:
    slots = [7] * 8
    slots[2] = 0
    silence = Silence(slots, 2, 2)
    for begun in (0, 20, 40, 60):
        silence.open(begun, begun)
        silence.close(begun + 10)
    assert (slots[:2], slots[7]) == ([7, 7], 7)


STEPS = st.lists(st.tuples(st.sampled_from(["print", "open", "close", "lift"]), st.integers(0, 9)), max_size=40)


@settings(deadline=None)
@given(STEPS, st.integers(1, 4), st.integers(5, 60))
def test_exactly_the_bytes_printed_in_silence_are_silenced(steps: list[tuple[str, int]], most: int, capacity: int) -> None:
    silence = make(most)
    silent: list[bool] = []  # for each byte printed
    opened: int | None = None
    for step, size in steps:
        kept = max(0, len(silent) - capacity)
        if step == "print":
            silent += [opened is not None] * size
        elif step == "open" and opened is None:
            if silence.open(len(silent), kept):
                opened = len(silent)
        elif step == "close":
            silence.close(len(silent))
            opened = None
        elif step == "lift" and opened is not None:
            silence.lift()
            silent[opened:] = [False] * (len(silent) - opened)
            opened = None
        assert silence.opened_at == opened
        kept = max(0, len(silent) - capacity)
        told = {i for begun, ended in silence.within(kept, len(silent)) for i in range(begun, ended)}
        assert told == {i for i in range(kept, len(silent)) if silent[i]}


class Watched(list[int]):
    """Slots that note what they were before every store: what a killed daemon leaves, and what another process sees."""

    def __init__(self, values: list[int]) -> None:
        super().__init__(values)
        self.states: list[list[int]] = []

    def __setitem__(self, index: object, value: object) -> None:
        self.states.append(list(self))
        super().__setitem__(index, value)  # type: ignore[index, assignment]


def test_what_is_silenced_and_retained_stays_so_at_every_store_while_old_ranges_are_forgotten() -> None:
    slots = Watched([4, 0, 10, 20, 30, 40, 50, 60, 70])
    assert Silence(slots, 0, 4).open(80, 15)
    for state in slots.states:
        told = {i for begun, ended in Silence(state, 0, 4).within(15, 80) for i in range(begun, ended)}
        assert told == {*range(20, 30), *range(40, 50), *range(60, 70)}, state


def test_opening_and_closing_take_effect_with_one_store() -> None:
    slots = Watched([0] * 5)
    silence = Silence(slots, 0, 2)
    silence.open(10, 0)
    assert [Silence(state, 0, 2).within(0, 99) for state in slots.states] == [[]] * len(slots.states)
    slots.states.clear()
    silence.close(30)
    assert [Silence(state, 0, 2).within(0, 30) for state in slots.states] == [[(10, 30)]] * len(slots.states)
    assert OPEN not in slots
