"""Due times: business days and hours in a zone, and the retry schedules."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from coordinator.domain.errors import ConfigurationError
from coordinator.domain.plan import PRIORITIES, Priority
from coordinator.planning.rule_files import read_table

OPENS = time(9)
CLOSES = time(17)
"""Office hours for clocks that run in working hours: 9 to 17, Monday to Friday, in the zone named."""
_LAST_MOMENT = time(23, 59, 59)
_FRIDAY = 4


def is_business_day(day: date) -> bool:
    """Whether the day is Monday to Friday. Public holidays are not known here."""
    return day.weekday() <= _FRIDAY


def end_of_business_day(start: datetime, days: int, zone: str) -> datetime:
    """Return the last second of the n-th business day after `start`, in the recipient's zone.

    The day of `start` itself never counts. From a Saturday, two business days end
    on Tuesday.
    """
    there = ZoneInfo(zone)
    day = start.astimezone(there).date()
    while days > 0:
        day += timedelta(days=1)
        days -= is_business_day(day)
    return datetime.combine(day, _LAST_MOMENT, there)


def end_of_day(start: datetime, days: int, zone: str) -> datetime:
    """Return the last second of the n-th calendar day after `start`, in the zone."""
    there = ZoneInfo(zone)
    return datetime.combine(start.astimezone(there).date() + timedelta(days=days), _LAST_MOMENT, there)


def last_moment(day: date, zone: str, shown_in: str) -> datetime:
    """Return the last second of a day of one zone, shown in another."""
    return datetime.combine(day, _LAST_MOMENT, ZoneInfo(zone)).astimezone(ZoneInfo(shown_in))


def after_hours(start: datetime, hours: float, zone: str) -> datetime:
    """Return the instant so many elapsed hours later, shown in the zone.

    Elapsed means by the sun: over the end of daylight saving the wall clock shows
    one hour less than it would by counting.
    """
    utc = start.astimezone(ZoneInfo("UTC")) + timedelta(hours=hours)
    return utc.astimezone(ZoneInfo(zone))


def after_working_hours(start: datetime, hours: float, zone: str) -> datetime:
    """Return the instant after so many office hours in the zone."""
    there = ZoneInfo(zone)
    here = start.astimezone(there)
    left = timedelta(hours=hours)
    while True:
        opens = datetime.combine(here.date(), OPENS, there)
        closes = datetime.combine(here.date(), CLOSES, there)
        if is_business_day(here.date()) and here < closes:
            here = max(here, opens)
            if here + left <= closes:
                return here + left
            left -= closes - here
        here = datetime.combine(here.date() + timedelta(days=1), time(0), there)


def digest_due(session_on: date, zone: str) -> datetime:
    """Return Friday 17:00 clinic time on or after the session: when the weekly digest goes."""
    day = session_on + timedelta(days=(_FRIDAY - session_on.weekday()) % 7)
    return datetime.combine(day, CLOSES, ZoneInfo(zone))


@dataclass(frozen=True)
class Retries:
    """The waits between tries, per channel, priority and cause class."""

    table: Mapping[str, Mapping[str, tuple[timedelta, ...]]]

    def schedule(self, channel: str, priority: str, cause_code: str) -> tuple[timedelta, ...]:
        """Return the waits after each failed try, the first after the first failure.

        The most exact row wins: the cause code, then its first part ("fax.busy", "fax"),
        then the priority's row of the channel, then the channel's routine row. An
        unknown channel gets the default rows.
        """
        rows = self.table.get(channel) or self.table["default"]
        for key in (f"{cause_code}@{priority}", cause_code, priority, "routine"):
            if key in rows:
                return rows[key]
        return ()


def load_retries(path: Path) -> Retries:
    """Return the retry schedules of a file; raise ConfigurationError when it cannot be used."""
    raw = read_table(path, ("version", "channels"))
    try:
        table = {
            str(channel): {str(key): tuple(_wait(one) for one in waits) for key, waits in rows.items()}
            for channel, rows in raw["channels"].items()
        }
    except (KeyError, TypeError, AttributeError, ValueError) as wrong:
        raise ConfigurationError(f"{path.name}: a schedule is a list of waits such as 30s, 5m, 2h") from wrong
    if "routine" not in table.get("default", {}):
        raise ConfigurationError(f"{path.name}: the default channel needs a routine schedule")
    return Retries(table)


def _wait(text: object) -> timedelta:
    """Return "30s", "5m", "2h" or 0 as a span of time."""
    if text == 0:
        return timedelta(0)
    shown = str(text)
    units = {"s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1)}
    return int(shown[:-1]) * units[shown[-1]]


TELL_A_PERSON: Mapping[Priority, timedelta] = {"stat": timedelta(minutes=30), "urgent": timedelta(hours=4)}
"""When an undelivered message appears under needs-attention (closed-loop practice; a proposal to sign off)."""


def higher(one: Priority, other: Priority) -> Priority:
    """Return the more severe of two priorities."""
    return max(one, other, key=PRIORITIES.index)
