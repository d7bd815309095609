"""The next channel: taken by itself where the clinic allows it, else offered to staff."""

from datetime import datetime

from coordinator.domain.delivery import State
from coordinator.flow.ledger import Transaction
from coordinator.flow.parts import Parts
from coordinator.flow.read_models import Actor
from coordinator.flow.rows import DeliveryRow, MessageRecord, NewDelivery

FALLBACK = Actor("job", "fallback")


def after_dead(parts: Parts, tx: Transaction, row: DeliveryRow, now: datetime) -> None:
    """Take the next channel of the route for a dead delivery, when the clinic has said so."""
    message = tx.message(row.message_id)
    if message is None or message.state != "open":
        return
    registry = tx.registry_for(message.plan["patient"]["id"], [message.provider_id])
    if registry is None or registry.clinic.fallback != "take":
        return
    choice = next_channel(message, row.position)
    name, channel, position = choice
    by_hand = channel == "by-hand"
    made = NewDelivery(
        id=parts.dice.uuid(),
        message_id=message.id,
        provider_id=message.provider_id,
        endpoint_id=name,
        channel=channel,
        position=position,
        priority=message.priority,
        state=State.HELD if by_hand else State.PENDING,
        cause="hand.print" if by_hand else None,
        due_at=None if by_hand else now,
    )
    tx.add_delivery(made, at=now)
    tx.audit(FALLBACK, "next channel taken", at=now, patient_key=message.patient_key, subject=message.id, code=channel)


def next_channel(message: MessageRecord, position: int) -> tuple[str, str, int]:
    """Return (endpoint, channel, position) of the next usable channel after `position`; by hand when none is left."""
    channels = message.plan.get("channels", [])
    for place, one in enumerate(channels):
        if place > position and one["usable"] and one["kind"] != "by-hand":
            return one["endpoint"], one["kind"], place
    return "by-hand", "by-hand", len(channels)
