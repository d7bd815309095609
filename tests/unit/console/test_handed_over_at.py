"""The time of a hand-over as people type it: on the clinic's calendar, and never guessed."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from coordinator.console.presenters import handed_over_at
from coordinator.domain.errors import Refused

CHICAGO = ZoneInfo("America/Chicago")


def test_nothing_said_is_no_time():
    assert handed_over_at("", CHICAGO) is None


@pytest.mark.parametrize("said", ["2026-11-27T15:40", "2026-11-27 15:40", "2026-11-27T15:40:00"])
def test_a_day_and_time_are_those_of_the_clinics_calendar(said):
    assert handed_over_at(said, CHICAGO) == datetime(2026, 11, 27, 21, 40, tzinfo=UTC)


@pytest.mark.parametrize(
    "said",
    ["2026-11-27", "15:40", "2026-11-31T15:40", "2026-11-27T25:00", "2026-W48-5T15:40", "27/11/2026 15:40", "x",
     "2026-11-27T15:40Z", "٢٠٢٦-11-27T15:40", "0000-01-01T00:00", "9999-12-31T23:59"],
)  # fmt: skip
def test_what_is_no_day_and_time_is_refused_and_not_guessed(said):
    with pytest.raises(Refused) as refused:
        handed_over_at(said, CHICAGO)
    assert "not understood" in refused.value.reason


@pytest.mark.parametrize(("said", "why"), [("2026-03-08T02:30", "did not come"), ("2026-11-01T01:30", "came twice")])
def test_a_time_that_the_clocks_passed_over_or_had_twice_is_refused(said, why):
    with pytest.raises(Refused) as refused:
        handed_over_at(said, CHICAGO)
    assert why in refused.value.reason
