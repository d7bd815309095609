"""Telling a recipient afterwards: a message that was withheld for lack of consent, once a person asks for it.

Consent that is granted later covers the future by itself. What was withheld before
goes out only when somebody decides so, composed anew from the record as it stands. It
has no clocks while it is withheld; they begin when it is told, as the plan made then says.
"""

from dataclasses import replace

from coordinator.domain.case import Case
from coordinator.domain.delivery import State
from coordinator.domain.errors import NotFound, Refused
from coordinator.domain.plan import RecipientPlan
from coordinator.flow.case_file import gather
from coordinator.flow.compose import ForRecipient, compose_for, documents_of
from coordinator.flow.lanes import supersede_older
from coordinator.flow.parts import Parts
from coordinator.flow.prepare import first_delivery, new_message
from coordinator.flow.read_models import Actor
from coordinator.flow.rows import MessageRecord
from coordinator.letters.refusal import LetterRefused
from coordinator.mapping.problems import MappingHeld
from coordinator.planning.clocks import end_of_business_day
from coordinator.planning.plan import ROUTINE_DAYS, make_plan


def tell_now(parts: Parts, message: MessageRecord, *, reason: str, actor: Actor) -> None:
    """Compose a withheld message and put it on its way; raise Refused with the reason when it still may not go."""
    with parts.ledger.begin(write=False) as tx:
        row = tx.inbox_row(message.event_ref)
        case = None if row is None else gather(tx, row, composed_at=parts.clock.now())
    if row is None or case is None:
        raise NotFound("event")
    plan = make_plan(case, parts.workshop.rules, ())
    mine = next((one for one in plan.recipients if one.provider == message.provider_id), None)
    if mine is None:
        raise Refused("release.left-care-team", parts.causes.get("release.left-care-team").sentence)
    if mine.not_sent_because is not None:
        raise Refused("consent.missing", mine.not_sent_because)
    mine = _at_once(case, mine)
    try:
        made = compose_for(parts.workshop, case, plan, mine)
    except (MappingHeld, LetterRefused) as held:
        code = "event.letter" if isinstance(held, LetterRefused) else "event.mapping"
        cause = parts.causes.get(code)
        raise Refused(code, f"{cause.sentence} {cause.next_step}") from held
    fresh = new_message(row, case, plan, mine)
    _store(parts, message, fresh.plan, made, reason=reason, actor=actor)


def _at_once(case: Case, mine: RecipientPlan) -> RecipientPlan:
    """Return the plan as it goes now: an uneventful session waits for no digest, whose day may be long past."""
    if mine.when == "now":
        return mine
    late_at = end_of_business_day(case.composed_at, ROUTINE_DAYS, case.clinic.time_zone)
    return replace(mine, when="now", digest_due_at=None, tell_a_person_by_at=late_at)


def _store(
    parts: Parts, message: MessageRecord, plan: dict[str, object], made: ForRecipient, *, reason: str, actor: Actor
) -> None:
    now = parts.clock.now()
    with parts.ledger.begin() as tx:
        tx.read_ahead_lanes([message.lane], lock=True)
        current = tx.message(message.id, lock=True)
        if current is None or current.state != "withheld":
            raise Refused("release.not-held", "It is not held any more; look at the message again.")
        for delivery in tx.deliveries(message.id):
            if delivery.state == State.HELD:
                tx.move_delivery(delivery.id, State.CANCELLED, at=now, cause="release.withdrawn")
        tx.open_waiting(
            message.id, letters=made.plan.letters, priority=made.plan.priority, plan=plan,
            acknowledge_by_at=made.plan.acknowledge_by_at, tell_by_at=made.plan.tell_a_person_by_at, at=now,
        )  # fmt: skip
        for document in documents_of(message.id, made):
            tx.add_document(document, at=now)
        tx.audit(actor, "told afterwards", at=now, patient_key=message.patient_key, subject=message.id, detail=reason)
        opened = tx.message(message.id)
        if opened is not None and supersede_older(parts, tx, opened):
            first_delivery(parts, tx, opened, made.plan)
