"""Checks of a session's own record: status, times, vital signs, discharge. Each is named by a row of the table."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from coordinator.domain.events import Administration, Dissociation, Sedation, SessionOutcome, VitalSigns
from coordinator.domain.values import NotDone, Unknown
from coordinator.planning import readings as r
from coordinator.planning.check_view import Found, Predicate, View, instants

Numbers = Mapping[str, Any]
_NOT_TREATED = ("scheduled", "arrived", "not-given", "no-show", "cancelled")
_GIVEN_AT = ("administration", "started_at")


def completed_without_dose(view: View, _: Numbers) -> Iterator[Found]:
    """A session that ran to its end without a record of what was given."""
    if view.session is not None and view.session.status == "completed" and view.session.administration is None:
        yield Found(("administration",))


def dose_unknown(view: View, _: Numbers) -> Iterator[Found]:
    """A completed session whose dose nobody knows."""
    session = view.session
    if session is None or session.administration is None or session.status not in r.GIVEN:
        return
    if isinstance(session.administration.dose, Unknown):
        yield Found(("administration", "dose"))


def dose_without_treatment(view: View, _: Numbers) -> Iterator[Found]:
    """A session in which nothing was given, with a dose."""
    session = view.session
    if session is not None and session.status in _NOT_TREATED and session.administration is not None:
        yield Found(("administration",))


def times_out_of_order(view: View, _: Numbers) -> Iterator[Found]:
    """A later step of the session before an earlier one."""
    session = view.session
    if session is None:
        return
    given, left = session.administration, session.discharge
    steps: list[tuple[tuple[str | int, ...], datetime]] = []
    if given is not None:
        steps.append((_GIVEN_AT, given.started_at))
        if given.ended_at is not None:
            steps.append((("administration", "ended_at"), given.ended_at))
    if session.monitoring_ended_at is not None:
        steps.append((("monitoring_ended_at",), session.monitoring_ended_at))
    latest: datetime | None = None
    for at, moment in steps:
        if latest is not None and moment < latest:
            yield Found(at)
        latest = moment if latest is None else max(latest, moment)
    dosed = [one for at, one in steps if at[0] == "administration"]
    if left is not None and dosed and left.at < max(dosed):
        yield Found(("discharge", "at"))
    yield from _ends_before_start(session)


def next_session_passed(view: View, _: Numbers) -> Iterator[Found]:
    """A treatment whose next session lies before its own day. A visit called off may have been brought forward."""
    session = view.session
    if session is None or session.status not in r.GIVEN or session.next_session_on is None:
        return
    if session.next_session_on < view.day:
        yield Found(("next_session_on",))


def _ends_before_start(session: SessionOutcome) -> Iterator[Found]:
    """Anything with a beginning and an end of its own, ended before it began."""
    adverse = session.adverse_events if isinstance(session.adverse_events, tuple) else ()
    for number, one in enumerate(adverse):
        if _before(one.resolved_at, one.started_at):
            yield Found(("adverse_events", number, "resolved_at"))
    told = session.dissociation
    if isinstance(told, Dissociation) and _before(told.resolved_at, told.onset_at):
        yield Found(("dissociation", "resolved_at"))
    if isinstance(session.sedation, Sedation) and _before(session.sedation.resolved_at, session.sedation.at):
        yield Found(("sedation", "resolved_at"))


def _before(end: object, start: object) -> bool:
    return isinstance(end, datetime) and isinstance(start, datetime) and end < start


def long_gap(view: View, numbers: Numbers) -> Iterator[Found]:
    """Times of one session that lie further apart than a session lasts."""
    session = view.session
    if session is None or session.administration is None:
        return
    start, most = session.administration.started_at, timedelta(hours=int(numbers["hours"]))
    late: list[tuple[tuple[str | int, ...], datetime | None]] = [
        (("administration", "ended_at"), session.administration.ended_at),
        *((("vitals", number, "at"), one.at) for number, one in enumerate(session.vitals)),
        (("monitoring_ended_at",), session.monitoring_ended_at),
        (("discharge", "at"), session.discharge.at if session.discharge else None),
    ]
    for at, moment in late:
        if moment is not None and abs(moment - start) > most:
            yield Found(at)
            return


def in_the_future(view: View, numbers: Numbers) -> Iterator[Found]:
    """A time that has not come yet, beyond what clocks differ by."""
    limit = view.received_at + timedelta(minutes=int(numbers["minutes"]))
    for at, moment in instants(view.event):
        if moment > limit:
            yield Found(at)
            return


def half_a_pressure(view: View, _: Numbers) -> Iterator[Found]:
    """One half of a blood pressure without a word about the other."""
    for at, one in _vitals(view):
        if (one.systolic is None) != (one.diastolic is None):
            yield Found((*at, "systolic" if one.systolic is None else "diastolic"))


def pressure_upside_down(view: View, _: Numbers) -> Iterator[Found]:
    """A diastolic pressure that is not below the systolic."""
    for at, systolic, diastolic in _pairs(view):
        if diastolic >= systolic:
            yield Found((*at, "diastolic"))


def pulse_pressure(view: View, numbers: Numbers) -> Iterator[Found]:
    """Two halves of a blood pressure too close together to be one reading."""
    for at, systolic, diastolic in _pairs(view):
        if 0 < systolic - diastolic < int(numbers["least"]):
            yield Found((*at, "diastolic"))


def _vitals(view: View) -> Iterator[tuple[tuple[str | int, ...], VitalSigns]]:
    if view.session is not None:
        for number, one in enumerate(view.session.vitals):
            yield ("vitals", number), one


def _pairs(view: View) -> Iterator[tuple[tuple[str | int, ...], int, int]]:
    for at, one in _vitals(view):
        if isinstance(one.systolic, int) and isinstance(one.diastolic, int):
            yield at, one.systolic, one.diastolic


def no_pressure_before_dose(view: View, _: Numbers) -> Iterator[Found]:
    """A completed session in which no blood pressure before the dose is even mentioned."""
    session = view.session
    if session is not None and session.status == "completed" and not _before_dose(session):
        yield Found(("vitals",))


def pressure_before_dose_unknown(view: View, _: Numbers) -> Iterator[Found]:
    """A completed session that says the blood pressure before the dose is not known or was not taken."""
    session = view.session
    if session is None or session.status != "completed":
        return
    first = _before_dose(session)
    if first and not any(isinstance(one.systolic, int) and isinstance(one.diastolic, int) for one in first):
        yield Found(("vitals",))


def _before_dose(session: SessionOutcome) -> list[VitalSigns]:
    given = session.administration
    return [
        one
        for one in session.vitals
        if (one.systolic is not None or one.diastolic is not None)
        and (one.slot == "baseline" or (given is not None and one.at <= given.started_at))
    ]


def no_pressure_at_40_minutes(view: View, _: Numbers) -> Iterator[Found]:
    """An esketamine session without a blood pressure at the time of its peak."""
    session = view.session
    if session is not None and _is_esketamine(session) and r.reading_at_40_min(session) is None:
        yield Found(("vitals",))


def _is_esketamine(session: SessionOutcome) -> bool:
    given = session.administration
    return session.status == "completed" and given is not None and given.product == "esketamine"


def left_before_two_hours(view: View, numbers: Numbers) -> Iterator[Found]:
    """An esketamine session observed for less than the programme asks, without a reason. A fact, so never refused."""
    session = view.session
    if session is None or not _is_esketamine(session) or session.monitoring_shortened_reason is not None:
        return
    ended, given = session.monitoring_ended_at, session.administration
    if ended is None or given is None:
        yield Found(("monitoring_ended_at",), {"minutes": "an unknown number of"})
        return
    minutes = int((ended - given.started_at) / r.MINUTE)
    if 0 <= minutes < int(numbers["minutes"]):
        yield Found(("monitoring_ended_at",), {"minutes": str(minutes)})


def dissociated_at_discharge(view: View, _: Numbers) -> Iterator[Found]:
    """A dissociation that had not passed, or is not known to have passed, when the patient left."""
    session = view.session
    told = session.dissociation if session is not None else None
    if session is None or not isinstance(told, Dissociation) or not told.present or session.discharge is None:
        return
    passed = told.resolved_at
    if not isinstance(passed, datetime) or passed > session.discharge.at:
        yield Found(("dissociation", "resolved_at"))


def serious_adverse_event(view: View, _: Numbers) -> Iterator[Found]:
    """A serious adverse event: a clinician confirms it before it is told."""
    events = view.session.adverse_events if view.session is not None else ()
    for number, one in enumerate(events if isinstance(events, tuple) else ()):
        if one.serious:
            yield Found(("adverse_events", number, "serious"))


def left_without_escort(view: View, _: Numbers) -> Iterator[Found]:
    """A patient who left alone."""
    if view.session is not None and view.session.discharge is not None and not view.session.discharge.escort:
        yield Found(("discharge", "escort"))


def drove_home(view: View, _: Numbers) -> Iterator[Found]:
    """A patient who drove after the session."""
    if view.session is not None and view.session.discharge is not None and view.session.discharge.drove_self:
        yield Found(("discharge", "drove_self"))


def left_before_ready(view: View, _: Numbers) -> Iterator[Found]:
    """A patient who left without meeting the discharge criteria."""
    if view.session is not None and view.session.discharge is not None and not view.session.discharge.ready:
        yield Found(("discharge", "ready"))


def vitals_copied(view: View, numbers: Numbers) -> Iterator[Found]:
    """Vital signs that are the last session's, reading for reading: a note carried forward."""
    session = view.session
    if session is None or not view.earlier:
        return
    mine, last = _triples(session.vitals), _triples(view.earlier[-1].vitals)
    least = int(numbers["readings"])
    same = sum(1 for one, other in zip(mine, last, strict=False) if one == other)
    if len(mine) >= least and same >= least and same == min(len(mine), len(last)):
        yield Found(("vitals",))


def _triples(vitals: Sequence[VitalSigns]) -> list[tuple[int, int, int]]:
    ordered = sorted(vitals, key=lambda one: one.at)
    return [
        (one.systolic, one.diastolic, one.heart_rate)
        for one in ordered
        if isinstance(one.systolic, int) and isinstance(one.diastolic, int) and isinstance(one.heart_rate, int)
    ]


def fahrenheit(view: View, numbers: Numbers) -> Iterator[Found]:
    """A temperature in degrees Celsius that would be a usual one in Fahrenheit."""
    for at, one in _vitals(view):
        given = one.temperature
        if given is None or isinstance(given, NotDone | Unknown) or given.unit != "Cel":
            continue
        if int(numbers["low"]) <= given.value <= int(numbers["high"]):
            celsius = (given.value - 32) * 5 / 9
            yield Found((*at, "temperature", "value"), {"value": str(given.value), "celsius": f"{celsius:.1f}"})


def last_stimulant_time_unknown(view: View, _: Numbers) -> Iterator[Found]:
    """A stimulant on the list without the time it was last taken."""
    for number, one in enumerate((r.medicines(view.session) or ()) if view.session is not None else ()):
        if one.role == "stimulant" and (one.last_taken_at is None or isinstance(one.last_taken_at, Unknown)):
            yield Found(("other_medications_taken", number, "last_taken_at"), {"product": one.product})


def lot_missing(view: View, _: Numbers) -> Iterator[Found]:
    """Esketamine given without its lot number."""
    given: Administration | None = view.session.administration if view.session is not None else None
    if given is not None and given.product == "esketamine" and given.lot_number is None:
        yield Found(("administration", "lot_number"))


SESSION_PREDICATES: Mapping[str, Predicate] = {
    one.__name__: one
    for one in (
        completed_without_dose,
        dose_unknown,
        dose_without_treatment,
        times_out_of_order,
        next_session_passed,
        long_gap,
        in_the_future,
        half_a_pressure,
        pressure_upside_down,
        pulse_pressure,
        no_pressure_before_dose,
        pressure_before_dose_unknown,
        no_pressure_at_40_minutes,
        left_before_two_hours,
        dissociated_at_discharge,
        serious_adverse_event,
        left_without_escort,
        drove_home,
        left_before_ready,
        vitals_copied,
        fahrenheit,
        last_stimulant_time_unknown,
        lot_missing,
    )
}
