"""Who told what is known of a medicine: the practitioner to be named, and the statements that stand or are over.

Nothing is guessed: a practitioner is named only where the event or the registry says which one it
is, and where US Core lets one be named at all. Else a regimen is just "reported".
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from coordinator.domain.case import Case, ClinicEvent
from coordinator.domain.events import DoseChange, Regimen
from coordinator.domain.quantities import Quantity
from coordinator.domain.registry import Name, Provider
from coordinator.domain.values import Unknown, folded
from coordinator.mapping.digits import npi_is_whole
from coordinator.mapping.regimens import PRESCRIBER, Run, Runs, Said, State, fold, said_in

STIMULANT = "stimulant"


@dataclass(frozen=True)
class Informant:
    """A practitioner of the registry who said something, as far as others need to know them."""

    id: str
    name: Name
    npi: str | None


@dataclass(frozen=True)
class Stated:
    """One party's statement about a medicine, as the resource that tells of it. `key` tells it apart in a bundle."""

    key: str
    thing: str
    """What the resource is called in its name: "known-regimen", "reported" or, of the registry, "stated-regimen"."""
    event: str | None
    """The id of the event that told it first; None: the registry states it."""
    place: int | None
    named: bool
    """Whether it is the same resource in every message. A statement of the registry without an id is not."""
    said: bool
    """Whether this event says so too."""
    own: bool
    """Whether this event told it first."""
    state: State
    role: str
    product: str
    form: str | None
    dose: Quantity | Unknown
    frequency: str | None
    as_of: date | datetime | None
    source: str | None
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
    report_over: bool = False
    """Whether what this event reports was overtaken by a later word of the same party."""
    statements: tuple[Stated, ...] = ()


def told_by(case: Case, event: ClinicEvent, on: date, *, retracted: bool) -> Told:
    """Return who told what in this event.

    With a retraction goes what it takes back, and what stands of those medicines without it.
    No statement of the registry goes: they still stand.
    """
    prescriber = _prescriber(case, on)
    statements, report_over = _statements(case, event, on, prescriber, retracted=retracted)
    from_prescriber = prescriber is not None and _before_is_theirs(case, event, on, prescriber)
    speaks = from_prescriber or any(one.by_prescriber for one in statements)
    return Told(
        informant=_reporter(case, event, prescriber),
        prescriber=prescriber if speaks else None,
        from_prescriber=from_prescriber,
        report_over=report_over,
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


@dataclass(frozen=True)
class _Teller:
    """What is needed to turn a run into the resource that tells of it."""

    case: Case
    event: ClinicEvent
    prescriber: Informant | None

    def tell(self, run: Run, *, said: bool) -> Stated:
        """Return a run by the statement that was told first."""
        first = run.first
        if first.event is not None:
            key = f"{first.event.id}#{first.place}"
        else:
            key = first.id if first.id is not None else f"{self.event.id}#{first.place}"
        return Stated(
            key=key,
            thing=first.thing,
            event=first.event.id if first.event is not None else None,
            place=first.place,
            named=first.nameable,
            said=said,
            own=first.event is self.event,
            state=run.state,
            role=first.role,
            product=first.product,
            form=first.form,
            dose=first.dose,
            frequency=first.frequency,
            as_of=first.written,
            source=first.party,
            by_prescriber=self.is_theirs(first),
        )

    def is_theirs(self, said: Said) -> bool:
        """Return whether a statement is the word of the stimulant's prescriber of the event's day."""
        theirs = said.role == STIMULANT and said.party == PRESCRIBER and self.prescriber is not None
        then = _prescriber(self.case, said.on)
        if theirs and said.thing == "reported" and said.event is not None:
            then = _reporter(self.case, said.event, then)
        return theirs and then == self.prescriber


def _statements(
    case: Case, event: ClinicEvent, on: date, prescriber: Informant | None, *, retracted: bool
) -> tuple[tuple[Stated, ...], bool]:
    """Return what goes beside this event, and whether what it reports is over already.

    A change of another drug says nothing of the stimulant that the registry states.
    """
    listed = [one for one in case.patient.medications if one.role == STIMULANT and one.as_of <= on]
    came_before = len(case.others) if case.others_before is None else case.others_before
    runs = fold(listed, (*case.others[:came_before], event, *case.others[came_before:]))
    teller = _Teller(case, event, prescriber)
    about = {folded(one.product) for one in said_in(event)}
    if retracted:
        back = [teller.tell(run, said=True) for run in _own(runs, event) if run.first.thing != "reported"]
        left = fold(listed, case.others)
        stand = [one for one in _told(left, teller, about, registry=False, revived=True) if one.event is not None]
        return (*back, *stand), False
    registry = not isinstance(event, DoseChange) or event.subject == STIMULANT
    told = [one for one in _told(runs, teller, about, registry=registry) if not _is_report(one)]
    before = fold(listed, case.others[:came_before])
    now = fold(listed, (*case.others[:came_before], event))
    told += [replace(teller.tell(run, said=False), state="replaced") for run in _names_lost(before, now, about, told)]
    return tuple(told), any(run.first.thing == "reported" and run.state == "replaced" for run in _own(runs, event))


def _names_lost(before: Runs, now: Runs, about: set[str], told: Sequence[Stated]) -> Iterator[Run]:
    """Yield what stood under a name of its own until this event came, and stands under another from now on.

    So it is where a change is reported late, after a session had said the new dose: the report
    stands now, and without this the session's plan would stand beside it in the same words.
    """
    names = {(one.thing, one.event, one.place) for one in told} | {_name(run) for run in _standing(now)}
    yield from (
        run
        for run in _standing(before)
        if run.first.event is not None and folded(run.first.product) in about and _name(run) not in names
    )


def _standing(runs: Runs) -> Iterator[Run]:
    """Yield every run that is one plan at the far side as things stand."""
    for (product, party), listed in runs.items():
        if listed[-1].state == "original" and not _says_what_stands(runs, listed[-1], product, party):
            yield listed[-1]


def _name(run: Run) -> tuple[str, str | None, int | None]:
    return run.first.thing, run.first.event.id if run.first.event else None, run.first.place


def _is_report(one: Stated) -> bool:
    """Return whether this is the change that the event itself reports: it has a mapping of its own."""
    return one.own and one.thing == "reported"


def _own(runs: Runs, event: ClinicEvent) -> Iterator[Run]:
    return (run for listed in runs.values() for run in listed if run.first.event is event)


def _told(runs: Runs, teller: _Teller, about: set[str], *, registry: bool, revived: bool = False) -> Iterator[Stated]:
    """Yield, for each party: what stands, what it took the place of, and what this event said in between.

    Told are the medicines that the event speaks of and, beside them, the stimulant as the registry states it.
    What was over before is told as over by the message that ended it, and not by every later one.
    """
    for (product, party), listed in runs.items():
        stated = registry and any(one.event is None for run in listed for one in run.said)
        if product not in about and not stated:
            continue
        *earlier, newest = listed
        for run in earlier:
            if run.first.event is teller.event or (run is listed[-2] and _is_news(run, teller.event)):
                yield teller.tell(run, said=run.says(teller.event))
        if newest.says(teller.event):
            if not _says_what_stands(runs, newest, product, party):
                yield teller.tell(newest, said=True)
        elif party == PRESCRIBER and _is_said_by_others(runs, product, teller.event):
            yield teller.tell(newest, said=True)
        elif newest.state != "original":
            if _is_news(newest, teller.event):
                yield teller.tell(newest, said=False)
        elif revived or (earlier and stated) or not _is_said_in_these_words(runs, newest, teller.event):
            yield teller.tell(newest, said=False)


def _is_news(run: Run, event: ClinicEvent) -> bool:
    """Return whether this event ended a run; that the registry did so has no message of its own, so each tells it."""
    return run.ended_by is event or run.ended_by is None


def _is_said_in_these_words(runs: Runs, run: Run, event: ClinicEvent) -> bool:
    """Return whether the event itself says the same, as what stands: then it is not said twice."""
    return any(
        one.state == "original" and one.says(event) and one.said[-1].same_as(run.said[-1])
        for listed in runs.values()
        for one in listed
    )


def _is_said_by_others(runs: Runs, product: str, event: ClinicEvent) -> bool:
    """Return whether somebody else says in this event what the prescriber had said before of the product."""
    return any(
        listed[-1].says(event) and _says_what_stands(runs, listed[-1], product, party)
        for (other, party), listed in runs.items()
        if other == product
    )


def _says_what_stands(runs: Runs, run: Run, product: str, party: str | None) -> bool:
    """Return whether a party only says what the prescriber had said before, which stands, and is told."""
    theirs: Sequence[Run] = runs.get((product, PRESCRIBER), ()) if party != PRESCRIBER else ()
    stands = theirs[-1] if theirs else None
    if stands is None or stands.state != "original" or not stands.first.nameable:
        return False
    return stands.first.on <= run.first.on and stands.said[-1].same_as(run.said[-1])
