"""Checks of an event against the registry and the patient's earlier sessions. Each is named by a row of the table."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from coordinator.domain.events import SessionOutcome
from coordinator.domain.part2 import registered_part2
from coordinator.domain.values import folded
from coordinator.planning import readings as r
from coordinator.planning.check_view import Found, Predicate, View

Numbers = Mapping[str, Any]


def patient_unknown(view: View, _: Numbers) -> Iterator[Found]:
    """An event about somebody the registry does not have."""
    if view.patient is None:
        yield Found(("patient",))


def patient_changed(view: View, _: Numbers) -> Iterator[Found]:
    """An amendment that moves a record to another patient: whoever holds the old letter could not be told of it."""
    if view.previous is not None and view.previous.patient != view.event.patient:
        yield Found(("patient",))


def part2_denied(view: View, _: Numbers) -> Iterator[Found]:
    """A record that denies being Part 2 material while the registry says it of its course or clinic."""
    patient = view.patient
    if view.event.part2 is False and patient and registered_part2(view.registry, patient, view.event.course.id):
        yield Found(("part2",))


def staff_unknown(view: View, _: Numbers) -> Iterator[Found]:
    """A member of staff the registry does not have."""
    event, session, change = view.event, view.session, view.change
    named: list[tuple[tuple[str | int, ...], str | None]] = [(("recorded_by",), event.recorded_by)]
    if session is not None:
        named.append((("attested_by",), session.attested_by))
        if session.discharge is not None:
            named.append((("discharge", "discharged_by"), session.discharge.discharged_by))
    if change is not None and change.kind in ("performed", "ordered"):
        named.append((("decided_by",), change.decided_by))
    for at, staff_id in named:
        if staff_id is not None and view.registry.member(staff_id) is None:
            yield Found(at)


def provider_unknown(view: View, _: Numbers) -> Iterator[Found]:
    """An outside clinician the registry does not have."""
    if view.change is None:
        return
    asked, teller = view.change.requested_of, view.change.reported_by
    if asked is not None and view.registry.provider(asked) is None:
        yield Found(("requested_of",))
    if view.change.kind == "reported-by-prescriber" and teller is not None and view.registry.provider(teller) is None:
        yield Found(("reported_by",))


def no_indication(view: View, _: Numbers) -> Iterator[Found]:
    """A course of which the registry does not say what it is for: the letters' statements depend on it."""
    patient = view.patient
    if patient is not None and (patient.course is None or not patient.course.indications):
        yield Found(("course", "id"))


def course_unknown(view: View, _: Numbers) -> Iterator[Found]:
    """A course that the patient does not have."""
    patient = view.patient
    if patient is None or patient.course is None:
        return
    if view.event.course.id not in {patient.course.id, *(one.id for one in patient.earlier_courses)}:
        yield Found(("course", "id"))


def minor_on_esketamine(view: View, numbers: Numbers) -> Iterator[Found]:
    """Esketamine for somebody under age, without the attending's override."""
    if view.patient is None or view.patient.attending_override is not None:
        return
    given = view.session.administration if view.session is not None else None
    if given is not None and given.product == "esketamine" and _age(view) < numbers["adult_at"]:
        yield Found(("administration", "product"))
    for side in ("from", "to") if view.change is not None and view.change.subject == "clinic-drug" else ():
        regimen = getattr(view.change, "from_" if side == "from" else side)
        if folded(getattr(regimen, "product", "")) == "esketamine" and _age(view) < numbers["adult_at"]:
            yield Found((side, "product"))


def minor_without_guardian(view: View, numbers: Numbers) -> Iterator[Found]:
    """A minor whose guardian's consent is not on record."""
    if view.patient is None or view.patient.guardian_consent is not None:
        return
    if numbers["least"] <= _age(view) < numbers["adult_at"]:
        yield Found(("patient",), {"age": str(_age(view))})


def _age(view: View) -> int:
    return r.age_on(view.patient.birth_date, view.day) if view.patient is not None else 0


def session_number_twice(view: View, _: Numbers) -> Iterator[Found]:
    """Two sessions of one course in which something was given, under one number."""
    session = view.session
    if session is None or session.course.session_number is None or session.status not in r.GIVEN:
        return
    for one in _course_sessions(view):
        if one.status in r.GIVEN and one.course.session_number == session.course.session_number:
            yield Found(("course", "session_number"))
            return


def session_number_gap(view: View, _: Numbers) -> Iterator[Found]:
    """A number that does not follow the last one of the course. Without an earlier session nothing can be said."""
    session = view.session
    if session is None or session.course.session_number is None or session.status not in r.GIVEN:
        return
    earlier = [one for one in view.earlier if one.course.id == session.course.id and one.status in r.GIVEN]
    numbers = [one.course.session_number for one in earlier if one.course.session_number is not None]
    if numbers and session.course.session_number > max(numbers) + 1:
        words = {"number": str(session.course.session_number), "last": str(max(numbers))}
        yield Found(("course", "session_number"), words)
    if session.course.session_number < 1:
        yield Found(("course", "session_number"), {"number": str(session.course.session_number), "last": "0"})


def _course_sessions(view: View) -> list[SessionOutcome]:
    return [
        one
        for one in view.history
        if isinstance(one, SessionOutcome)
        and one.id != view.event.id
        and one.course.id == view.event.course.id
        and one.patient == view.event.patient
        and one.status != "entered-in-error"
    ]


def many_sessions(view: View, numbers: Numbers) -> Iterator[Found]:
    """More sessions within a week than any schedule has."""
    session = view.session
    if session is None or session.status not in r.GIVEN:
        return
    zone, since = view.registry.clinic.time_zone, view.day - timedelta(days=int(numbers["days"]) - 1)
    week = [one for one in view.earlier if one.status in r.GIVEN and since <= r.clinic_day(one, zone)]
    if len(week) + 1 > numbers["most"]:
        yield Found(("course", "session_number"), {"number": str(len(week) + 1)})


COURSE_PREDICATES: Mapping[str, Predicate] = {
    one.__name__: one
    for one in (
        patient_unknown,
        patient_changed,
        staff_unknown,
        part2_denied,
        provider_unknown,
        no_indication,
        course_unknown,
        minor_on_esketamine,
        minor_without_guardian,
        session_number_twice,
        session_number_gap,
        many_sessions,
    )
}
