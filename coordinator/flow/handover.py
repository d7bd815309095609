"""The hand-over of a printed letter: who took it and when, recorded at once or afterwards."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from coordinator.domain.delivery import State
from coordinator.domain.errors import NotFound, Refused
from coordinator.flow.ledger import Transaction
from coordinator.flow.parts import Parts
from coordinator.flow.read_models import Actor
from coordinator.flow.releasing import ask_release
from coordinator.flow.rows import DeliveryRow, MessageRecord

HANDED_OVER = "handed-over"
"""The verdict of the receipt that keeps the instant of a hand-over."""
ENDED = frozenset(
    {
        "consent.revoked", "consent.expired", "consent.restriction", "consent.part2-revoked", "consent.part2-expired",
        "release.left-care-team",
    }
)  # fmt: skip
"""Causes that began on some day, so that a letter may have left rightly before it."""


def handed_over_at(tx: Transaction, row: DeliveryRow) -> datetime:
    """Return when paper was handed over. One recorded before the time was asked for has that of its record."""
    said = (one.received_at for one in tx.receipts(row.id) if one.verdict == HANDED_OVER)
    return next(said, row.updated_at)


def record_handover(parts: Parts, delivery_id: str, *, to: str, actor: Actor, at: datetime | None = None) -> None:
    """Record who took a printed letter, and when (`at`; None is now); that is its proof of arrival.

    Whether it might go is asked as of that instant, so that what left while consent was
    in force is not lost because it is recorded later. Raises NotFound or Refused.
    """
    now = parts.clock.now()
    with parts.ledger.begin() as tx:
        row = tx.delivery(delivery_id, lock=True)
        if row is None:
            raise NotFound("delivery")
        message = tx.message(row.message_id)
        if message is None or row.channel != "by-hand" or row.state != State.HELD:
            raise Refused("hand.not-waiting", "This letter is not waiting to be handed over.")
        if not to.strip():
            raise Refused("hand.nobody", "Say who took the letter.")
        if at is not None:
            _need_possible(tx, message, at, now)
        _need_permission(parts, tx, row, message, at, now)
        tx.move_delivery(row.id, State.ACKNOWLEDGED, at=now)
        when = now if at is None else at.astimezone(UTC)
        tx.add_receipt(parts.dice.uuid(), f"{row.id}|{HANDED_OVER}", row.id, row.channel, HANDED_OVER, None, when, b"")
        said = to if at is None else f"{to} (on {_here(tx, message, at)})"
        tx.audit(actor, "handed over", at=now, patient_key=message.patient_key, subject=message.id, detail=said)


def _need_possible(tx: Transaction, message: MessageRecord, at: datetime, now: datetime) -> None:
    """Raise Refused for an instant at which the letter cannot have been handed over. People say it to the minute."""
    if at > now:
        raise Refused("hand.when-ahead", "This time is still to come. Say when the letter was handed over.")
    made = min(one.created_at for one in tx.deliveries(message.id) if one.channel != "none")
    if at < made.replace(second=0, microsecond=0):
        raise Refused(
            "hand.when-early",
            f"The letter was not made before {_here(tx, message, made)}. Say when it was handed over.",
        )


def _need_permission(
    parts: Parts, tx: Transaction, row: DeliveryRow, message: MessageRecord, at: datetime | None, now: datetime
) -> None:
    """Raise Refused unless the letter might go when it was handed over, by what the registry says of that day."""
    answer = ask_release(parts, tx, row, message, at or now)
    if answer.permits:
        return
    cause = parts.causes.get(answer.code or "bug")
    why = f"{cause.sentence} {cause.next_step}"
    if at is not None:
        why = f"By the registry it might not go on {_here(tx, message, at)}. {why}"
    elif cause.code in ENDED:
        why = f"{why} If the letter was handed over before that, say when."
    raise Refused(cause.code, why)


def _here(tx: Transaction, message: MessageRecord, at: datetime) -> str:
    """Return an instant on the clinic's calendar: "13 October 2026 at 15:20"."""
    registry = tx.registry_of(message.patient_key, message.provider_id)
    zone = message.plan.get("zone", "UTC") if registry is None else registry.clinic.time_zone
    return f"{at.astimezone(ZoneInfo(zone)):%-d %B %Y at %H:%M}"
