"""The desk: what staff see and do. Every look at PHI and every act is audited in its own transaction."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from coordinator.domain.delivery import State
from coordinator.domain.errors import NotFound
from coordinator.domain.ids import reference_of
from coordinator.flow import calls as telephone
from coordinator.flow import resend as acts
from coordinator.flow.disclosures import Disclosure, disclosures
from coordinator.flow.fallback import take_next, why_not_next
from coordinator.flow.handover import record_handover
from coordinator.flow.heartbeat import silent
from coordinator.flow.mapping_gap import mapping_gaps
from coordinator.flow.owed import answer_owed, open_question
from coordinator.flow.parts import Parts
from coordinator.flow.presenting import delivery_view, message_row
from coordinator.flow.read_models import (
    Actor,
    CallToMake,
    DocumentView,
    EventView,
    HeldEvent,
    MessageDetail,
    MessageFilter,
    MessageRow,
    Overview,
    Recorded,
    Refusal,
    Standstill,
    TimelineEntry,
    Unprepared,
    Withdrawn,
)
from coordinator.flow.record import record
from coordinator.flow.rows import BY_A_PERSON, UNPREPARED, AuditRow, MessageRecord, why_closed
from coordinator.flow.search import fold
from coordinator.flow.stations import open_warnings
from coordinator.flow.wording import consent_said


class StaffDesk:
    """Implements flow.desk.Desk over the parts."""

    def __init__(self, parts: Parts) -> None:
        """Work with these parts."""
        self._parts = parts

    def overview(self) -> Overview:
        """Return the numbers and problems for the first page (no PHI)."""
        parts = self._parts
        with parts.ledger.begin(write=False) as tx:
            counts = tx.counts()
            problems = tx.problems()
            held = tx.inbox_in(("question", "stuck"))
            unprepared = tx.unprepared(parts.clock.now() - UNPREPARED)
            answers, incidents = tx.to_review()
            stations = tuple(open_warnings(parts, tx))
            standstills = silent(tx.heartbeats(), parts.clock.now())
            unfinished = (State.PENDING, State.CLAIMED, State.ON_WIRE, State.SENT, State.IN_DOUBT, State.HELD)
            oldest = tx.in_state(unfinished, 1)
        waiting = len(held) + len(stations) + len(standstills)
        lines = tuple((place, parts.causes.get(code).sentence, number) for place, code, number in problems)
        return Overview(
            by_state=tuple((state.value, counts.get(state.value, 0)) for state in State),
            needs_attention=sum(number for *_, number in (*problems, *unprepared)) + waiting,
            held_events=len(held),
            oldest_unfinished_at=oldest[0].created_at if oldest else None,
            problems=lines,
            answers_waiting=answers,
            incidents_open=incidents,
            unprepared=tuple(_unprepared(parts, *one) for one in unprepared),
            other_stations=stations,
            standstills=tuple(_standstill(parts, *one) for one in standstills.items()),
        )

    def messages(self, wanted: MessageFilter, actor: Actor) -> Sequence[MessageRow]:
        """Return a page of messages, newest first."""
        words = " ".join(fold(reference_of(wanted.text) or wanted.text)) if wanted.text else None
        narrowed = replace(wanted, text=words, limit=min(wanted.limit, 500))
        with self._parts.ledger.begin() as tx:
            rows = [message_row(self._parts, tx, one) for one in tx.find_messages(narrowed)]
            tx.audit(actor, "messages listed", at=self._parts.clock.now(), code=None)
        return rows

    def message(self, message_id: str, actor: Actor) -> MessageDetail:
        """Return one message whole; raise NotFound."""
        parts = self._parts
        with parts.ledger.begin() as tx:
            message = tx.message(message_id)
            if message is None:
                raise NotFound("message")
            registry = tx.registry_for(message.plan["patient"]["id"], [message.provider_id])
            provider = None if registry is None else registry.provider(message.provider_id)
            addresses = {one.id: one.address for one in (provider.endpoints if provider else ())}
            rows = tx.deliveries(message_id)
            no_next = why_not_next(tx, message)
            views = []
            for row in rows:
                refusal = acts.why_not_resend(parts, tx, row)
                view = delivery_view(parts, tx, message, row, addresses.get(row.endpoint_id, ""), refusal)
                way = None if refusal is not None else acts.way_again(tx, message, row)
                views.append(replace(view, may_not_next_because=no_next, resend_to=way))
            now = parts.clock.now()
            tx.audit(actor, "message opened", at=now, patient_key=message.patient_key, subject=message_id)
            evidence = tx.audit_of([message_id])
            answers = tx.answers_of(message_id)
            asked = message.state == "open" and answer_owed(message, answers)
            return MessageDetail(
                row=message_row(parts, tx, message),
                audience=message.audience,
                consent=consent_said(parts.causes, message.plan["consent"]),
                rules=tuple((one[0], one[1], one[2]) for one in message.plan["rules"]),
                requests=tuple(one["text"] for one in message.plan["requests"]),
                supersedes=message.corrects or message.plan.get("recomposed_from"),
                superseded_by=message.superseded_by,
                documents=tuple(DocumentView(*one) for one in tx.documents(message_id)),
                deliveries=tuple(views),
                timeline=tuple(
                    TimelineEntry(one.at, one.actor, one.action + (f": {one.detail}" if one.detail else ""))
                    for one in evidence
                ),
                action_token=parts.dice.token(),
                answer_by_at=message.acknowledge_by_at if asked else None,
                answers=len(answers),
                still_open=open_question(message, answers) if asked and answers else None,
                withdrawn=_withdrawn(message, evidence),
                rules_off=tuple((one[0], one[2]) for one in message.plan.get("rules_off", [])),
            )

    def disclosures(self, patient_id: str, actor: Actor) -> Sequence[Disclosure]:
        """Return everything that left about a patient, oldest first."""
        return disclosures(self._parts, patient_id, actor)

    def document(self, document_id: str, actor: Actor) -> tuple[str, bytes, str]:
        """Return (media type, stored bytes, title) of one document; raise NotFound."""
        with self._parts.ledger.begin() as tx:
            found = tx.document(document_id)
            if found is None:
                raise NotFound("document")
            document, patient_key = found
            now = self._parts.clock.now()
            tx.audit(actor, "document opened", at=now, patient_key=patient_key, subject=document.message_id)
        return document.media_type, document.body, document.title

    def held_events(self, actor: Actor) -> Sequence[HeldEvent]:
        """Return the events that wait for a person, oldest first."""
        parts = self._parts
        found = []
        with parts.ledger.begin() as tx:
            for row in tx.inbox_in(("question", "stuck")):
                patient = tx.patient(row.patient_key)
                cause = parts.causes.get(row.cause or "event.question")
                gaps = mapping_gaps(parts, tx, row) if row.cause == "event.mapping" else ()
                found.append(
                    HeldEvent(
                        event_ref=row.id,
                        source=row.source,
                        event_id=row.event.id,
                        event_version=row.version,
                        event_type=row.event_type,
                        patient_name="" if patient is None else patient.name.full(),
                        patient_id=row.event.patient,
                        received_at=row.received_at,
                        questions=row.questions if row.state == "question" else (),
                        cause=cause.sentence,
                        next_step=" ".join([cause.next_step, *gaps]),
                    )
                )
            if found:
                tx.audit(actor, "held events listed", at=parts.clock.now())
        return found

    def calls(self, actor: Actor) -> Sequence[CallToMake]:
        """Return the telephone calls that are owed, most pressing first."""
        return telephone.calls(self._parts, actor)

    def call_done(self, task_id: str, *, note: str, actor: Actor) -> None:
        """Record a call and what was agreed; raise Refused when it was recorded already."""
        telephone.call_done(self._parts, task_id, note=note, actor=actor)

    def refusals(self, limit: int = 50) -> Sequence[Refusal]:
        """Return the newest refusals (no PHI)."""
        with self._parts.ledger.begin(write=False) as tx:
            return [Refusal(*one) for one in tx.refusals(limit)]

    def answer(self, event_ref: str, *, confirmed: bool, reason: str, actor: Actor) -> None:
        """Answer all questions of a held event."""
        acts.answer(self._parts, event_ref, confirmed=confirmed, reason=reason, actor=actor)

    def resend(self, delivery_id: str, *, reason: str, token: str, actor: Actor) -> str:
        """Send the stored bytes again; return the new delivery's id."""
        return acts.resend(self._parts, delivery_id, reason=reason, token=token, actor=actor)

    def send_by_next(self, delivery_id: str, *, reason: str, token: str, actor: Actor) -> str:
        """Send by the next address of the route; return the new delivery's id."""
        acts.need_reason(reason)
        return take_next(self._parts, delivery_id, reason=reason, token=token, actor=actor)

    def release(self, delivery_id: str, *, reason: str, token: str, actor: Actor) -> None:
        """Let a held delivery go on, or settle one in doubt as not arrived."""
        acts.release(self._parts, delivery_id, reason=reason, token=token, actor=actor)

    def cancel(self, message_id: str, *, reason: str, actor: Actor) -> None:
        """Withdraw a message of which nothing has left."""
        acts.cancel(self._parts, message_id, reason=reason, actor=actor)

    def record_handover(self, delivery_id: str, *, to: str, actor: Actor, at: datetime | None = None) -> None:
        """Record that a printed letter was handed over."""
        record_handover(self._parts, delivery_id, to=to, actor=actor, at=at)

    def event(self, event_ref: str, actor: Actor) -> EventView:
        """Return where one event stands; raise NotFound."""
        parts = self._parts
        with parts.ledger.begin() as tx:
            row = tx.inbox_row(event_ref)
            if row is None or (actor.kind == "source" and actor.name != row.source):
                raise NotFound("event")
            rows = tuple(message_row(parts, tx, one) for one in tx.messages_of_event(event_ref))
            tx.audit(actor, "event opened", at=parts.clock.now(), patient_key=row.patient_key, subject=event_ref)
            cause = None if row.cause is None else parts.causes.get(row.cause)
            return EventView(
                event_ref=row.id,
                source=row.source,
                event_id=row.event.id,
                event_version=row.version,
                event_type=row.event_type,
                state=row.state,
                cause=row.cause,
                next_step="" if cause is None else cause.next_step,
                received_at=row.received_at,
                questions=row.questions if row.state == "question" else (),
                messages=rows,
            )

    def submit(self, source: str, body: bytes) -> Recorded:
        """Take in one event (T1)."""
        return record(self._parts, source, body)


def _withdrawn(message: MessageRecord, evidence: Sequence[AuditRow]) -> Withdrawn | None:
    """Return who withdrew a message by hand, by the audit trail; None when nobody did."""
    if message.state != "cancelled" or why_closed(message) != BY_A_PERSON:
        return None
    by_hand = [one for one in evidence if one.action == acts.WITHDRAWN]
    return Withdrawn(by_hand[-1].at, by_hand[-1].actor, by_hand[-1].detail or "") if by_hand else None


def _unprepared(parts: Parts, code: str, since: datetime, count: int) -> Unprepared:
    cause = parts.causes.get(code)
    return Unprepared(count, since, cause.sentence, cause.next_step, cause.role)


def _standstill(parts: Parts, code: str, since: datetime) -> Standstill:
    cause = parts.causes.get(code)
    return Standstill(since, cause.sentence, cause.next_step, cause.role)
