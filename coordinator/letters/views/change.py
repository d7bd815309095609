"""The letters about a change of dose: L3 (notice) and L4 (request about a stimulant, and its copy for information)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal

from coordinator.domain.events import DoseChange, Regimen, SessionOutcome
from coordinator.domain.plan import RecipientPlan
from coordinator.domain.quantities import Quantity
from coordinator.domain.values import Unknown, folded
from coordinator.letters import formats
from coordinator.letters.brief import Brief
from coordinator.letters.curve import Curve, curve
from coordinator.letters.traced import Traced, fact
from coordinator.letters.views.frame import Asked, Reader, asked, reader
from coordinator.letters.views.measured import Safety, ScoreLine, Vitals, safety, scores, vitals
from coordinator.letters.views.medicines import MedicineRow, Stimulant, Taken, change_row, is_switch, stimulant

MG_PLACES = Decimal("0.1")


@dataclass(frozen=True)
class Evidence:
    """The session that a request rests on, as far as the history has it."""

    on: Traced
    vitals: Vitals | None
    taken: tuple[Taken, ...]
    curve: Curve | None
    scores: tuple[ScoreLine, ...]
    safety: Safety | None


@dataclass(frozen=True)
class AskedOf:
    """What was asked, and of whom: for the copy that asks nothing itself."""

    reader: Reader
    asks: tuple[Asked, ...]


@dataclass(frozen=True)
class ByWeight:
    """What a dose ordered by body weight comes to in mg, for the weight recorded last."""

    weight: Traced
    on: Traced
    before: Traced
    now: Traced


@dataclass(frozen=True)
class ChangeView:
    """What L3 and L4 print about a change of dose. The asking words are there for a request only.

    A copy that quotes the request (`asked_of`) does not say it a second time.
    """

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
    by_weight: ByWeight | None


def change_view(brief: Brief) -> ChangeView:
    """Return the view of a change of dose, or of a request for one."""
    one = brief.change
    requested = one.kind == "requested-of-prescriber"
    asked_of = _asked_of(brief) if requested and not brief.recipient.requests else ()
    told = requested and not asked_of
    said = [one.text for one in brief.recipient.requests] + [str(ask.text) for one in asked_of for ask in one.asks]
    scope = one.scope and brief.words("scope", one.scope, "event:/scope")
    return ChangeView(
        ours=one.subject == "clinic-drug",
        kind=one.kind,
        product_switch=is_switch(one),
        asked=brief.words("asked", one.action, "event:/action") if told else None,
        scope=scope if told and scope and not _stands_in(scope.text, said) else None,
        resume_when=fact(one.resume_when, None, "event:/resume_when")
        if one.resume_when and not _stands_in(one.resume_when, said)
        else None,
        row=change_row(brief, _prescriber(brief, one) if requested else None),
        stimulant=stimulant(brief, None, "event:"),
        evidence=evidence(brief, one),
        asked_of=asked_of,
        by_weight=by_weight(brief, one),
    )


def _stands_in(words: str, said: Sequence[str]) -> bool:
    """Return whether a request says it already, in Box A or as the copy quotes it: no letter says it twice."""
    return any(words in one for one in said)


def _prescriber(brief: Brief, one: DoseChange) -> Traced | None:
    """Return the name of the one who decides: whom the event asks."""
    if one.requested_of is None or brief.case.registry.provider(one.requested_of) is None:
        return None
    name = brief.case.provider(one.requested_of).name.full()
    return fact(name, one.requested_of, brief.at_provider(one.requested_of, "/name"), kind="name")


def evidence(brief: Brief, one: DoseChange) -> Evidence | None:
    """Return the session named by the change, from the history, or None when the history does not have it.

    Scores and safety go to the psychiatrist with a change that was made; a request stays with its readings.
    """
    whole = brief.recipient.audience == "psychiatrist" and one.kind != "requested-of-prescriber"
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
                scores=scores(brief, event, at) if whole else (),
                safety=safety(brief, event, at) if whole else None,
            )
    return None


def by_weight(brief: Brief, one: DoseChange) -> ByWeight | None:
    """Return both doses in mg, half-even to a tenth, or None where one is not in mg/kg or no weight is known."""
    if one.subject != "clinic-drug" or is_switch(one):
        return None
    body = _last_weight(brief)
    before, now = (_for_weight(side, body) for side in (one.from_, one.to))
    if body is None or before is None or now is None:
        return None
    value, on, at = body
    return ByWeight(
        weight=fact(formats.quantity(value, "kg"), value, f"{at}/weight"),
        on=brief.day_of(on, f"{at}/administration/started_at"),
        before=fact(formats.quantity(before, "mg"), before, "event:/from/dose", f"{at}/weight"),
        now=fact(formats.quantity(now, "mg"), now, "event:/to/dose", f"{at}/weight"),
    )


def _last_weight(brief: Brief) -> tuple[Decimal, datetime, str] | None:
    """Return the weight in kg at the newest session that gave a dose, when that was, and its source."""
    for place, event in reversed(list(enumerate(brief.case.history))):
        if isinstance(event, SessionOutcome) and event.administration and isinstance(event.weight, Quantity):
            body = event.weight.normalised()
            return (body.value, event.administration.started_at, f"history/{place}:") if body.unit == "kg" else None
    return None


def _for_weight(side: Regimen | Unknown | None, body: tuple[Decimal, datetime, str] | None) -> Decimal | None:
    if body is None or not isinstance(side, Regimen) or not isinstance(side.dose, Quantity):
        return None
    dose = side.dose.normalised()
    if folded(side.product) != "ketamine" or dose.unit != "mg/kg":
        return None
    return (dose.value * body[0]).quantize(MG_PLACES, ROUND_HALF_EVEN)


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
