"""References as one far side reads them. Nothing else of a stored resource ever changes on its way out.

A transaction lets the server put its own ids in place. Where entries go one by one, or a server
reads no reference by identifier, somebody has to do that: here, as a pure function, from a table
of what the far side calls things. `docs/decisions/0012` says why this is not editing content.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from coordinator.mapping.json_values import Json, Value

ENCOUNTER_AT: Mapping[str, tuple[str, ...]] = {
    "DocumentReference": ("context", "encounter"),
    "Observation": ("encounter",),
    "Condition": ("encounter",),
    "Procedure": ("encounter",),
    "Communication": ("encounter",),
    "MedicationRequest": ("encounter",),
}
"""Where a resource names the visit it belongs to."""
_LISTED = frozenset({"DocumentReference"})


@dataclass(frozen=True)
class Places:
    """What the far side calls things: "Observation/12" by address in the bundle, by (type, system, value), by type."""

    by_url: Mapping[str, str] = field(default_factory=dict)
    by_name: Mapping[tuple[str, str, str], str] = field(default_factory=dict)
    by_type: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, Json] = field(default_factory=dict)
    """By address: type and identifier, for what the far side does not hold."""
    visit: str | None = None
    """The far side's own visit, which everything filed there is put under."""


def addressed(resource: Json, places: Places) -> dict[str, Any]:
    """Return the resource with its references as the far side reads them."""
    made: dict[str, Any] = _addressed(resource, places)
    path = ENCOUNTER_AT.get(made["resourceType"]) if places.visit else None
    if path is not None:
        visit: Value = {"reference": places.visit}
        if made["resourceType"] in _LISTED:
            visit = [visit]
        for name in reversed(path[1:]):
            visit = {**(made.get(path[0]) or {}), name: visit}
        made[path[0]] = visit
    return made


def _addressed(value: Value, places: Places) -> Value:
    if isinstance(value, list):
        return [_addressed(one, places) for one in value]
    if not isinstance(value, dict):
        return value
    url = value.get("reference")
    if isinstance(url, str) and url.startswith("urn:"):
        if url in places.by_url:
            return {**value, "reference": places.by_url[url]}
        named = places.names.get(url)
        return value if named is None else _addressed(named, places)
    place = _known(value, places)
    if place is not None:
        return {"reference": place}
    return {name: _addressed(child, places) for name, child in value.items()}


def _known(value: Json, places: Places) -> str | None:
    """Return the place of what a reference by identifier means, None when the far side's name for it is not known."""
    kind, identifier = value.get("type"), value.get("identifier")
    if not isinstance(kind, str) or not isinstance(identifier, dict):
        return None
    name = (kind, str(identifier.get("system")), str(identifier.get("value")))
    return places.by_name.get(name) or places.by_type.get(kind)


def names_of_entries(entries: Sequence[Json]) -> dict[str, Json]:
    """Return, by address, how each entry is referred to by identifier; those without an identifier are left out."""
    found: dict[str, Json] = {}
    for entry in entries:
        resource, url = entry.get("resource") or {}, entry.get("fullUrl")
        listed = resource.get("identifier")
        first = listed[0] if isinstance(listed, list) and listed else listed if isinstance(listed, dict) else None
        if isinstance(url, str) and first:
            kept = {key: first[key] for key in ("system", "value") if key in first}
            found[url] = {"type": resource.get("resourceType"), "identifier": kept}
    return found


def dependency_order(entries: Sequence[Json]) -> list[Json]:
    """Return the entries so that what is referred to comes before what refers to it; a circle keeps its order."""
    by_url = {one["fullUrl"]: one for one in entries if "fullUrl" in one}
    done: dict[str, Json] = {}
    waiting: set[str] = set()

    def visit(url: str) -> None:
        if url in done or url in waiting:
            return
        waiting.add(url)
        for target in _targets(by_url[url].get("resource")):
            if target in by_url:
                visit(target)
        waiting.discard(url)
        done[url] = by_url[url]

    for url in by_url:
        visit(url)
    return list(done.values())


def _targets(value: Value) -> list[str]:
    if isinstance(value, list):
        return [one for item in value for one in _targets(item)]
    if not isinstance(value, dict):
        return []
    own = [value["reference"]] if isinstance(value.get("reference"), str) else []
    return own + [one for child in value.values() for one in _targets(child)]
