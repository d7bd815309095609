"""What a check may look at, and what it finds."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from pydantic import BaseModel

from coordinator.domain.case import ClinicEvent
from coordinator.domain.events import DoseChange, SessionOutcome
from coordinator.domain.registry import Patient, Registry
from coordinator.planning.faults import pointer
from coordinator.planning.readings import clinic_day, sessions_before


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
