"""A reader with an open link: what they may see, and the answers they give. Every look asks for release again."""

import hashlib
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from coordinator.domain.errors import Refused
from coordinator.flow.answers import prescribes_stimulant, take
from coordinator.flow.ledger import Transaction
from coordinator.flow.link import READER, look, token_key
from coordinator.flow.link_rows import LinkRow
from coordinator.flow.parts import Parts
from coordinator.flow.presenting import title_of
from coordinator.flow.rows import DeliveryRow, MessageRecord
from coordinator.flow.said import Said


@dataclass(frozen=True)
class ReaderView:
    """The page of one letter. PHI inside."""

    clinic: str
    clinic_phone: str
    recipient: str
    patient_name: str
    birth_on: date
    title: str
    reference: str
    requests: tuple[tuple[str, datetime | None], ...]
    """(what is asked, by when)."""
    may_agree: bool
    """Something asked can be agreed with; a question that wants to be told something cannot."""
    answer_by_at: datetime | None
    """When silence becomes a telephone call."""
    zone: str
    """The recipient's own time zone."""
    today: date
    """In that zone."""
    text: str
    """The stored plain-text rendering."""
    products: tuple[str, ...]
    """Stimulants on record, to choose from; empty unless the reader prescribes the stimulant."""
    may_report_dose: bool
    answered: tuple[tuple[str, datetime], ...]
    """(kind, when) of the answers given over this link."""


class LetterReader:
    """What a session may do: see the letter, take it along, answer. `session` is the cookie's value."""

    def __init__(self, parts: Parts) -> None:
        """Work with these parts."""
        self._parts = parts

    def view(self, session: str) -> ReaderView | None:
        """Return the page of the letter, or None when the session or the link is over."""
        now = self._parts.clock.now()
        with self._parts.ledger.begin() as tx:
            found = self._entered(tx, session, now)
            if found is None:
                return None
            row, _, message = found
            tx.audit(READER, "letter read by link", at=now, patient_key=message.patient_key, subject=message.id)
            return self._view(tx, row, message, now)

    def document(self, session: str, role: str) -> tuple[str, bytes, str] | None:
        """Return (media type, stored bytes, reference) of one form of the letter, or None when it is over."""
        now = self._parts.clock.now()
        with self._parts.ledger.begin() as tx:
            found = self._entered(tx, session, now)
            if found is None:
                return None
            message = found[2]
            body = _document(tx, message.id, role)
            if body is None:
                return None
            tx.audit(READER, f"{role} taken by link", at=now, patient_key=message.patient_key, subject=message.id)
            return body[0], body[1], message.reference

    def answer(self, session: str, said: Said, nonce: str) -> bool | None:
        """Store an answer; return whether it is new, or None when the session or the link is over.

        The same kind of answer over the same link is stored once, and a nonce works once. Raises
        Refused when a dose is reported by somebody who does not prescribe it.
        """
        now = self._parts.clock.now()
        with self._parts.ledger.begin() as tx:
            found = self._entered(tx, session, now)
            if found is None:
                return None
            row, delivery, message = found
            if said.dose is not None and not self._may_report(tx, message, now):
                raise Refused("answer.not-prescriber", "dose.unasked")
            if tx.acted(f"letter-answer|{nonce}", "letter-answer", delivery.id, now) is not None:
                return False
            once = f"link|{row.delivery_id}|{said.kind}"
            parts = self._parts
            return take(parts, tx, message, said, via="link", once=once, actor=READER, delivery=delivery)[1]

    def leave(self, session: str) -> None:
        """End the session."""
        with self._parts.ledger.begin() as tx:
            tx.end_link_session(token_key(session))

    def _entered(
        self, tx: Transaction, session: str, now: datetime
    ) -> tuple[LinkRow, DeliveryRow, MessageRecord] | None:
        delivery_id = tx.link_session(token_key(session), now) if session else None
        row = None if delivery_id is None else tx.link(delivery_id)
        seen = None if row is None else look(self._parts, tx, row, now)
        return None if row is None or seen is None else (row, *seen)

    def _may_report(self, tx: Transaction, message: MessageRecord, now: datetime) -> bool:
        registry = tx.registry_for(message.plan["patient"]["id"])
        patient = tx.patient(message.patient_key)
        if registry is None or patient is None:
            return False
        today = now.astimezone(ZoneInfo(registry.clinic.time_zone)).date()
        return prescribes_stimulant(patient, message.provider_id, today)

    def _view(self, tx: Transaction, row: LinkRow, message: MessageRecord, now: datetime) -> ReaderView | None:
        registry = tx.registry_for(message.plan["patient"]["id"], [message.provider_id])
        provider = None if registry is None else registry.provider(message.provider_id)
        patient = tx.patient(message.patient_key)
        text = _document(tx, message.id, "letter-text")
        if registry is None or provider is None or patient is None or text is None:
            return None
        prescribes = self._may_report(tx, message, now)
        products = dict.fromkeys(one.product for one in patient.medications if one.role == "stimulant")
        mine = [one for one in tx.answers_of(message.id) if one.delivery_id == row.delivery_id]
        return ReaderView(
            clinic=registry.clinic.name,
            clinic_phone=registry.clinic.phone,
            recipient=provider.name.full(),
            patient_name=message.plan["patient"]["name"],
            birth_on=date.fromisoformat(message.plan["patient"]["birth_date"]),
            title=title_of(message),
            reference=message.reference,
            requests=tuple(
                (one["text"], None if one["due_at"] is None else datetime.fromisoformat(one["due_at"]))
                for one in message.plan.get("requests", [])
            ),
            may_agree=any(one.get("action") != "answer" for one in message.plan.get("requests", [])),
            answer_by_at=message.acknowledge_by_at,
            zone=provider.time_zone,
            today=now.astimezone(ZoneInfo(provider.time_zone)).date(),
            text=text[1].decode("utf-8"),
            products=tuple(products) if prescribes else (),
            may_report_dose=prescribes,
            answered=tuple((one.kind, one.answered_at) for one in mine),
        )


def _document(tx: Transaction, message_id: str, role: str) -> tuple[str, bytes] | None:
    """Return (media type, bytes) of a stored form of the letter; None unless they are the composed bytes."""
    for name, its_role, _title, media_type, sha256, _size in tx.documents(message_id):
        if its_role == role:
            found = tx.document(name)
            if found is not None and hashlib.sha256(found[0].body).hexdigest() == sha256:
                return media_type, found[0].body
    return None
