"""T2: from a recorded event to messages, documents and deliveries. Nothing is sent yet."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from coordinator.domain.case import Case
from coordinator.domain.delivery import State
from coordinator.domain.errors import StateConflict, lacks_means
from coordinator.domain.ids import stable_uuid
from coordinator.domain.part2 import is_part2
from coordinator.domain.plan import Plan, RecipientPlan
from coordinator.flow.case_file import gather_all, is_outrun
from coordinator.flow.compose import Composed, ForRecipient, compose, documents_of
from coordinator.flow.lanes import supersede_older, withdraw_earlier
from coordinator.flow.ledger import Transaction
from coordinator.flow.marking import mark_since, marked_patients
from coordinator.flow.parts import Parts
from coordinator.flow.read_models import Actor
from coordinator.flow.rows import InboxRow, NewDelivery, NewMessage
from coordinator.flow.search import search_terms
from coordinator.flow.together import again_if_undone
from coordinator.letters.refusal import LetterRefused
from coordinator.mapping.problems import MappingHeld
from coordinator.observe.log import Log, write
from coordinator.planning.recipients import needs_own_consent

PREPARE = Actor("job", "prepare")
BY_HAND = "by-hand"


def prepare(parts: Parts, event_ref: str) -> None:
    """Compose one recorded event and store what goes out. Safe to call twice: the second finds nothing to do.

    What the mappings or the letters refuse leaves the event stuck, visible, with its
    cause; any other error is a fault of ours and is tried again a few times first. While
    the machine has no file handle, memory or disk left it is tried until there is some.
    """
    _prepare(parts, [event_ref])


def prepare_all(parts: Parts, event_refs: Sequence[str]) -> None:
    """Prepare several events with few questions and one commit. A fault of one is found by preparing each alone."""
    if len(event_refs) > 1:
        try:
            _prepare(parts, event_refs)
        except Exception as fault:
            write(Log.PREPARED_ALONE, count=len(event_refs), error_type=type(fault).__name__)
        else:
            return
    for event_ref in event_refs:
        try:
            again_if_undone(partial(_prepare, parts, [event_ref]))
        except Exception as bug:
            write(Log.BUG, event_ref=event_ref, error_type=type(bug).__name__, job="prepare")


def _prepare(parts: Parts, event_refs: Sequence[str]) -> None:
    began = parts.clock.now()
    with parts.ledger.begin(write=False) as tx:
        cases = gather_all(tx, event_refs)
    made = [(row, composed) for row, case in cases if (composed := _composed(parts, row, case)) is not None]
    if made:
        try:
            _store(parts, made, began)
        except StateConflict:
            if len(made) > 1:
                raise


def _composed(parts: Parts, row: InboxRow, case: Case | None) -> Composed | None:
    """Return what goes out, or None when the event is stuck, or is to be tried again, and that is written down."""
    if case is None:
        _stuck(parts, row, "registry.patient-missing")
        return None
    try:
        composed = compose(parts.workshop, case)
    except MappingHeld as held:
        write(Log.MAPPING_HELD, event_ref=row.id, element=held.problems[0].element if held.problems else None)
        _stuck(parts, row, "event.mapping")
    except LetterRefused as refused:
        write(Log.LETTER_HELD, event_ref=row.id, code=refused.code, element=refused.element)
        _stuck(parts, row, "event.letter")
    except Exception as bug:
        _failed(parts, row, bug)
    else:
        if composed.recipients:
            return composed
        _stuck(parts, row, "route.nobody")
    return None


def _store(parts: Parts, made: Sequence[tuple[InboxRow, Composed]], began: datetime) -> None:
    """Store what several events came to, in one transaction; what somebody else has decided meanwhile is left out.

    `began`: when it was begun to read what they were composed from.
    """
    now = parts.clock.now()
    lanes = [
        (row.patient_key, one.plan.provider, composed.plan.lane_subject)
        for row, composed in made for one in composed.recipients
    ]  # fmt: skip
    due: list[str | None] = []
    stored = []
    with parts.ledger.begin() as tx:
        tx.read_ahead_events([row.id for row, _ in made], lock=True)
        tx.read_ahead_lanes(lanes, lock=True)
        marked = marked_patients(tx, [row.patient_key for row, _ in made], began)
        for row, composed in made:
            current = tx.inbox_row(row.id, lock=True)
            if current is None or current.state != "received":
                continue
            if any(one.version > row.version for one in tx.inbox_versions(row.source, row.event.id)):
                tx.move_inbox(row.id, "superseded", at=now, cause="event.superseded")
                continue
            stale = row.patient_key in marked and not is_part2(composed.case)
            if stale or is_outrun(tx, row, composed.case):
                tx.move_inbox(row.id, "received", at=now, due_at=now, expect=("received",))
                continue
            due += [add_message(parts, tx, row, composed.case, composed, one) for one in composed.recipients]
            withdraw_earlier(parts, tx, row)
            mark_since(tx, row, now)
            tx.move_inbox(row.id, "prepared", at=now, expect=("received",))
            tx.audit(PREPARE, "event prepared", at=now, patient_key=row.patient_key, subject=row.id)
            stored.append((row, composed))
    for row, composed in stored:
        write(Log.EVENT_PREPARED, event_ref=row.id, count=len(composed.recipients))
    parts.bell.ring("delivery", [one for one in due if one is not None])


def add_message(
    parts: Parts, tx: Transaction, row: InboxRow, case: Case, composed: Composed, made: ForRecipient
) -> str | None:
    """Store one recipient's message: withheld, for the digest, or with its documents and first delivery.

    Returns the delivery that is due now, if there is one.
    """
    now = parts.clock.now()
    plan = made.plan
    message = new_message(row, case, composed.plan, plan)
    if plan.not_sent_because is not None:
        cause = withheld_because(case, plan)
        if cause is None:
            # Nothing that this recipient was told has changed; that is decided, kept, and done.
            tx.add_message(replace(message, state="nothing-to-send"), at=now, terms=())
            tx.audit(PREPARE, "nothing to send", at=now, patient_key=row.patient_key, subject=message.id)
            return None
        tx.add_message(message, at=now, terms=search_terms(case, plan.provider))
        tx.add_delivery(_delivery(message, plan, "none", "none", 0, State.HELD, cause, None), at=now)
        tx.audit(PREPARE, "message withheld", at=now, patient_key=row.patient_key, subject=message.id, code=cause)
        return None
    if plan.when == "digest":
        add_digest_item(parts, tx, row, case, composed, plan)
        if is_part2(case):
            return None  # data alone would go without the notice and the consent explained; they go with the letter
        if not made.contents or not any(one.usable and one.kind.startswith("fhir") for one in plan.channels):
            return None
    tx.add_message(message, at=now, terms=search_terms(case, plan.provider))
    for document in documents_of(message.id, made):
        tx.add_document(document, at=now)
    if not supersede_older(parts, tx, message):
        return None
    return first_delivery(parts, tx, message, plan)


def withheld_because(case: Case, plan: RecipientPlan) -> str | None:
    """Return the cause that holds a message back for a person, or None when there is simply nothing to say."""
    if not plan.consent.permits:
        return f"consent.{plan.consent.reason}"
    today = case.composed_at.astimezone(ZoneInfo(case.clinic.time_zone)).date()
    return "consent.minor-turned-adult" if needs_own_consent(case.patient, plan.consent, today) else None


def add_digest_item(
    parts: Parts, tx: Transaction, row: InboxRow, case: Case, composed: Composed, plan: RecipientPlan
) -> None:
    """Keep the session for the recipient's next digest letter, as a message of its own that is scheduled."""
    message = new_message(row, case, composed.plan, plan)
    item = NewMessage(
        **{
            **asdict(message),
            "id": stable_uuid("digest-item", message.id),
            "letters": message.letters,
            "state": "digest",
            "digest_due_at": plan.digest_due_at,
            "lane_subject": f"digest:{stable_uuid('digest-lane', row.id)}",
        }
    )
    tx.add_message(item, at=parts.clock.now(), terms=search_terms(case, plan.provider))


def first_delivery(parts: Parts, tx: Transaction, message: NewMessage, plan: RecipientPlan) -> str | None:
    """Create the delivery on the first usable channel; by hand when there is no other. Returns its id if it is due."""
    now = parts.clock.now()
    for position, choice in enumerate(plan.channels):
        if choice.usable and choice.kind != "by-hand":
            made = _delivery(message, plan, choice.endpoint, choice.kind, position, State.PENDING, None, now)
            tx.add_delivery(made, at=now)
            break
    else:
        last = len(plan.channels)
        made = _delivery(message, plan, BY_HAND, BY_HAND, last, State.HELD, "hand.print", None)
        tx.add_delivery(made, at=now)
    tx.audit(
        PREPARE, "delivery planned", at=now, patient_key=message.patient_key, subject=message.id, code=made.channel
    )
    if plan.phone_call:
        due_at = plan.acknowledge_by_at or now
        name = stable_uuid("task", message.id, "call")
        if tx.add_task(name, message.id, "call", "priority.stat", due_at, now):
            write(Log.TASK_RAISED, message_id=message.id)
    return made.id if made.state == State.PENDING else None


def _delivery(
    message: NewMessage,
    plan: RecipientPlan,
    endpoint: str,
    channel: str,
    position: int,
    state: State,
    cause: str | None,
    due_at: Any,  # noqa: ANN401  (datetime or None)
) -> NewDelivery:
    return NewDelivery(
        id=stable_uuid("delivery", message.id, str(position), endpoint),
        message_id=message.id,
        provider_id=plan.provider,
        endpoint_id=endpoint,
        channel=channel,
        position=position,
        priority=plan.priority,
        state=state,
        cause=cause,
        due_at=due_at,
    )


def new_message(row: InboxRow, case: Case, whole: Plan, plan: RecipientPlan) -> NewMessage:
    """Return the message row of one recipient, with the plan kept as it was decided."""
    provider = case.provider(plan.provider)
    structured_only = plan.when == "digest"
    rules = [(one.id, one.priority or "routine", one.why) for one in whole.fired()]
    off = [(one.id, one.state, one.why) for one in whole.rules if one.state in {"off", "could-not-evaluate"}]
    held = next((one for one in case.already_sent if one.provider == plan.provider), None)
    return NewMessage(
        id=case.message_id(plan.provider),
        event_ref=row.id,
        event_type=row.event_type,
        event_version=row.version,
        patient_key=row.patient_key,
        provider_id=plan.provider,
        audience=plan.audience,
        letters=plan.letters,
        priority=plan.priority,
        lane_subject=whole.lane_subject,
        occurred_at=row.occurred_at,
        state="withheld" if plan.not_sent_because is not None else "open",
        cause=None,
        reference=case.reference(plan.provider),
        content_class="medication" if row.event_type == "dose-change" else "session",
        acknowledge_by_at=plan.acknowledge_by_at,
        tell_by_at=plan.tell_a_person_by_at,
        corrects=None
        if held is None
        else stable_uuid("message", case.source, case.event.id, str(held.version), plan.provider),
        plan={
            "source": case.source,
            "event_id": case.event.id,
            "zone": case.clinic.time_zone,
            "why": plan.why,
            "structured_only": structured_only,
            "part2": is_part2(case),
            "course": case.event.course.id,
            "consent": asdict(plan.consent),
            "not_sent_because": plan.not_sent_because,
            "requests": [
                {
                    "text": one.text,
                    "rule": one.rule,
                    "due_at": one.due_at and one.due_at.isoformat(),
                    "action": one.action,
                }
                for one in plan.requests
            ],
            "rules": rules,
            "rules_off": off,
            "channels": [asdict(one) for one in plan.channels],
            "patient": {
                "id": case.patient.id,
                "name": case.patient.name.full(),
                "birth_date": case.patient.birth_date.isoformat(),
            },
            "recipient": provider.name.full(),
            "organization": provider.organization,
        },
    )


def _stuck(parts: Parts, row: InboxRow, cause: str) -> None:
    now = parts.clock.now()
    with parts.ledger.begin() as tx:
        try:
            tx.move_inbox(row.id, "stuck", at=now, cause=cause, expect=("received",))
        except StateConflict:
            return
        tx.audit(PREPARE, "event stuck", at=now, patient_key=row.patient_key, subject=row.id, code=cause)
    write(Log.EVENT_STUCK, event_ref=row.id, code=cause)


def _failed(parts: Parts, row: InboxRow, bug: Exception) -> None:
    """Have it tried again; after a few tries it waits for an engineer, unless the machine is what is ill."""
    ill = lacks_means(bug)
    write(Log.NO_MEANS if ill else Log.BUG, event_ref=row.id, error_type=type(bug).__name__, job="prepare")
    if not ill and row.tries + 1 >= parts.policy.prepare_tries:
        _stuck(parts, row, "bug")
        return
    now = parts.clock.now()
    wait = timedelta(seconds=5 * (row.tries + 1)) * parts.policy.retry_scale
    with parts.ledger.begin() as tx:
        try:
            cause = "event.no-means" if ill else "bug"
            tx.move_inbox(
                row.id, "received", at=now, cause=cause, due_at=now + wait, expect=("received",), count_try=not ill
            )
        except StateConflict:
            return
