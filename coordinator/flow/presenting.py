"""From stored rows to what people are shown: one plain sentence, one next step, and who takes it."""

from collections.abc import Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from coordinator.domain.delivery import FINAL, NEEDS_PERSON, State
from coordinator.flow.hold_rows import Closed
from coordinator.flow.ledger import Transaction
from coordinator.flow.parts import Parts
from coordinator.flow.read_models import AttemptView, DeliveryView, MessageRow, ReceiptView
from coordinator.flow.releasing import ask_release, part2_of
from coordinator.flow.rows import REPLACED, AttemptRow, DeliveryRow, MessageRecord, may_have_arrived, why_closed
from coordinator.flow.send_package import first_sent
from coordinator.flow.wording import facts_said

TO_PRINT = "hand.print"
TITLES: Mapping[str, str] = {
    "L1": "Session summary",
    "L2": "Session summary",
    "L3": "Dose-change notice",
    "L4": "Stimulant request",
    "L5": "Urgent safety alert",
    "L6": "Course start",
    "L7": "Course completion",
    "L8": "Missed or stopped",
    "L9": "Correction",
    "L12": "Medication query",
    "L13": "Retraction",
    "L14": "Patient copy",
}
STANDING = {
    State.PENDING: "Waiting to be sent.",
    State.CLAIMED: "Being sent now.",
    State.ON_WIRE: "On its way; the answer is awaited.",
    State.SENT: "Taken by the far side; the proof of arrival is awaited.",
    State.ACKNOWLEDGED: "Arrived, with proof.",
    State.IN_DOUBT: "It may have arrived; the far side is being asked.",
    State.CANCELLED: "Withdrawn before it was sent.",
}
HELD_NAMES = {"everything": "everything", "channel": "its channel", "endpoint": "its address"}
"""What a hold holds, in the words of one delivery that waits behind it."""


def title_of(message: MessageRecord) -> str:
    """Return the short name of what the message is."""
    if message.plan.get("structured_only") and message.state != "digest" and not message.digest_due_at:
        return "Chart update"
    if message.state == "withheld" and not message.letters:
        return "Withheld"
    names = [TITLES[one] for one in message.letters if one in TITLES and one != "L9"]
    name = names[0] if names else "Chart update"
    if message.digest_due_at is not None:
        name = "Digest"
    return f"Correction: {name}" if "L9" in message.letters else name


def newest_delivery(rows: list[DeliveryRow]) -> DeliveryRow | None:
    """Return the delivery that speaks for the message: the newest that is not withdrawn, else the newest."""
    live = [row for row in rows if row.state != State.CANCELLED]
    return (live or rows)[-1] if rows else None


def standing(
    parts: Parts, message: MessageRecord, row: DeliveryRow | None, now: datetime, closed: Closed
) -> tuple[State, str | None, str, str, str | None, bool]:
    """Return (state, cause, sentence, next step, role, needs a person) of a message."""
    if message.state == "digest":
        zone = ZoneInfo(message.plan.get("zone", "UTC"))
        when = (
            "" if message.digest_due_at is None else f" on {message.digest_due_at.astimezone(zone):%-d %B %Y at %H:%M}"
        )
        return State.PENDING, None, f"Uneventful session; told in the digest{when}.", "", None, False
    if message.state == "nothing-to-send":
        return State.CANCELLED, None, message.plan.get("not_sent_because") or "Nothing to send.", "", None, False
    if message.state in {"superseded", "cancelled"}:
        cause = parts.causes.get(why_closed(message))
        return State.CANCELLED, cause.code, cause.sentence, "", None, False
    if row is None:
        cause = parts.causes.get(message.cause or "bug")
        return State.HELD, cause.code, cause.sentence, cause.next_step, cause.role, True
    if row.state in NEEDS_PERSON:
        cause = parts.causes.get(row.cause or "bug")
        return row.state, cause.code, cause.sentence, cause.next_step, cause.role, True
    sentence = STANDING[row.state]
    if row.state == State.PENDING and closed.covers(row.channel, row.endpoint_id):
        cause = parts.causes.get("release.paused")
        return row.state, cause.code, cause.sentence, cause.next_step, cause.role, message.told_at is not None
    late = message.told_at is not None and row.state not in FINAL
    if row.state == State.PENDING and row.cause is not None:
        cause = parts.causes.get(row.cause)
        sentence = f"{cause.sentence} It is tried again by itself."
        overdue = parts.causes.get("clock.overdue")
        return row.state, cause.code, sentence, overdue.next_step if late else "", overdue.role if late else None, late
    if late:
        overdue = parts.causes.get("clock.overdue")
        return row.state, overdue.code, f"{sentence} {overdue.sentence}", overdue.next_step, overdue.role, True
    return row.state, row.cause, sentence, "", None, False


def _as_it_may_go(parts: Parts, tx: Transaction, message: MessageRecord, row: DeliveryRow) -> DeliveryRow:
    """Return a delivery; one that waits to be printed with the cause why it may not be handed over now, if it may not.

    Nothing claims paper, so what ended since (consent, the message itself) is asked whenever it is shown.
    """
    if row.state == State.CANCELLED and row.cause == REPLACED and message.state == "cancelled":
        return row._replace(cause=why_closed(message))
    if (row.channel, row.state, row.cause) != ("by-hand", State.HELD, TO_PRINT):
        return row
    answer = ask_release(parts, tx, row, message, parts.clock.now())
    return row if answer.permits else row._replace(cause=answer.code)


def message_row(parts: Parts, tx: Transaction, message: MessageRecord) -> MessageRow:
    """Return the line of one message."""
    rows = list(tx.deliveries(message.id))
    row = newest_delivery(rows)
    row = None if row is None else _as_it_may_go(parts, tx, message, row)
    now = parts.clock.now()
    state, cause, why, next_step, role, needs_person = standing(parts, message, row, now, tx.closed())
    plan = message.plan
    return MessageRow(
        id=message.id,
        patient_name=plan["patient"]["name"],
        patient_id=plan["patient"]["id"],
        birth_date=plan["patient"]["birth_date"],
        provider_id=message.provider_id,
        recipient=plan["recipient"],
        letters=message.letters,
        title=title_of(message),
        priority=message.priority,
        channel=row.channel if row is not None else "none",
        state=state,
        cause=cause,
        why=why,
        next_step=next_step,
        role=role,
        needs_person=needs_person,
        attempts=sum(len(tx.attempts(one.id)) for one in rows),
        due_at=row.due_at if row is not None and row.state == State.PENDING else message.digest_due_at,
        created_at=message.created_at,
        updated_at=max([message.updated_at, *(one.updated_at for one in rows)]),
        event_type=message.event_type,
        event_id=plan["event_id"],
        event_version=message.event_version,
        delivery_id=row.id if row is not None else "",
        reference=message.reference,
        part2=part2_of(message).marked,
    )


def attempt_view(parts: Parts, row: AttemptRow, next_due_at: datetime | None) -> AttemptView:
    """Return one try as it is shown."""
    words = {
        "proven": "Taken, with proof of arrival.",
        "taken": "Taken by the far side.",
        "not-sent": "Not sent after all; not a byte left.",
        None: "Under way.",
    }
    sentence = words.get(row.outcome) or parts.causes.get(row.cause or "bug").sentence
    return AttemptView(
        number=row.number,
        started_at=row.started_at,
        on_wire_at=row.on_wire_at,
        ended_at=row.ended_at,
        outcome=row.outcome,
        cause=row.cause,
        sentence=sentence,
        status=row.status,
        facts=facts_said(row.facts, row.status),
        next_due_at=next_due_at,
        worker=row.worker,
    )


RECEIPTS = {
    "acknowledged": "Arrival is proven.",
    "processed": "The far side's mail system has it; arrival at the recipient's own system is awaited.",
    "failed": "The far side could not deliver it.",
    "partial": "Only part of it arrived.",
    "handed-over": "The printed letter was handed over then.",
}


def delivery_view(
    parts: Parts, tx: Transaction, message: MessageRecord, row: DeliveryRow, address: str, refusal: str | None
) -> DeliveryView:
    """Return one delivery with its attempts and receipts, and what may be done with it."""
    attempts = tx.attempts(row.id)
    row = _as_it_may_go(parts, tx, message, row)
    cause = parts.causes.get(row.cause) if row.cause else None
    views = []
    for number, one in enumerate(attempts, start=1):
        last = number == len(attempts)
        views.append(attempt_view(parts, one, row.due_at if last and row.state == State.PENDING else None))
    receipts = [
        ReceiptView(
            one.received_at,
            one.verdict,
            one.cause,
            parts.causes.get(one.cause).sentence if one.cause else RECEIPTS.get(one.verdict, one.verdict),
        )
        for one in tx.receipts(row.id)
    ]
    open_message = message.state in {"open", "withheld"}
    behind = tx.closed().scopes_over(row.channel, row.endpoint_id) if row.state == State.PENDING else ()
    cause = parts.causes.get("release.paused") if behind else cause
    return DeliveryView(
        id=row.id,
        channel=row.channel,
        endpoint_id=row.endpoint_id,
        address=address,
        state=row.state,
        cause=row.cause,
        why=cause.sentence if cause else STANDING.get(row.state, "A person must act."),
        next_step=cause.next_step if cause and row.state in NEEDS_PERSON else "",
        role=cause.role if cause and row.state in NEEDS_PERSON else None,
        due_at=row.due_at,
        resend_of=row.resend_of,
        resend_reason=row.reason,
        created_at=row.created_at,
        attempts=tuple(views),
        receipts=tuple(receipts),
        may_resend=refusal is None,
        may_not_resend_because=refusal,
        may_release=open_message and row.state in {State.HELD, State.IN_DOUBT} and row.channel != "by-hand",
        may_cancel=open_message and row.state in {State.PENDING, State.HELD},
        may_record_handover=open_message and row.state == State.HELD and row.channel == "by-hand",
        write_on_it=_write_on_it(tx, message, row),
        waits_behind=behind,
    )


def what_comes(view: DeliveryView) -> str:
    """Return what becomes of a delivery that was just made or let go on: as it stands, and no more than that."""
    if view.waits_behind:
        of = " and of ".join(f"{HELD_NAMES[one.partition(':')[0]]}{_scope(one)}" for one in view.waits_behind)
        return f"It waits behind the hold of {of}, and goes out once that is lifted."
    if view.state == State.PENDING:
        return "It goes out when it is due."
    if view.state == State.HELD and view.cause == TO_PRINT:
        return "It goes by no channel: it is to be printed and handed over."
    return f"{view.why} {view.next_step}".rstrip()


def _scope(scope: str) -> str:
    return f" ({scope})" if ":" in scope else ""


def _write_on_it(tx: Transaction, message: MessageRecord, row: DeliveryRow) -> str:
    """Return what a person has to write on a printed letter that is not the first. Other channels do it themselves."""
    if (row.channel, row.state, row.cause) != ("by-hand", State.HELD, TO_PRINT):
        return ""
    before = first_sent(tx, row, message, message.plan.get("zone", "UTC"))
    if before is not None:
        return f"COPY of {before}"
    earlier = None if row.resend_of is None else tx.delivery(row.resend_of)
    return "RESENT" if earlier is not None and may_have_arrived(earlier) else ""
