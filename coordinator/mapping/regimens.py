"""Which regimens stand: what every party said of a medicine, folded over the patient's events and the registry.

A *run* is one party saying the same of one product without a break. It is one plan at the far side, named by the
statement of it that was told first: said again it is not made again, said otherwise it is over. So a record system
holds one standing plan for each party and product, however many sessions say the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Literal

from coordinator.domain.case import ClinicEvent, occurred_at
from coordinator.domain.events import DoseChange, MedicineTaken, Regimen, SessionOutcome
from coordinator.domain.quantities import Quantity
from coordinator.domain.registry import KnownMedication
from coordinator.domain.values import Unknown, folded

State = Literal["original", "replaced", "stopped", "held"]
Thing = Literal["known-regimen", "reported", "stated-regimen"]
PRESCRIBER = "prescriber"
TELLS = {"reported-by-prescriber": PRESCRIBER, "reported-by-patient": "patient"}
"""Whose word a reported change is."""
_ENDS: dict[str, State] = {"stop": "stopped", "hold": "held"}


@dataclass(frozen=True)
class Said:
    """One party's statement about a medicine, wherever it stands."""

    thing: Thing
    place: int | None
    """Its place in the list it stands in: the medicines of a session from 0, the statements of the registry by age."""
    event: ClinicEvent | None
    """The event that says it; None: the registry does."""
    id: str | None
    """The id of a statement of the registry that has one."""
    role: str
    product: str
    form: str | None
    dose: Quantity | Unknown
    frequency: str | None
    party: str | None
    on: date
    written: date | datetime | None

    @property
    def nameable(self) -> bool:
        """Whether the resource of this statement has the same name in every message."""
        return self.event is not None or self.id is not None

    def same_as(self, other: "Said") -> bool:
        """Return whether the two say the same; what one of them leaves open is no difference.

        Two of an unknown dose say the same; a known and an unknown one do not.
        """
        if folded(self.product) != folded(other.product):
            return False
        if isinstance(self.dose, Unknown) or isinstance(other.dose, Unknown):
            if not (isinstance(self.dose, Unknown) and isinstance(other.dose, Unknown)):
                return False
        elif self.dose.normalised() != other.dose.normalised():
            return False
        return _open_or_equal(self.form, other.form) and _open_or_equal(self.frequency, other.frequency)


@dataclass
class Run:
    """One party saying the same of one product, oldest first."""

    said: list[Said]
    state: State = "original"
    ended_by: ClinicEvent | None = None
    """The event that ended it; None while it stands, or when the registry did."""
    first: Said = field(init=False)
    """The statement that was told first, by which it is named."""

    def __post_init__(self) -> None:
        self.first = self.said[0]

    def end(self, state: State, by: ClinicEvent | None) -> None:
        """Mark the run as over, from this event on."""
        self.state, self.ended_by = state, by

    def says(self, event: ClinicEvent) -> bool:
        """Return whether the event is among those who say it."""
        return any(one.event is event for one in self.said)


Runs = dict[tuple[str, str | None], list[Run]]
"""The runs of each product (folded to lower case) and party, oldest first."""


def fold(registry: Sequence[KnownMedication], events: Sequence[ClinicEvent]) -> Runs:
    """Return who said what of which product in which order, and what of it still stands.

    `events` come in the order in which they arrived: of one run, what arrived first gives the
    name. A statement of the registry with an id of its own comes before all of them.
    """
    runs: Runs = {}
    order: list[tuple[tuple[date, int, float, str], Said | ClinicEvent]] = [
        *(((one.on, 0, float(one.place or 0), ""), one) for one in stated_in(registry)),
        *(((_day(one), 1, occurred_at(one).timestamp(), one.id), one) for one in events),
    ]
    for _, one in sorted(order, key=lambda entry: entry[0]):
        if isinstance(one, Said):
            _add(runs, one)
        else:
            _add_event(runs, one)
    arrived = {id(one): place for place, one in enumerate(events)}
    for listed in runs.values():
        for run in listed:
            run.first = min(run.said, key=lambda said: _told_at(said, arrived))
    return runs


def said_in(event: ClinicEvent) -> tuple[Said, ...]:
    """Return what an event says of medicines that are not the clinic's own."""
    if isinstance(event, SessionOutcome):
        taken = event.other_medications_taken
        listed = taken if isinstance(taken, tuple) else ()
        return tuple(_taken(event, place, one) for place, one in enumerate(listed))
    return tuple(one for one in (_before(event), _after(event)) if one is not None)


def stated_in(registry: Sequence[KnownMedication]) -> tuple[Said, ...]:
    """Return the registry's statements, oldest first."""
    ordered = sorted(registry, key=lambda one: one.as_of)
    return tuple(
        Said(
            "stated-regimen", place, None, one.id, one.role, one.product, one.form, one.dose, one.frequency,
            one.source, one.as_of, one.as_of,
        )
        for place, one in enumerate(ordered)
    )  # fmt: skip


def _taken(event: SessionOutcome, place: int, one: MedicineTaken) -> Said:
    return Said(
        "known-regimen", place, event, None, one.role, one.product, one.form, one.dose, one.frequency,
        one.source, _day(event), event.recorded_at,
    )  # fmt: skip


def _before(event: DoseChange) -> Said | None:
    """Return the regimen before a change of somebody else's medicine, as one more statement."""
    one = event.from_
    if event.subject == "clinic-drug" or not isinstance(one, Regimen):
        return None
    return Said(
        "known-regimen", None, event, None, event.subject, one.product, one.form, one.dose, one.frequency,
        one.source, one.as_of or _day(event), one.as_of,
    )  # fmt: skip


def _after(event: DoseChange) -> Said | None:
    """Return the regimen that somebody reported a change to. What is only asked for is nobody's statement."""
    one = event.to
    if event.subject == "clinic-drug" or event.kind not in TELLS or not isinstance(one, Regimen):
        return None
    return Said(
        "reported", None, event, None, event.subject, one.product, one.form, one.dose, one.frequency,
        TELLS[event.kind], _day(event), event.recorded_at,
    )  # fmt: skip


def _add_event(runs: Runs, event: ClinicEvent) -> None:
    for one in said_in(event):
        if one.thing == "known-regimen":
            _add(runs, one)
    if not isinstance(event, DoseChange) or event.kind not in TELLS or event.subject == "clinic-drug":
        return
    before, after = _before(event), _after(event)
    if before is not None and (after is not None or event.action in _ENDS):
        _end(runs, before, TELLS[event.kind], _ENDS.get(event.action, "replaced"))
    if after is not None:
        _resume(runs, after)
        _add(runs, after)


def _add(runs: Runs, one: Said) -> None:
    """Add a statement: to the standing run that says the same, else as a new one, which ends the one before.

    A change that is told is news, so it is always a new one.
    """
    listed = runs.setdefault((folded(one.product), one.party), [])
    if listed and listed[-1].state == "original" and one.thing != "reported" and listed[-1].said[-1].same_as(one):
        listed[-1].said.append(one)
        return
    if listed and listed[-1].state in ("original", "held"):
        listed[-1].end("replaced", one.event)
    listed.append(Run([one]))


def _end(runs: Runs, before: Said, teller: str, state: State) -> None:
    """End what a told change says is over: in the teller's own words and the event's; a prescriber ends everybody's."""
    for (product, party), listed in runs.items():
        newest = listed[-1]
        theirs = teller == PRESCRIBER or party in (teller, before.party)
        standing = newest.state == "original" and newest.said[-1].same_as(before)
        if product == folded(before.product) and theirs and standing:
            newest.end(state, before.event)


def _resume(runs: Runs, after: Said) -> None:
    """End the holds of a product that the prescriber says is taken now."""
    for (product, _), listed in runs.items():
        if product == folded(after.product) and after.party == PRESCRIBER and listed[-1].state == "held":
            listed[-1].end("replaced", after.event)


def _told_at(said: Said, arrived: Mapping[int, int]) -> tuple[int, int]:
    if said.thing == "reported":
        return (-1, 0)
    if said.event is None:
        return (0 if said.id is not None else 2, said.place or 0)
    return (1, arrived[id(said.event)])


def _day(event: ClinicEvent) -> date:
    return occurred_at(event).date()


def _open_or_equal(one: str | None, other: str | None) -> bool:
    return one is None or other is None or one.casefold() == other.casefold()
