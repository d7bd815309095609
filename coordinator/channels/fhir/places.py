"""What the far side calls the people and the visit that a message names: looked up before anything is sent."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from coordinator.channels.fhir.match import Match
from coordinator.channels.fhir.said import part, parts, text
from coordinator.channels.fhir.server import FhirServer
from coordinator.domain.errors import NeedsHuman, Permanent
from coordinator.mapping.addressing import Places
from coordinator.mapping.partners import Partner

PEOPLE = ("Practitioner",)
"""Types that a server finds for us by an identifier both sides know (the NPI)."""


def read_exactly(body: bytes) -> dict[str, Any]:
    """Return a stored body, decimals digit for digit."""
    found: dict[str, Any] = json.loads(body, parse_float=Decimal)
    return found


def look_up_places(server: FhirServer, partner: Partner | None, match: Match, content: object) -> Places:
    """Return the places a server wants references to go by.

    Without a partner file that asks for it, only the patient's; with one, also those
    of practitioners it knows, and the one visit of the patient that is open there.
    Raises NeedsHuman where that visit is needed and is none or several.
    """
    patient = f"Patient/{match.far_side_id}"
    if partner is None or not partner.own_references:
        return Places(by_type={"Patient": patient})
    people = {}
    for kind, system, value in dict.fromkeys(_named(content)):
        found = _one(server, kind, system, value)
        if found is not None:
            people[kind, system, value] = found
    visit = _open_visit(server, match.far_side_id) if partner.encounter == "theirs" else None
    return Places(by_name=people, by_type={"Patient": patient}, visit=visit)


def _named(value: object) -> Iterator[tuple[str, str, str]]:
    """Yield (type, system, value) of every person that the content refers to by identifier."""
    if isinstance(value, list):
        for one in value:
            yield from _named(one)
    elif isinstance(value, dict):
        name = part(value, "identifier")
        if value.get("type") in PEOPLE and text(name, "value"):
            yield text(value, "type"), text(name, "system"), text(name, "value")
        for child in value.values():
            yield from _named(child)


def _one(server: FhirServer, kind: str, system: str, value: str) -> str | None:
    """Return the place of the one that carries the identifier; None for none, for several, or for a refusal."""
    try:
        bundle = server.search(kind, {"identifier": f"{system}|{value}"})
    except (Permanent, NeedsHuman):
        return None
    hits = [part(one, "resource") for one in parts(bundle, "entry")]
    same = [
        text(one, "id")
        for one in hits
        if one.get("resourceType") == kind
        and any(name.get("system") == system and name.get("value") == value for name in parts(one, "identifier"))
    ]
    return f"{kind}/{same[0]}" if len(same) == 1 and same[0] else None


def _open_visit(server: FhirServer, patient: str) -> str:
    bundle = server.search("Encounter", {"patient": patient, "status": "in-progress"})
    hits = [part(one, "resource") for one in parts(bundle, "entry")]
    open_ones = [
        text(one, "id")
        for one in hits
        if one.get("resourceType") == "Encounter"
        and one.get("status") == "in-progress"
        and text(part(one, "subject"), "reference") == f"Patient/{patient}"
    ]
    if len(open_ones) != 1 or any(one.get("relation") == "next" for one in parts(bundle, "link")):
        raise NeedsHuman("fhir.encounter")
    return f"Encounter/{open_ones[0]}"
