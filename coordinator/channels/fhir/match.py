"""Finding the patient at the far side before anything is posted: exactly one, or a person decides."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from coordinator.channels.fhir.said import part, parts, relative, text, texts
from coordinator.channels.fhir.server import FhirServer
from coordinator.domain.errors import NeedsHuman
from coordinator.domain.registry import Clinic, Endpoint, Identifier, Patient, Provider
from coordinator.mapping.identity import own_number

ZIP_DIGITS, NATIONAL_DIGITS = 5, 10


@dataclass(frozen=True)
class Match:
    """The one patient found: their id there, by what, and under which numbers that we know."""

    far_side_id: str
    by: Literal["identifier", "demographics"]
    numbers: frozenset[str] = frozenset()
    """ "system|value" of each number of ours that the record found has, or of whose kind it has none."""
    own: frozenset[str] = frozenset()
    """The clinic's own number for the patient: right at any server, and found at few."""
    present: frozenset[str] = frozenset()
    """Every number by which the registry names the patient to this provider now, the clinic's own among them."""
    record: frozenset[str] = frozenset()
    """Every number that stands in the record found: it keeps those of records that were joined with it."""
    replaces: frozenset[str] = frozenset()
    """The ids of the records there that the one found says it has taken the place of."""

    @property
    def named_by(self) -> frozenset[str]:
        """Return the numbers by which a letter may name the patient to this server."""
        return self.numbers | self.own

    @property
    def known_by(self) -> frozenset[str]:
        """Return the numbers by which that server's own copy may name the patient."""
        return self.named_by | self.record


def match_patient(server: FhirServer, patient: Patient, provider: Provider, endpoint: Endpoint) -> Match:
    """Return the one patient at the far side that is surely ours.

    Their own number first; else family, given, birth date and one more. Every hit is
    compared with what we hold, because a server may ignore a search term it does not
    know. Raises NeedsHuman: none, several, one that contradicts our record, or one that
    is not in use any more.
    """
    known = theirs(patient, provider)
    if known and endpoint.patient_match != "demographics":
        return _by_numbers(server, known, patient)
    if endpoint.patient_match == "identifier":
        raise NeedsHuman("fhir.patient-none")
    form = _demographics(patient)
    hits, more = _hits(server.search("Patient", form))
    found = _only([one for one in hits if _is_same_person(one, patient)], more=more)
    return _match(found, "demographics", [one for one in known if _may_have(found, one)])


def _by_numbers(server: FhirServer, known: tuple[Identifier, ...], patient: Patient) -> Match:
    """Return the one record of their first number, which is what a letter names; no other number may lead elsewhere."""
    same, more = _records(server, known[0])
    found = _only(same, more=more)
    for other in known[1:]:
        others, _ = _records(server, other)
        if any(text(one, "id") != text(found, "id") for one in others):
            raise NeedsHuman("fhir.patient-several")
    if found.get("birthDate") not in (None, patient.birth_date.isoformat()):
        raise NeedsHuman("fhir.patient-mismatch")
    return _match(found, "identifier", [one for one in known if _holds(found, one)])


def _match(found: Mapping[str, Any], by: Literal["identifier", "demographics"], numbers: list[Identifier]) -> Match:
    """Return the record as the match; raise NeedsHuman when it is not in use any more."""
    links = [text(part(one, "other"), "reference") for one in parts(found, "link") if one.get("type") == "replaces"]
    joined = (relative(one, "Patient") for one in links)
    return Match(
        _id_in_use(found),
        by,
        frozenset(number_of(one.system, one.value) for one in numbers),
        record=frozenset(number_of(text(one, "system"), text(one, "value")) for one in parts(found, "identifier")),
        replaces=frozenset(place.removeprefix("Patient/") for place in joined if place is not None),
    )


def number_of(system: str, value: str) -> str:
    """Return a number as numbers are compared."""
    return f"{system}|{value}"


def _records(server: FhirServer, number: Identifier) -> tuple[list[dict[str, Any]], bool]:
    hits, more = _hits(server.search("Patient", {"identifier": f"{number.system}|{number.value}"}))
    return [one for one in hits if _holds(one, number)], more


def own_of(patient: Patient, clinic: Clinic) -> frozenset[str]:
    """Return the clinic's own number for the patient."""
    return frozenset({number_of(*own_number(clinic.npi, patient.id))})


def present_numbers(patient: Patient, provider: Provider, clinic: Clinic) -> frozenset[str]:
    """Return every number by which the registry names the patient to this provider now, the clinic's own among them."""
    return own_of(patient, clinic) | {number_of(one.system, one.value) for one in theirs(patient, provider)}


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
    term, value = _one_more(patient)
    return {**form, term: value}


def _one_more(patient: Patient) -> tuple[str, str]:
    """Return the search term and value that tell people of one name and birth date apart; raise NeedsHuman."""
    if patient.address is not None:
        return "address-postalcode", patient.address.postal_code
    if patient.phone is not None:
        return "phone", patient.phone
    if patient.sex != "unknown":
        return "gender", patient.sex
    raise NeedsHuman("fhir.patient-none")


def _hits(bundle: Mapping[str, Any]) -> tuple[list[dict[str, Any]], bool]:
    """Return the matching patients of the bundle, and whether there are more than it shows."""
    found = [
        part(one, "resource")
        for one in parts(bundle, "entry")
        if part(one, "resource").get("resourceType") == "Patient" and text(part(one, "search"), "mode") in ("", "match")
    ]
    total = bundle.get("total")
    hidden = isinstance(total, int) and total > len(found)
    return found, hidden or any(one.get("relation") == "next" for one in parts(bundle, "link"))


def _only(hits: list[dict[str, Any]], *, more: bool) -> dict[str, Any]:
    if more or len(hits) > 1:
        raise NeedsHuman("fhir.patient-several")
    if not hits or not text(hits[0], "id"):
        raise NeedsHuman("fhir.patient-none")
    return hits[0]


def _id_in_use(found: Mapping[str, Any]) -> str:
    """Return the record's id; raise NeedsHuman when it was joined with another one, or nobody uses it any more."""
    if any(one.get("type") == "replaced-by" for one in parts(found, "link")):
        raise NeedsHuman("fhir.patient-merged")
    if found.get("active") is False:
        raise NeedsHuman("fhir.patient-inactive")
    return text(found, "id")


def _holds(resource: Mapping[str, Any], wanted: Identifier) -> bool:
    return any(
        one.get("system") == wanted.system and one.get("value") == wanted.value for one in parts(resource, "identifier")
    )


def _may_have(resource: Mapping[str, Any], number: Identifier) -> bool:
    """Return whether a record has this number, or none of its kind: another one of its kind speaks against it."""
    of_its_kind = any(one.get("system") == number.system for one in parts(resource, "identifier"))
    return not of_its_kind or _holds(resource, number)


def _is_same_person(resource: Mapping[str, Any], patient: Patient) -> bool:
    """Return whether birth date, names and one more agree; only how an accent, a number or a code is written may not.

    What the record does not say agrees with nothing: the server may have passed over that term.
    """
    if resource.get("birthDate") != patient.birth_date.isoformat() or not _has_one_more(resource, patient):
        return False
    family, given = _plain(patient.name.family or ""), _plain(patient.name.given[0])
    return any(
        _plain(text(name, "family")) == family and given in [_plain(one) for one in texts(name, "given")]
        for name in parts(resource, "name")
    )


def _has_one_more(resource: Mapping[str, Any], patient: Patient) -> bool:
    term, value = _one_more(patient)
    if term == "gender":
        return resource.get("gender") == value
    if term == "phone":
        numbers = [_digits(text(one, "value")) for one in parts(resource, "telecom")]
        return any(_ends_alike(one, _digits(value)) for one in numbers)
    codes = [_digits(text(one, "postalCode")) for one in parts(resource, "address")]
    return any(len(one) >= ZIP_DIGITS and _begin_alike(one, _digits(value)) for one in codes)


def _digits(written: str) -> str:
    return "".join(one for one in written if one in "0123456789")


def _begin_alike(one: str, other: str) -> bool:
    """Return whether two ZIP codes agree as far as both go: 55804 is 55804-1234 told less closely."""
    return one.startswith(other) or other.startswith(one)


def _ends_alike(one: str, other: str) -> bool:
    """Return whether two telephone numbers agree; a number of ten digits may lack its country's."""
    shorter, longer = sorted((one, other), key=len)
    return shorter == longer or (len(shorter) >= NATIONAL_DIGITS and longer.endswith(shorter))


def _plain(name: str) -> str:
    """Return the name as it compares: composed accents, no case, single spaces. Letters are never dropped."""
    return " ".join(unicodedata.normalize("NFC", name).casefold().split())
