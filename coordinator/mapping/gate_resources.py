"""The invariants of R4 and US Core for whole resources, as functions on plain dicts. Those of types: `gate_rules`."""

import re
from collections.abc import Callable, Iterator

from coordinator.mapping import digits
from coordinator.mapping.gate_rules import codes_of, has, later
from coordinator.mapping.json_values import Json, Value
from coordinator.mapping.systems import UCUM

_CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
_VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
_NUMBERS: dict[str, tuple[str, re.Pattern[str]]] = {
    "urn:oid:2.16.840.1.113883.4.7": ("us-core-18", re.compile(r"[0-9]{2}D[0-9]{7}")),
    "urn:oid:2.16.840.1.113883.4.300": ("us-core-19", re.compile(r"[0-9]{5}")),
}
"""Numbers of laboratories (CLIA) and insurers (NAIC), by their systems."""
_SCOPES = {"patient-privacy": "ppc-2", "research": "ppc-3", "adr": "ppc-4", "treatment": "ppc-5"}
_US_NPI = "http://hl7.org/fhir/sid/us-npi"


def _observation(v: Json) -> Iterator[tuple[str, str, str]]:
    if len(str(v.get("effectiveDateTime", "2026-10-14"))) < len("2026-10-14"):
        yield "us-core-1", "the time of an observation is at least a day", "effectiveDateTime"
    if v.get("valueQuantity", {}).get("system", UCUM) != UCUM:
        yield "us-core-3", "the unit of an observation is UCUM's", "valueQuantity"
    if "dataAbsentReason" in v and has(v, "value"):
        yield "obs-6", "a reason for absence stands beside a value", ""
    if has(v, "value") and any(codes_of(v.get("code")) & codes_of(one.get("code")) for one in v.get("component", [])):
        yield "obs-7", "a component repeats the code of the observation", ""
    if not (has(v, "value") or v.keys() & {"dataAbsentReason", "component", "hasMember"}):
        yield "us-core-2", "an observation needs a value, components, members or the reason for absence", ""


def _medication_request(v: Json) -> Iterator[tuple[str, str, str]]:
    if v.get("intent") == "order" and "requester" not in v:
        yield "us-core-21", "an order needs its requester", "requester"


def _patient(v: Json) -> Iterator[tuple[str, str, str]]:
    for index, name in enumerate(v.get("name", [])):
        if isinstance(name, dict) and not name.keys() & {"family", "given", "extension"}:
            yield "us-core-6", "a name needs a family or a given name", f"name[{index}]"


def _has_npi(v: Json) -> Iterator[tuple[str, str, str]]:
    for index, one in enumerate(v.get("identifier", [])):
        if (
            isinstance(one, dict)
            and one.get("system") == _US_NPI
            and not digits.npi_is_whole(str(one.get("value", "")))
        ):
            yield "us-core-17", "the NPI is not ten digits with a right check digit", f"identifier[{index}]"


def _organization(v: Json) -> Iterator[tuple[str, str, str]]:
    if not v.keys() & {"identifier", "name"}:
        yield "org-1", "an organization needs an identifier or a name", ""
    for rule, name in (("org-2", "address"), ("org-3", "telecom")):
        if any(one.get("use") == "home" for one in v.get(name, [])):
            yield rule, "an organization has no home", name
    for one in v.get("identifier", []):
        form = _NUMBERS.get(one.get("system"))
        if form is not None and not form[1].fullmatch(str(one.get("value", ""))):
            yield form[0], "the number is not of the form of its kind", "identifier"
    yield from _has_npi(v)


def _procedure(v: Json) -> Iterator[tuple[str, str, str]]:
    if v.get("status") in ("completed", "in-progress") and not has(v, "performed"):
        yield "us-core-7", "a done procedure needs its time", "performed[x]"


def _condition(v: Json) -> Iterator[tuple[str, str, str]]:
    status = codes_of(v.get("clinicalStatus"), _CLINICAL)
    mistaken = "entered-in-error" in codes_of(v.get("verificationStatus"), _VERIFICATION)
    if has(v, "abatement") and not status & {"resolved", "remission", "inactive"}:
        yield "con-4", "a condition that has passed is inactive, resolved or in remission", "clinicalStatus"
    if mistaken and "clinicalStatus" in v:
        yield "con-5", "a condition entered in error has no clinical status", "clinicalStatus"


def _consent(v: Json) -> Iterator[tuple[str, str, str]]:
    if not v.keys() & {"policy", "policyRule"}:
        yield "ppc-1", "a consent names a policy or a policy rule", ""
    for code in sorted(codes_of(v.get("scope")) & _SCOPES.keys()) if "patient" not in v else ():
        yield _SCOPES[code], "a consent of this scope needs its patient", "patient"


def _task(v: Json) -> Iterator[tuple[str, str, str]]:
    if later(v.get("authoredOn"), v.get("lastModified")):
        yield "inv-1", "the task was changed before it was made", "lastModified"


def _role(v: Json) -> Iterator[tuple[str, str, str]]:
    if not v.keys() & {"telecom", "endpoint"}:
        yield "pd-1", "a role needs a way to reach it", ""
    if not v.keys() & {"practitioner", "organization", "healthcareService", "location"}:
        yield "us-core-13", "a role is somebody's, or somewhere", ""


def _document(v: Json) -> Iterator[tuple[str, str, str]]:
    if not has(v, "type") and US_DOCUMENT in v.get("meta", {}).get("profile", []):
        yield "us-core-type", "a document needs its type", "type"


def _answers(v: Json) -> Iterator[tuple[str, str, str]]:
    answered = [one.get("linkId") for one in v.get("item", []) if one.get("answer")]
    if len(set(answered)) < len(answered):
        yield "sdcqr-2", "two answered items are of one question", "item"
    for one in v.get("item", []):
        yield from _answers(one)
        for answer in one.get("answer", []):
            yield from _answers(answer)


US_DOCUMENT = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-documentreference"
ResourceRule = Callable[[Json], Iterator[tuple[str, str, str]]]
RESOURCE_RULES: dict[str, ResourceRule] = {
    "Observation": _observation,
    "MedicationRequest": _medication_request,
    "Patient": _patient,
    "Practitioner": _has_npi,
    "Organization": _organization,
    "Procedure": _procedure,
    "Condition": _condition,
    "Consent": _consent,
    "Task": _task,
    "PractitionerRole": _role,
    "DocumentReference": _document,
    "QuestionnaireResponse": _answers,
}


def broken_by(kind: str, resource: Json, *, local: bool) -> Iterator[tuple[str, str, str]]:
    """Yield (rule, sentence, place) for every invariant that does not hold; `local`: it has local references."""
    try:
        rule = RESOURCE_RULES.get(kind)
        if rule is not None:
            yield from rule(resource)
        yield from _contained(resource)
        if local:
            yield from _local(resource)
    except (AttributeError, TypeError):
        # A part of the wrong shape: the tables have already said so.
        return


def _contained(resource: Json) -> Iterator[tuple[str, str, str]]:
    contained = resource.get("contained", [])
    if not contained:
        return
    used = set(_local_references({key: value for key, value in resource.items() if key != "contained"}))
    for index, one in enumerate(contained):
        place = f"contained[{index}]"
        if "contained" in one:
            yield "dom-2", "a contained resource contains another", place
        if f"#{one.get('id')}" not in used and "#" not in set(_local_references(one)):
            yield "dom-3", "a contained resource is not referred to", place
        if one.get("meta", {}).keys() & {"versionId", "lastUpdated"}:
            yield "dom-4", "a contained resource has a version of its own", place
        if "security" in one.get("meta", {}):
            yield "dom-5", "a contained resource has security labels of its own", place


def _local(resource: Json) -> Iterator[tuple[str, str, str]]:
    held = {f"#{one.get('id')}" for one in resource.get("contained", [])} | {"#"}
    if not set(_local_references(resource)) <= held:
        yield "ref-1", "a local reference leads to nothing that is contained", ""


def _local_references(value: Value) -> Iterator[str]:
    if isinstance(value, dict):
        for key, child in value.items():
            if key == "reference" and isinstance(child, str) and child.startswith("#"):
                yield child
            else:
                yield from _local_references(child)
    elif isinstance(value, list):
        for child in value:
            yield from _local_references(child)
