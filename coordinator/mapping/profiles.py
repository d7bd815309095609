"""What a resource claims in meta.profile must be so: the US Core 6.1.0 profiles, as generated tables.

Elements that must be there, fixed values and patterns, slices that must be there. Made
by tests/conformance/generate_us_core_tables.py. Invariants stand in `gate_rules`.
"""

import json
from collections.abc import Iterator, Sequence
from importlib import resources
from typing import Any

from coordinator.mapping import r4
from coordinator.mapping.json_values import Json, Value


def _load() -> dict[str, dict[str, Any]]:
    text = resources.files("coordinator.mapping").joinpath("us_core_tables.json").read_text("utf-8")
    profiles: dict[str, dict[str, Any]] = json.loads(text)["profiles"]
    for profile in profiles.values():
        profile["rows"] = [row for row in profile["rows"] if "f" in row or not _asked_anyway(profile["type"], row)]
    return profiles


def _asked_anyway(kind: str, row: Json) -> bool:
    """Return whether R4 itself already asks for the element, so that the tables of the base have looked."""
    path: list[str] = row["p"]
    for name in path[:-1]:
        kind = r4.TYPES.get(kind, {}).get(name, {}).get("t", "")
    return row.get("m", 0) <= 1 and bool(r4.TYPES.get(kind, {}).get(path[-1], {}).get("r"))


PROFILES = _load()


def broken_claims(resource: Json) -> Iterator[tuple[str, str, str]]:
    """Yield (rule, sentence, place) for each thing a claimed profile asks and the resource does not keep."""
    for claim in (resource.get("meta") or {}).get("profile") or ():
        profile = PROFILES.get(claim) if isinstance(claim, str) else None
        if profile is None:
            yield "profile", "the service does not know the claimed profile", "meta.profile"
            continue
        if profile["type"] != resource.get("resourceType"):
            yield "profile", "the claimed profile is for another type of resource", "meta.profile"
            continue
        for row in profile["rows"]:
            if not _holds(resource, row["p"], row):
                yield "profile", "the claimed profile asks for this element, or another value of it", ".".join(row["p"])
        for one in profile["slices"]:
            items = [item for parent in _at(resource, one["p"][:-1]) for item in _children(parent, one["p"][-1])]
            if sum(all(_holds(item, row["p"], row) for row in one["where"]) for item in items) < one["m"]:
                yield "profile-slice", f"the claimed profile asks for {one['name']} here", ".".join(one["p"])


def _holds(value: Value, path: Sequence[str], row: Json) -> bool:
    """Return whether, wherever the parents are present, the child is there often enough and has its pattern."""
    if not path:
        return "f" not in row or fits(value, row["f"])
    if len(path) == 1 and "f" not in row and isinstance(value, dict) and path[0] in value:
        child = value[path[0]]
        return bool((len(child) if isinstance(child, list) else 1) >= row.get("m", 0))
    for parent in _at(value, path[:-1]):
        children = _children(parent, path[-1])
        if len(children) < row.get("m", 0):
            return False
        if "f" in row and not all(fits(one, row["f"]) for one in children):
            return False
    return True


def _at(value: Value, path: Sequence[str]) -> list[Value]:
    found = [value]
    for name in path:
        found = [child for one in found for child in _children(one, name)]
    return found


def _children(value: Value, name: str) -> list[Value]:
    if not isinstance(value, dict):
        return []
    if name.endswith("[x]"):
        stem = name[:-3]
        return [child for key, child in value.items() if key.startswith(stem) and key[len(stem) :][:1].isupper()]
    child = value.get(name)
    if child is None:
        return []
    return child if isinstance(child, list) else [child]


def fits(value: Value, pattern: Value) -> bool:
    """Return whether a value holds everything that a FHIR pattern holds."""
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(fits(value.get(key), part) for key, part in pattern.items())
    if isinstance(pattern, list):
        return isinstance(value, list) and all(any(fits(one, part) for one in value) for part in pattern)
    return bool(value == pattern)
