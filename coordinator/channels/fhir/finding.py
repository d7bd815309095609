"""Finding again what may have been sent: by the message's own identifier, and by nothing else."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import orjson

from coordinator.channels.fhir.match import Match
from coordinator.channels.fhir.said import part, parts, text
from coordinator.channels.fhir.server import FhirServer
from coordinator.channels.fhir.whose import hold_others
from coordinator.domain.errors import NeedsHuman, Permanent
from coordinator.flow.ports import Package

MOST_PAGES = 10
"""Of a search for one identifier: more is no search by it."""


def find_message(server: FhirServer, package: Package) -> list[dict[str, Any]]:
    """Return what is held there of our message: its documents, or whatever of the chart carries its name; else nothing.

    Only the message's own identifier proves it. The session's names do not: they
    are the same in an earlier version that did arrive.
    """
    system, value = package.identifier_system, package.identifier
    for kind in _kinds_named(package):
        same = by_identifier(server, kind, system, value)
        if same:
            return same
    return []


def judge_found(server: FhirServer, found: Sequence[Mapping[str, Any]], match: Match) -> str | None:
    """Return where the message is held, None when nothing was found.

    Raises NeedsHuman when some of it is in another patient's record, or there twice.
    """
    hold_others(server, found, match)
    masters = {orjson.dumps(one.get("masterIdentifier")) for one in found}
    if len(found) > len(masters):
        raise NeedsHuman("fhir.412")  # the same document twice; several letters of one message are not that
    return place_of(found[0]) if found else None


def place_of(resource: Mapping[str, Any]) -> str:
    """Return "DocumentReference/9" of a resource that was found."""
    return f"{text(resource, 'resourceType')}/{text(resource, 'id')}"


def already_there(server: FhirServer, package: Package, match: Match) -> str | None:
    """Return where an earlier attempt landed after all; None when it did not, or when the server cannot search.

    Raises NeedsHuman when it landed in another patient's record, or twice.
    """
    return judge_found(server, _found(server, package), match)


def _found(server: FhirServer, package: Package) -> list[dict[str, Any]]:
    try:
        return find_message(server, package)
    except Permanent:
        return []
    except NeedsHuman as fault:
        if fault.status is None or not fault.code.startswith("fhir."):
            raise
        return []  # the search itself is refused: no reason not to repeat what was answered "try again"


def by_identifier(server: FhirServer, kind: str, system: str, value: str) -> list[dict[str, Any]]:
    """Return the resources of a type that carry one of our own identifiers, each looked at: servers ignore terms.

    Further pages are read too: a first one may be empty and the hit on the next. Raises Permanent where that cannot be
    done and nothing was found: then the search says neither yes nor no.
    """
    found: list[dict[str, Any]] = []
    path: str | None = f"{kind}?identifier={quote(f'{system}|{value}', safe='')}"
    for _ in range(MOST_PAGES):
        bundle = server.read(path or "")
        hits = [part(one, "resource") for one in parts(bundle, "entry")]
        found += [one for one in hits if one.get("resourceType") == kind and carries(one, system, value)]
        further = next((text(one, "url") for one in parts(bundle, "link") if one.get("relation") == "next"), None)
        if further is None:
            return found
        path = server.path_of(further)
        if path is None:
            break
    if not found:
        raise Permanent("fhir.status")
    return found


def _kinds_named(package: Package) -> list[str]:
    """Return the resource types that carry the message's identifier in what may have been sent, documents first."""
    chart = package.document("fhir-chart")
    inside = [part(one, "resource") for one in parts(orjson.loads(chart.body), "entry")] if chart is not None else []
    named = [text(one, "resourceType") for one in inside if carries(one, package.identifier_system, package.identifier)]
    return list(dict.fromkeys(["DocumentReference", *named]))


def carries(resource: Mapping[str, Any], system: str, value: str) -> bool:
    """Return whether the resource has this identifier."""
    names = [*parts(resource, "identifier"), part(resource, "identifier"), part(resource, "masterIdentifier")]
    return any(one.get("system") == system and one.get("value") == value for one in names)
