"""The case view: what a mapping file may name, as plain values.

A known value stands at its own name. One that is unknown or was not done stands
nowhere, and `<name>_absent` says which of the two ("unknown", "not-done").
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel

from coordinator.domain.case import Case, ClinicEvent
from coordinator.domain.events import Dissociation, DoseChange, Regimen, SessionOutcome
from coordinator.domain.part2 import is_part2
from coordinator.domain.plan import Request, RuleOutcome
from coordinator.domain.registry import Clinic, Consent, Patient, Provider, Staff
from coordinator.domain.values import NotDone, Unknown
from coordinator.mapping.informants import Informant, Stated, told_by
from coordinator.mapping.json_values import Value

RecordState = Literal["original", "corrected", "retracted"]


@dataclass(frozen=True)
class Facts:
    """What follows from the case and is not a field of it."""

    record: RecordState
    outcome: str
    """The event's own status or action; "replaced" for a report that is over, "entered-in-error" once taken back."""
    composed_at: datetime
    encounter_start_at: datetime | None
    encounter_end_at: datetime | None
    service_on: date
    service_start_at: datetime | None
    """None when only the end is known; the time of recording when neither is."""
    service_end_at: datetime
    dissociation_at: datetime | None
    regimen: Regimen | None
    """What a dose change is about: the new regimen, else the one that is held or stopped."""
    asks_to_stop: bool | None
    stimulant_taken: bool | None
    """True when a stimulant is among the medicines taken and the clinic's own drug was given."""
    session: str | None
    priority: str
    from_prescriber: bool | None
    """True when the regimen before a change is the word of `prescriber`."""
    part2: bool | None
    amendment_reason: str | None
    """Why this version was made; a retraction's too, though it is built from the version that it takes back."""


@dataclass(frozen=True)
class MadeWith:
    """One mapping file that took part, for Provenance."""

    mapping: str
    version: int


@dataclass(frozen=True)
class LetterView:
    """One letter as a resource needs it: encoded, with its hash and size as R4 wants them."""

    kind: str
    title: str
    type_code: str
    language: str
    reference: str
    document: str
    replaces: tuple[str, ...]
    """Identifiers of the documents that this recipient holds and that this one corrects."""
    attachments: tuple["AttachmentView", ...]


@dataclass(frozen=True)
class AttachmentView:
    """One form of a letter: base64 data, base64 SHA-1, size in bytes before encoding."""

    content_type: str
    language: str
    title: str
    data: str
    hash: str
    size: int


@dataclass(frozen=True)
class MessageView:
    """The message to one recipient."""

    identifier: str
    source_endpoint: str
    destination_endpoint: str | None
    event_code: str
    digest_due_at: datetime | None


@dataclass(frozen=True)
class WithdrawnView:
    """A request that this recipient was sent and that is asked no longer."""

    event: str
    action: str
    name: str


EVENT_TYPES: Mapping[str, type[BaseModel]] = {"session-outcome": SessionOutcome, "dose-change": DoseChange}


def roots(events: tuple[str, ...], per: str) -> dict[str, Any]:
    """Return what a mapping over these event types may start a path with, with its type."""
    event: Value = EVENT_TYPES[events[0]]
    for name in events[1:]:
        event = event | EVENT_TYPES[name]
    found: dict[str, Any] = {
        "event": event,
        "patient": Patient,
        "clinic": Clinic,
        "author": Staff,
        "facts": Facts,
        "rules": tuple[RuleOutcome, ...],
        "informant": Informant,
        "prescriber": Informant,
        "statements": tuple[Stated, ...],
    }
    if per == "recipient":
        found |= {
            "recipient": Provider,
            "letters": tuple[LetterView, ...],
            "requests": tuple[Request, ...],
            "message": MessageView,
            "consent": Consent,
            "document": LetterView,
            "made_with": tuple[MadeWith, ...],
            "withdrawn": tuple[WithdrawnView, ...],
        }
    return found


def plain_value(value: Value) -> Value:
    """Return the value as dicts, lists, text, Decimal, int and bool; instants as ISO text with their own offset."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, tuple | list):
        return [None if isinstance(one, Unknown | NotDone) else plain_value(one) for one in value]
    if isinstance(value, Mapping):
        return {str(key): plain_value(one) for key, one in value.items()}
    if isinstance(value, BaseModel):
        return _record(
            ((field.alias or name), getattr(value, name)) for name, field in type(value).model_fields.items()
        )
    if is_dataclass(value) and not isinstance(value, type):
        return _record((field.name, getattr(value, field.name)) for field in fields(value))
    return value


def clinician_value(one: Staff | Provider) -> Value:
    """Return a clinician as plain values. Who has no family name has the last given one there: profiles require it."""
    name = one.name
    if name.family is None and name.given:
        name = name.model_copy(update={"family": name.given[-1], "given": name.given[:-1]})
    return {**plain_value(one), "name": plain_value(name)}


def _record(pairs: Value) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if isinstance(value, Unknown):
            found[f"{name}_absent"] = "unknown"
        elif isinstance(value, NotDone):
            found[f"{name}_absent"] = "not-done"
        elif value is not None:
            found[name] = plain_value(value)
    return found


def author_of(case: Case, event: ClinicEvent) -> Staff | None:
    """Return the member of staff who stands for the content: who attested, decided or recorded it."""
    first = event.attested_by if isinstance(event, SessionOutcome) else event.decided_by
    return case.member(first) or case.member(event.recorded_by)


def event_scope(case: Case, event: ClinicEvent, rules: tuple[RuleOutcome, ...], record: RecordState) -> dict[str, Any]:
    """Return the case view of one event; `record` says whether it stands, corrects, or is taken back."""
    priority = next((one.priority for one in rules if one.fired and one.priority), "routine")
    start, end = _period(event)
    begin = start or end or event.recorded_at
    told = told_by(case, event, begin.date(), retracted=record == "retracted")
    facts = Facts(
        record=record,
        outcome="replaced" if told.report_over and record != "retracted" else _outcome(event, record),
        composed_at=case.composed_at,
        encounter_start_at=start,
        encounter_end_at=end,
        service_on=begin.date(),
        service_start_at=None if start is None and end is not None else begin,
        service_end_at=end if end and end >= begin else begin,
        dissociation_at=_dissociation_at(event, begin),
        regimen=_regimen(event),
        asks_to_stop=True if isinstance(event, DoseChange) and event.action == "stop" else None,
        stimulant_taken=_stimulant_taken(event) or None,
        session=event.id if isinstance(event, SessionOutcome) else event.session,
        priority=priority,
        from_prescriber=told.from_prescriber or None,
        part2=is_part2(case) or None,
        amendment_reason=case.event.amendment_reason,
    )
    author = author_of(case, event)
    return {
        "event": plain_value(event),
        "patient": plain_value(case.patient),
        "clinic": plain_value(case.clinic),
        "author": clinician_value(author) if author else None,
        "facts": plain_value(facts),
        "rules": plain_value(rules),
        "informant": plain_value(told.informant),
        "prescriber": plain_value(told.prescriber),
        "statements": plain_value(told.statements),
    }


def _period(event: ClinicEvent) -> tuple[datetime | None, datetime | None]:
    if not isinstance(event, SessionOutcome):
        return None, None
    starts = [one.at for one in event.vitals]
    if event.administration:
        starts.append(event.administration.started_at)
    return (min(starts) if starts else None), (event.discharge.at if event.discharge else event.monitoring_ended_at)


def _outcome(event: ClinicEvent, record: RecordState) -> str:
    if record == "retracted":
        return "entered-in-error"
    return event.status if isinstance(event, SessionOutcome) else event.action


def _dissociation_at(event: ClinicEvent, begin: datetime) -> datetime | None:
    if not isinstance(event, SessionOutcome) or not isinstance(event.dissociation, Dissociation):
        return None
    return event.dissociation.onset_at or (event.administration.started_at if event.administration else begin)


def _stimulant_taken(event: ClinicEvent) -> bool:
    if not isinstance(event, SessionOutcome) or event.administration is None:
        return False
    taken = event.other_medications_taken
    return isinstance(taken, tuple) and any(one.role == "stimulant" for one in taken)


def _regimen(event: ClinicEvent) -> Regimen | None:
    if not isinstance(event, DoseChange):
        return None
    return next((one for one in (event.to, event.from_) if isinstance(one, Regimen)), None)
