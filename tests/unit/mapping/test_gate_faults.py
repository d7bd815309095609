"""Fifty-odd faults, planted one at a time in a good bundle: every one must be caught.

The first group is what the R4B model sees too; the second is what it lets through
(required bindings, invariants, reference types, codes), which is why the gate exists.
"""

import copy
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from coordinator.mapping.gate_bundle import ask_model, check_bundle
from coordinator.mapping.load import Mappings
from tests.unit.mapping.conftest import A_REQUEST, Make, a_recipient, example

Bundle = dict[str, Any]
Fault = Callable[[Bundle], None]


def of(bundle: Bundle, kind: str) -> dict[str, Any]:
    return next(one["resource"] for one in bundle["entry"] if one["resource"]["resourceType"] == kind)


def a_component(bundle: Bundle) -> dict[str, Any]:
    pressures = [one["resource"] for one in bundle["entry"] if "component" in one["resource"]]
    return pressures[0]["component"][0]


def single(bundle: Bundle) -> dict[str, Any]:
    return next(one["resource"] for one in bundle["entry"] if "valueQuantity" in one["resource"])


def put(kind: str, name: str, value: Any) -> Fault:
    return lambda bundle: of(bundle, kind).__setitem__(name, value)


def drop(kind: str, name: str) -> Fault:
    return lambda bundle: of(bundle, kind).__delitem__(name)


def reported_by(bundle: Bundle, who: dict[str, Any]) -> None:
    told = of(bundle, "MedicationRequest")
    del told["reportedBoolean"]
    told["reportedReference"] = who


def timing(**repeat: Any) -> Fault:
    return lambda bundle: of(bundle, "MedicationRequest").__setitem__(
        "dosageInstruction", [{"timing": {"repeat": repeat}}]
    )


def contained(resource: dict[str, Any], used: bool) -> Fault:
    def plant(bundle: Bundle) -> None:
        holder = of(bundle, "MedicationRequest")
        holder["contained"] = [resource]
        if used:
            holder["recorder"] = {"reference": f"#{resource['id']}"}

    return plant


SEEN_BY_THE_MODEL: dict[str, Fault] = {
    "encounter without class": drop("Encounter", "class"),
    "encounter without status": drop("Encounter", "status"),
    "administration without a drug": drop("MedicationAdministration", "medicationCodeableConcept"),
    "document without content": drop("DocumentReference", "content"),
    "provenance without target": drop("Provenance", "target"),
    "provenance agent without who": lambda b: of(b, "Provenance")["agent"][0].pop("who"),
    "communication without status": drop("Communication", "status"),
    "two forms of the drug": put("MedicationAdministration", "medicationReference", {"reference": "Medication/1"}),
    "the R5 shape of the drug": put("MedicationAdministration", "medication", {"concept": {"text": "ketamine"}}),
    "an unknown element": put("Patient", "favouriteColour", "blue"),
    "an unknown type of resource": lambda b: of(b, "Task").__setitem__("resourceType", "FooType"),
    "a day that does not exist": put("Patient", "birthDate", "1988-13-07"),
    "an instant without zone": lambda b: single(b).__setitem__("effectiveDateTime", "2026-10-14T10:00:00"),
    "an instant with a blank": lambda b: single(b).__setitem__("effectiveDateTime", "2026-10-14 10:00:00-05:00"),
    "a code with a leading blank": lambda b: single(b)["code"]["coding"][0].__setitem__("code", " 8867-4"),
    "an empty text": lambda b: of(b, "Task").__setitem__("description", ""),
    "an id with a slash": put("Provenance", "id", "a/b"),
    "a decimal in letters": lambda b: single(b)["valueQuantity"].__setitem__("value", "abc"),
    "two forms of who reported it": lambda b: of(b, "MedicationRequest").__setitem__(
        "reportedReference", of(b, "DocumentReference")["author"][0]
    ),
    "one object where a list is due": lambda b: of(b, "Patient").__setitem__("name", {"family": "X"}),
}

ONLY_OURS: dict[str, Fault] = {
    "binding: gender": put("Patient", "gender", "woman"),
    "binding: observation status": lambda b: single(b).__setitem__("status", "done"),
    "binding: request intent": put("MedicationRequest", "intent", "wish"),
    "binding: task status": put("Task", "status", "open"),
    "binding: bundle type": lambda b: b.__setitem__("type", "parcel"),
    "binding: request method": lambda b: b["entry"][0]["request"].__setitem__("method", "PUTT"),
    "binding: period unit": timing(frequency=1, period=1, periodUnit="days"),
    "binding: clinical status of a condition": lambda b: of(b, "Condition")["clinicalStatus"]["coding"][0].__setitem__(
        "code", "better"
    ),
    "binding: a code of no system": lambda b: of(b, "Condition")["clinicalStatus"]["coding"][0].pop("system"),
    "per-1": lambda b: of(b, "Encounter")["period"].__setitem__("end", "2026-10-13T12:00:00-05:00"),
    "bdl-1": lambda b: b.__setitem__("total", 3),
    "bdl-2": lambda b: b["entry"][0].__setitem__("search", {"mode": "match"}),
    "bdl-3": lambda b: b["entry"][0].pop("request"),
    "bdl-4": lambda b: b["entry"][0].__setitem__("response", {"status": "200"}),
    "bdl-7": lambda b: b["entry"].append(copy.deepcopy(b["entry"][0])),
    "bdl-8": lambda b: b["entry"][-1].__setitem__("fullUrl", "https://x.example/fhir/Patient/1/_history/2"),
    "qty-3": lambda b: single(b)["valueQuantity"].pop("system"),
    "a quantity without a value": lambda b: single(b)["valueQuantity"].pop("value"),
    "obs-6": lambda b: single(b).__setitem__("dataAbsentReason", {"text": "not done"}),
    "obs-7": lambda b: single(b).__setitem__("component", [{"code": single(b)["code"], "valueInteger": 1}]),
    "us-core-2": lambda b: single(b).pop("valueQuantity"),
    "us-core-7": drop("Procedure", "performedPeriod"),
    "us-core-17": lambda b: of(b, "Organization")["identifier"][0].__setitem__("value", "1999999001"),
    "us-core-21": lambda b: (
        of(b, "MedicationRequest").__setitem__("intent", "order"),
        of(b, "MedicationRequest").pop("requester", None),
    ),
    "con-4": lambda b: of(b, "Condition")["clinicalStatus"]["coding"][0].__setitem__("code", "active"),
    "con-5": lambda b: of(b, "Condition")["verificationStatus"]["coding"][0].__setitem__("code", "entered-in-error"),
    "pat-1": put("Patient", "contact", [{"relationship": [{"text": "friend"}]}]),
    "mad-1": lambda b: of(b, "MedicationAdministration")["dosage"].pop("dose"),
    "tim-1": timing(duration=1),
    "tim-2": timing(frequency=1, period=1),
    "tim-5": timing(period=-1, periodUnit="d"),
    "dom-2": contained({"resourceType": "Organization", "id": "o", "name": "X", "contained": []}, used=True),
    "dom-3": contained({"resourceType": "Organization", "id": "o", "name": "X"}, used=False),
    "dom-5": contained(
        {"resourceType": "Practitioner", "id": "p", "meta": {"security": [{"code": "R"}]}, "name": [{"family": "X"}]},
        used=True,
    ),
    "att-1": lambda b: of(b, "DocumentReference")["content"][0]["attachment"].pop("contentType"),
    "cpt-2": lambda b: of(b, "Patient")["telecom"][0].pop("system"),
    "ref to the wrong type, literal": lambda b: single(b).__setitem__("subject", {"reference": "Encounter/1"}),
    "ref to the wrong type, in the bundle": lambda b: single(b).__setitem__("subject", single(b)["encounter"]),
    "ref to nothing": lambda b: single(b)["subject"].__setitem__(
        "reference", "urn:uuid:00000000-0000-4000-8000-000000000000"
    ),
    "reported by a visit": lambda b: reported_by(b, of(b, "Procedure")["encounter"]),
    "reported by nobody in the bundle": lambda b: reported_by(
        b, {"reference": "urn:uuid:00000000-0000-4000-8000-000000000002"}
    ),
    "reported neither so nor so": lambda b: of(b, "MedicationRequest").__setitem__("reportedBoolean", "true"),
    "an empty reference": put("Task", "owner", {"id": "x1"}),
    "an entry that nothing is linked with": lambda b: b["entry"].append(
        {
            "fullUrl": "urn:uuid:00000000-0000-4000-8000-000000000001",
            "resource": {"resourceType": "Organization", "name": "Island"},
            "request": {"method": "POST", "url": "Organization"},
        }
    ),
    "a code system nobody knows": lambda b: single(b)["code"]["coding"][0].__setitem__("system", "http://x.example/y"),
    "a LOINC code with a wrong check digit": lambda b: single(b)["code"]["coding"][0].__setitem__("code", "8867-5"),
    "a whole LOINC code that is in no table": lambda b: single(b)["code"]["coding"][0].__setitem__("code", "8302-2"),
    "a SNOMED code with a wrong check digit": lambda b: of(b, "Condition")["code"]["coding"][0].__setitem__(
        "code", "422587008"
    ),
    "a unit that UCUM does not have": lambda b: single(b)["valueQuantity"].__setitem__("code", "bpm"),
    "data that are not base64": lambda b: of(b, "DocumentReference")["content"][0]["attachment"].__setitem__(
        "data", "%%%"
    ),
    "an empty list": lambda b: of(b, "DocumentReference").__setitem__("content", []),
    "an empty object": lambda b: of(b, "Task").__setitem__("owner", {}),
    "a null": lambda b: of(b, "Task").__setitem__("description", None),
    "a number as text": lambda b: of(b, "DocumentReference")["content"][0]["attachment"].__setitem__("size", "17"),
    "a float": lambda b: single(b)["valueQuantity"].__setitem__("value", 37.1),
    "an identifier system that is no address": lambda b: of(b, "Encounter")["identifier"][0].__setitem__(
        "system", "our own numbers"
    ),
    "a script in the narrative": lambda b: of(b, "CarePlan")["text"].__setitem__(
        "div", '<div xmlns="http://www.w3.org/1999/xhtml"><script>x</script></div>'
    ),
    "an extension of a type that R4 does not have": put(
        "Patient", "extension", [{"url": "http://x.example/e", "valueCodeableReference": {"concept": {"text": "x"}}}]
    ),
    "an extension with both value and extensions": put(
        "Patient",
        "extension",
        [{"url": "http://x.example/e", "valueString": "x", "extension": [{"url": "y", "valueString": "z"}]}],
    ),
}

FAULTS = SEEN_BY_THE_MODEL | ONLY_OURS


@pytest.fixture(scope="module")
def good(make: Make) -> Bundle:
    return make(example("session-outcome.bp-spike"), recipient=a_recipient(requests=(A_REQUEST,))).body("chart")


def test_the_good_bundle_has_no_fault(good: Bundle, mappings: Mappings) -> None:
    assert check_bundle(good, mappings.known_codes) == []
    assert ask_model(good) == []


def test_at_least_fifty_faults_are_planted() -> None:
    assert len(FAULTS) >= 50
    assert len(ONLY_OURS) >= 31


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_caught(good: Bundle, mappings: Mappings, fault: str) -> None:
    bundle = copy.deepcopy(good)
    FAULTS[fault](bundle)
    assert bundle != good, "nothing was planted"
    findings = check_bundle(bundle, mappings.known_codes)
    assert findings, "the fault got through"
    named = fault.split(":", maxsplit=1)[0]
    if named in {"per-1", "qty-3", "pat-1", "mad-1", "cpt-2", "att-1", "binding"} or named[:3] in {"bdl", "obs", "tim"}:
        assert named in {one.rule for one in findings}


@pytest.mark.parametrize("fault", SEEN_BY_THE_MODEL)
def test_the_model_alone_sees_these(good: Bundle, fault: str) -> None:
    bundle = copy.deepcopy(good)
    SEEN_BY_THE_MODEL[fault](bundle)
    assert ask_model(bundle) != []


@pytest.mark.parametrize("fault", ONLY_OURS)
def test_the_model_alone_lets_these_through(good: Bundle, fault: str) -> None:
    bundle = copy.deepcopy(good)
    ONLY_OURS[fault](bundle)
    assert ask_model(bundle) == []


def test_what_the_model_refuses_is_told_without_the_value(good: Bundle) -> None:
    bundle = copy.deepcopy(good)
    of(bundle, "Patient")["birthDate"] = "secret-birthday"
    findings = ask_model(bundle)
    assert findings
    assert "secret-birthday" not in repr(findings)


def test_a_finding_never_says_the_value(good: Bundle, mappings: Mappings) -> None:
    bundle = copy.deepcopy(good)
    of(bundle, "Patient")["gender"] = "secret-gender"
    single(bundle)["valueQuantity"]["value"] = Decimal("4711.5")
    single(bundle)["valueQuantity"]["code"] = "secret-unit"
    assert "secret" not in repr(check_bundle(bundle, mappings.known_codes))
