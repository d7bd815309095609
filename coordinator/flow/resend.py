"""What a person does with a message: resend, release, withdraw, and answer a held event's questions."""

from collections.abc import Sequence
from datetime import datetime

from coordinator.domain.delivery import ARRIVED_MAYBE, State
from coordinator.domain.errors import NotFound, Refused, StateConflict
from coordinator.flow.addresses import is_closed
from coordinator.flow.backfill import tell_now
from coordinator.flow.fallback import delivery_by, next_channel
from coordinator.flow.lanes import withdraw
from coordinator.flow.ledger import Transaction
from coordinator.flow.parts import Parts
from coordinator.flow.read_models import Actor, WayAgain
from coordinator.flow.releasing import ask_release
from coordinator.flow.rows import BY_A_PERSON, DeliveryRow, InboxState, MessageRecord, why_closed

MOVING = frozenset({State.PENDING, State.CLAIMED, State.ON_WIRE})
MIN_REASON = 5
WITHDRAWN = "withdrawn"
"""How the audit trail calls it when a person withdraws a message."""


def why_not_resend(parts: Parts, tx: Transaction, row: DeliveryRow) -> str | None:
    """Return the reason, for the screen, why this delivery may not be sent again now; None when it may."""
    message = tx.message(row.message_id)
    if message is None:
        return "The message is gone."
    if message.state == "superseded" or message.superseded_by is not None:
        return "A newer message replaces this one. Resend the newer one."
    if message.state == "cancelled":
        return parts.causes.get(why_closed(message)).sentence
    if row.channel == "none":
        return "Nothing was composed for this recipient, because consent is missing."
    if not tx.documents(message.id):
        return "There is nothing stored to send."
    if row.channel == "by-hand" and row.state == State.HELD:
        return "It waits to be printed and handed over. Record the hand-over when somebody took it."
    every = tx.deliveries(message.id)
    if any(one.state in MOVING for one in every):
        return "It is on its way already; wait for the outcome."
    if any(one.state == State.IN_DOUBT for one in every):
        return "It may have arrived; settle that first, so that it is not doubled."
    if _sent_since(every, row):
        return "A colleague has sent it again since. Look at what came of that before you send it once more."
    target = _route(tx, message, row)
    trial = row._replace(endpoint_id=target[0], channel=target[1])
    answer = ask_release(parts, tx, trial, message, parts.clock.now())
    if not answer.permits:
        return parts.causes.get(answer.code or "bug").sentence
    return None


def _sent_since(every: Sequence[DeliveryRow], row: DeliveryRow) -> bool:
    """Return whether a later delivery of the message stands: the person who asks has not seen it yet."""
    names = [one.id for one in every if one.state != State.CANCELLED]
    return row.id in names and names[-1] != row.id


def resend(parts: Parts, delivery_id: str, *, reason: str, token: str, actor: Actor) -> str:
    """Create a new delivery of the same stored bytes, on today's route; return its id.

    The same token again returns the first outcome: a double click is one resend.
    Raises Refused when it may not be, NotFound when there is no such delivery.
    """
    need_reason(reason)
    with parts.ledger.begin() as tx:
        return resend_in(parts, tx, delivery_id, reason=reason, token=token, actor=actor)


def resend_in(
    parts: Parts, tx: Transaction, delivery_id: str, *, reason: str, token: str, actor: Actor
) -> str:  # fmt: skip
    """Do what `resend` does inside a transaction of the caller's; nothing is written before it is refused."""
    now = parts.clock.now()
    row = tx.delivery(delivery_id, lock=True)
    if row is None:
        raise NotFound("delivery")
    message = tx.message(row.message_id, lock=True)
    if message is None:
        raise NotFound("message")
    name = parts.dice.uuid()
    earlier = tx.acted(token, "resend", name, now)
    if earlier is not None:
        return earlier
    refusal = why_not_resend(parts, tx, row)
    if refusal is not None:
        raise Refused("resend.refused", refusal)
    for other in tx.deliveries(message.id):
        if other.state == State.HELD:
            tx.move_delivery(other.id, State.CANCELLED, at=now, cause="resend.replaced")
    way = _route(tx, message, row)
    tx.add_delivery(delivery_by(message, way, name, now, resend_of=row.id, reason=reason), at=now)
    tx.audit(actor, "resend asked for", at=now, patient_key=message.patient_key, subject=message.id, detail=reason)
    return name


def way_again(tx: Transaction, message: MessageRecord, row: DeliveryRow) -> WayAgain:
    """Return where this delivery would go when it is sent again now."""
    endpoint_id, channel, _ = _route(tx, message, row)
    return WayAgain(endpoint_id, channel)


def _route(tx: Transaction, message: MessageRecord, row: DeliveryRow) -> tuple[str, str, int]:
    """Return (endpoint, channel, position) of a resend: the same endpoint unless its address is suspended or gone."""
    registry = tx.registry_for(message.plan["patient"]["id"], [message.provider_id])
    provider = None if registry is None else registry.provider(message.provider_id)
    endpoint = provider.endpoint(row.endpoint_id) if provider else None
    if row.channel == "by-hand":
        return "by-hand", "by-hand", row.position
    health = tx.health(row.endpoint_id)
    address = "" if endpoint is None else endpoint.address
    shut = is_closed(tx, health, address)
    if endpoint is None or shut:
        return next_channel(message, row.position)
    return row.endpoint_id, row.channel, row.position


def release(parts: Parts, delivery_id: str, *, reason: str, token: str, actor: Actor) -> None:
    """Put a held or doubtful delivery back in the queue; the release question is asked again before it goes."""
    now = parts.clock.now()
    need_reason(reason)
    withheld = _withheld(parts, delivery_id)
    if withheld is not None:
        tell_now(parts, withheld, reason=reason, actor=actor)
        return
    with parts.ledger.begin() as tx:
        row = tx.delivery(delivery_id, lock=True)
        if row is None:
            raise NotFound("delivery")
        if tx.acted(token, "release", delivery_id, now) is not None:
            return
        message = tx.message(row.message_id, lock=True)
        if message is None or row.state not in {State.HELD, State.IN_DOUBT}:
            raise Refused("release.not-held", "It is not held any more; look at the message again.")
        if any(one.id != row.id and one.state in MOVING | ARRIVED_MAYBE for one in tx.deliveries(message.id)):
            raise Refused(
                "release.under-way", "Another copy of it is on its way, or has arrived. Look at what comes of that one."
            )
        if row.channel == "by-hand":
            raise Refused(
                "release.nothing", "There is no channel to send this by. Print it, or correct the registry first."
            )
        answer = ask_release(parts, tx, row, message, now)
        if not answer.permits:
            cause = parts.causes.get(answer.code or "bug")
            raise Refused(cause.code, f"{cause.sentence} {cause.next_step}")
        tx.move_delivery(row.id, State.PENDING, at=now, due_at=now)
        tx.audit(actor, "released", at=now, patient_key=message.patient_key, subject=message.id, detail=reason)


def _withheld(parts: Parts, delivery_id: str) -> MessageRecord | None:
    """Return the message of a delivery that was never composed, or None."""
    with parts.ledger.begin(write=False) as tx:
        row = tx.delivery(delivery_id)
        message = None if row is None else tx.message(row.message_id)
    if row is None or message is None or row.channel != "none" or row.state != State.HELD:
        return None
    return message


def cancel(parts: Parts, message_id: str, *, reason: str, actor: Actor) -> None:
    """Withdraw a message of which nothing has left."""
    need_reason(reason)
    with parts.ledger.begin() as tx:
        message = tx.message(message_id, lock=True)
        if message is None:
            raise NotFound("message")
        if message.state not in {"open", "withheld", "digest"}:
            raise Refused("cancel.closed", "It is closed already.")
        if not withdraw(parts, tx, message, superseded_by=None, cause=BY_A_PERSON):
            raise Refused("cancel.left", "It has left already, or may have. Send a correction instead.")
        tx.audit(actor, WITHDRAWN, at=parts.clock.now(), patient_key=message.patient_key, subject=message_id,
                 detail=reason)  # fmt: skip


def answer(parts: Parts, event_ref: str, *, confirmed: bool, reason: str, actor: Actor) -> None:
    """Settle a held event: confirmed as it stands, it is prepared; declined, it stays on record and goes nowhere.

    A stuck event (a table row was missing, a letter refused) is tried again when confirmed.
    """
    need_reason(reason)
    now = parts.clock.now()
    with parts.ledger.begin() as tx:
        row = tx.inbox_row(event_ref, lock=True)
        if row is None:
            raise NotFound("event")
        if row.state not in {"question", "stuck"}:
            raise Refused("event.settled", "This event is not waiting any more.")
        try:
            _settle_event(tx, event_ref, now, confirmed=confirmed)
        except StateConflict as moved:
            raise Refused("event.settled", "Somebody else has just answered it.") from moved
        action = "event confirmed" if confirmed else "event declined"
        tx.audit(actor, action, at=now, patient_key=row.patient_key, subject=event_ref, detail=reason)


def _settle_event(tx: Transaction, event_ref: str, now: datetime, *, confirmed: bool) -> None:
    waiting: tuple[InboxState, ...] = ("question", "stuck")
    if confirmed:
        tx.move_inbox(event_ref, "received", at=now, composed_at=now, expect=waiting)
    else:
        tx.move_inbox(event_ref, "declined", at=now, cause="event.declined", expect=waiting)


def need_reason(reason: str) -> None:
    """Raise Refused unless a reason of a few words was given."""
    if len(reason.strip()) < MIN_REASON:
        raise Refused("reason.missing", "Give a reason of a few words; it is kept with the record.")
