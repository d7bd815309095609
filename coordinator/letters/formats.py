"""How numbers, dates, times and people are written in a letter. The safety rules of writing doses live here.

A leading zero is kept, a trailing one is dropped, a non-breaking space stands before
the unit, the month is a word, and a time names its zone. Source: the Joint Commission's
official do-not-use list.
"""

import unicodedata
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_time
from babel.numbers import format_decimal

from coordinator.domain.quantities import plain
from coordinator.domain.registry import Name
from coordinator.domain.telephone import for_reading

NO_BREAK_SPACE = "\u00a0"
MINUS = "\u2212"

_UNIT_TEXT = {
    "mg": "mg",
    "mcg": "mcg",
    "ug": "mcg",
    "g": "g",
    "mg/kg": "mg/kg",
    "mcg/kg": "mcg/kg",
    "ug/kg": "mcg/kg",
    "mg/h": "mg/h",
    "mcg/h": "mcg/h",
    "ug/h": "mcg/h",
    "mg/kg/h": "mg/kg/h",
    "mcg/kg/min": "mcg/kg/min",
    "ug/kg/min": "mcg/kg/min",
    "mg/mL": "mg/mL",
    "mL": "mL",
    "mL/h": "mL/h",
    "L/min": "L/min",
    "kg": "kg",
    "[lb_av]": "lb",
    "cm": "cm",
    "m": "m",
    "[in_i]": "in",
    "mm[Hg]": "mmHg",
    "/min": "per minute",
    "%": "%",
    "Cel": "°C",
    "[degF]": "°F",
    "h": "h",
    "min": "min",
}
"""UCUM unit -> what is printed. "mcg", never the Greek letter, which is misread."""

_DATE_PATTERN = {"en": "d MMMM y", "es": "d 'de' MMMM 'de' y"}


def number(value: Decimal | int) -> str:
    """Return the number as it is printed: "37.5" for 37.50, "0.5" for .5, with a true minus sign."""
    return plain(Decimal(value)).replace("-", MINUS)


def quantity(value: Decimal | int, unit: str) -> str:
    """Return the amount with its unit, "37.5 mg". A unit that has no printed form raises ValueError."""
    printed = _UNIT_TEXT.get(unit)
    if printed is None:
        raise ValueError("a unit without a printed form")
    return f"{number(value)}{NO_BREAK_SPACE}{printed}"


def signed(value: int) -> str:
    """Return a difference with its sign: "+50", "−4", "0"."""
    return f"+{value}" if value > 0 else number(value)


def clinic_date(on: date, language: str = "en") -> str:
    """Return the day with the month as a word, "14 October 2026"; a line may end before the year only."""
    text = format_date(on, format=_DATE_PATTERN[language], locale=language)
    day, year = text.rsplit(" ", 1)
    return f"{day.replace(' ', NO_BREAK_SPACE)} {year}"


def day_of_year(on: date) -> str:
    """Return the day without its year, "14 October", for where the year stands beside it."""
    return clinic_date(on).rsplit(" ", 1)[0]


def zone_name(at: datetime, zone: str) -> str:
    """Return the zone's usual short name at that instant: "CDT", or "UTC−03" where it has none."""
    name = at.astimezone(ZoneInfo(zone)).tzname() or "UTC"
    return f"UTC{name.replace('-', MINUS)}" if name[0] in "+-" else name


def clock_time(at: datetime, zone: str) -> str:
    """Return the time of day without its zone, for a table whose caption names it."""
    return at.astimezone(ZoneInfo(zone)).strftime("%H:%M")


def clinic_time(at: datetime, zone: str) -> str:
    """Return the time of day with its zone, "10:40 CDT"."""
    return f"{clock_time(at, zone)}{NO_BREAK_SPACE}{zone_name(at, zone)}"


def clinic_instant(at: datetime, zone: str, language: str = "en") -> str:
    """Return day and time with the zone, "14 October 2026, 10:40 CDT", as seen in that zone."""
    return f"{clinic_date(local_day(at, zone), language)}, {clinic_time(at, zone)}"


_PATIENT_LOCALE = {"en": "en_US", "es": "es_US"}
"""A patient in the United States reads numbers with a point, and times by twelve hours, in either language."""


def patient_date(on: date, language: str) -> str:
    """Return the day as people say it, "October 14, 2026" or "14 de octubre de 2026"."""
    return format_date(on, format="long", locale=_PATIENT_LOCALE[language])


def patient_time(at: datetime, zone: str, language: str) -> str:
    """Return the time of day as people say it, "10:40 AM CDT" or "10:40 a. m. CDT", without a break inside."""
    local = at.astimezone(ZoneInfo(zone))
    text = format_time(local, format="short", locale=_PATIENT_LOCALE[language])
    return f"{text} {zone_name(at, zone)}".replace(" ", NO_BREAK_SPACE).replace("\u202f", NO_BREAK_SPACE)


def patient_quantity(value: Decimal | int, unit: str, language: str) -> str:
    """Return an amount as people of that language write it. A unit that has no printed form raises ValueError."""
    number_text = format_decimal(Decimal(value), format="#,##0.###", locale=_PATIENT_LOCALE[language])
    printed = quantity(value, unit).partition(NO_BREAK_SPACE)[2]
    return f"{number_text}{NO_BREAK_SPACE}{printed}"


def local_day(at: datetime, zone: str) -> date:
    """Return the calendar day of an instant in a zone."""
    return at.astimezone(ZoneInfo(zone)).date()


def person_name(name: Name) -> str:
    """Return the name in full, composed form, suffix last."""
    return unicodedata.normalize("NFC", name.full())


def phone(number_e164: str) -> str:
    """Return a telephone number for reading, "+1 218-555-0110", without a break inside."""
    return for_reading(number_e164).replace(" ", NO_BREAK_SPACE)
