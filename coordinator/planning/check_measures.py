"""Numbers that the limits apply to but no field holds: computed from a session, in the unit named."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal

from coordinator.domain.quantities import Quantity
from coordinator.planning import readings as r
from coordinator.planning.check_view import Place, View


def dose_mg(view: View) -> Iterator[Place]:
    """The total dose given, mg."""
    if view.session is not None:
        dose = r.dose_mg(view.session)
        if dose is not None:
            yield ("administration", "dose", "value"), dose


def dose_mg_per_kg(view: View) -> Iterator[Place]:
    """The dose given per kg of body weight, mg/kg; else the ordered one."""
    session = view.session
    if session is None or session.administration is None:
        return
    given = r.dose_mg_per_kg(session)
    ordered = session.administration.ordered
    if given is not None:
        yield ("administration", "dose", "value"), given.quantize(Decimal("0.001"))
    elif ordered is not None and ordered.normalised().unit == "mg/kg":
        yield ("administration", "ordered", "value"), ordered.normalised().value


def regimen_mg_per_kg(view: View) -> Iterator[Place]:
    """The dose per kg that a change of the clinic's own drug leads to, mg/kg."""
    change = view.change
    if change is None or change.subject != "clinic-drug":
        return
    dose = getattr(change.to, "dose", None)
    if isinstance(dose, Quantity) and dose.normalised().unit == "mg/kg":
        yield ("to", "dose", "value"), dose.normalised().value


def infusion_minutes(view: View) -> Iterator[Place]:
    """The time from beginning to end of an infusion that was not broken off, min."""
    session = view.session
    given = session.administration if session is not None else None
    if session is None or given is None or given.ended_at is None or session.status != "completed":
        return
    yield ("administration", "ended_at"), _minutes(given.started_at, given.ended_at)


def age_years(view: View) -> Iterator[Place]:
    """The patient's age on the day, years. Dates are never shifted by a zone."""
    if view.patient is not None:
        yield ("patient",), Decimal(r.age_on(view.patient.birth_date, view.day))


def _minutes(start: datetime, end: datetime) -> Decimal:
    return Decimal(int((end - start).total_seconds())) / 60


MEASURES: Mapping[str, Callable[[View], Iterator[Place]]] = {
    "dose_mg": dose_mg,
    "dose_mg_per_kg": dose_mg_per_kg,
    "regimen_mg_per_kg": regimen_mg_per_kg,
    "infusion_minutes": infusion_minutes,
    "age_years": age_years,
}
