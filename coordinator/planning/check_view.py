"""What a check may look at, and what it finds."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel

from coordinator.domain.case import ClinicEvent
from coordinator.domain.events import DoseChange, Regimen, SessionOutcome
from coordinator.domain.registry import Patient, Registry
from coordinator.domain.values import folded
from coordinator.planning.faults import pointer
from coordinator.planning.readings import clinic_day, sessions_before, weight_kg


@dataclass(frozen=True)
class View:
    """One event with everything a check may compare it with. `patient` is None when the registry has none."""

    event: ClinicEvent
    registry: Registry
    history: tuple[ClinicEvent, ...]
    received_at: datetime
    previous: ClinicEvent | None = None
    """The version of this event that was taken in before, if any."""

    @property
    def session(self) -> SessionOutcome | None:
        """The event, when it is a session."""
        return self.event if isinstance(self.event, SessionOutcome) else None

    @property
    def change(self) -> DoseChange | None:
        """The event, when it is a change of dose."""
        return self.event if isinstance(self.event, DoseChange) else None

    @property
    def patient(self) -> Patient | None:
        """The patient, when the registry has one."""
        return self.registry.patient(self.event.patient)

    @property
    def day(self) -> date:
        """The event's day on the clinic's calendar."""
        return clinic_day(self.event, self.registry.clinic.time_zone)

    @property
    def earlier(self) -> tuple[SessionOutcome, ...]:
        """The patient's earlier sessions, oldest first."""
        return sessions_before(self.event, self.history)

    def last_weight(self, days: int | None = None) -> Decimal | None:
        """Return the last weight of the earlier sessions, kg; None where it is older than so many days."""
        for one in reversed(self.earlier):
            weight = weight_kg(one)
            if weight is not None and weight > 0:
                near = days is None or self.day - clinic_day(one, self.registry.clinic.time_zone) <= timedelta(days)
                return weight if near else None
        return None


@dataclass(frozen=True)
class Found:
    """One place that a check minds. `words` fill the question's sentence; a fault never uses them."""

    at: tuple[str | int, ...]
    words: Mapping[str, str] = field(default_factory=dict)

    @property
    def pointer(self) -> str:
        """The place as a JSON pointer."""
        return pointer(self.at)


Numbers = Mapping[str, Decimal]
Predicate = Callable[[View, Mapping[str, Any]], Iterable[Found]]
"""Looks at an event and yields what the row is about. The row's numbers come along."""

Place = tuple[tuple[str | int, ...], Any]


def places(value: object, path: str) -> Iterator[Place]:
    """Yield every (place, value) that a path such as "vitals/*/systolic" leads to, leaving out what is absent."""
    yield from _walk(value, path.split("/"), ())


def _walk(value: object, steps: list[str], at: tuple[str | int, ...]) -> Iterator[Place]:
    if value is None:
        return
    if not steps:
        yield at, value
    elif steps[0] == "*":
        if isinstance(value, tuple):
            for number, one in enumerate(value):
                yield from _walk(one, steps[1:], (*at, number))
    elif isinstance(value, BaseModel):
        name = steps[0]
        attribute = "from_" if name == "from" else name
        if attribute in type(value).model_fields:
            yield from _walk(getattr(value, attribute), steps[1:], (*at, name))


UNSAID = "unsaid"
"""The route of a regimen that nobody said, in a row's `only`."""


def own_regimens(change: DoseChange | None) -> Iterator[tuple[Literal["from", "to"], Regimen]]:
    """Yield the two sides of a change of the clinic's own drug, where they are known."""
    if change is not None and change.subject == "clinic-drug":
        if isinstance(change.from_, Regimen):
            yield "from", change.from_
        if isinstance(change.to, Regimen):
            yield "to", change.to


def drug_at(view: View, at: tuple[str | int, ...]) -> tuple[str | None, str | None]:
    """Return the product (folded) and the route that a place of the event is about.

    A side of a change that leaves its route out has that of the other side, else that of the
    last session with the product, else it is unsaid.
    """
    if view.session is not None:
        given = view.session.administration
        return (None, None) if given is None else (given.product, given.route)
    sides = dict(own_regimens(view.change))
    mine = next((one for side, one in sides.items() if at[:1] == (side,)), None)
    if mine is None:
        return None, None
    product = folded(mine.product)
    stated = (one.route for one in (mine, *sides.values()) if folded(one.product) == product)
    before = (one.administration for one in reversed(view.earlier))
    given_by = (one.route for one in before if one is not None and one.product == product)
    return product, next((one for one in (*stated, *given_by) if one is not None), UNSAID)


def instants(value: object, at: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], datetime]]:
    """Yield every instant of an event with its place."""
    if isinstance(value, datetime):
        yield at, value
    elif isinstance(value, tuple):
        for number, one in enumerate(value):
            yield from instants(one, (*at, number))
    elif isinstance(value, BaseModel):
        for name, info in type(value).model_fields.items():
            yield from instants(getattr(value, name), (*at, info.alias or name))
