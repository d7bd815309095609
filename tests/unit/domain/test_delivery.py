"""The table of moves, and the arithmetic of retries."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.domain.delivery import (
    ARRIVED_MAYBE,
    FINAL,
    MOVES,
    RETRY_AFTER_CAP,
    IllegalMove,
    State,
    check_move,
    next_due,
)

NOW = datetime(2026, 10, 16, 15, 0, tzinfo=UTC)
STATES = st.sampled_from(list(State))


def test_every_state_has_its_row():
    assert set(MOVES) == set(State)


def test_the_ends_are_the_ends():
    assert {State.ACKNOWLEDGED, State.DEAD, State.CANCELLED} == FINAL


@given(st.lists(STATES, max_size=12))
def test_no_walk_leaves_an_end(walk):
    here = State.PENDING
    for there in walk:
        try:
            check_move(here, there)
        except IllegalMove:
            continue
        assert here not in FINAL
        here = there


def test_nothing_is_sent_without_the_mark():
    before = {one for one, moves in MOVES.items() if State.SENT in moves}
    assert before == {State.ON_WIRE, State.IN_DOUBT}
    assert {one for one, moves in MOVES.items() if State.ON_WIRE in moves} == {State.CLAIMED}


def test_what_may_have_arrived_is_never_withdrawn():
    assert all(State.CANCELLED not in MOVES[one] for one in ARRIVED_MAYBE)


def test_every_state_can_reach_an_end():
    for start in State:
        reached, edge = {start}, {start}
        while edge:
            edge = {there for here in edge for there in MOVES[here]} - reached
            reached |= edge
        assert reached & FINAL


WAITS = st.lists(st.integers(1, 100_000).map(lambda s: timedelta(seconds=s)), min_size=1, max_size=12)


@given(WAITS, st.integers(0, 20), st.floats(0.8, 1.2))
def test_a_retry_is_always_later_and_ends_with_the_schedule(waits, attempts, jitter):
    due_at = next_due(waits, attempts, NOW, jitter=jitter)
    if attempts > len(waits):
        assert due_at is None
    else:
        assert due_at is not None
        assert due_at > NOW


@given(WAITS, st.integers(0, 10_000_000), st.floats(0.8, 1.2))
def test_the_far_sides_wish_is_kept_to_a_cap_and_never_shortens(waits, wish_s, jitter):
    plain = next_due(waits, 1, NOW, jitter=jitter)
    wished = next_due(waits, 1, NOW, retry_after=timedelta(seconds=wish_s), jitter=jitter)
    assert wished >= plain
    assert wished >= NOW + min(timedelta(seconds=wish_s), RETRY_AFTER_CAP)
    assert wished <= max(plain, NOW + RETRY_AFTER_CAP)


@pytest.mark.parametrize(("old", "new"), [(State.DEAD, State.PENDING), (State.PENDING, State.SENT)])
def test_a_move_off_the_table_is_refused(old, new):
    with pytest.raises(IllegalMove):
        check_move(old, new)
