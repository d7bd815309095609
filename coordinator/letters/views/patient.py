"""The patient's own copy (L14): what was done, who is told, and what comes next. Coded facts only, in plain words.

Free text of the clinic (a plan, an adverse event's name) is not printed: nobody has put it
into the patient's words, and nothing here translates it.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from coordinator.domain.consent import ConsentDecision
from coordinator.domain.events import DoseChange, Regimen, SessionOutcome
from coordinator.domain.plan import RecipientPlan
from coordinator.domain.quantities import Quantity
from coordinator.letters import formats
from coordinator.letters.brief import Brief
from coordinator.letters.refusal import LetterRefused
from coordinator.letters.traced import Traced, fact
from coordinator.letters.views.frame import (
    Frame,
    Reader,
    Signature,
    letterhead,
    patient_lines,
    reader,
    signature,
    statements,
)
from coordinator.letters.views.measured import baseline_of, discharge_of, peak_of, pressure
from coordinator.letters.views.medicines import is_switch
from coordinator.letters.views.session import held_on

PATIENT = "patient"
"""What stands for the patient where a provider's id would: it names the reference of the copy."""


@dataclass(frozen=True)
class PlainDose:
    """What was given: the medicine, how, how much, and from when to when."""

    drug: Traced
    way: Traced
    amount: Traced | None
    started: Traced


@dataclass(frozen=True)
class PlainPressure:
    """Blood pressure before, at its highest, and at the end; each may be missing."""

    before: Traced | None
    highest: Traced | None
    after: Traced | None


@dataclass(frozen=True)
class PlainChange:
    """A change of a medicine: what, from what to what, from when, and whose it is."""

    whose: Literal["ours", "asked", "reported"]
    ends: Literal["stop", "hold"] | None
    drug: Traced | None
    other: Traced | None
    before: Traced | None
    now: Traced | None
    since: Traced


@dataclass(frozen=True)
class PatientView:
    """What L14 prints. `what`: planned, given, not-given (no dose), missed (nothing took place) or change."""

    what: Literal["planned", "given", "not-given", "missed", "change"]
    on: Traced | None
    given: PlainDose | None
    pressure: PlainPressure | None
    change: PlainChange | None
    looked_at: bool
    told: tuple[Reader, ...]
    about_session: bool
    next_on: Traced | None


def for_patient() -> RecipientPlan:
    """Return the patient as a reader: nothing is asked by a rule, nothing is sent."""
    own = ConsentDecision("permit", "consent", None, None)
    return RecipientPlan(PATIENT, "patient", own, "routine", ("L14",), (), ())


def patient_frame(brief: Brief) -> Frame:
    """Return the frame of the patient's copy: addressed to the patient, asking nothing that a rule asks."""
    lines = patient_lines(brief)
    reference = brief.case.reference(PATIENT)
    at = brief.case.composed_at
    signed: Signature = signature(brief)
    return Frame(
        letterhead=letterhead(brief.case.clinic),
        reader=Reader(lines.name, brief.words("care_role", PATIENT, brief.at_patient("/id")), None),
        copies=(),
        patient=lines,
        written=fact(_instant(brief, at), at, "case:/composed_at"),
        reference=fact(reference, reference, "case:/reference"),
        version=fact(str(brief.case.event.version), brief.case.event.version, "event:/version"),
        urgent=False,
        telephoned=False,
        asks=(),
        statements=statements(brief, page_one=True),
        further_statements=statements(brief, page_one=False),
        signature=Signature(
            signed.author,
            signed.recorder,
            fact(_instant(brief, brief.case.event.recorded_at), brief.case.event.recorded_at, "event:/recorded_at"),
        ),
    )


def patient_view(brief: Brief) -> PatientView:
    """Return the view of L14. A record that was entered in error has nothing for the patient to keep."""
    event = brief.case.event
    if event.status == "entered-in-error":
        raise LetterRefused("letter.retracted", "event:/status")
    told = [one for one in brief.plan.recipients if _is_told(one)]
    looked_at = any(one.priority != "routine" for one in told)
    readers = tuple(reader(brief, one) for one in told)
    if isinstance(event, DoseChange):
        change = _change(brief, event)
        return PatientView("change", None, None, None, change, looked_at, readers, about_session=False, next_on=None)
    what = _what(event)
    return PatientView(
        what=what,
        on=None if what == "planned" else held_on(brief, event),
        given=_given(brief, event) if what == "given" else None,
        pressure=_pressure(event),
        change=None,
        looked_at=looked_at,
        told=readers,
        about_session=True,
        next_on=brief.day(event.next_session_on, "event:/next_session_on") if event.next_session_on else None,
    )


def _what(event: SessionOutcome) -> Literal["planned", "given", "not-given", "missed"]:
    if event.status in ("scheduled", "arrived"):
        return "planned"
    if event.administration is not None:
        return "given"
    return "missed" if event.status in ("no-show", "cancelled") else "not-given"


def _given(brief: Brief, event: SessionOutcome) -> PlainDose | None:
    one = event.administration
    if one is None:
        return None
    at = "event:/administration"
    return PlainDose(
        drug=brief.words("product", one.product, f"{at}/product"),
        way=brief.words("way", one.route, f"{at}/route"),
        amount=_amount(brief, one.dose, f"{at}/dose"),
        started=fact(
            formats.patient_time(one.started_at, brief.zone, brief.language), one.started_at, f"{at}/started_at"
        ),
    )


def _pressure(event: SessionOutcome) -> PlainPressure | None:
    found = [
        pressure(row[1], f"event:/vitals/{row[0]}") if row else None
        for row in (baseline_of(event), peak_of(event), discharge_of(event))
    ]
    return PlainPressure(*found) if any(found) else None


def _change(brief: Brief, event: DoseChange) -> PlainChange:
    now, before = event.to, event.from_
    named = next((one for one in (now, before) if isinstance(one, Regimen)), None)
    switched = is_switch(event)
    whose: Literal["ours", "asked", "reported"] = "reported"
    if event.subject == "clinic-drug":
        whose = "ours"
    elif event.kind == "requested-of-prescriber":
        whose = "asked"
    return PlainChange(
        whose=whose,
        ends=event.action if named and whose == "ours" and event.action in ("stop", "hold") else None,
        drug=_drug(brief, named, "event:/to" if named is now else "event:/from") if named else None,
        other=_drug(brief, before, "event:/from") if switched and isinstance(before, Regimen) else None,
        before=_dose(brief, before, "event:/from") if whose == "ours" and not switched else None,
        now=_dose(brief, now, "event:/to") if whose == "ours" else None,
        since=brief.day(event.effective_from, "event:/effective_from"),
    )


def _drug(brief: Brief, one: Regimen, at: str) -> Traced:
    ours = brief.lexicon.words["product"].get(one.product)
    return fact(ours or one.product, one.product, f"{at}/product", kind="words" if ours else "name")


def _dose(brief: Brief, one: object, at: str) -> Traced | None:
    return _amount(brief, one.dose, f"{at}/dose") if isinstance(one, Regimen) else None


def _amount(brief: Brief, value: object, source: str) -> Traced | None:
    if not isinstance(value, Quantity):
        return None
    try:
        text = formats.patient_quantity(value.value, value.unit, brief.language)
    except ValueError as wrong:
        raise LetterRefused("letter.template", f"unit of {source}") from wrong
    return fact(text, value.value, source)


def _is_told(one: RecipientPlan) -> bool:
    may = one.consent.permits and one.not_sent_because is None
    return may and bool(one.letters) and one.audience != "patient"


def _instant(brief: Brief, at: datetime) -> str:
    day = formats.patient_date(formats.local_day(at, brief.zone), brief.language)
    return f"{day}, {formats.patient_time(at, brief.zone, brief.language)}"
