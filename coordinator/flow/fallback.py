"""The next channel: taken by itself where the clinic allows it, else offered to staff."""

from datetime import datetime

from coordinator.domain.delivery import ARRIVED_MAYBE, UNSENT, State
from coordinator.domain.errors import NotFound, Refused
from coordinator.flow.case_file import arrived_at
from coordinator.flow.ledger import Transaction
from coordinator.flow.parts import Parts
from coordinator.flow.read_models import Actor
from coordinator.flow.rows import DeliveryRow, MessageRecord, NewDelivery

FALLBACK = Actor("job", "fallback")
PRESSING = frozenset({"stat", "urgent"})
"""Priorities that do not wait for a late proof of arrival."""


def after_dead(parts: Parts, tx: Transaction, row: DeliveryRow, now: datetime) -> None:
    """Take the next channel of the route for a dead delivery, when the clinic has said so."""
    message = tx.message(row.message_id)
    if message is None or message.state != "open":
        return
    others = [one.state for one in tx.deliveries(message.id) if one.id != row.id]
    if any(state in ARRIVED_MAYBE | {State.PENDING, State.CLAIMED} for state in others):
        # A resend failed, and another copy is there or on its way: no more copies than somebody asked for.
        return
    if not _takes_by_itself(tx, message):
        return
    _take(parts, tx, message, row.position, now, FALLBACK)


def after_clock(parts: Parts, tx: Transaction, message: MessageRecord, now: datetime) -> bool:
    """Take the next channel when a person must know by now and nothing has left, where the clinic allows it.

    What has left, or may have, stays the one way: two channels never carry the same message side by side.
    """
    if message.state != "open" or not _takes_by_itself(tx, message):
        return False
    last = _only_unsent(tx, message)
    if last is None or last.channel == "by-hand" or next_channel(message, last.position)[1] == "by-hand":
        return False
    tx.move_delivery(last.id, State.CANCELLED, at=now, cause="clock.next-channel")
    _take(parts, tx, message, last.position, now, FALLBACK)
    return True


def after_silence(parts: Parts, tx: Transaction, row: DeliveryRow, now: datetime) -> None:
    """Take the next channel for what cannot wait and whose proof is late, as a copy, where the clinic has said so.

    The first stays with a person, and late word still settles it.
    """
    message = tx.message(row.message_id)
    if message is None or message.state != "open" or message.priority not in PRESSING:
        return
    rows = tx.deliveries(message.id)
    if rows[-1].id != row.id or not _takes_by_itself(tx, message):
        return
    if next_channel(message, row.position)[1] != "by-hand":
        _take(parts, tx, message, row.position, now, FALLBACK, resend_of=row.id)


def spare_copies(tx: Transaction, row: DeliveryRow, now: datetime) -> None:
    """Withdraw the copies that were taken by themselves while the proof of this delivery was late, now that it came."""
    if row.state != State.HELD:
        return
    for other in tx.deliveries(row.message_id):
        if other.resend_of != row.id or other.reason is not None:
            continue
        current = tx.delivery(other.id, lock=True)
        if current is not None and current.state in UNSENT:
            tx.move_delivery(other.id, State.CANCELLED, at=now, cause="receipt.came")


def _takes_by_itself(tx: Transaction, message: MessageRecord) -> bool:
    """Return whether the clinic has the next channel taken without asking.

    Not while everything is held after a restore: what the older copy calls unsent or unproven may be neither.
    """
    registry = tx.registry_for(message.plan["patient"]["id"], [message.provider_id])
    takes = registry is not None and registry.clinic.fallback == "take"
    return takes and not any(one.kind == "restore" for one in tx.holds())


def take_next(parts: Parts, delivery_id: str, *, reason: str, token: str, actor: Actor) -> str:
    """Send by the next address of the route, because a person says so; return the new delivery's id; raise Refused."""
    now = parts.clock.now()
    with parts.ledger.begin() as tx:
        row = tx.delivery(delivery_id, lock=True)
        message = None if row is None else tx.message(row.message_id, lock=True)
        if row is None or message is None:
            raise NotFound("delivery")
        name = parts.dice.uuid()
        earlier = tx.acted(token, "next-channel", name, now)
        if earlier is not None:
            return earlier
        why_not = why_not_next(tx, message)
        if why_not is not None:
            raise Refused("next.refused", why_not)
        for other in tx.deliveries(message.id):
            if other.state in {State.PENDING, State.HELD}:
                tx.move_delivery(other.id, State.CANCELLED, at=now, cause="resend.replaced")
        _take(parts, tx, message, row.position, now, actor, name=name, resend_of=row.id, reason=reason)
        return name


def why_not_next(tx: Transaction, message: MessageRecord) -> str | None:
    """Return the reason, for the screen, why the next address may not be taken now; None when it may."""
    if message.state != "open" or message.superseded_by is not None:
        return "It is closed, or a newer message has taken its place."
    rows = tx.deliveries(message.id)
    if any(one.state in {State.CLAIMED, State.ON_WIRE} for one in rows):
        return "It is on its way at this moment; wait for the outcome."
    if any(one.state in {State.IN_DOUBT, State.SENT, State.ACKNOWLEDGED} for one in rows):
        return "It has arrived, or may have; settle that first, so that it does not go two ways."
    live = [one for one in rows if one.state != State.CANCELLED]
    if not live or live[-1].channel in {"by-hand", "none"}:
        return "There is no further address."
    return None


def _only_unsent(tx: Transaction, message: MessageRecord) -> DeliveryRow | None:
    """Return the one delivery that waits, is being tried, or is held for another reason than consent.

    None when something of the message has left, or may have.
    """
    live = [one for one in tx.deliveries(message.id) if one.state not in {State.CANCELLED, State.DEAD}]
    if len(live) != 1 or live[0].state not in UNSENT or (live[0].cause or "").startswith("consent."):
        return None
    return live[0] if arrived_at(tx, message.id) is None else None


def _take(
    parts: Parts,
    tx: Transaction,
    message: MessageRecord,
    position: int,
    now: datetime,
    actor: Actor,
    *,
    name: str | None = None,
    resend_of: str | None = None,
    reason: str | None = None,
) -> None:
    way = next_channel(message, position)
    made = delivery_by(message, way, name or parts.dice.uuid(), now, resend_of=resend_of, reason=reason)
    tx.add_delivery(made, at=now)
    tx.audit(actor, "next channel taken", at=now, patient_key=message.patient_key, subject=message.id,
             code=made.channel, detail=reason)  # fmt: skip


def delivery_by(
    message: MessageRecord,
    way: tuple[str, str, int],
    name: str,
    now: datetime,
    *,
    resend_of: str | None = None,
    reason: str | None = None,
) -> NewDelivery:
    """Return one more delivery of a stored message, by (endpoint, channel, position): due now, or to be printed."""
    endpoint, channel, position = way
    by_hand = channel == "by-hand"
    return NewDelivery(
        id=name,
        message_id=message.id,
        provider_id=message.provider_id,
        endpoint_id=endpoint,
        channel=channel,
        position=position,
        priority=message.priority,
        state=State.HELD if by_hand else State.PENDING,
        cause="hand.print" if by_hand else None,
        due_at=None if by_hand else now,
        resend_of=resend_of,
        reason=reason,
    )


def next_channel(message: MessageRecord, position: int) -> tuple[str, str, int]:
    """Return (endpoint, channel, position) of the next usable channel after `position`; by hand when none is left."""
    channels = message.plan.get("channels", [])
    for place, one in enumerate(channels):
        if place > position and one["usable"] and one["kind"] != "by-hand":
            return one["endpoint"], one["kind"], place
    return "by-hand", "by-hand", len(channels)
