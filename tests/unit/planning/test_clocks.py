"""Due times and retry schedules."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from coordinator.domain.errors import ConfigurationError
from coordinator.planning import clocks

CHICAGO, PHOENIX = ZoneInfo("America/Chicago"), ZoneInfo("America/Phoenix")
SATURDAY = datetime(2026, 10, 31, 14, 10, tzinfo=CHICAGO)
ZONES = st.sampled_from(["America/Chicago", "America/Phoenix", "Asia/Kolkata", "UTC", "Australia/Lord_Howe"])
MOMENTS = st.integers(0, 200_000_000).map(lambda seconds: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds))


def wall(moment):
    return moment.isoformat()


def test_elapsed_hours_run_by_the_sun_over_the_end_of_daylight_saving():
    due = clocks.after_hours(SATURDAY, 24, "America/Chicago")
    assert wall(due) == "2026-11-01T13:10:00-06:00"
    assert wall(clocks.after_hours(SATURDAY, 24, "America/Phoenix")) == "2026-11-01T12:10:00-07:00"
    assert due.astimezone(UTC) - SATURDAY.astimezone(UTC) == timedelta(hours=24)


def test_two_business_days_from_a_saturday_end_on_tuesday_in_the_recipients_zone():
    assert wall(clocks.end_of_business_day(SATURDAY, 2, "America/Phoenix")) == "2026-11-03T23:59:59-07:00"
    assert wall(clocks.end_of_business_day(SATURDAY, 2, "America/Chicago")) == "2026-11-03T23:59:59-06:00"


def test_the_recipients_calendar_decides_which_day_it_is():
    late = datetime(2026, 10, 16, 23, 30, tzinfo=CHICAGO)
    assert wall(clocks.end_of_business_day(late, 1, "America/Chicago")) == "2026-10-19T23:59:59-05:00"
    assert wall(clocks.end_of_business_day(late, 1, "Asia/Kolkata")) == "2026-10-19T23:59:59+05:30"
    early = datetime(2026, 10, 15, 23, 30, tzinfo=CHICAGO)
    assert wall(clocks.end_of_business_day(early, 1, "Asia/Kolkata")) == "2026-10-19T23:59:59+05:30"


@pytest.mark.parametrize(
    ("start", "due"),
    [
        ("2026-10-14T10:00", "2026-10-14T14:00"),
        ("2026-10-14T15:00", "2026-10-15T11:00"),
        ("2026-10-14T20:00", "2026-10-15T13:00"),
        ("2026-10-16T16:59", "2026-10-19T12:59"),
        ("2026-10-17T12:00", "2026-10-19T13:00"),
        ("2026-10-14T05:00", "2026-10-14T13:00"),
        ("2026-10-14T13:00", "2026-10-14T17:00"),
    ],
)
def test_working_hours_stop_over_night_and_over_the_weekend(start, due):
    begun = datetime.fromisoformat(start).replace(tzinfo=CHICAGO)
    expected = datetime.fromisoformat(due).replace(tzinfo=CHICAGO)
    assert clocks.after_working_hours(begun, 4, "America/Chicago") == expected


@given(MOMENTS, st.integers(1, 10), ZONES)
def test_a_business_day_deadline_is_a_business_day_and_lies_ahead(start, days, zone):
    due = clocks.end_of_business_day(start, days, zone)
    assert clocks.is_business_day(due.date())
    assert due > start
    assert due <= clocks.end_of_business_day(start, days + 1, zone)


@given(MOMENTS, st.floats(0.25, 40), ZONES)
def test_working_hours_end_within_office_hours_and_never_early(start, hours, zone):
    due = clocks.after_working_hours(start, hours, zone)
    assert clocks.is_business_day(due.date())
    assert clocks.OPENS <= due.time() <= clocks.CLOSES
    assert due.astimezone(UTC) - start >= timedelta(hours=hours) - timedelta(seconds=1)


@given(MOMENTS, st.integers(0, 72), ZONES)
def test_elapsed_hours_are_exact_in_every_zone(start, hours, zone):
    assert clocks.after_hours(start, hours, zone).astimezone(UTC) - start == timedelta(hours=hours)


def test_a_digest_goes_on_friday_at_five():
    assert wall(clocks.digest_due(SATURDAY.date(), "America/Chicago")) == "2026-11-06T17:00:00-06:00"


# --- retries


@pytest.fixture(scope="module")
def retries(rules_dir):
    return clocks.load_retries(rules_dir / "retries.yaml")


@pytest.mark.parametrize("channel", ["fhir-rest", "fhir-message", "direct", "fax", "secure-link", "a-new-one"])
def test_a_routine_message_is_tried_for_at_least_a_weekend(retries, channel):
    waits = retries.schedule(channel, "routine", "net.connect")
    assert sum(waits, timedelta()) >= timedelta(hours=72)


@pytest.mark.parametrize("channel", ["fhir-rest", "direct", "fax", "secure-link"])
def test_the_more_severe_is_tried_sooner(retries, channel):
    after_three = [
        sum(retries.schedule(channel, one, "net.connect")[:4], timedelta()) for one in ("stat", "urgent", "routine")
    ]
    assert after_three == sorted(after_three)
    assert len(set(after_three)) == 3


def test_a_busy_fax_is_tried_after_5_15_and_45_minutes(retries):
    assert [one.total_seconds() / 60 for one in retries.schedule("fax", "routine", "fax.busy")][:3] == [5, 15, 45]


def test_an_urgent_busy_fax_is_tried_sooner(retries):
    assert retries.schedule("fax", "urgent", "fax.busy")[0] < retries.schedule("fax", "routine", "fax.busy")[0]


def test_nothing_is_retried_by_hand(retries):
    assert retries.schedule("by-hand", "stat", "hand.print") == ()


def test_no_wait_is_negative(retries):
    assert all(wait >= timedelta(0) for rows in retries.table.values() for waits in rows.values() for wait in waits)


@pytest.mark.parametrize("waits", [["5 minutes"], ["x"], "5m", [None], 7])
def test_a_wait_that_cannot_be_read_is_refused_at_load(tmp_path, waits):
    path = tmp_path / "retries.yaml"
    path.write_text(yaml.safe_dump({"version": 1, "channels": {"default": {"routine": waits}}}))
    with pytest.raises(ConfigurationError):
        clocks.load_retries(path)


def test_a_table_without_a_default_is_refused_at_load(tmp_path):
    path = tmp_path / "retries.yaml"
    path.write_text(yaml.safe_dump({"version": 1, "channels": {"fax": {"routine": ["5m"]}}}))
    with pytest.raises(ConfigurationError, match="default"):
        clocks.load_retries(path)
