"""Whose record something is filed in at the far side: by that server's own id of the patient, or by a number."""

from collections.abc import Iterable, Mapping
from typing import Any

from coordinator.channels.fhir.match import Match, number_of
from coordinator.channels.fhir.said import part, parts, relative, text
from coordinator.channels.fhir.server import FhirServer
from coordinator.domain.errors import NeedsHuman, Permanent

OTHER_PATIENT = "fhir.other-patient"
WORDS = b"Their copy is not as sent: patient."
NAMED_AT = ("subject", "patient", "for")
"""Where the resources that we send name the patient."""
MOST_MERGES = 5
"""Of one record into another, one after the other."""
UNKNOWN = "?"
"""Stands for the id of a record that is another one, where only a number says so. It is no id."""


def names_somebody(resource: Mapping[str, Any]) -> bool:
    """Return whether a resource is about somebody: a place or a clinician is the same for every patient."""
    return bool(_named(resource))


def names_another(resource: Mapping[str, Any], match: Match) -> bool:
    """Return whether a resource is filed under another patient of that server than the one matched.

    The server's own id decides; without one, the number by which it refers to them.
    """
    one_id = _id_named(resource)
    if one_id is not None:
        return one_id != match.far_side_id and one_id not in match.replaces
    named = _named(resource)
    number = part(named, "identifier")
    is_person = named.get("type") in (None, "Patient") and bool(text(number, "value"))
    return is_person and number_of(text(number, "system"), text(number, "value")) not in match.known_by


def filed_under(resource: Mapping[str, Any] | None, match: Match) -> str:
    """Return the id of the record that an answer's copy is in: the one matched, where it says nothing else."""
    if resource is None or not names_another(resource, match):
        return match.far_side_id
    return _id_named(resource) or UNKNOWN


def hold_others(server: FhirServer, found: Iterable[Mapping[str, Any]], match: Match) -> None:
    """Raise NeedsHuman when one of these is filed under another patient, whom the server has not joined with ours."""
    for one in found:
        if names_another(one, match) and not _joined(server, _id_named(one), match):
            raise NeedsHuman(OTHER_PATIENT, detail=WORDS)


def is_with(server: FhirServer, place: str, match: Match) -> bool:
    """Return whether what lies at this place is now in the record matched; what cannot be read is not."""
    try:
        found = server.read(place)
    except (Permanent, NeedsHuman):
        return False
    if not names_somebody(found):
        return False
    return not names_another(found, match) or _joined(server, _id_named(found), match)


def look_whose(server: FhirServer, place: str | None, answered: Mapping[str, Any] | None, match: Match) -> None:
    """Look at what an answer says was there already, where the answer itself does not tell whose it is.

    Raises NeedsHuman when it is another patient's, Transient when it cannot be read now. What may not be read at all
    says nothing.
    """
    if place is None or (answered is not None and names_somebody(answered)):
        return
    try:
        found = server.read(place)
    except (Permanent, NeedsHuman):
        return
    hold_others(server, [found], match)


def _joined(server: FhirServer, one_id: str | None, match: Match) -> bool:
    """Return whether the server says that this record has become part of the one matched."""
    seen: set[str] = set()
    while one_id is not None and one_id not in seen and len(seen) < MOST_MERGES:
        seen.add(one_id)
        try:
            bundle = server.search("Patient", {"_id": one_id})
        except (Permanent, NeedsHuman):
            return False
        held = [part(one, "resource") for one in parts(bundle, "entry")]
        record = next((one for one in held if one.get("resourceType") == "Patient" and one.get("id") == one_id), {})
        links = [one for one in parts(record, "link") if one.get("type") == "replaced-by"]
        after = next((relative(text(part(one, "other"), "reference"), "Patient") for one in links), None)
        one_id = None if after is None else after.removeprefix("Patient/")
        if one_id == match.far_side_id:
            return True
    return False


def _named(resource: Mapping[str, Any]) -> dict[str, Any]:
    return next((found for name in NAMED_AT if (found := part(resource, name))), {})


def _id_named(resource: Mapping[str, Any]) -> str | None:
    place = relative(text(_named(resource), "reference"), "Patient")
    return None if place is None else place.removeprefix("Patient/")
