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
from coordinator.flow.owed import open_question
from coordinator.flow.parts import Parts
from coordinator.flow.presenting import title_of
from coordinator.flow.rows import DeliveryRow, MessageRecord, NewDocument
from coordinator.flow.said import Said


@dataclass(frozen=True)
class ReaderLetter:
    """One letter of the message, as the page offers it."""

    title: str
    text: str
    """The stored plain-text rendering."""


@dataclass(frozen=True)
class ReaderView:
    """The page of one message: one letter, or several. PHI inside."""

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
    wants_dose: bool
    """Something asked wants to be told the dose: to agree with the rest is no answer to that."""
    answer_by_at: datetime | None
    """When silence becomes a telephone call."""
    zone: str
    """The recipient's own time zone."""
    today: date
    """In that zone."""
    letters: tuple[ReaderLetter, ...]
    """In the order in which they were made; each can be read and taken along, and an answer is to them all."""
    products: tuple[str, ...]
    """Stimulants on record, to choose from; empty unless the reader prescribes the stimulant."""
    may_report_dose: bool
    answered: tuple[tuple[str, datetime], ...]
    """(kind, when) of the answers given over this link."""
    still_open: bool
    """The question of the message has not been answered, over this link or any other way."""


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

    def document(self, session: str, role: str, number: int = 1) -> tuple[str, bytes, str] | None:
        """Return (media type, stored bytes, reference) of one form of a letter, or None when it is over.

        `number`: which letter of the message, from 1. There may be no such letter: None.
        """
        now = self._parts.clock.now()
        with self._parts.ledger.begin() as tx:
            found = self._entered(tx, session, now)
            if found is None:
                return None
            message = found[2]
            forms = _documents(tx, message.id, role)
            if not 1 <= number <= len(forms):
                return None
            body = forms[number - 1]
            tx.audit(READER, f"{role} taken by link", at=now, patient_key=message.patient_key, subject=message.id)
            return body.media_type, body.body, message.reference

    def answer(self, session: str, said: Said, nonce: str) -> bool | None:
        """Store an answer; return whether it is new, or None when the session or the link is over.

        The same answer over the same link is stored once, and a nonce works once; what says something else than
        the last one of its kind corrects it, and is stored beside it. Raises Refused when a dose is reported by
        somebody who does not prescribe it.
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
            tx.message(message.id, lock=True)  # so that two tabs answer one after the other
            mine = [
                one for one in tx.answers_of(message.id) if one.delivery_id == row.delivery_id and one.kind == said.kind
            ]
            if mine and mine[-1].said == said.model_dump(mode="json", exclude_unset=True):
                return False
            once = "|".join(["link", row.delivery_id, said.kind, *([str(len(mine))] if mine else [])])
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
        texts = _documents(tx, message.id, "letter-text")
        if registry is None or provider is None or patient is None or not texts:
            return None
        prescribes = self._may_report(tx, message, now)
        products = dict.fromkeys(one.product for one in patient.medications if one.role == "stimulant")
        answers = tx.answers_of(message.id)
        mine = [one for one in answers if one.delivery_id == row.delivery_id]
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
            wants_dose=any(one.get("action") == "answer" for one in message.plan.get("requests", [])),
            answer_by_at=message.acknowledge_by_at,
            zone=provider.time_zone,
            today=now.astimezone(ZoneInfo(provider.time_zone)).date(),
            letters=tuple(ReaderLetter(one.title, one.body.decode("utf-8")) for one in texts),
            products=tuple(products) if prescribes else (),
            may_report_dose=prescribes,
            answered=tuple((one.kind, one.answered_at) for one in mine),
            still_open=open_question(message, answers) is not None,
        )


def _documents(tx: Transaction, message_id: str, role: str) -> tuple[NewDocument, ...]:
    """Return one form of every letter, in their order; none at all unless all are the composed bytes."""
    names = [name for name, its_role, *_ in tx.documents(message_id) if its_role == role]
    found = [kept[0] for name in names if (kept := tx.document(name)) is not None]
    whole = len(found) == len(names) and all(hashlib.sha256(one.body).hexdigest() == one.sha256 for one in found)
    return tuple(found) if whole else ()
