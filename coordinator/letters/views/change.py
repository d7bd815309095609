"""The letters about a change of dose: L3 (notice) and L4 (request about a stimulant, and its copy for information)."""

from dataclasses import dataclass

from coordinator.domain.events import DoseChange, SessionOutcome
from coordinator.domain.plan import RecipientPlan
from coordinator.letters.brief import Brief
from coordinator.letters.curve import Curve, curve
from coordinator.letters.traced import Traced, fact
from coordinator.letters.views.frame import Asked, Reader, asked, reader
from coordinator.letters.views.measured import Vitals, vitals
from coordinator.letters.views.medicines import MedicineRow, Stimulant, Taken, change_row, is_switch, stimulant


@dataclass(frozen=True)
class Evidence:
    """The session that a request rests on, as far as the history has it."""

    on: Traced
    vitals: Vitals | None
    taken: tuple[Taken, ...]
    curve: Curve | None


@dataclass(frozen=True)
class AskedOf:
    """What was asked, and of whom: for the copy that asks nothing itself."""

    reader: Reader
    asks: tuple[Asked, ...]


@dataclass(frozen=True)
class ChangeView:
    """What L3 and L4 print about a change of dose. The asking words are there for a request only."""

    ours: bool
    kind: str
    product_switch: bool
    asked: Traced | None
    scope: Traced | None
    resume_when: Traced | None
    row: MedicineRow
    stimulant: Stimulant
    evidence: Evidence | None
    asked_of: tuple[AskedOf, ...]


def change_view(brief: Brief) -> ChangeView:
    """Return the view of a change of dose, or of a request for one."""
    one = brief.change
    requested = one.kind == "requested-of-prescriber"
    return ChangeView(
        ours=one.subject == "clinic-drug",
        kind=one.kind,
        product_switch=is_switch(one),
        asked=brief.words("asked", one.action, "event:/action") if requested else None,
        scope=brief.words("scope", one.scope, "event:/scope") if requested and one.scope else None,
        resume_when=fact(one.resume_when, None, "event:/resume_when") if requested and one.resume_when else None,
        row=change_row(brief, _prescriber(brief, one) if requested else None),
        stimulant=stimulant(brief, None, "event:"),
        evidence=evidence(brief, one),
        asked_of=_asked_of(brief) if requested and brief.recipient.audience != "psychiatrist" else (),
    )


def _prescriber(brief: Brief, one: DoseChange) -> Traced | None:
    """Return the name of the one who decides: whom the event asks."""
    if one.requested_of is None or brief.case.registry.provider(one.requested_of) is None:
        return None
    name = brief.case.provider(one.requested_of).name.full()
    return fact(name, one.requested_of, brief.at_provider(one.requested_of, "/name"), kind="name")


def evidence(brief: Brief, one: DoseChange) -> Evidence | None:
    """Return the session named by the change, from the history, or None when the history does not have it."""
    for place, event in enumerate(brief.case.history):
        if isinstance(event, SessionOutcome) and event.id == one.session and event.administration:
            at = f"history/{place}:"
            if not event.vitals:
                return None
            return Evidence(
                on=brief.day_of(event.administration.started_at, f"{at}/administration/started_at"),
                vitals=vitals(brief, event, at),
                taken=stimulant(brief, event, at).taken,
                curve=curve(brief, event, at),
            )
    return None


def _asked_of(brief: Brief) -> tuple[AskedOf, ...]:
    others = [one for one in brief.plan.recipients if _is_asked(one) and one.provider != brief.recipient.provider]
    return tuple(
        AskedOf(
            reader=reader(brief, one),
            asks=tuple(asked(brief, one, request, index) for index, request in enumerate(one.requests)),
        )
        for one in others
    )


def _is_asked(one: RecipientPlan) -> bool:
    told = one.consent.permits and one.not_sent_because is None
    return told and "L4" in one.letters and bool(one.requests)
