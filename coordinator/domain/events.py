"""What a clinic reports: the outcome of a session, and a change of dose.

The field names and nesting are the public input contract. The JSON Schemas that
the service publishes are generated from these classes.
"""

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BeforeValidator, Discriminator, Field, StringConstraints, TypeAdapter

from coordinator.domain.quantities import Quantity
from coordinator.domain.values import Code, Instant, Line, NotDone, Record, ShareableText, Unknown


def whole(value: object) -> object:
    """Return a count or a reading as an int; text, fractions and true/false are refused (ValueError)."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ValueError("a whole number is needed")
    if isinstance(value, Decimal):
        if value != value.to_integral_value():
            raise ValueError("a whole number is needed")
        return int(value)
    return value


Whole = Annotated[int, BeforeValidator(whole)]

Product = Literal["ketamine", "esketamine"]
Route = Literal["intravenous", "intramuscular", "subcutaneous", "intranasal", "oral", "sublingual"]
SessionStatus = Literal[
    "scheduled", "arrived", "completed", "aborted", "not-given", "no-show", "cancelled", "entered-in-error"
]
Subject = Literal["clinic-drug", "stimulant", "other"]
Phase = Literal["induction", "evaluation", "maintenance", "taper", "re-induction"]
Source = Literal["patient", "family", "label", "prescriber", "pharmacy", "clinic"]
DrugRole = Literal["stimulant", "maoi", "benzodiazepine", "sedative", "opioid", "antihypertensive", "other"]
VitalSlot = Annotated[str, StringConstraints(pattern=r"^(baseline|discharge|[1-9][0-9]{0,2}-min)$")]


class Course(Record):
    """Where the session stands in its course of treatment."""

    id: Code
    phase: Phase | None = None
    session_number: Whole | None = None
    planned_sessions: Whole | None = None


class Administration(Record):
    """What was given, and how. `dose` is the total given; `ordered` what was prescribed (mg or mg/kg)."""

    product: Product
    route: Route
    dose: Quantity | Unknown
    ordered: Quantity | None = None
    started_at: Instant
    ended_at: Instant | None = None
    devices: Whole | None = None
    lot_number: Line | None = None
    ndc: Code | None = None
    sprays: Whole | None = None
    dose_per_spray: Quantity | None = None
    volume_per_spray: Quantity | None = None
    concentration: Quantity | None = None
    compounded: bool | None = None
    reason: Line | None = None


class VitalSigns(Record):
    """One reading. mm[Hg] for pressures, /min for rates, % for SpO2; the slot names the planned time."""

    slot: VitalSlot
    at: Instant
    systolic: Whole | NotDone | Unknown | None = None
    diastolic: Whole | NotDone | Unknown | None = None
    heart_rate: Whole | NotDone | Unknown | None = None
    spo2: Whole | NotDone | Unknown | None = None
    respiratory_rate: Whole | NotDone | Unknown | None = None
    temperature: Quantity | NotDone | Unknown | None = None
    oxygen_flow: Quantity | None = None
    position: Literal["sitting", "supine", "standing"] | None = None
    arm: Literal["left", "right"] | None = None


BloodPressureSymptom = Literal["chest-pain", "dyspnoea", "neurological", "severe-headache", "vision"]


class Sedation(Record):
    """The deepest sedation seen. MOAA/S: 5 alert, 0 no response."""

    scale: Literal["moaa-s"]
    lowest: Whole
    at: Instant
    resolved_at: Instant | Unknown | None = None


class Dissociation(Record):
    """Whether the patient dissociated, how strongly (CADSS, 0 to 92), and when it had passed."""

    present: bool
    cadss_total: Whole | NotDone | Unknown | None = None
    onset_at: Instant | None = None
    resolved_at: Instant | NotDone | Unknown | None = None


class Score(Record):
    """One instrument's result. A total is refused when it does not equal its items."""

    instrument: Literal["phq-9", "gad-7", "madrs", "qids-sr16", "asrs-v1.1", "asrs-5", "cadss", "cadss-6"]
    total: Whole | NotDone | Unknown
    items: tuple[Whole | NotDone | Unknown, ...] | None = None
    item_9: Whole | None = None
    on: date
    rater: Code | None = None
    administered: Literal["self-report", "interview"] | None = None


class SuicideRisk(Record):
    """The result of the suicide-risk screen. Never summed; how it was given is part of it."""

    instrument: Literal["c-ssrs-screener", "clinician-judgement"]
    result: Literal["none", "low", "moderate", "high"]
    administered: Literal["interview", "self-report"]
    at: Instant


class AdverseEvent(Record):
    """Something untoward, with its course."""

    term: Line
    severity: Literal["mild", "moderate", "severe"]
    serious: bool
    started_at: Instant | Unknown | None = None
    resolved_at: Instant | NotDone | Unknown | None = None
    action: Line | None = None
    outcome: Literal["resolved", "resolving", "ongoing", "unknown"] | None = None


class RescueMedication(Record):
    """A medicine given because of what happened in the session."""

    product: Line
    role: DrugRole
    dose: Quantity
    at: Instant


class MedicineTaken(Record):
    """A medicine of somebody else's that the patient takes, as known on the day."""

    role: DrugRole
    product: Line
    form: Literal["immediate-release", "extended-release", "patch", "prodrug"] | None = None
    dose: Quantity | Unknown
    frequency: Line | None = None
    last_taken_at: Instant | NotDone | Unknown | None = None
    source: Source


Change = Literal["better", "unchanged", "worse"]


class SymptomReport(Record):
    """What the patient says changed. A report, not a measurement."""

    calm: Change | None = None
    focus: Change | None = None
    mood: Change | None = None
    anxiety: Change | None = None


class Discharge(Record):
    """How and when the patient left."""

    at: Instant
    ready: bool
    escort: bool
    advised_not_to_drive: bool
    drove_self: bool | None = None
    discharged_by: Code | None = None


class Event(Record):
    """What both event types carry. (source, id, version) names an event; the source comes from the credential."""

    schema_version: Literal[1]
    id: Code
    version: Annotated[int, Field(ge=1, le=1_000_000), BeforeValidator(whole)]
    recorded_at: Instant
    recorded_by: Code
    patient: Code
    course: Course
    amendment_reason: Line | None = None
    part2: bool | None = None
    """The record is a substance-use-disorder treatment record under 42 CFR Part 2."""


class SessionOutcome(Event):
    """What happened in one treatment session."""

    type: Literal["session-outcome"]
    attested_by: Code | None = None
    status: SessionStatus
    status_reason: Line | None = None
    administration: Administration | None = None
    weight: Quantity | NotDone | Unknown | None = None
    height: Quantity | NotDone | Unknown | None = None
    vitals: tuple[VitalSigns, ...] = ()
    blood_pressure_symptoms: Literal["none"] | tuple[BloodPressureSymptom, ...] | NotDone | Unknown | None = None
    emergency_care_used: bool | None = None
    sedation: Sedation | NotDone | Unknown | None = None
    dissociation: Dissociation | NotDone | Unknown | None = None
    scores: tuple[Score, ...] = ()
    suicide_risk: SuicideRisk | NotDone | Unknown | None = None
    adverse_events: tuple[AdverseEvent, ...] | NotDone | Unknown = ()
    rescue_medications: tuple[RescueMedication, ...] = ()
    other_medications_taken: tuple[MedicineTaken, ...] | NotDone | Unknown = ()
    symptom_report: SymptomReport | None = None
    monitoring_ended_at: Instant | None = None
    monitoring_shortened_reason: Line | None = None
    discharge: Discharge | None = None
    next_session_on: date | None = None
    plan: ShareableText | None = None


class Regimen(Record):
    """A product with its dose and rhythm, as one party states it."""

    product: Line
    route: Route | None = None
    form: Literal["immediate-release", "extended-release", "patch", "prodrug"] | None = None
    dose: Quantity | Unknown
    frequency: Line | None = None
    as_of: date | None = None
    source: Source | None = None


class Reason(Record):
    """Why, as a code that is counted and a sentence that is read."""

    code: Code
    text: (
        Annotated[
            str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True, pattern=r"^[^\x00-\x1f\x7f]*$")
        ]
        | None
    ) = None


class DoseChange(Event):
    """A change of dose: of the clinic's own drug, or of a stimulant as asked or reported.

    `effective_from` is a day. `resume_when` says how a hold ends; a hold without
    an end is refused.
    """

    type: Literal["dose-change"]
    status: Literal["active", "entered-in-error"] = "active"
    session: Code | None = None
    subject: Subject
    kind: Literal["performed", "ordered", "requested-of-prescriber", "reported-by-patient", "reported-by-prescriber"]
    action: Literal["start", "increase", "decrease", "hold", "resume", "stop", "switch", "retime", "unchanged"]
    from_: Annotated[Regimen | Unknown | None, Field(alias="from")]
    to: Regimen | Unknown | None
    scope: Literal["treatment-days", "every-day"] | None = None
    effective_from: date
    effective_to: date | None = None
    resume_when: Line | None = None
    reason: Reason
    evidence: tuple[Code, ...] = ()
    decided_by: Code | None = None
    requested_of: Code | None = None
    reported_by: Code | None = None


AnyEvent = Annotated[SessionOutcome | DoseChange, Discriminator("type")]
EVENT: TypeAdapter[SessionOutcome | DoseChange] = TypeAdapter(AnyEvent)
"""Reads either event type; the discriminator is `type`."""
