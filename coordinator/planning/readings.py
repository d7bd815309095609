"""What a session's own record says, computed: pressures, rates, doses, times. Everything may be unknown."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

from coordinator.domain.case import ClinicEvent
from coordinator.domain.events import DoseChange, MedicineTaken, SessionOutcome, VitalSigns
from coordinator.domain.quantities import Quantity

GIVEN = ("completed", "aborted")
"""The statuses in which something was, or may have been, given."""
AT_40_MIN = (timedelta(minutes=30), timedelta(minutes=50))
"""The pressure peaks about 40 minutes after the dose; a reading within ten minutes of that counts."""
MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Pressure:
    """One complete blood pressure, mmHg."""

    systolic: int
    diastolic: int
    at: datetime
    slot: str


def pressures(session: SessionOutcome) -> tuple[Pressure, ...]:
    """Return the readings that have both halves, oldest first."""
    found = [
        Pressure(one.systolic, one.diastolic, one.at, one.slot)
        for one in session.vitals
        if isinstance(one.systolic, int) and isinstance(one.diastolic, int)
    ]
    return tuple(sorted(found, key=lambda one: one.at))


def peak(session: SessionOutcome) -> Pressure | None:
    """Return the reading with the highest systolic pressure (the highest diastolic among equals)."""
    return max(pressures(session), key=lambda one: (one.systolic, one.diastolic), default=None)


def at_slot(session: SessionOutcome, slot: str) -> Pressure | None:
    """Return the complete pressure of a planned time, or None; the last one when there are several."""
    return next((one for one in reversed(pressures(session)) if one.slot == slot), None)


def reading_at_40_min(session: SessionOutcome) -> Pressure | None:
    """Return a complete pressure taken about 40 minutes after the dose began, by its slot or by its time."""
    given = session.administration
    for one in pressures(session):
        if one.slot == "40-min":
            return one
        if given is not None and AT_40_MIN[0] <= one.at - given.started_at <= AT_40_MIN[1]:
            return one
    return None


def numbers(session: SessionOutcome, of: Callable[[VitalSigns], object]) -> tuple[int, ...]:
    """Return the known values of one vital sign, oldest first."""
    ordered = sorted(session.vitals, key=lambda one: one.at)
    return tuple(value for one in ordered if isinstance(value := of(one), int))


def sustained(values: Sequence[int]) -> int | None:
    """Return the highest level that two readings in a row both reached, or None with fewer than two."""
    return max((min(pair) for pair in pairwise(values)), default=None)


def clinic_day(event: ClinicEvent, zone: str) -> date:
    """Return the day of the event on the clinic's calendar: of the treatment, else of the record."""
    moment = event.recorded_at
    if isinstance(event, SessionOutcome):
        if event.administration is not None:
            moment = event.administration.started_at
        elif event.vitals:
            moment = min(one.at for one in event.vitals)
    return moment.astimezone(ZoneInfo(zone)).date()


def medicines(session: SessionOutcome) -> tuple[MedicineTaken, ...] | None:
    """Return the medicines known on the day, or None when nobody asked or nobody knows."""
    taken = session.other_medications_taken
    return taken if isinstance(taken, tuple) else None


def weight_kg(session: SessionOutcome) -> Decimal | None:
    """Return the weight in kg, or None."""
    if not isinstance(session.weight, Quantity):
        return None
    weight = session.weight.normalised()
    return weight.value if weight.unit == "kg" else None


def dose_mg(session: SessionOutcome) -> Decimal | None:
    """Return the total dose given in mg, or None."""
    given = session.administration
    if given is None or not isinstance(given.dose, Quantity):
        return None
    dose = given.dose.normalised()
    return dose.value if dose.unit == "mg" else None


def dose_mg_per_kg(session: SessionOutcome) -> Decimal | None:
    """Return the dose given per kg of body weight, or None unless both are known."""
    dose, weight = dose_mg(session), weight_kg(session)
    if dose is None or weight is None or weight <= 0:
        return None
    return dose / weight


def planned_dose(session: SessionOutcome) -> Quantity | None:
    """Return what the course's dose is expressed in: the ordered dose, else the dose given."""
    given = session.administration
    if given is None:
        return None
    if given.ordered is not None:
        return given.ordered.normalised()
    return given.dose.normalised() if isinstance(given.dose, Quantity) else None


def sessions_before(event: ClinicEvent, history: Sequence[ClinicEvent]) -> tuple[SessionOutcome, ...]:
    """Return the earlier sessions of the same patient, oldest first, without retracted ones."""
    found = [
        one
        for one in history
        if isinstance(one, SessionOutcome)
        and one.id != event.id
        and one.patient == event.patient
        and one.status != "entered-in-error"
    ]
    moment = _moment(event)
    return tuple(sorted((one for one in found if _moment(one) <= moment), key=_moment))


def _moment(event: ClinicEvent) -> datetime:
    if isinstance(event, SessionOutcome) and event.administration is not None:
        return event.administration.started_at
    return event.recorded_at


def dose_changes(history: Sequence[ClinicEvent]) -> tuple[DoseChange, ...]:
    """Return the dose changes among earlier events, without retracted ones."""
    return tuple(one for one in history if isinstance(one, DoseChange) and one.status == "active")


def age_on(birth: date, day: date) -> int:
    """Return the age in whole years on a day. Both are dates and are never shifted by a zone."""
    return day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))
