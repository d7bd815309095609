"""Telephone calls that are owed: emergencies, and urgent letters that nobody answered."""

from collections.abc import Sequence

from coordinator.domain.errors import NotFound, Refused
from coordinator.flow.ledger import Transaction
from coordinator.flow.parts import Parts
from coordinator.flow.presenting import title_of
from coordinator.flow.read_models import Actor, CallToMake
from coordinator.flow.resend import MIN_REASON
from coordinator.flow.rows import MessageRecord


def calls(parts: Parts, actor: Actor) -> Sequence[CallToMake]:
    """Return the calls that are owed, most pressing first, each with the numbers to dial."""
    found = []
    with parts.ledger.begin() as tx:
        for task_id, message_id, _kind, code, due_at in tx.open_tasks():
            message = tx.message(message_id)
            if message is None or message.state in {"superseded", "cancelled"}:
                continue
            cause = parts.causes.get(code)
            found.append(
                CallToMake(
                    task_id=task_id,
                    message_id=message_id,
                    patient_name=message.plan["patient"]["name"],
                    birth_date=message.plan["patient"]["birth_date"],
                    recipient=message.plan["recipient"],
                    organization=message.plan["organization"],
                    numbers=_numbers(tx, message),
                    title=title_of(message),
                    reference=message.reference,
                    why=cause.sentence,
                    next_step=cause.next_step,
                    due_at=due_at,
                )
            )
        if found:
            tx.audit(actor, "calls listed", at=parts.clock.now())
    return found


def _numbers(tx: Transaction, message: MessageRecord) -> tuple[tuple[str, str], ...]:
    """Return the recipient's own telephone number. A fax number is never offered for a call."""
    registry = tx.registry_for(message.plan["patient"]["id"], [message.provider_id])
    provider = None if registry is None else registry.provider(message.provider_id)
    return () if provider is None or provider.phone is None else ((provider.name.full(), provider.phone),)


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
        tx.audit(actor, "call recorded", at=now, patient_key=message.patient_key, subject=message_id, detail=note)
