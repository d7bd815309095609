"""What readers answer: stored as reported, reviewed by a clinician, and never applied by itself."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, Protocol
from zoneinfo import ZoneInfo

from coordinator.domain.delivery import State
from coordinator.domain.errors import NotFound, Refused, StateConflict
from coordinator.domain.ids import stable_uuid
from coordinator.domain.registry import KnownMedication, Patient
from coordinator.flow.fallback import spare_copies
from coordinator.flow.incidents import IncidentView, close_incident, open_incident, open_incidents
from coordinator.flow.ledger import Transaction
from coordinator.flow.link_rows import AnswerRow, AnswerState, AnswerVia
from coordinator.flow.misdirected import open_about
from coordinator.flow.owed import close_calls, open_question, reopen
from coordinator.flow.parts import Parts
from coordinator.flow.presenting import title_of
from coordinator.flow.reached import reached_wrongly
from coordinator.flow.read_models import Actor
from coordinator.flow.registry_desk import dumped
from coordinator.flow.resend import MIN_REASON
from coordinator.flow.rows import DeliveryRow, MessageRecord, may_have_arrived
from coordinator.flow.said import (
    EVIDENCE_TYPES,
    MAX_EVIDENCE_BYTES,
    MISDIRECTED,
    UNSETTLING,
    Evidence,
    ReportedDose,
    Said,
)


@dataclass(frozen=True)
class AnswerView:
    """An answer with what a reviewer needs around it. PHI inside."""

    id: str
    message_id: str
    patient_name: str
    birth_date: str
    recipient: str
    title: str
    reference: str
    requests: tuple[str, ...]
    via: AnswerVia
    state: AnswerState
    said: Said
    answered_at: datetime
    recorded_by: str
    has_evidence: bool
    still_open: str | None
    """What the message asks to be told, while nobody has told it: the calls for it stay owed."""
    statements: tuple[KnownMedication, ...]
    """What the registry holds about the stimulant, when the answer reports a dose."""


class AnswersDesk(Protocol):
    """The staff's side of answers. Every call is audited under the actor."""

    def waiting(self, actor: Actor, limit: int = 100) -> Sequence[AnswerView]:
        """Return the answers that wait for a clinician's review, oldest first."""
        ...

    def record(
        self,
        message_id: str,
        said: Said,
        *,
        via: Literal["form", "phone"],
        evidence: Evidence | None,
        token: str,
        actor: Actor,
        delivery_id: str | None = None,
    ) -> str:
        """Record an answer that came by reply form (with the page) or by telephone; return its id; raise Refused.

        `delivery_id` says which address it reached, for a letter that was not meant for who answers.
        """
        ...

    def still_open(self, message_id: str) -> bool:
        """Return whether the message asks to be told something that no answer has told."""
        ...

    def review(self, answer_id: str, *, accepted: bool, actor: Actor, licence: str | None, reason: str) -> None:
        """Settle a waiting answer as a clinician of this licence; raise Refused.

        An accepted dose becomes a statement in the patient's registry. With a rejected one
        the question that it answered is open again.
        """
        ...

    def evidence(self, answer_id: str, actor: Actor) -> tuple[str, bytes]:
        """Return (media type, bytes) of the page an answer was typed from; raise NotFound."""
        ...

    def incidents(self, actor: Actor) -> Sequence[IncidentView]:
        """Return the open incidents, newest first."""
        ...

    def open_incident(
        self, message_id: str, *, kind: str, note: str, actor: Actor, delivery_id: str | None = None
    ) -> str:  # fmt: skip
        """Record that a letter reached the wrong place; freezes the address for all patients; raise Refused.

        `delivery_id` says which address it reached, where it left for more than one.
        """
        ...

    def close_incident(self, incident_id: str, *, resolution: str, address_is_right: bool, actor: Actor) -> None:
        """Close an incident with what was found out; raise Refused or NotFound."""
        ...


def take(
    parts: Parts,
    tx: Transaction,
    message: MessageRecord,
    said: Said,
    *,
    via: AnswerVia,
    once: str,
    actor: Actor,
    delivery: DeliveryRow | None = None,
    evidence: Evidence | None = None,
) -> tuple[str, bool]:
    """Store one answer, once, with what follows from it at once; return (its id, whether it is new).

    The calls that were owed about the message are done, but for a wish to be called, for
    an answer of somebody who should not have been asked, and for a question that it does
    not answer. Who answers has the letter, so that proves its arrival. A wrong recipient
    opens an incident and closes the address for every patient.
    """
    now = parts.clock.now()
    name = stable_uuid("answer", once)
    row = AnswerRow(
        id=name,
        message_id=message.id,
        patient_key=message.patient_key,
        provider_id=message.provider_id,
        delivery_id=None if delivery is None else delivery.id,
        via=via,
        kind=said.kind,
        said=said.model_dump(mode="json", exclude_unset=True),
        state="noted" if said.kind == "acknowledged" else "waiting",
        answered_at=now,
        recorded_by=actor.name,
        evidence_sha256=None if evidence is None else evidence.sha256,
        evidence_type=None if evidence is None else evidence.media_type,
    )
    if not tx.add_answer(row, once=once, evidence=None if evidence is None else evidence.body):
        return name, False
    tx.audit(actor, f"answered: {said.kind}", at=now, patient_key=message.patient_key, subject=message.id, code=via)
    if said.kind not in UNSETTLING:
        close_calls(tx, message, said.kind, now)
    if said.kind not in MISDIRECTED and via != "link":
        _prove(parts, tx, message, name, now)
    if said.kind in MISDIRECTED:
        open_about(tx, message, said.kind, now, actor, answer_id=name, delivery=delivery)
    return name, True


def _prove(parts: Parts, tx: Transaction, message: MessageRecord, answer_id: str, now: datetime) -> None:
    """Take an answer to a letter as the proof that it arrived, where none came another way."""
    there = [one for one in tx.deliveries(message.id) if may_have_arrived(one)]
    if not there or there[-1].state not in {State.SENT, State.IN_DOUBT, State.HELD}:
        return
    row = there[-1]
    tx.move_delivery(row.id, State.ACKNOWLEDGED, at=now)
    spare_copies(tx, row, now)
    tx.add_receipt(parts.dice.uuid(), f"{answer_id}|answered", row.id, row.channel, "acknowledged", None, now, b"")


class StaffAnswers:
    """Implements AnswersDesk."""

    def __init__(self, parts: Parts) -> None:
        """Work with these parts."""
        self._parts = parts

    def waiting(self, actor: Actor, limit: int = 100) -> Sequence[AnswerView]:
        """Return the answers that wait for a clinician's review, oldest first."""
        with self._parts.ledger.begin() as tx:
            found = [_view(tx, row) for row in tx.answers_in("waiting", limit)]
            if found:
                tx.audit(actor, "answers listed", at=self._parts.clock.now())
        return [one for one in found if one is not None]

    def record(
        self,
        message_id: str,
        said: Said,
        *,
        via: Literal["form", "phone"],
        evidence: Evidence | None,
        token: str,
        actor: Actor,
        delivery_id: str | None = None,
    ) -> str:
        """Record an answer that came by reply form (with the page) or by telephone; return its id; raise Refused.

        `delivery_id` says which address it reached, for a letter that was not meant for who answers.
        """
        if via == "form" and evidence is None:
            raise Refused("answer.evidence", "Add the page of the reply form; it is the evidence of what was ticked.")
        if evidence is not None:
            if evidence.media_type not in EVIDENCE_TYPES:
                raise Refused("answer.evidence-type", "The page must be a PDF, PNG, JPEG or TIFF file.")
            if not 0 < len(evidence.body) <= MAX_EVIDENCE_BYTES:
                raise Refused("answer.evidence-size", "The page is empty or longer than 8 MiB.")
        with self._parts.ledger.begin() as tx:
            message = tx.message(message_id, lock=True)
            if message is None:
                raise NotFound("message")
            if not any(may_have_arrived(one) or one.state == State.DEAD for one in tx.deliveries(message_id)):
                raise Refused("answer.not-sent", "This letter has not left, so it cannot have been answered.")
            astray = said.kind in MISDIRECTED
            went = reached_wrongly(tx, message_id, said.kind, delivery_id) if astray else None
            once = f"staff|{token}"
            return take(
                self._parts, tx, message, said, via=via, once=once, actor=actor, delivery=went, evidence=evidence
            )[0]  # fmt: skip

    def still_open(self, message_id: str) -> bool:
        """Return whether the message asks to be told something that no answer has told."""
        with self._parts.ledger.begin(write=False) as tx:
            message = tx.message(message_id)
            return message is not None and open_question(message, tx.answers_of(message_id)) is not None

    def review(self, answer_id: str, *, accepted: bool, actor: Actor, licence: str | None, reason: str) -> None:
        """Settle a waiting answer as a clinician of this licence; raise Refused.

        An accepted dose becomes a statement in the patient's registry. With a rejected one
        the question that it answered is open again.
        """
        if not licence:
            raise Refused("answer.clinician", "Only a clinician may review an answer, under their own licence.")
        if len(reason.strip()) < MIN_REASON:
            raise Refused("reason.missing", "Give a reason of a few words; it is kept with the record.")
        now = self._parts.clock.now()
        with self._parts.ledger.begin() as tx:
            row = tx.answer(answer_id, lock=True)
            message = None if row is None else tx.message(row.message_id, lock=True)
            if row is None or message is None:
                raise NotFound("answer")
            try:
                tx.settle_answer(
                    answer_id,
                    "accepted" if accepted else "rejected",
                    by=actor.name,
                    reason=f"{reason} ({licence})",
                    at=now,
                )
            except StateConflict as settled:
                raise Refused("answer.reviewed", "Somebody has reviewed this answer already.") from settled
            if not accepted:
                reopen(tx, message, row, now)
            said = Said.model_validate_json(_json(row))
            if accepted and said.dose is not None:
                _state_dose(tx, row, message, said.dose, now, actor)
            word = "answer accepted" if accepted else "answer rejected"
            tx.audit(actor, word, at=now, patient_key=row.patient_key, subject=row.message_id,
                     detail=f"{reason} ({licence})")  # fmt: skip

    def evidence(self, answer_id: str, actor: Actor) -> tuple[str, bytes]:
        """Return (media type, bytes) of the page an answer was typed from; raise NotFound."""
        with self._parts.ledger.begin() as tx:
            row, found = tx.answer(answer_id), tx.answer_evidence(answer_id)
            if row is None or found is None:
                raise NotFound("evidence")
            tx.audit(actor, "reply form opened", at=self._parts.clock.now(), patient_key=row.patient_key,
                     subject=row.message_id)  # fmt: skip
        return found

    def incidents(self, actor: Actor) -> Sequence[IncidentView]:
        """Return the open incidents, newest first."""
        return open_incidents(self._parts, actor)

    def open_incident(
        self, message_id: str, *, kind: str, note: str, actor: Actor, delivery_id: str | None = None
    ) -> str:  # fmt: skip
        """Record that a letter reached the wrong place; freezes the address for all patients; raise Refused.

        `delivery_id` says which address it reached, where it left for more than one.
        """
        return open_incident(self._parts, message_id, kind=kind, note=note, actor=actor, delivery_id=delivery_id)

    def close_incident(self, incident_id: str, *, resolution: str, address_is_right: bool, actor: Actor) -> None:
        """Close an incident with what was found out; raise Refused or NotFound."""
        close_incident(
            self._parts, incident_id, resolution=resolution, address_is_right=address_is_right, actor=actor
        )  # fmt: skip


def prescribes_stimulant(patient: Patient, provider_id: str, on: date) -> bool:
    """Return whether the care team of that day names the provider as the stimulant's prescriber."""
    return any(
        one.provider == provider_id
        and "stimulant" in one.prescribes
        and one.from_ <= on
        and (one.to is None or on <= one.to)
        for one in patient.care_team
    )


def _state_dose(
    tx: Transaction, row: AnswerRow, message: MessageRecord, dose: ReportedDose, now: datetime, actor: Actor
) -> None:
    """Add the reported dose to the patient's ledger of statements. What stood there before stays."""
    registry = tx.registry_for(message.plan["patient"]["id"], [message.provider_id])
    patient = None if registry is None else registry.patient(message.plan["patient"]["id"])
    if registry is None or patient is None:
        raise Refused("registry.patient-missing", "The patient is no longer in the registry; restore the record first.")
    today = now.astimezone(ZoneInfo(registry.clinic.time_zone)).date()
    if dose.as_of > today:
        # A statement of today would quote a dose that nobody takes yet.
        raise Refused("answer.not-yet", "The dose begins on a later day. Review the answer on that day or after it.")
    if not prescribes_stimulant(patient, row.provider_id, today):
        raise Refused(
            "answer.not-prescriber",
            "The care team does not name this provider as the stimulant's prescriber. Correct the care team first, "
            "or reject the answer.",
        )
    same = [one for one in patient.medications if one.product.casefold() == dose.product.casefold()]
    stated = KnownMedication(
        id=stable_uuid("statement", row.id),
        role=same[-1].role if same else "stimulant",
        product=dose.product,
        form=dose.form,
        dose=dose.dose,
        frequency=dose.frequency,
        as_of=dose.as_of,
        source="prescriber",
    )
    if any(one.model_copy(update={"id": stated.id}) == stated for one in patient.medications):
        return
    grown = patient.model_copy(update={"medications": (*patient.medications, stated)})
    tx.put_registry("patient", message.patient_key, dumped(grown), by=actor.name, at=now)
    tx.audit(actor, "dose statement added", at=now, patient_key=message.patient_key, subject=row.id)


def _view(tx: Transaction, row: AnswerRow) -> AnswerView | None:
    message = tx.message(row.message_id)
    if message is None:
        return None
    said = Said.model_validate_json(_json(row))
    patient = tx.patient(row.patient_key)
    known = () if patient is None else patient.medications
    return AnswerView(
        id=row.id,
        message_id=row.message_id,
        patient_name=message.plan["patient"]["name"],
        birth_date=message.plan["patient"]["birth_date"],
        recipient=message.plan["recipient"],
        title=title_of(message),
        reference=message.reference,
        requests=tuple(one["text"] for one in message.plan.get("requests", [])),
        via=row.via,
        state=row.state,
        said=said,
        answered_at=row.answered_at,
        recorded_by=row.recorded_by,
        has_evidence=row.evidence_sha256 is not None,
        still_open=open_question(message, tx.answers_of(message.id)),
        statements=tuple(one for one in known if said.dose is not None and one.role == "stimulant"),
    )


def _json(row: AnswerRow) -> str:
    return json.dumps(row.said, ensure_ascii=False)
