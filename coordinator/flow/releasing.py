"""The last question before each send, asked with what the registry says now."""

from dataclasses import dataclass
from datetime import datetime

from coordinator.domain.registry import Endpoint
from coordinator.flow.addresses import closed_because, is_closed
from coordinator.flow.ledger import Transaction
from coordinator.flow.parts import Parts
from coordinator.flow.rows import REPLACED, DeliveryRow, MessageRecord, why_closed
from coordinator.planning.release import Part2Mark, may_release

WITHDRAWING = frozenset({REPLACED, "consent.revoked", "consent.part2-revoked", "consent.restriction"})
"""Causes that end a waiting message at once; every other one holds it for a person."""


@dataclass(frozen=True)
class ReleaseAnswer:
    """May it go now? With the consent it rests on, or the stable cause why not."""

    permits: bool
    code: str | None = None
    withdraw: bool = False
    """It will never go (superseded, consent ended): cancel instead of hold."""
    directive: str | None = None
    version: int | None = None


def ask_release(
    parts: Parts, tx: Transaction, row: DeliveryRow, message: MessageRecord, now: datetime
) -> ReleaseAnswer:
    """Return whether this delivery may go at this moment. Reads everything again; trusts nothing remembered."""
    if message.state in {"superseded", "cancelled"}:
        return ReleaseAnswer(False, why_closed(message), withdraw=True)
    registry = tx.registry_of(message.patient_key, message.provider_id)
    if registry is None:
        return ReleaseAnswer(False, "registry.patient-missing")
    provider = registry.provider(message.provider_id)
    endpoint = provider.endpoint(row.endpoint_id) if provider else None
    health = tx.health(row.endpoint_id)
    release = may_release(
        registry=registry,
        patient_id=message.plan["patient"]["id"],
        recipient=message.provider_id,
        endpoint_id=row.endpoint_id,
        letters=message.letters,
        now=now,
        is_correction=message.corrects is not None,
        is_superseded=message.superseded_by is not None,
        is_suspended=endpoint is not None and is_closed(tx, health, endpoint.address),
        part2=part2_of(message),
    )
    if release.allowed:
        consent = release.consent
        directive, version = (consent.directive, consent.version) if consent is not None else (None, None)
        return ReleaseAnswer(True, directive=directive, version=version)
    if release.cause == "release.endpoint-suspended":
        return ReleaseAnswer(False, closed_because(health))
    return ReleaseAnswer(False, release.cause, withdraw=release.cause in WITHDRAWING)


def known_address(tx: Transaction, row: DeliveryRow, message: MessageRecord) -> Endpoint | None:
    """Return the delivery's address as the registry has it now."""
    registry = tx.registry_of(message.patient_key, message.provider_id)
    provider = None if registry is None else registry.provider(message.provider_id)
    return None if provider is None else provider.endpoint(row.endpoint_id)


def part2_of(message: MessageRecord) -> Part2Mark:
    """Return what the message was composed as. One composed before there was a mark has none."""
    kept = message.plan.get("consent", {})
    explains = (kept["directive"], kept["version"]) if kept.get("directive") else None
    return Part2Mark(message.plan.get("part2", False), message.plan.get("course"), explains, message.marked_since)
