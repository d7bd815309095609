"""The invariants of R4 and US Core 6.1.0 for the resources in use, as functions on plain dicts.

Each is named as in the specification. Structure, cardinality and bindings are the
tables' business (`gate`); here stands what tables cannot say.
"""

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal

from coordinator.mapping import digits
from coordinator.mapping.json_values import Json, Value

ACTIVE_CONTENT = re.compile(
    r"<\s*(script|iframe|object|embed|form|input|link|base|meta)\b|\son\w+\s*=|javascript:", re.I
)
"""txt-1: a narrative holds formatting only."""
UCUM = "http://unitsofmeasure.org"
_CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
_VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
_US_NPI = "http://hl7.org/fhir/sid/us-npi"
_DAYS_WITHOUT_COUNT = ("period", "duration", "count", "frequency")


def _codes(concept: Value, system: str | None = None) -> set[str]:
    codings = concept.get("coding", []) if isinstance(concept, dict) else []
    return {
        one.get("code", "") for one in codings if isinstance(one, dict) and (not system or one.get("system") == system)
    }


def _has(resource: Json, stem: str) -> bool:
    size = len(stem)
    return any(key.startswith(stem) and (len(key) == size or key[size].isupper()) for key in resource)


def later(start: Value, end: Value) -> bool:
    """Return whether `start` is after `end`, both as precise as given; unreadable values are another rule's."""
    if not isinstance(start, str) or not isinstance(end, str):
        return False
    if "T" in start and "T" in end:
        try:
            return datetime.fromisoformat(start) > datetime.fromisoformat(end)
        except ValueError:
            return False
    shared = min(len(start.split("T")[0]), len(end.split("T")[0]))
    return start[:shared] > end[:shared]


TypeRule = Callable[[Json], bool]
TYPE_RULES: dict[str, tuple[tuple[str, str, TypeRule], ...]] = {
    "Period": (("per-1", "the end is before the start", lambda v: later(v.get("start"), v.get("end"))),),
    "Quantity": (
        ("qty-3", "a coded unit needs its system", lambda v: "code" in v and "system" not in v),
        ("qty-value", "a quantity needs a value", lambda v: "value" not in v),
    ),
    "Ratio": (
        ("rat-1", "numerator and denominator belong together", lambda v: ("numerator" in v) != ("denominator" in v)),
    ),
    "Range": (("rng-2", "low is above high", lambda v: _above(v.get("low"), v.get("high"))),),
    "ContactPoint": (("cpt-2", "a contact value needs its system", lambda v: "value" in v and "system" not in v),),
    "Reference": (
        (
            "reference-empty",
            "a reference needs an address, an identifier or a display",
            lambda v: not v.keys() & {"reference", "identifier", "display", "extension"},
        ),
    ),
    "Attachment": (
        ("att-1", "data need a content type", lambda v: "data" in v and "contentType" not in v),
        ("us-core-6", "an attachment needs data or an address", lambda v: not v.keys() & {"data", "url"}),
    ),
    "Extension": (
        ("ext-1", "an extension has a value or extensions, not both", lambda v: ("extension" in v) is _has(v, "value")),
    ),
    "Timing.repeat": (
        ("tim-1", "a duration needs its unit", lambda v: "duration" in v and "durationUnit" not in v),
        ("tim-2", "a period needs its unit", lambda v: "period" in v and "periodUnit" not in v),
        ("tim-4", "the duration is negative", lambda v: _negative(v.get("duration"))),
        ("tim-5", "the period is negative", lambda v: _negative(v.get("period"))),
        ("tim-6", "periodMax needs period", lambda v: "periodMax" in v and "period" not in v),
        ("tim-7", "durationMax needs duration", lambda v: "durationMax" in v and "duration" not in v),
        ("tim-8", "countMax needs count", lambda v: "countMax" in v and "count" not in v),
        ("tim-10", "a time of day excludes `when`", lambda v: "timeOfDay" in v and "when" in v),
    ),
    "MedicationAdministration.dosage": (
        ("mad-1", "a dosage needs a dose or a rate", lambda v: not ("dose" in v or _has(v, "rate"))),
    ),
    "Patient.contact": (
        ("pat-1", "a contact needs details", lambda v: not v.keys() & {"name", "telecom", "address", "organization"}),
    ),
    "Observation.component": (
        (
            "obs-value",
            "a component needs a value or the reason for its absence",
            lambda v: not (_has(v, "value") or "dataAbsentReason" in v),
        ),
    ),
    "Narrative": (
        (
            "txt-1",
            "the narrative is not one XHTML div",
            lambda v: not str(v.get("div", "")).lstrip().startswith("<div"),
        ),
    ),
    "Composition.section": (
        ("cmp-1", "a section needs text, entries or sections", lambda v: not v.keys() & {"text", "entry", "section"}),
    ),
    "CodeableConcept": (
        (
            "concept-empty",
            "a concept needs a coding or a text",
            lambda v: not v.keys() & {"coding", "text", "extension"},
        ),
    ),
    "Identifier": (("identifier-empty", "an identifier needs a value", lambda v: "value" not in v),),
}


def _number(value: Value) -> Decimal | int | None:
    number = value.get("value") if isinstance(value, dict) else value
    return number if isinstance(number, Decimal | int) and not isinstance(number, bool) else None


def _above(low: Value, high: Value) -> bool:
    first, second = _number(low), _number(high)
    return first is not None and second is not None and first > second


def _negative(value: Value) -> bool:
    number = _number(value)
    return number is not None and number < 0


def _observation(v: Json) -> Iterator[tuple[str, str, str]]:
    if "dataAbsentReason" in v and _has(v, "value"):
        yield "obs-6", "a reason for absence stands beside a value", ""
    if _has(v, "value") and any(_codes(v.get("code")) & _codes(one.get("code")) for one in v.get("component", [])):
        yield "obs-7", "a component repeats the code of the observation", ""
    if not (_has(v, "value") or v.keys() & {"dataAbsentReason", "component", "hasMember"}):
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
    yield from _has_npi(v)


def _procedure(v: Json) -> Iterator[tuple[str, str, str]]:
    if v.get("status") in ("completed", "in-progress") and not _has(v, "performed"):
        yield "us-core-7", "a done procedure needs its time", "performed[x]"


def _condition(v: Json) -> Iterator[tuple[str, str, str]]:
    status = _codes(v.get("clinicalStatus"), _CLINICAL)
    mistaken = "entered-in-error" in _codes(v.get("verificationStatus"), _VERIFICATION)
    if _has(v, "abatement") and not status & {"resolved", "remission", "inactive"}:
        yield "con-4", "a condition that has passed is inactive, resolved or in remission", "clinicalStatus"
    if mistaken and "clinicalStatus" in v:
        yield "con-5", "a condition entered in error has no clinical status", "clinicalStatus"


def _consent(v: Json) -> Iterator[tuple[str, str, str]]:
    if not v.keys() & {"policy", "policyRule"}:
        yield "ppc-1", "a consent names a policy or a policy rule", ""


def _task(v: Json) -> Iterator[tuple[str, str, str]]:
    if later(v.get("authoredOn"), v.get("lastModified")):
        yield "inv-1", "the task was changed before it was made", "lastModified"


def _role(v: Json) -> Iterator[tuple[str, str, str]]:
    if not v.keys() & {"telecom", "endpoint"}:
        yield "pd-1", "a role needs a way to reach it", ""


def _document(v: Json) -> Iterator[tuple[str, str, str]]:
    if not _has(v, "type") and US_DOCUMENT in v.get("meta", {}).get("profile", []):
        yield "us-core-type", "a document needs its type", "type"


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
}


def broken_by(kind: str, resource: Json) -> Iterator[tuple[str, str, str]]:
    """Yield (rule, sentence, place) for every invariant of a resource that does not hold."""
    try:
        rule = RESOURCE_RULES.get(kind)
        if rule is not None:
            yield from rule(resource)
        yield from _contained(resource)
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
