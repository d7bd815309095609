"""Telephone calls that are owed: emergencies, and urgent letters that nobody answered."""

from collections.abc import Sequence
from datetime import datetime

from coordinator.domain.errors import NotFound, Refused
from coordinator.domain.ids import stable_uuid
from coordinator.flow.case_file import readable
from coordinator.flow.ledger import Transaction
from coordinator.flow.owed import open_question
from coordinator.flow.parts import Parts
from coordinator.flow.presenting import title_of
from coordinator.flow.read_models import Actor, CallToMake
from coordinator.flow.resend import MIN_REASON
from coordinator.flow.rows import MessageRecord
from coordinator.observe.log import Log, write

ESCALATE = Actor("job", "escalate")
CONTACTS = {"second": "second contact", "covering": "covering clinician"}


def calls(parts: Parts, actor: Actor) -> Sequence[CallToMake]:
    """Return the calls that are owed, most pressing first, each with the numbers to dial."""
    found = []
    with parts.ledger.begin() as tx:
        for task_id, message_id, _kind, code, due_at in tx.open_tasks():
            message = readable(tx, message_id, "calls")
            if message is None or message.state in {"superseded", "cancelled"}:
                continue
            cause = parts.causes.get(code)
            answers = tx.answers_of(message_id)
            found.append(
                CallToMake(
                    task_id=task_id,
                    message_id=message_id,
                    patient_name=message.plan["patient"]["name"],
                    birth_date=message.plan["patient"]["birth_date"],
                    recipient=message.plan["recipient"],
                    organization=message.plan["organization"],
                    numbers=_numbers(tx, message, parts.escalation.contact_of(code)),
                    title=title_of(message),
                    reference=message.reference,
                    why=cause.sentence,
                    next_step=cause.next_step,
                    due_at=due_at,
                    answered=tuple((one.kind, one.answered_at) for one in answers),
                    still_open=open_question(message, answers) if answers else None,
                )
            )
        if found:
            tx.audit(actor, "calls listed", at=parts.clock.now())
    return found


def _numbers(tx: Transaction, message: MessageRecord, first: str | None) -> tuple[tuple[str, str], ...]:
    """Return (whose, number) in the order to try: the contact whose turn it is, the recipient, then the others.

    A fax number is never offered for a call.
    """
    registry = tx.registry_for(message.plan["patient"]["id"], [message.provider_id])
    provider = None if registry is None else registry.provider(message.provider_id)
    if provider is None:
        return ()
    own = [] if provider.phone is None else [("", f"{provider.name.full()}", provider.phone)]
    others = [(one.role, f"{one.name}, {CONTACTS[one.role]}", one.phone) for one in provider.contacts]
    ranked = sorted([*own, *others], key=lambda one: one[0] != first if first else False)
    return tuple((whose, number) for _, whose, number in ranked)


def escalate(parts: Parts, tx: Transaction, now: datetime) -> int:
    """Raise the next call where the one before it fell due and was not recorded; return how many were raised."""
    raised = 0
    every = list(tx.open_tasks())
    for _task_id, message_id, kind, cause, due_at in every:
        step = parts.escalation.after(cause) if kind == "call" else None
        if step is None or any(one[1] == message_id and one[3] == step.cause for one in every):
            continue
        message = readable(tx, message_id, "calls")
        if message is None or message.state != "open":
            continue
        due = due_at + step.after[message.priority]
        if due > now:
            continue
        name = stable_uuid("task", message_id, step.cause)
        if tx.add_task(name, message_id, "call", step.cause, due, now):
            raised += 1
            tx.audit(ESCALATE, "call escalated", at=now, patient_key=message.patient_key, subject=message_id,
                     code=step.cause)  # fmt: skip
            write(Log.TASK_RAISED, message_id=message_id, code=step.cause)
    return raised


def call_done(parts: Parts, task_id: str, *, note: str, actor: Actor) -> None:
    """Record a call and what was agreed; raise Refused without a note, or when it was recorded already."""
    if len(note.strip()) < MIN_REASON:
        raise Refused("call.note-missing", "Say in a few words who was reached and what was agreed.")
    now = parts.clock.now()
    with parts.ledger.begin() as tx:
        message_id = tx.close_task(task_id, by=actor.name, note=note, at=now)
        if message_id is None:
            raise Refused("call.recorded", "This call was recorded already.")
        message = tx.message(message_id)
        if message is None:
            raise NotFound("message")
        for other, _, kind, _, _ in tx.open_tasks(message_id):
            if kind == "call":  # whoever was reached, nobody else need be called for the same answer
                tx.close_task(other, by=actor.name, note=note, at=now)
        tx.audit(actor, "call recorded", at=now, patient_key=message.patient_key, subject=message_id, detail=note)
