"""What of a patient's records has left, to whom, when, what and why: the accounting of disclosures.

Everything that left or may have left is in it, disclosures for treatment as well; whoever needs
only a part filters it (45 CFR 164.528, 42 CFR 2.25).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from coordinator.domain.delivery import State
from coordinator.flow.handover import handed_over_at
from coordinator.flow.ledger import Transaction
from coordinator.flow.parts import Parts
from coordinator.flow.presenting import title_of
from coordinator.flow.read_models import Actor, MessageFilter
from coordinator.flow.releasing import part2_of
from coordinator.flow.rows import DeliveryRow, MessageRecord

PAGE = 200


@dataclass(frozen=True)
class Disclosure:
    """One message that left by one way. PHI inside."""

    at: datetime
    recipient: str
    organization: str | None
    address: str
    """As the registry has it today; empty when it is gone."""
    channel: str
    what: str
    reference: str
    event: str
    why: str
    part2: bool
    """It was material of a 42 CFR Part 2 programme."""
    consent: str | None
    """The consent it went by, with its version."""
    proven: bool
    """Arrival is proven; else it may have arrived."""
    misdirected: bool
    """An incident says that it reached the wrong place: then it was no disclosure for treatment."""


def disclosures(parts: Parts, patient_id: str, actor: Actor) -> tuple[Disclosure, ...]:
    """Return everything that left about a patient, oldest first. Looking is audited."""
    with parts.ledger.begin() as tx:
        astray = {one.message_id for one in tx.incidents(open_only=False)}
        found = [
            _one(tx, message, delivery, at, misdirected=message.id in astray)
            for message in _messages(tx, patient_id)
            for delivery in tx.deliveries(message.id)
            if (at := _left_at(tx, delivery)) is not None
        ]
        key = tx.key("patient", patient_id)
        tx.audit(actor, "disclosures listed", at=parts.clock.now(), patient_key=key, subject=key)
    return tuple(sorted(found, key=lambda one: (one.at, one.reference, one.channel)))


def _messages(tx: Transaction, patient_id: str) -> Iterator[MessageRecord]:
    before: str | None = None
    while True:
        page = tx.find_messages(MessageFilter(patient=patient_id, before_id=before, limit=PAGE))
        yield from page
        if len(page) < PAGE:
            return
        before = page[-1].id


def _left_at(tx: Transaction, delivery: DeliveryRow) -> datetime | None:
    """Return when a delivery first left, surely or perhaps; None when not a byte of it did."""
    if delivery.channel == "by-hand":
        return handed_over_at(tx, delivery) if delivery.state == State.ACKNOWLEDGED else None
    left = [
        one.on_wire_at for one in tx.attempts(delivery.id) if one.on_wire_at and (one.outcome is None or one.reached)
    ]
    return min(left, default=None)


def _one(
    tx: Transaction, message: MessageRecord, delivery: DeliveryRow, at: datetime, *, misdirected: bool
) -> Disclosure:
    registry = tx.registry_for("", [message.provider_id])
    provider = None if registry is None else registry.provider(message.provider_id)
    addresses = {one.id: one.address for one in (provider.endpoints if provider else ())}
    mark = part2_of(message)
    return Disclosure(
        at=at,
        recipient=message.plan["recipient"],
        organization=message.plan.get("organization"),
        address=addresses.get(delivery.endpoint_id, ""),
        channel=delivery.channel,
        what=title_of(message),
        reference=message.reference,
        event=f"{message.plan['event_id']} version {message.event_version}",
        why=f"treatment ({message.plan['why']})",
        part2=mark.marked,
        consent=None if mark.explains is None else f"{mark.explains[0]} version {mark.explains[1]}",
        proven=delivery.state == State.ACKNOWLEDGED,
        misdirected=misdirected,
    )
