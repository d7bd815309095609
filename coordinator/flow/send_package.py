"""What is handed to a channel: the stored bytes, checked against their hashes, and the people they are about."""

import hashlib
from dataclasses import dataclass

from coordinator.domain.errors import NeedsHuman
from coordinator.domain.registry import Endpoint
from coordinator.flow.compose import package_hash
from coordinator.flow.ledger import Transaction
from coordinator.flow.ports import Package, StoredDocument
from coordinator.flow.rows import DeliveryRow, MessageRecord


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
    endpoint = next((one for one in provider.endpoints if one.id == delivery.endpoint_id), None)
    if delivery.channel == "by-hand":
        endpoint = Endpoint(id="by-hand", kind="by-hand", address="by-hand")
    if endpoint is None:
        raise NeedsHuman("route.endpoint-gone")
    earlier = tx.tried_before(delivery)
    other = next((one for one in reversed(earlier) if one != delivery.channel), None)
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
        copy_of=other,
        resent=delivery.resend_of is not None,
    )
    return Loaded(package, endpoint, package_hash([one.sha256 for one in documents]))
