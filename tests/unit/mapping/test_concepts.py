"""Every concept that an event or the registry can hold, and the resource, profile and elements that carry it.

The walk goes concept by concept in the order of the design of the content; what is not sent says why.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from coordinator.domain.case import SentRequest
from coordinator.domain.plan import ChannelChoice, Request
from coordinator.mapping.content import build_content
from coordinator.mapping.load import load
from tests.conformance.events import cases, letter, plan, recipient
from tests.unit.mapping.conftest import DUE_AT, read_json

ROOT = Path(__file__).parents[3]
CORE = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-"
Json = dict[str, Any]


@dataclass(frozen=True)
class Concept:
    """Where a concept is seen: a sample event, the resource, its profile, and what of it must be there."""

    name: str
    case: str
    kind: str
    profile: str | None
    has: tuple[str, ...] = ()
    says: tuple[tuple[str, Any], ...] = ()
    level: str = "chart"


def c(name: str, case: str, kind: str, profile: str | None, *has: str, level: str = "chart", **says: Any) -> Concept:
    told = tuple((path.replace("__", "."), value) for path, value in says.items())
    return Concept(name, case, kind, profile, has, told, level)


SPIKE = "spike"
VITAL = ("category", "subject", "encounter", "effectiveDateTime", "performer")
CONCEPTS = [
    c("patient", SPIKE, "Patient", "patient", "identifier.system", "identifier.value", "name.family", "gender"),
    c("clinician", SPIKE, "Practitioner", "practitioner", "identifier.value", "name.family"),
    c(
        "their role, and how to reach them",
        SPIKE,
        "PractitionerRole",
        "practitionerrole",
        "practitioner",
        "telecom.value",
    ),
    c("clinic", SPIKE, "Organization", "organization", "identifier.value", "name", active=True),
    c("site", SPIKE, "Location", "location", "identifier.value", "name", "type.coding.code", "type.coding.system"),
    c("who is told", SPIKE, "CareTeam", "careteam", "subject", "participant.role", "participant.member"),
    c(
        "session",
        SPIKE,
        "Encounter",
        "encounter",
        "type",
        "subject",
        "period.start",
        "participant",
        "location",
        "serviceProvider",
        "meta.lastUpdated",
        "identifier.system",
        class__code="AMB",
        status="finished",
    ),
    c("a session's reason", SPIKE, "Encounter", "encounter", "reasonCode.coding.code"),
    c(
        "infusion",
        SPIKE,
        "Procedure",
        "procedure",
        "code",
        "subject",
        "encounter",
        "performedPeriod",
        status="completed",
    ),
    c(
        "ketamine dose given",
        SPIKE,
        "MedicationAdministration",
        None,
        "subject",
        "effectivePeriod",
        "dosage.dose",
        "dosage.route",
        "context",
    ),
    c(
        "esketamine dose given",
        "esketamine-84",
        "MedicationAdministration",
        None,
        "medicationCodeableConcept.coding.code",
        "dosage.dose",
    ),
    c(
        "ketamine order",
        "own-increase",
        "MedicationRequest",
        "medicationrequest",
        "requester",
        "subject",
        "dosageInstruction.route",
        "priorPrescription",
        intent="order",
        status="active",
    ),
    c(
        "the order before the change",
        "own-increase",
        "MedicationRequest",
        "medicationrequest",
        "requester",
        intent="order",
        status="stopped",
    ),
    c(
        "stimulant as known",
        SPIKE,
        "MedicationRequest",
        "medicationrequest",
        "subject",
        intent="plan",
        status="active",
        reportedBoolean=True,
    ),
    c(
        "what is asked",
        "asked-hold",
        "MedicationRequest",
        "medicationrequest",
        "requester",
        "note",
        "statusReason",
        intent="proposal",
        status="on-hold",
    ),
    c(
        "what is asked, and what it changes",
        "asked-switch",
        "MedicationRequest",
        "medicationrequest",
        "priorPrescription",
        intent="proposal",
        status="active",
    ),
    c(
        "a change that the prescriber told",
        "told-by-prescriber",
        "MedicationRequest",
        "medicationrequest",
        "reportedReference.reference",
        intent="plan",
        status="active",
    ),
    c(
        "the regimen before that change",
        "told-by-prescriber",
        "MedicationRequest",
        "medicationrequest",
        intent="plan",
        status="completed",
    ),
    c("stimulant taken today", SPIKE, "MedicationStatement", None, "subject", "dateAsserted", status="active"),
    c(
        "medicine given against an effect",
        "events-and-rescue",
        "MedicationAdministration",
        None,
        "effectiveDateTime",
        "dosage.dose",
    ),
    c(
        "blood pressure",
        SPIKE,
        "Observation",
        "blood-pressure",
        *VITAL,
        "component.valueQuantity.code",
        code__text="Blood pressure",
    ),
    c("heart rate", SPIKE, "Observation", "heart-rate", *VITAL, "valueQuantity"),
    c("respiratory rate", "vitals-missing", "Observation", "respiratory-rate", *VITAL, "valueQuantity"),
    c("weight", SPIKE, "Observation", "body-weight", *VITAL, "valueQuantity"),
    c("temperature", "vitals-missing", "Observation", "body-temperature", *VITAL, "valueQuantity"),
    c(
        "oxygen saturation, with its two codings",
        SPIKE,
        "Observation",
        "pulse-oximetry",
        *VITAL,
        "code.coding[1]",
        valueQuantity__code="%",
    ),
    c("oxygen flow", "vitals-missing", "Observation", "pulse-oximetry", "component.valueQuantity.value"),
    c("a reading that is missing", "vitals-missing", "Observation", "heart-rate", "dataAbsentReason"),
    c(
        "score",
        "every-score",
        "Observation",
        "observation-screening-assessment",
        "encounter",
        "performer",
        "valueInteger",
        category__coding__code="survey",
    ),
    c(
        "answers to a questionnaire's items",
        "answers-with-gaps",
        "QuestionnaireResponse",
        "questionnaireresponse",
        "questionnaire",
        "authored",
        "subject",
        "encounter",
        "item.linkId",
        "item.answer.valueInteger",
        status="completed",
    ),
    c(
        "a score with its answers",
        "answers-with-gaps",
        "Observation",
        "observation-screening-assessment",
        "derivedFrom",
    ),
    c("suicide risk", SPIKE, "Observation", "observation-screening-assessment", "method", "valueCodeableConcept.text"),
    c("sedation", SPIKE, "Observation", "simple-observation", "valueInteger", "code.text"),
    c("dissociation", SPIKE, "Observation", "simple-observation", "valueBoolean", "code.text"),
    c("discharge readiness", SPIKE, "Observation", "simple-observation", "valueBoolean", "effectiveDateTime"),
    c(
        "what the patient says has changed",
        SPIKE,
        "Observation",
        "observation-screening-assessment",
        "component.valueCodeableConcept",
    ),
    c(
        "adverse event",
        "events-and-rescue",
        "AdverseEvent",
        None,
        "subject",
        "severity",
        "seriousness",
        "suspectEntity",
        "resultingCondition",
        actuality="actual",
    ),
    c(
        "adverse event as a condition",
        "events-and-rescue",
        "Condition",
        "condition-encounter-diagnosis",
        "encounter",
        "code",
        "meta.lastUpdated",
        category__coding__code="encounter-diagnosis",
    ),
    c("stimulant beside ketamine", SPIKE, "DetectedIssue", None, "code", "implicated", "patient", level="message"),
    c("what to check when it is resumed", "asked-hold", "Flag", None, "code", "subject", "category", level="message"),
    c(
        "plan",
        SPIKE,
        "CarePlan",
        "careplan",
        "text.status",
        "text.div",
        "subject",
        intent="plan",
        category__coding__code="assess-plan",
    ),
    c(
        "letter",
        SPIKE,
        "DocumentReference",
        "documentreference",
        "type.coding.code",
        "subject",
        "author",
        "custodian",
        "content.attachment.data",
        "content.attachment.hash",
        "content.attachment.size",
        "context.encounter",
        "context.period.end",
        "masterIdentifier.value",
        status="current",
        category__coding__code="clinical-note",
    ),
    c(
        "message",
        SPIKE,
        "MessageHeader",
        None,
        "focus",
        "source.endpoint",
        "sender",
        "eventCoding.code",
        level="message",
    ),
    c(
        "request for review, with its time",
        SPIKE,
        "Task",
        None,
        "focus",
        "owner",
        "for",
        "restriction.period.end",
        "code.coding.code",
        intent="proposal",
        status="requested",
    ),
    c("a request withdrawn", "withdrawn", "Task", None, "statusReason", "owner", status="cancelled", level="message"),
    c(
        "delivery record",
        SPIKE,
        "Communication",
        None,
        "sender",
        "recipient",
        "sent",
        status="completed",
        category__coding__code="notification",
    ),
    c(
        "a letter that will follow",
        "digest",
        "CommunicationRequest",
        None,
        "occurrenceDateTime",
        "recipient",
        status="active",
        level="message",
    ),
    c(
        "consent",
        SPIKE,
        "Consent",
        None,
        "scope",
        "category",
        "policyRule",
        "patient",
        "provision.actor",
        level="message",
    ),
    c(
        "who made it, with what",
        SPIKE,
        "Provenance",
        "provenance",
        "target",
        "recorded",
        "agent.who",
        "agent.onBehalfOf",
        "entity.what.identifier.value",
    ),
    c("security labels", SPIKE, "Observation", "heart-rate", "meta.security.code", "meta.security[1].code"),
]

NOT_SENT = {
    "inspired oxygen (FiO2)": "an event cannot hold it: the input has the flow only",
    "where to send (Endpoint)": "the registry's own; the recipient knows its addresses, and few servers create one",
    "access log (AuditEvent)": "internal: the audit chain of the store, which never leaves",
    "errors (OperationOutcome)": "the far side's own words, kept with the attempt and not sent on",
    "formal document (Bundle of type document, Composition)": "asked of the partner's file; see test_levels_and_check",
}


@cache
def resources(case: str, level: str) -> list[Json]:
    """Return what is made of a sample event at a level."""
    mappings = load(ROOT / "mappings")
    who = recipient("pr-psych")
    asked = (Request("Please hold the stimulant.", "R3", DUE_AT, "suspend"),)
    known = cases()[SPIKE if case in ("withdrawn", "digest") else case]
    who = replace(who, requests=asked, channels=(ChannelChoice("ep-psych-fhir", "fhir-rest"),))
    if case == "withdrawn":
        known = replace(known, asked_before=(SentRequest("pr-psych", known.event.id, "resume"),))
    if case == "digest":
        who = replace(who, when="digest", digest_due_at=DUE_AT)
    made = build_content(mappings, known, plan(who), who, (letter("pr-psych"),), frozenset({level}))  # type: ignore[arg-type]
    return [one["resource"] for one in read_json(made[0].body.decode())["entry"]]


def at(value: Any, path: list[str]) -> Iterator[Any]:
    """Yield what stands at a path; a list on the way is gone through, `coding[1]` is its second item."""
    if isinstance(value, list):
        for one in value:
            yield from at(one, path)
    elif not path:
        yield value
    elif isinstance(value, dict):
        name, bracket, number = path[0].partition("[")
        if bracket:
            yield from at(value.get(name, [])[int(number[:-1]) :][:1], path[1:])
        elif name in value:
            yield from at(value[name], path[1:])


def carries(resource: Json, concept: Concept) -> bool:
    claims = resource.get("meta", {}).get("profile", [])
    wanted = [] if concept.profile is None else [CORE + concept.profile]
    there = all(any(True for _ in at(resource, path.split("."))) for path in concept.has)
    said = all(value in list(at(resource, path.split("."))) for path, value in concept.says)
    return resource["resourceType"] == concept.kind and claims == wanted and there and said


@pytest.mark.parametrize("concept", CONCEPTS, ids=lambda one: one.name)
def test_a_concept_is_carried_by_its_resource_and_profile(concept: Concept) -> None:
    of_kind = [one for one in resources(concept.case, concept.level) if one["resourceType"] == concept.kind]
    assert any(carries(one, concept) for one in of_kind), of_kind


def test_every_mapping_carries_a_concept_of_the_table() -> None:
    made = {(one.resource, one.profiles) for one in load(ROOT / "mappings").resources if one.resource != "Composition"}
    told = {(one.kind, () if one.profile is None else (CORE + one.profile,)) for one in CONCEPTS}
    assert made == told


def test_a_careplan_has_one_category_and_what_is_not_sent_has_its_reason() -> None:
    (careplan,) = [one for one in resources(SPIKE, "chart") if one["resourceType"] == "CarePlan"]
    assert len(careplan["category"]) == 1
    assert all(NOT_SENT.values())
