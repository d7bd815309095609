"""Every error-level invariant of the types and profiles in use is enforced by the gate, or cannot be broken by us.

`tests/conformance/invariants.json` is generated out of the R4 and US Core packages. For each a bad value that the gate
must name by the invariant's own key, and a good one that it must let pass.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from coordinator.mapping import r4
from coordinator.mapping.gate import inspect
from coordinator.mapping.gate_bundle import check_bundle
from coordinator.mapping.load import Mappings
from coordinator.yaml_files import read_yaml

ROOT = Path(__file__).parents[3]
LISTED = json.loads((ROOT / "tests" / "conformance" / "invariants.json").read_text())
CORE = "http://hl7.org/fhir/us/core/StructureDefinition/"
Json = dict[str, Any]


def a(kind: str, **parts: Any) -> Json:
    return {"resourceType": kind, **parts}


def quantity(**parts: Any) -> Json:
    return {"resourceType": "Observation", "valueQuantity": parts}


def repeat(**parts: Any) -> Json:
    return a("MedicationRequest", dosageInstruction=[{"timing": {"repeat": parts}}])


def narrative(div: str) -> Json:
    return a("CarePlan", text={"status": "generated", "div": div})


def npi(value: str) -> Json:
    return a("Practitioner", identifier=[{"system": "http://hl7.org/fhir/sid/us-npi", "value": value}])


def numbered(system: str, value: str) -> Json:
    return a("Organization", name="x", identifier=[{"system": f"urn:oid:2.16.840.1.113883.4.{system}", "value": value}])


def consent(code: str, **parts: Any) -> Json:
    scope = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": code}]}
    return a("Consent", scope=scope, policyRule={"text": "x"}, **parts)


def holds(contained: Json, reference: str = "#c") -> Json:
    return a("Task", contained=[{"resourceType": "Patient", "id": "c", **contained}], focus={"reference": reference})


def condition(**parts: Any) -> Json:
    return a("Condition", **parts)


def status(code: str, which: str = "condition-clinical") -> Json:
    return {"coding": [{"system": f"http://terminology.hl7.org/CodeSystem/{which}", "code": code}]}


def bundle(kind: str, *resources: Json, entry: Json | None = None, **parts: Any) -> Json:
    entries = [
        {"fullUrl": f"urn:uuid:{number}", "resource": one, **(entry or {})} for number, one in enumerate(resources)
    ]
    return a("Bundle", type=kind, entry=entries, **parts)


PERSON, GROUP = a("Practitioner", id="p"), a("Organization", id="o")
NAME = {"identifier": {"system": "urn:x", "value": "1"}, "timestamp": "2026-10-14T10:00:00Z"}
TEXT = '<div xmlns="http://www.w3.org/1999/xhtml">{}</div>'
HOURS = {"value": 2, "unit": "h", "system": "http://unitsofmeasure.org", "code": "h"}


def aged(**parts: Any) -> Json:
    return condition(onsetAge=parts)


def bounded(**parts: Any) -> Json:
    return repeat(boundsDuration=parts)


PLANTED: dict[str, tuple[Json, Json]] = {
    "age-1": (aged(value=2, unit="h"), aged(**HOURS)),
    "drt-1": (bounded(value=2, unit="h"), bounded(**HOURS)),
    "att-1": (
        a("DocumentReference", content=[{"attachment": {"data": "AAAA"}}]),
        a("DocumentReference", content=[{"attachment": {"data": "AAAA", "contentType": "text/plain"}}]),
    ),
    "bdl-1": (bundle("collection", PERSON, total=1), bundle("searchset", PERSON, total=1)),
    "bdl-2": (
        bundle("collection", PERSON, entry={"search": {"mode": "match"}}),
        bundle("searchset", PERSON, entry={"search": {"mode": "match"}}),
    ),
    "bdl-3": (
        bundle("transaction", PERSON),
        bundle("transaction", PERSON, entry={"request": {"method": "POST", "url": "Practitioner"}}),
    ),
    "bdl-4": (
        bundle("collection", PERSON, entry={"response": {"status": "200"}}),
        bundle("batch-response", PERSON, entry={"response": {"status": "200"}}),
    ),
    "bdl-5": (a("Bundle", type="collection", entry=[{"fullUrl": "urn:uuid:1"}]), bundle("collection", PERSON)),
    "bdl-7": (
        bundle("collection", PERSON, GROUP, entry={"fullUrl": "urn:uuid:1"}),
        bundle("collection", PERSON, GROUP),
    ),
    "bdl-8": (
        bundle("collection", PERSON, entry={"fullUrl": "https://x.example/Patient/1/_history/2"}),
        bundle("collection", PERSON),
    ),
    "bdl-9": (
        bundle("document", a("Composition"), **{**NAME, "identifier": {"value": "1"}}),
        bundle("document", a("Composition"), **NAME),
    ),
    "bdl-10": (
        bundle("document", a("Composition"), identifier=NAME["identifier"]),
        bundle("document", a("Composition"), **NAME),
    ),
    "bdl-11": (bundle("document", PERSON, **NAME), bundle("document", a("Composition"), **NAME)),
    "bdl-12": (bundle("message", PERSON, **NAME), bundle("message", a("MessageHeader"), **NAME)),
    "cmp-1": (a("Composition", section=[{"title": "x"}]), a("Composition", section=[{"text": {}, "title": "x"}])),
    "cmp-2": (
        a("Composition", section=[{"entry": [{"display": "x"}], "emptyReason": {"text": "x"}}]),
        a("Composition", section=[{"text": {}, "emptyReason": {"text": "x"}}]),
    ),
    "con-1": (condition(stage=[{"type": {"text": "x"}}]), condition(stage=[{"summary": {"text": "x"}}])),
    "con-2": (condition(evidence=[{"id": "x", "extension": []}]), condition(evidence=[{"code": [{"text": "x"}]}])),
    "con-4": (
        condition(abatementDateTime="2026-10-14", clinicalStatus=status("active")),
        condition(abatementDateTime="2026-10-14", clinicalStatus=status("resolved")),
    ),
    "con-5": (
        condition(
            verificationStatus=status("entered-in-error", "condition-ver-status"), clinicalStatus=status("active")
        ),
        condition(verificationStatus=status("entered-in-error", "condition-ver-status")),
    ),
    "cpl-3": (
        a("CarePlan", activity=[{"reference": {"display": "x"}, "detail": {"status": "completed"}}]),
        a("CarePlan", activity=[{"reference": {"display": "x"}}]),
    ),
    "cpt-2": (
        a("Practitioner", telecom=[{"value": "1"}]),
        a("Practitioner", telecom=[{"value": "1", "system": "phone"}]),
    ),
    "ctm-1": (
        bundle(
            "collection",
            GROUP,
            a(
                "CareTeam",
                participant=[{"member": {"reference": "urn:uuid:0"}, "onBehalfOf": {"reference": "urn:uuid:0"}}],
            ),
        ),
        bundle("collection", GROUP, a("CareTeam", participant=[{"member": {"reference": "urn:uuid:0"}}])),
    ),
    "dom-2": (holds({"contained": [a("Patient")]}), holds({})),
    "dom-3": (holds({}, "Patient/1"), holds({})),
    "dom-4": (holds({"meta": {"versionId": "1"}}), holds({"meta": {"tag": []}})),
    "dom-5": (holds({"meta": {"security": [{"code": "R"}]}}), holds({"meta": {"tag": []}})),
    "ele-1": (a("Patient", name=[{}]), a("Patient", name=[{"family": "x"}])),
    "ext-1": (
        a("Patient", extension=[{"url": "https://x.example/e"}]),
        a("Patient", extension=[{"url": "https://x.example/e", "valueBoolean": True}]),
    ),
    "inv-1": (
        a("Task", authoredOn="2026-10-14T10:00:00Z", lastModified="2026-10-14T09:00:00Z"),
        a("Task", authoredOn="2026-10-14T10:00:00Z", lastModified="2026-10-14T10:00:00Z"),
    ),
    "mad-1": (
        a("MedicationAdministration", dosage={"text": "x"}),
        a("MedicationAdministration", dosage={"dose": {"value": 1}}),
    ),
    "obs-3": (
        a("Observation", valueInteger=1, referenceRange=[{"type": {"text": "x"}}]),
        a("Observation", valueInteger=1, referenceRange=[{"text": "x"}]),
    ),
    "obs-6": (
        a("Observation", valueInteger=1, dataAbsentReason={"text": "x"}),
        a("Observation", dataAbsentReason={"text": "x"}),
    ),
    "obs-7": (
        a("Observation", valueInteger=1, code=status("x"), component=[{"code": status("x"), "valueInteger": 1}]),
        a("Observation", valueInteger=1, code=status("x"), component=[{"code": status("y"), "valueInteger": 1}]),
    ),
    "org-1": (a("Organization", active=True), a("Organization", name="x")),
    "org-2": (
        a("Organization", name="x", address=[{"use": "home"}]),
        a("Organization", name="x", address=[{"use": "work"}]),
    ),
    "org-3": (
        a("Organization", name="x", telecom=[{"use": "home"}]),
        a("Organization", name="x", telecom=[{"use": "work"}]),
    ),
    "pat-1": (a("Patient", contact=[{"gender": "female"}]), a("Patient", contact=[{"name": {"text": "x"}}])),
    "pd-1": (
        a("PractitionerRole", practitioner={"display": "x"}),
        a("PractitionerRole", telecom=[{"system": "phone"}]),
    ),
    "per-1": (
        a("Encounter", period={"start": "2026-10-14", "end": "2026-10-13"}),
        a("Encounter", period={"start": "2026-10-14", "end": "2026-10-14"}),
    ),
    "ppc-1": (a("Consent", patient={"display": "x"}), consent("patient-privacy", patient={"display": "x"})),
    "ppc-2": (consent("patient-privacy"), consent("patient-privacy", patient={"display": "x"})),
    "ppc-3": (consent("research"), consent("research", patient={"display": "x"})),
    "ppc-4": (consent("adr"), consent("adr", patient={"display": "x"})),
    "ppc-5": (consent("treatment"), consent("treatment", patient={"display": "x"})),
    "provenance-1": (
        bundle("collection", PERSON, a("Provenance", agent=[{"who": {"reference": "urn:uuid:0"}}])),
        bundle(
            "collection",
            PERSON,
            a("Provenance", agent=[{"who": {"reference": "urn:uuid:0"}, "onBehalfOf": {"display": "x"}}]),
        ),
    ),
    "qrs-1": (
        a("QuestionnaireResponse", item=[{"linkId": "1", "answer": [{"valueInteger": 1}], "item": [{"linkId": "2"}]}]),
        a("QuestionnaireResponse", item=[{"linkId": "1", "answer": [{"valueInteger": 1}]}]),
    ),
    "sdcqr-2": (
        a("QuestionnaireResponse", item=[{"linkId": "1", "answer": [{"valueInteger": 1}]}] * 2),
        a("QuestionnaireResponse", item=[{"linkId": "1"}, {"linkId": "1", "answer": [{"valueInteger": 1}]}]),
    ),
    "qty-3": (quantity(value=1, code="mg"), quantity(value=1, code="mg", system="http://unitsofmeasure.org")),
    "rat-1": (
        a("Observation", valueRatio={"numerator": {"value": 1}}),
        a("Observation", valueRatio={"numerator": {"value": 1}, "denominator": {"value": 1}}),
    ),
    "ref-1": (a("Task", focus={"reference": "#nobody"}), holds({})),
    "rng-2": (
        a("Observation", valueRange={"low": {"value": 2}, "high": {"value": 1}}),
        a("Observation", valueRange={"low": {"value": 1}, "high": {"value": 2}}),
    ),
    "tim-1": (repeat(duration=1), repeat(duration=1, durationUnit="h")),
    "tim-2": (repeat(period=1), repeat(period=1, periodUnit="h")),
    "tim-4": (repeat(duration=-1, durationUnit="h"), repeat(duration=1, durationUnit="h")),
    "tim-5": (repeat(period=-1, periodUnit="h"), repeat(period=1, periodUnit="h")),
    "tim-6": (repeat(periodMax=1), repeat(period=1, periodUnit="h", periodMax=2)),
    "tim-7": (repeat(durationMax=1), repeat(duration=1, durationUnit="h", durationMax=2)),
    "tim-8": (repeat(countMax=1), repeat(count=1, countMax=2)),
    "tim-9": (repeat(offset=10, when=["C"]), repeat(offset=10, when=["AC"])),
    "tim-10": (repeat(timeOfDay=["10:00:00"], when=["AC"]), repeat(timeOfDay=["10:00:00"])),
    "txt-1": (narrative(TEXT.format("<script>x</script>")), narrative(TEXT.format("<p>x</p>"))),
    "txt-2": (narrative(TEXT.format("<p> </p>")), narrative(TEXT.format("<p>x</p>"))),
    "us-core-1": (
        a("Observation", valueInteger=1, effectiveDateTime="2026-10"),
        a("Observation", valueInteger=1, effectiveDateTime="2026-10-14"),
    ),
    "us-core-2": (a("Observation", method={"text": "x"}), a("Observation", valueInteger=1)),
    "us-core-3": (
        quantity(value=1, code="mg", system="https://x.example/units"),
        quantity(value=1, code="mg", system="http://unitsofmeasure.org"),
    ),
    "us-core-6": (
        a("DocumentReference", content=[{"attachment": {"title": "x"}}]),
        a("DocumentReference", content=[{"attachment": {"url": "https://x.example"}}]),
    ),
    "us-core-7": (
        a("Procedure", status="completed"),
        a("Procedure", status="completed", performedDateTime="2026-10-14"),
    ),
    "us-core-13": (
        a("PractitionerRole", telecom=[{"system": "phone"}]),
        a("PractitionerRole", telecom=[{"system": "phone"}], practitioner={"display": "x"}),
    ),
    "us-core-17": (npi("1999999001"), npi("1999999000")),
    "us-core-18": (numbered("7", "12345"), numbered("7", "12D3456789")),
    "us-core-19": (numbered("300", "123"), numbered("300", "12345")),
    "us-core-21": (
        a("MedicationRequest", intent="order"),
        a("MedicationRequest", intent="order", requester={"display": "x"}),
    ),
}

SAME_AS = {"us-core-16": "us-core-17", "vs-1": "us-core-1", "vs-2": "us-core-2"}
"""Invariants of two profiles that ask the same; the gate names them by one key."""
_ANY = "is reached through an extension or a Task's input or output only, and no mapping builds one"
NOT_BY_US = {
    "cnt-3": f"a Count {_ANY}",
    "dis-1": f"a Distance {_ANY}",
    "drq-1": f"a DataRequirement {_ANY}",
    "drq-2": f"a DataRequirement {_ANY}",
    "exp-1": f"an Expression {_ANY}",
    "trd-1": f"a TriggerDefinition {_ANY}",
    "trd-2": f"a TriggerDefinition {_ANY}",
    "trd-3": f"a TriggerDefinition {_ANY}",
    "us-core-23": "about the race extension, and no mapping builds an extension: the registry holds no race",
}
VS_3 = "vs-3"
"""A component of a vital sign needs a value or a reason; the gate asks it of every component, as obs-value."""


def rules_of(resource: Json, mappings: Mappings) -> set[str]:
    if resource["resourceType"] == "Bundle":
        return {one.rule for one in check_bundle(resource, mappings.known_codes)}
    return {one.rule for one in inspect(resource, "x").findings}


def test_every_invariant_in_use_has_a_planted_fault_or_a_reason() -> None:
    assert len(LISTED) > 80
    assert set(LISTED) == PLANTED.keys() | SAME_AS.keys() | NOT_BY_US.keys() | {VS_3}


@pytest.mark.parametrize("key", sorted(PLANTED))
def test_the_fault_is_named_by_its_invariant_and_the_repaired_value_is_not(key: str, mappings: Mappings) -> None:
    bad, good = PLANTED[key]
    assert key in rules_of(bad, mappings)
    assert key not in rules_of(good, mappings)


@pytest.mark.parametrize(("key", "other"), sorted(SAME_AS.items()))
def test_what_is_named_by_another_key_is_caught_by_it(key: str, other: str) -> None:
    assert key in LISTED
    assert other in PLANTED


def test_a_component_without_value_or_reason_is_caught(mappings: Mappings) -> None:
    assert "obs-value" in rules_of(a("Observation", component=[{"code": {"text": "x"}}]), mappings)
    fine = a("Observation", component=[{"code": {"text": "x"}, "dataAbsentReason": {"text": "x"}}])
    assert "obs-value" not in rules_of(fine, mappings)


ANY_TYPE = frozenset({"Extension", "Task.input", "Task.output"})
"""Where R4 lets a value of any type stand."""


def reached(kind: str, seen: set[str]) -> set[str]:
    """Return the types that a type reaches without going through what may hold any type."""
    for row in r4.TYPES[kind].values():
        if row["t"] in r4.TYPES and row["t"] not in seen and row["t"] not in ANY_TYPE:
            seen.add(row["t"])
            reached(row["t"], seen)
    return seen


def test_what_cannot_be_broken_by_us_is_out_of_reach_and_no_mapping_builds_one() -> None:
    everything = set().union(*(reached(kind, {kind}) for kind in r4.RESOURCES))
    places = {where.partition(".")[0] for key in NOT_BY_US for where in LISTED[key]["at"]} - {"Patient"}
    assert everything & places == set()
    for folder in ("events", "partners"):
        for file in (ROOT / "mappings" / folder).glob("*.yaml"):
            told = json.dumps(read_yaml(file), default=str)
            assert not any(name in told for name in ("xtension", '"input', '"output')), file.name


@pytest.mark.parametrize(
    ("extension", "rule"),
    [
        ({"url": "https://x.example/e", "valueInteger64": "1"}, "unknown-element"),
        ({"url": "https://x.example/e", "valueCodeableReference": {"concept": {"text": "x"}}}, "unknown-element"),
        ({"valueBoolean": True}, "cardinality"),
        ({"url": "https://x.example/e", "valueBoolean": True, "valueString": "x"}, "choice"),
    ],
)
def test_an_extension_has_one_value_of_the_types_of_r4(extension: Json, rule: str, mappings: Mappings) -> None:
    assert rule in rules_of(a("Patient", extension=[extension]), mappings)
