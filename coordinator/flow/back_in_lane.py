"""What a message had replaced stands again when that message is withdrawn because its record was wrong."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from coordinator.domain.delivery import State
from coordinator.domain.ids import stable_uuid
from coordinator.flow.fallback import delivery_by, next_channel
from coordinator.flow.ledger import Transaction
from coordinator.flow.outdated import is_told_anew
from coordinator.flow.parts import Parts
from coordinator.flow.read_models import Actor
from coordinator.flow.rows import REPLACED, InboxRow, MessageRecord

LANES = Actor("job", "lanes")
NO_WAY = ("none", "none", 0)


def let_replaced_go(parts: Parts, tx: Transaction, withdrawn: MessageRecord, amended: InboxRow) -> None:
    """Let go after all what a message had replaced in its lane, now that it was withdrawn and nothing is in its place.

    Else nobody would be told of the older change, though it is what is true again. What
    has left already is no longer called replaced. Where the older message is of the
    record that is being `amended`, or of one that was, what that one had replaced is
    asked about in turn.
    """
    for older in tx.replaced_by(withdrawn):
        row = tx.inbox_row(older.event_ref)
        if row is None:
            continue
        same = (row.source, row.event.id) == (amended.source, amended.event.id)
        if same or is_told_anew(tx, row, older.provider_id):
            let_replaced_go(parts, tx, older, amended)
        elif (newer := _in_its_place(tx, older)) is not None:
            tx.mark_superseded(older.id, newer.id, parts.clock.now())
        elif older.state == "open":
            tx.mark_superseded(older.id, None, parts.clock.now())
        elif older.state == "superseded" and older.cause == REPLACED:
            _stand_again(parts, tx, older, withdrawn)


def _in_its_place(tx: Transaction, older: MessageRecord) -> MessageRecord | None:
    """Return a newer message of the lane that stands, or None."""
    mine = (older.occurred_at, older.event_version)
    lane = tx.lane(older.patient_key, older.provider_id, older.lane_subject)
    newer = [one for one in lane if one.state == "open" and (one.occurred_at, one.event_version) > mine]
    return newer[-1] if newer else None


def _stand_again(parts: Parts, tx: Transaction, older: MessageRecord, withdrawn: MessageRecord) -> None:
    now = parts.clock.now()
    withheld = older.plan.get("not_sent_because") is not None
    made = delivery_by(
        older, NO_WAY if withheld else _way(tx, older), stable_uuid("delivery-again", older.id, withdrawn.id), now
    )
    if withheld:
        made = replace(made, state=State.HELD, cause=_why_withheld(older.plan), due_at=None)
    tx.stand_again(older.id, "withheld" if withheld else "open", now)
    tx.add_delivery(made, at=now)
    tx.audit(
        LANES, "stands again: what replaced it was withdrawn", at=now, patient_key=older.patient_key, subject=older.id
    )


def _way(tx: Transaction, older: MessageRecord) -> tuple[str, str, int]:
    """Return (endpoint, channel, position): the way it was to go last, else the first that it may go."""
    tried = [one for one in tx.deliveries(older.id) if one.channel != "none"]
    return (tried[-1].endpoint_id, tried[-1].channel, tried[-1].position) if tried else next_channel(older, -1)


def _why_withheld(plan: Mapping[str, Any]) -> str:
    reason = plan["consent"]["reason"]
    return "consent.minor-turned-adult" if plan["consent"]["decision"] == "permit" else f"consent.{reason}"
