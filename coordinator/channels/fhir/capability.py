"""What one FHIR server says it can do, read once a day."""

import threading
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from coordinator.channels.fhir.said import parts, text
from coordinator.channels.fhir.server import FhirServer, parse
from coordinator.domain.errors import NeedsHuman, Transient
from coordinator.domain.registry import Endpoint
from coordinator.mapping.planner import Capability

FRESH_FOR = timedelta(hours=24)


def parse_capability(statement: Mapping[str, Any], read_at: datetime) -> Capability:
    """Return what the statement declares for servers; odd parts count as not declared."""
    rest = next((one for one in parts(statement, "rest") if one.get("mode") == "server"), {})
    creates: dict[str, bool] = {}
    updates: dict[str, bool] = {}
    searches: set[str] = set()
    for one in parts(rest, "resource"):
        kind = text(one, "type")
        codes = {text(item, "code") for item in parts(one, "interaction")}
        if "create" in codes:
            creates[kind] = one.get("conditionalCreate") is True
        if "update" in codes:
            updates[kind] = one.get("conditionalUpdate") is True
        names = {text(item, "name") for item in parts(one, "searchParam")}
        if "search-type" in codes and "identifier" in names:
            searches.add(kind)
    return Capability(
        fhir_version=text(statement, "fhirVersion"),
        system=frozenset(text(item, "code") for item in parts(rest, "interaction")),
        operations=frozenset(text(item, "name") for item in parts(rest, "operation")),
        creates=creates,
        updates=updates,
        searches=frozenset(searches),
        read_at=read_at,
    )


class CapabilityBook:
    """Keeps each endpoint's capability for a day. Shared by threads; two may read one server at once, harmlessly."""

    def __init__(self) -> None:
        self._pages: dict[tuple[str, str], Capability] = {}
        self._lock = threading.Lock()

    def of(self, endpoint: Endpoint, server: FhirServer) -> Capability:
        """Return the capability, read anew when older than a day. Raises Transient or NeedsHuman."""
        key = (endpoint.id, endpoint.address)
        with self._lock:
            kept = self._pages.get(key)
        if kept is not None and kept.read_at is not None and server.now() - kept.read_at < FRESH_FOR:
            return kept
        fresh = self._read(server)
        with self._lock:
            self._pages[key] = fresh
        return fresh

    def forget(self, endpoint: Endpoint) -> None:
        """Drop what is kept: the server has just contradicted it."""
        with self._lock:
            self._pages.pop((endpoint.id, endpoint.address), None)

    def _read(self, server: FhirServer) -> Capability:
        answer = server.public("metadata")
        if answer.status != 200:
            if answer.status >= 500 or answer.status in (408, 425, 429):
                raise Transient("fhir.metadata", detail=answer.body, status=answer.status)
            raise NeedsHuman("fhir.no-metadata", detail=answer.body, status=answer.status)
        statement = parse(answer)
        if statement is None or statement.get("resourceType") != "CapabilityStatement":
            raise NeedsHuman("fhir.not-fhir", detail=answer.body, status=answer.status)
        capability = parse_capability(statement, server.now())
        if not capability.fhir_version.startswith("4."):
            raise NeedsHuman("fhir.level", status=answer.status)
        return capability
