"""Numbers that the limits apply to but no field holds: computed from a session, in the unit named."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from coordinator.domain.quantities import Quantity
from coordinator.planning import readings as r
from coordinator.planning.check_view import Place, View, own_regimens

Numbers = Mapping[str, Any]
_PLACES = Decimal("0.001")


def dose_mg(view: View, _: Numbers) -> Iterator[Place]:
    """The total dose given, mg."""
    if view.session is not None:
        dose = r.dose_mg(view.session)
        if dose is not None:
            yield ("administration", "dose", "value"), dose


def dose_mg_per_kg(view: View, numbers: Numbers) -> Iterator[Place]:
    """The dose given per kg of body weight, mg/kg; else the ordered one. A weight left out is the last recent one."""
    session = view.session
    if session is None or session.administration is None:
        return
    dose = r.dose_mg(session)
    weight = r.weight_kg(session) or view.last_weight(numbers["weight_days"])
    ordered = session.administration.ordered
    if dose is not None and weight is not None and weight > 0:
        yield ("administration", "dose", "value"), (dose / weight).quantize(_PLACES)
    elif ordered is not None and ordered.normalised().unit == "mg/kg":
        yield ("administration", "ordered", "value"), ordered.normalised().value


def regimen_mg_per_kg(view: View, numbers: Numbers) -> Iterator[Place]:
    """Each dose of a change of the clinic's own drug per kg, mg/kg: as it is told, or by the last recent weight."""
    weight = view.last_weight(numbers["weight_days"])
    for at, dose in _own_doses(view):
        if dose.unit == "mg/kg":
            yield at, dose.value
        elif dose.unit == "mg" and weight is not None:
            yield at, (dose.value / weight).quantize(_PLACES)


def regimen_mg(view: View, numbers: Numbers) -> Iterator[Place]:
    """Each dose of a change of the clinic's own drug, mg: as it is told, or by the last recent weight."""
    weight = view.last_weight(numbers["weight_days"])
    for at, dose in _own_doses(view):
        if dose.unit == "mg":
            yield at, dose.value
        elif dose.unit == "mg/kg" and weight is not None:
            yield at, (dose.value * weight).quantize(_PLACES)


def regimen_mg_unweighed(view: View, numbers: Numbers) -> Iterator[Place]:
    """Each dose of a change of the clinic's own drug told in mg, while no recent weight is known, mg."""
    if view.last_weight(numbers["weight_days"]) is None:
        yield from ((at, dose.value) for at, dose in _own_doses(view) if dose.unit == "mg")


def regimen_mg_per_kg_unweighed(view: View, numbers: Numbers) -> Iterator[Place]:
    """Each dose of a change of the clinic's own drug told per kg, while no recent weight is known, mg/kg."""
    if view.last_weight(numbers["weight_days"]) is None:
        yield from ((at, dose.value) for at, dose in _own_doses(view) if dose.unit == "mg/kg")


def _own_doses(view: View) -> Iterator[tuple[tuple[str, str, str], Quantity]]:
    for side, one in own_regimens(view.change):
        if isinstance(one.dose, Quantity):
            yield (side, "dose", "value"), one.dose.normalised()


def infusion_minutes(view: View, _: Numbers) -> Iterator[Place]:
    """The time from beginning to end of an infusion that was not broken off, min."""
    session = view.session
    given = session.administration if session is not None else None
    if session is None or given is None or given.ended_at is None or session.status != "completed":
        return
    yield ("administration", "ended_at"), _minutes(given.started_at, given.ended_at)


def age_years(view: View, _: Numbers) -> Iterator[Place]:
    """The patient's age on the day, years. Dates are never shifted by a zone."""
    if view.patient is not None:
        yield ("patient",), Decimal(r.age_on(view.patient.birth_date, view.day))


def _minutes(start: datetime, end: datetime) -> Decimal:
    return Decimal(int((end - start).total_seconds())) / 60


MEASURES: Mapping[str, Callable[[View, Numbers], Iterator[Place]]] = {
    "dose_mg": dose_mg,
    "dose_mg_per_kg": dose_mg_per_kg,
    "regimen_mg_per_kg": regimen_mg_per_kg,
    "regimen_mg": regimen_mg,
    "regimen_mg_unweighed": regimen_mg_unweighed,
    "regimen_mg_per_kg_unweighed": regimen_mg_per_kg_unweighed,
    "infusion_minutes": infusion_minutes,
    "age_years": age_years,
}
BY_WEIGHT = frozenset({
    "dose_mg_per_kg", "regimen_mg_per_kg", "regimen_mg", "regimen_mg_unweighed", "regimen_mg_per_kg_unweighed",
})  # fmt: skip
"""The measures whose row says, as `weight_days`, how old a weight may be that they go by."""
