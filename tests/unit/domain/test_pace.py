"""The pace of an endpoint: what is begun never exceeds what the partner asked for, however it is asked."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coordinator.domain.pace import Pace

NOW = datetime(2026, 10, 16, 15, 0, tzinfo=UTC)


def test_without_limits_an_endpoint_has_what_any_has():
    assert Pace().room(NOW, 1, 4) == 3
    assert Pace().after(3, NOW) is None


def test_its_own_number_at_once_counts_where_it_is_lower():
    assert Pace(at_once=1).room(NOW, 0, 4) == 1
    assert Pace(at_once=1).room(NOW, 1, 4) == 0
    assert Pace(at_once=9).room(NOW, 0, 4) == 4


def test_thirty_a_minute_is_one_every_two_seconds():
    pace = Pace(per_minute=30)
    assert pace.room(NOW, 0, 4) == 1
    used = Pace(per_minute=30, next_at=pace.after(1, NOW))
    assert used.room(NOW + timedelta(seconds=1.9), 0, 4) == 0
    assert used.room(NOW + timedelta(seconds=2), 0, 4) == 1


def test_what_was_not_used_is_not_saved_up():
    used = Pace(per_minute=30, next_at=NOW)
    assert used.room(NOW + timedelta(hours=1), 0, 4) == 1


@pytest.mark.parametrize(("per_minute", "together"), [(1, 1), (60, 1), (61, 2), (120, 2), (600, 10)])
def test_as_many_go_together_as_one_second_has(per_minute, together):
    assert Pace(per_minute=per_minute).room(NOW, 0, 100) == together


@given(
    per_minute=st.integers(1, 300),
    asks=st.lists(st.tuples(st.floats(0, 20), st.integers(1, 40)), min_size=1, max_size=60),
)
def test_no_minute_has_more_than_its_number_and_one_seconds_worth(per_minute, asks):
    pace, at, begun = Pace(per_minute=per_minute), NOW, []
    for wait_s, wanted in asks:
        at += timedelta(seconds=wait_s)
        count = min(wanted, pace.room(at, 0, 1000))
        if count:
            pace = Pace(per_minute=per_minute, next_at=pace.after(count, at))
            begun += [at] * count
    for first in begun:
        within = [one for one in begun if first <= one < first + timedelta(minutes=1)]
        assert len(within) <= per_minute + -(-per_minute // 60)
