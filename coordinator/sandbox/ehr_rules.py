"""What the large record systems refuse, as their own pages and people who tried report it (November 2026).

One function a play: the resource as it was posted, and a look into the chart room. It answers None, or the
status and code of the refusal. The files of mappings/partners name the sources.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

Look = Callable[[str], Mapping[str, Any] | None]
"""Returns what is held at "Patient/12", or None."""

DUPLICATE_READING = "59189"
"""The code with which one of them answers the same reading again."""


class Refusal(NamedTuple):
    """A status, the issue code, and the vendor's own code where it has one; no code at all is an empty body."""

    status: int
    code: str | None
    detail: str | None = None


NOT_ON_THE_APP = Refusal(403, None)
_INVALID = Refusal(400, "invalid")
_RULE = Refusal(422, "business-rule")
_UNKNOWN = Refusal(422, "not-supported")


def epic_like(resource: Mapping[str, Any], look: Look) -> Refusal | None:
    """Notes as text under a visit of that patient, vital signs one coding each, provisional conditions. No more."""
    kind = resource["resourceType"]
    if kind not in ("DocumentReference", "Observation", "Condition"):
        return NOT_ON_THE_APP
    patient = _held(resource.get("subject"), look)
    if patient is None:
        return _INVALID
    if kind == "Condition":
        return None if "provisional" in _codes(resource.get("verificationStatus")) else _RULE
    context = resource.get("context") or {}
    visits = context.get("encounter") or [] if kind == "DocumentReference" else [resource.get("encounter")]
    visit = _held(visits[0] if visits else None, look)
    if visit is None or (visit.get("subject") or {}).get("reference") != f"Patient/{patient.get('id')}":
        return _INVALID
    if kind == "DocumentReference":
        attachment = ((resource.get("content") or [{}])[0]).get("attachment") or {}
        signed = resource.get("docStatus") in ("final", "preliminary")
        return None if attachment.get("contentType") == "text/plain" and attachment.get("data") and signed else _INVALID
    one_coding = len((resource.get("code") or {}).get("coding") or []) == 1
    open_visit = visit.get("status") == "in-progress"
    return None if _is(resource, "vital-signs") and one_coding and open_visit and _final(resource) else _INVALID


def oracle_like(resource: Mapping[str, Any], look: Look) -> Refusal | None:
    """Vital signs with their practitioner, one document at a time, reported medicines, messages between people."""
    kind = resource["resourceType"]
    if _held(resource.get("subject"), look) is None:
        return _INVALID
    if kind == "DocumentReference":
        end = ((resource.get("context") or {}).get("period") or {}).get("end") or ""
        whole = len(resource.get("content") or []) == 1 and len((resource.get("type") or {}).get("coding") or []) == 1
        fine = whole and "T" in end and resource.get("docStatus") == "final" and _person(resource.get("author"), look)
        return None if fine else _RULE
    if kind == "Observation":
        if not (_is(resource, "vital-signs") or _is(resource, "laboratory")):
            return _UNKNOWN
        fine = "effectiveDateTime" in resource and _person(resource.get("performer"), look)
        return None if fine else _RULE
    if kind == "MedicationRequest":
        told = resource.get("reportedBoolean") is True and resource.get("status") == "active"
        named = "reportedReference" in resource
        return None if told and not named and resource.get("intent") in ("order", "plan") else _RULE
    if kind == "Communication":
        between = _person([resource.get("sender")], look) and _person(resource.get("recipient"), look)
        fine = between and resource.get("status") == "completed" and resource.get("priority") in ("routine", "urgent")
        return None if fine else _RULE
    return None


def athena_like(resource: Mapping[str, Any], look: Look) -> Refusal | None:
    """Nothing clinical at all."""
    return None if resource["resourceType"] == "QuestionnaireResponse" else NOT_ON_THE_APP


def same_reading(resource: Mapping[str, Any], held: list[dict[str, Any]]) -> bool:
    """Return whether this reading is held already: same patient, code and time."""

    def name(one: Mapping[str, Any]) -> tuple[Any, ...]:
        return one.get("subject"), one.get("code"), one.get("effectiveDateTime")

    return resource["resourceType"] == "Observation" and any(name(one) == name(resource) for one in held)


def _held(reference: object, look: Look) -> Mapping[str, Any] | None:
    """Return what a literal reference leads to here; one by identifier leads nowhere."""
    place = reference.get("reference") if isinstance(reference, Mapping) else None
    return look(place) if isinstance(place, str) and not place.startswith("urn:") else None


def _person(listed: object, look: Look) -> bool:
    first = listed[0] if isinstance(listed, list) and listed else None
    found = _held(first, look)
    return found is not None and found.get("resourceType") == "Practitioner"


def _codes(concept: object) -> set[str]:
    codings = concept.get("coding") or [] if isinstance(concept, Mapping) else []
    return {str(one.get("code")) for one in codings}


def _is(resource: Mapping[str, Any], category: str) -> bool:
    return any(category in _codes(one) for one in resource.get("category") or [])


def _final(resource: Mapping[str, Any]) -> bool:
    return resource.get("status") in ("final", "corrected", "amended")


RULES: Mapping[str, Callable[[Mapping[str, Any], Look], Refusal | None]] = {
    "epic-like": epic_like,
    "oracle-like": oracle_like,
    "athena-like": athena_like,
}
