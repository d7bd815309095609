"""How messages look in the API: ids, states and causes. Names, birth dates and addresses stay inside."""

from coordinator.flow.read_models import DeliveryView, MessageDetail, MessageRow, Withdrawn


def message_line(row: MessageRow) -> dict[str, object]:
    """Return one message without PHI: the source knows its own event, and that is enough to find it."""
    return {
        "id": row.id,
        "event_id": row.event_id,
        "event_version": row.event_version,
        "event_type": row.event_type,
        "recipient": row.provider_id,
        "letters": row.letters,
        "priority": row.priority,
        "reference": row.reference,
        "part2": row.part2,
        "channel": row.channel,
        "delivery": row.delivery_id,
        "state": row.state,
        "cause": row.cause,
        "why": row.why,
        "next_step": row.next_step,
        "role": row.role,
        "needs_person": row.needs_person,
        "attempts": row.attempts,
        "due_at": row.due_at,
        "created_at": row.created_at,
        "updated_at": row.updated_at,
    }


def message_whole(detail: MessageDetail) -> dict[str, object]:
    """Return one message with its deliveries and attempts; no letter, no names, no addresses."""
    return {
        **message_line(detail.row),
        "audience": detail.audience,
        "rules": [{"id": rule, "priority": priority} for rule, priority, _ in detail.rules],
        "supersedes": detail.supersedes,
        "superseded_by": detail.superseded_by,
        "withdrawn": None if detail.withdrawn is None else _withdrawn(detail.withdrawn),
        "documents": [
            {
                "id": one.id,
                "role": one.role,
                "media_type": one.media_type,
                "sha256": one.sha256,
                "size_bytes": one.size_bytes,
            }
            for one in detail.documents
        ],
        "deliveries": [_delivery(one) for one in detail.deliveries],
    }


def _withdrawn(by: Withdrawn) -> dict[str, object]:
    """Return who withdrew it and when; the reason is in that person's words, which may name somebody."""
    return {"at": by.at, "by": by.actor.removeprefix("staff ")}


def _delivery(view: DeliveryView) -> dict[str, object]:
    return {
        "id": view.id,
        "channel": view.channel,
        "endpoint": view.endpoint_id,
        "state": view.state,
        "cause": view.cause,
        "why": view.why,
        "next_step": view.next_step,
        "role": view.role,
        "due_at": view.due_at,
        "resend_of": view.resend_of,
        "created_at": view.created_at,
        "may_resend": view.may_resend,
        "may_not_resend_because": view.may_not_resend_because,
        "may_release": view.may_release,
        "may_cancel": view.may_cancel,
        "may_record_handover": view.may_record_handover,
        "attempts": [
            {
                "number": one.number,
                "started_at": one.started_at,
                "on_wire_at": one.on_wire_at,
                "ended_at": one.ended_at,
                "outcome": one.outcome,
                "cause": one.cause,
                "status": one.status,
                "next_due_at": one.next_due_at,
            }
            for one in view.attempts
        ],
        "receipts": [
            {"received_at": one.received_at, "verdict": one.verdict, "cause": one.cause} for one in view.receipts
        ],
    }
