"""What one FHIR server says it can do, read once a day, and the content level that follows from it."""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from coordinator.channels.fhir.said import parts, text
from coordinator.channels.fhir.server import FhirServer, parse
from coordinator.domain.errors import NeedsHuman, Transient
from coordinator.domain.registry import Endpoint

Level = Literal["chart", "document", "message"]

FRESH_FOR = timedelta(hours=24)


@dataclass(frozen=True)
class Partner:
    """What is known of a partner's server beyond what it says of itself. Data, handed in by the registry's owner.

    `searches_reliably`: None means as its capability statement implies.
    `settle_s`: how long a fresh resource may stay invisible to its search; None means the channel's own default.
    """

    searches_reliably: bool | None = None
    settle_s: float | None = None
    levels: tuple[Level, ...] = ("chart", "document", "message")


@dataclass(frozen=True)
class Capability:
    """The parts of a CapabilityStatement that decide what is sent. `creates` maps type -> conditional create."""

    fhir_version: str
    system: frozenset[str]
    operations: frozenset[str]
    creates: Mapping[str, bool] = field(default_factory=dict)
    updates: Mapping[str, bool] = field(default_factory=dict)
    searches: frozenset[str] = frozenset()
    """Types whose search takes `identifier`."""
    read_at: datetime | None = None

    def takes_chart(self, wanted: Iterable[tuple[str, str]]) -> bool:
        """Return whether one transaction with these (method, type) entries is within what it declares."""
        if "transaction" not in self.system:
            return False
        declared = {"POST": self.creates, "PUT": self.updates}
        return all(kind in declared.get(method, {}) for method, kind in wanted)

    def finds_documents(self) -> bool:
        """Return whether its own word makes a search for our document trustworthy.

        A server that promises conditional create has to search by identifier before
        it stores; one that only lists the search parameter promises less.
        """
        return "DocumentReference" in self.searches and self.creates.get("DocumentReference", False)


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
            raise NeedsHuman("fhir.metadata", detail=answer.body, status=answer.status)
        statement = parse(answer)
        if statement is None or statement.get("resourceType") != "CapabilityStatement":
            raise NeedsHuman("fhir.not-fhir", detail=answer.body, status=answer.status)
        capability = parse_capability(statement, server.now())
        if not capability.fhir_version.startswith("4."):
            raise NeedsHuman("fhir.level", status=answer.status)
        return capability
