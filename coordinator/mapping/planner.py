"""What one endpoint can take: the content level, and why. A pure function of what the server says of itself."""

from dataclasses import dataclass
from typing import Literal

from coordinator.domain.letter import ContentLevel
from coordinator.mapping.json_values import Json
from coordinator.mapping.partners import Partner

CHART_TYPES = frozenset(
    {"Patient", "Organization", "Practitioner", "Encounter", "Observation", "MedicationRequest", "Communication"}
)
"""A server that does not take these by transaction cannot hold the chart."""


@dataclass(frozen=True)
class LevelChoice:
    """The content level for an endpoint, what its attachments may be, and the note a person reads."""

    level: ContentLevel | None
    attachments: tuple[str, ...]
    one_attachment: bool
    conditional_create: bool
    searches_identifier: bool
    reason: str
    basis: Literal["pinned", "capability", "partner", "assumed"]


@dataclass(frozen=True)
class Capability:
    """What a CapabilityStatement says that matters here. None: it does not say."""

    transaction: bool | None
    message: bool
    creates: frozenset[str]
    conditional_create: bool
    identifier_search: frozenset[str]
    fhir_version: str | None


def read_capability(statement: Json | None) -> Capability | None:
    """Return the facts of a CapabilityStatement, or None when there is none to read."""
    if not statement or statement.get("resourceType") != "CapabilityStatement":
        return None
    servers = [one for one in statement.get("rest", []) if one.get("mode") == "server"]
    system = {row.get("code") for one in servers for row in one.get("interaction", [])}
    operations = {row.get("name") for one in servers for row in one.get("operation", [])}
    resources = [row for one in servers for row in one.get("resource", [])]
    creates = frozenset(row["type"] for row in resources if "create" in _codes(row) and "type" in row)
    searchable = frozenset(
        row["type"]
        for row in resources
        if "search-type" in _codes(row) and any(one.get("name") == "identifier" for one in row.get("searchParam", []))
    )
    conditional = bool(creates) and all(
        row.get("conditionalCreate") is True for row in resources if row.get("type") in creates
    )
    return Capability(
        transaction="transaction" in system,
        message="process-message" in operations or bool(statement.get("messaging")),
        creates=creates,
        conditional_create=conditional,
        identifier_search=searchable,
        fhir_version=statement.get("fhirVersion"),
    )


def _codes(row: Json) -> set[str]:
    return {one.get("code", "") for one in row.get("interaction", [])}


def choose_level(statement: Json | None, partner: Partner | None, pinned: ContentLevel | None) -> LevelChoice:
    """Return the content level for an endpoint.

    A pinned level wins; then the partner file (advertised is not enabled); then the
    CapabilityStatement. `level` is None when the endpoint takes no write at all, and
    the next channel is due.
    """
    said = read_capability(statement)
    attachments = partner.attachments if partner else ()
    one = bool(partner and partner.one_attachment)
    conditional = said.conditional_create if said else False
    if partner and partner.conditional_create is not None:
        conditional = partner.conditional_create
    searches = "DocumentReference" in said.identifier_search if said else False
    if partner and partner.searches_identifier is not None:
        searches = partner.searches_identifier
    level, reason, basis = _level(said, partner, pinned)
    return LevelChoice(level, attachments, one, conditional, searches, reason, basis)


_Decision = tuple[ContentLevel | None, str, Literal["pinned", "capability", "partner", "assumed"]]


def _level(said: Capability | None, partner: Partner | None, pinned: ContentLevel | None) -> _Decision:
    if pinned is not None:
        return pinned, "The level is pinned on this endpoint.", "pinned"
    if said is not None and said.fhir_version and not said.fhir_version.startswith("4.0"):
        return None, f"The server speaks FHIR {said.fhir_version}; the service sends R4.", "capability"
    if partner is not None and (partner.transaction is False or partner.creates is not None):
        return _by_partner(partner)
    if said is None:
        return "document", "The server did not say what it can do; one document is what most take.", "assumed"
    if said.message and not said.transaction:
        return "message", "The server takes notifications by $process-message.", "capability"
    missing = sorted(CHART_TYPES - said.creates)
    if said.transaction and not missing:
        return "chart", "The server takes transactions with every resource type of the chart.", "capability"
    if "DocumentReference" in said.creates:
        why = "no transactions" if not said.transaction else f"no create of {', '.join(missing)}"
        return "document", f"The server offers {why}, but takes documents.", "capability"
    return None, "The server takes neither transactions nor documents from outside.", "capability"


def _by_partner(partner: Partner) -> _Decision:
    creates = frozenset(partner.creates or ())
    if partner.transaction and creates >= CHART_TYPES:
        return "chart", f"The partner file {partner.name} says that the server takes the whole chart.", "partner"
    if "DocumentReference" in creates:
        return "document", f"The partner file {partner.name} says that the server takes documents only.", "partner"
    return None, f"The partner file {partner.name} says that the server takes no document from outside.", "partner"
