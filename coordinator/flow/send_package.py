"""What is handed to a channel: the stored bytes, checked against their hashes, and the people they are about."""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from coordinator.domain.errors import NeedsHuman
from coordinator.domain.registry import Endpoint
from coordinator.flow.compose import package_hash
from coordinator.flow.ledger import Transaction
from coordinator.flow.parts import Parts
from coordinator.flow.ports import Package, StoredDocument
from coordinator.flow.rows import DeliveryRow, MessageRecord
from coordinator.letters.pdf import page_count, recovered

CARRIERS = {"direct": "Direct", "fhir-rest": "EHR", "fhir-message": "EHR", "secure-link": "secure link"}
"""What a copy calls the channel before it."""


@dataclass(frozen=True)
class Loaded:
    """A package with its endpoint and the one hash of its documents."""

    package: Package
    endpoint: Endpoint
    sha256: str


def load_package(tx: Transaction, delivery: DeliveryRow, message: MessageRecord, identifier_system: str) -> Loaded:
    """Return what to send for a delivery.

    Raises NeedsHuman when a stored byte is not the byte that was composed, or the
    endpoint is gone from the registry.
    """
    documents = []
    for one in tx.contents(message.id):
        if hashlib.sha256(one.body).hexdigest() != one.sha256:
            raise NeedsHuman("content.changed")
        kept = StoredDocument(one.id, one.role, one.media_type, one.body, one.sha256, one.title)  # type: ignore[arg-type]
        documents.append(kept)
    registry = tx.registry_of(message.patient_key, message.provider_id)
    patient = None if registry is None else registry.patient(message.plan["patient"]["id"])
    provider = None if registry is None else registry.provider(message.provider_id)
    if registry is None or patient is None or provider is None:
        raise NeedsHuman("registry.recipient-missing")
    endpoint = provider.endpoint(delivery.endpoint_id)
    if delivery.channel == "by-hand":
        endpoint = Endpoint(id="by-hand", kind="by-hand", address="by-hand")
    if endpoint is None:
        raise NeedsHuman("route.endpoint-gone")
    another = any(one != delivery.channel for one in tx.tried_before(delivery))
    package = Package(
        delivery=delivery.id,
        message=message.id,
        attempt=delivery.tries,
        tag=delivery.id,
        identifier_system=identifier_system,
        identifier=f"urn:uuid:{message.id}",
        subject=message.reference,
        reference=message.reference,
        documents=tuple(documents),
        patient=patient,
        provider=provider,
        clinic=registry.clinic,
        copy_of=first_sent(tx, delivery, message, registry.clinic.time_zone) if another else None,
        resent=delivery.resend_of is not None,
    )
    return Loaded(package, endpoint, package_hash([one.sha256 for one in documents]))


def first_sent(tx: Transaction, delivery: DeliveryRow, message: MessageRecord, zone: str) -> str | None:
    """Return "fax, 14 October 2026" when another channel may have carried the message before; None when none has."""
    for other in tx.deliveries(message.id):
        if other.id == delivery.id:
            return None
        if other.channel == delivery.channel:
            continue
        left = next((one.on_wire_at for one in tx.attempts(other.id) if one.on_wire_at is not None), None)
        if left is not None:
            day = left.astimezone(ZoneInfo(zone))
            return f"{CARRIERS.get(other.channel, other.channel)}, {day.day} {day:%B %Y}"
    return None


def with_new_cover(parts: Parts, package: Package, now: datetime) -> Package:
    """Return the package with a cover that says COPY or RESENT, where it is one; the letters' own pages stay.

    The cover is the carrier's, made when the letter was composed; only then nobody knew that it would be a copy.
    """
    if package.copy_of is None and not package.resent:
        return package
    documents = tuple(
        _with_cover_of_today(parts, package, one, now) if one.role == "fax-pdf" else one for one in package.documents
    )
    return replace(package, documents=documents)


def _with_cover_of_today(parts: Parts, package: Package, fax: StoredDocument, now: datetime) -> StoredDocument:
    cover = parts.workshop.letters.papers.fax_cover(
        package.clinic, package.provider, package.reference, page_count(fax.body), now, copy_of=package.copy_of,
        resent=package.resent,
    )  # fmt: skip
    body = recovered(cover, fax.body)
    return replace(fax, body=body, sha256=hashlib.sha256(body).hexdigest())
