"""Finding the patient at the far side before anything is posted: exactly one, or a person decides."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from coordinator.channels.fhir.said import part, parts, text, texts
from coordinator.channels.fhir.server import FhirServer
from coordinator.domain.errors import NeedsHuman
from coordinator.domain.registry import Endpoint, Identifier, Patient, Provider


@dataclass(frozen=True)
class Match:
    """The one patient found: their id there, and by what."""

    far_side_id: str
    by: Literal["identifier", "demographics"]


def match_patient(server: FhirServer, patient: Patient, provider: Provider, endpoint: Endpoint) -> Match:
    """Return the one patient at the far side that is surely ours.

    Their own number first; else family, given, birth date and one more. Every hit is
    compared with what we hold, because a server may ignore a search term it does not
    know. Raises NeedsHuman: none, several, or one that contradicts our record.
    """
    known = theirs(patient, provider)
    if known and endpoint.patient_match != "demographics":
        hits, more = _hits(server.search("Patient", {"identifier": f"{known[0].system}|{known[0].value}"}))
        same = [one for one in hits if _holds(one, known[0])]
        found = _only(same, more=more)
        if found.get("birthDate") not in (None, patient.birth_date.isoformat()):
            raise NeedsHuman("fhir.patient-mismatch")
        return Match(str(found.get("id")), "identifier")
    if endpoint.patient_match == "identifier":
        raise NeedsHuman("fhir.patient-none")
    form = _demographics(patient)
    hits, more = _hits(server.search("Patient", form))
    return Match(
        str(_only([one for one in hits if _is_same_person(one, patient)], more=more).get("id")), "demographics"
    )


def theirs(patient: Patient, provider: Provider) -> tuple[Identifier, ...]:
    """Return the numbers that the provider's own organisation keeps for the patient."""
    return tuple(one for one in patient.identifiers if one.held_by == provider.id)


def _demographics(patient: Patient) -> dict[str, str]:
    """Return the search terms; raise NeedsHuman when there is not enough to tell people apart."""
    if not patient.name.family or not patient.name.given:
        raise NeedsHuman("fhir.patient-none")
    form = {
        "family": patient.name.family,
        "given": patient.name.given[0],
        "birthdate": patient.birth_date.isoformat(),
    }
    if patient.address is not None:
        return {**form, "address-postalcode": patient.address.postal_code}
    if patient.phone is not None:
        return {**form, "phone": patient.phone}
    if patient.sex != "unknown":
        return {**form, "gender": patient.sex}
    raise NeedsHuman("fhir.patient-none")


def _hits(bundle: Mapping[str, Any]) -> tuple[list[dict[str, Any]], bool]:
    """Return the matching patients of the bundle, and whether it has further pages."""
    found = [
        part(one, "resource")
        for one in parts(bundle, "entry")
        if part(one, "resource").get("resourceType") == "Patient" and text(part(one, "search"), "mode") in ("", "match")
    ]
    return found, any(one.get("relation") == "next" for one in parts(bundle, "link"))


def _only(hits: list[dict[str, Any]], *, more: bool) -> dict[str, Any]:
    if more or len(hits) > 1:
        raise NeedsHuman("fhir.patient-several")
    if not hits or not text(hits[0], "id"):
        raise NeedsHuman("fhir.patient-none")
    return hits[0]


def _holds(resource: Mapping[str, Any], wanted: Identifier) -> bool:
    return any(
        one.get("system") == wanted.system and one.get("value") == wanted.value for one in parts(resource, "identifier")
    )


def _is_same_person(resource: Mapping[str, Any], patient: Patient) -> bool:
    """Return whether birth date, family name and first given name agree; only a written accent form may differ."""
    if resource.get("birthDate") != patient.birth_date.isoformat():
        return False
    family, given = _plain(patient.name.family or ""), _plain(patient.name.given[0])
    return any(
        _plain(text(name, "family")) == family and given in [_plain(one) for one in texts(name, "given")]
        for name in parts(resource, "name")
    )


def _plain(name: str) -> str:
    """Return the name as it compares: composed accents, no case, single spaces. Letters are never dropped."""
    return " ".join(unicodedata.normalize("NFC", name).casefold().split())
