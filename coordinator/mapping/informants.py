"""Who told what is known of a stimulant: the practitioner to be named, and the registry's statements.

Nothing is guessed: a practitioner is named only where the event or the registry says which one it
is, and where US Core lets one be named at all. Else a regimen is just "reported".
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from coordinator.domain.case import Case, ClinicEvent
from coordinator.domain.events import DoseChange, MedicineTaken, Regimen, SessionOutcome
from coordinator.domain.quantities import Quantity
from coordinator.domain.registry import KnownMedication, Name, Provider
from coordinator.domain.values import Unknown
from coordinator.mapping.digits import npi_is_whole

State = Literal["original", "replaced"]
STIMULANT = "stimulant"
PRESCRIBER = "prescriber"
_TELLS = {"reported-by-prescriber": PRESCRIBER, "reported-by-patient": "patient"}
"""Whose word a reported change is."""


@dataclass(frozen=True)
class Informant:
    """A practitioner of the registry who said something, as far as others need to know them."""

    id: str
    name: Name
    npi: str | None


@dataclass(frozen=True)
class Stated:
    """One party's statement of the registry about a stimulant. `key` tells it apart within the course."""

    key: str
    named: bool
    """Whether the statement has an id of its own, so that it is the same resource in every message."""
    state: State
    product: str
    form: str | None
    dose: Quantity | Unknown
    frequency: str | None
    as_of: date
    source: str
    by_prescriber: bool
    """Whether `Told.prescriber` is who said it."""


@dataclass(frozen=True)
class Told:
    """Who speaks in one event, and what the registry states beside it."""

    informant: Informant | None = None
    """Who reported this change of dose."""
    prescriber: Informant | None = None
    """The stimulant's prescriber on the event's day, if anything here is their word."""
    from_prescriber: bool = False
    """Whether the regimen before the change is the prescriber's word."""
    statements: tuple[Stated, ...] = ()


def told_by(case: Case, event: ClinicEvent, on: date, *, retracted: bool) -> Told:
    """Return who told what in this event. With a retraction no statement of the registry goes: they still stand."""
    prescriber = _prescriber(case, on)
    statements = () if retracted else tuple(_statements(case, event, on, prescriber))
    from_prescriber = prescriber is not None and _before_is_theirs(case, event, on, prescriber)
    speaks = from_prescriber or any(one.by_prescriber for one in statements) or _told_on_the_day(event)
    return Told(
        informant=_reporter(case, event, prescriber),
        prescriber=prescriber if speaks else None,
        from_prescriber=from_prescriber,
        statements=statements,
    )


def _prescriber(case: Case, on: date) -> Informant | None:
    """Return the one member of that day's care team who prescribes the stimulant; None when nobody or several do."""
    named = {
        one.provider
        for one in case.patient.care_team
        if STIMULANT in one.prescribes and one.from_ <= on and (one.to is None or on <= one.to)
    }
    return _known(case.registry.provider(named.pop())) if len(named) == 1 else None


def _known(provider: Provider | None) -> Informant | None:
    if provider is None or provider.name.family is None:
        return None
    if provider.npi is not None and not npi_is_whole(provider.npi):
        return None
    return Informant(provider.id, provider.name, provider.npi)


def _reporter(case: Case, event: ClinicEvent, prescriber: Informant | None) -> Informant | None:
    if not isinstance(event, DoseChange) or event.kind != "reported-by-prescriber" or not isinstance(event.to, Regimen):
        return None
    if event.reported_by is not None:
        return _known(case.registry.provider(event.reported_by))
    return prescriber if event.subject == STIMULANT else None


def _before_is_theirs(case: Case, event: ClinicEvent, on: date, prescriber: Informant) -> bool:
    if not isinstance(event, DoseChange) or event.subject != STIMULANT or not isinstance(event.from_, Regimen):
        return False
    return event.from_.source == PRESCRIBER and _prescriber(case, event.from_.as_of or on) == prescriber


def _told_on_the_day(event: ClinicEvent) -> bool:
    return any(one.role == STIMULANT and one.source == PRESCRIBER for one in _taken(event))


def _taken(event: ClinicEvent) -> tuple[MedicineTaken, ...]:
    taken = event.other_medications_taken if isinstance(event, SessionOutcome) else ()
    return taken if isinstance(taken, tuple) else ()


def _statements(case: Case, event: ClinicEvent, on: date, prescriber: Informant | None) -> Iterator[Stated]:
    """Yield what the registry states of the stimulant and the event does not say itself, oldest first.

    A change of another drug says nothing of the stimulant.
    """
    if isinstance(event, DoseChange) and event.subject != STIMULANT:
        return
    listed = [one for one in case.patient.medications if one.role == STIMULANT and one.as_of <= on]
    ordered = sorted(listed, key=lambda one: one.as_of)
    for place, state in sorted(_chosen(event, ordered).items()):
        one = ordered[place]
        theirs = one.source == PRESCRIBER and prescriber is not None and _prescriber(case, one.as_of) == prescriber
        key = one.id if one.id is not None else f"{event.id}#{place}"
        yield Stated(
            key=key,
            named=one.id is not None,
            state=state,
            product=one.product,
            form=one.form,
            dose=one.dose,
            frequency=one.frequency,
            as_of=one.as_of,
            source=one.source,
            by_prescriber=theirs,
        )


def _chosen(event: ClinicEvent, ordered: Sequence[KnownMedication]) -> dict[int, State]:
    """Return which statements are told, by their place: each party's newest of a product, and the one before it.

    What the event itself says in the same words is not said twice, unless it is news: then
    the statement that is over has to be told as over beside the new one.
    """
    by_party: dict[tuple[str, str], list[int]] = {}
    for place, one in enumerate(ordered):
        by_party.setdefault((one.product.casefold(), one.source), []).append(place)
    chosen: dict[int, State] = {}
    for places in by_party.values():
        newest, before = places[-1], places[-2] if len(places) > 1 else None
        news = before is not None and not _same(ordered[before], ordered[newest])
        if news and before is not None:
            chosen[before] = "replaced"
        if _ends(event, ordered[newest]):
            chosen[newest] = "replaced"
        elif news or not any(_same(ordered[newest], said) for said in _said(event)):
            chosen[newest] = "original"
    return chosen


def _ends(event: ClinicEvent, one: KnownMedication) -> bool:
    """Return whether the event tells, in the words of that same party, that this statement is over."""
    if not isinstance(event, DoseChange) or not isinstance(event.from_, Regimen) or not isinstance(event.to, Regimen):
        return False
    return one.source == _TELLS.get(event.kind) and _same(one, event.from_) and not _same(one, event.to)


def _said(event: ClinicEvent) -> Iterable[MedicineTaken | Regimen]:
    if isinstance(event, DoseChange):
        return [one for one in (event.from_, event.to) if isinstance(one, Regimen)]
    return [one for one in _taken(event) if one.role == STIMULANT]


def _same(one: KnownMedication, other: KnownMedication | MedicineTaken | Regimen) -> bool:
    """Return whether two regimens say the same; what one of them leaves open is no difference."""
    if one.product.casefold() != other.product.casefold() or isinstance(one.dose, Unknown):
        return False
    if isinstance(other.dose, Unknown) or one.dose.normalised() != other.dose.normalised():
        return False
    open_form = one.form is None or other.form is None or one.form == other.form
    return open_form and _same_rhythm(one.frequency, other.frequency)


def _same_rhythm(one: str | None, other: str | None) -> bool:
    return one is None or other is None or one.casefold() == other.casefold()
