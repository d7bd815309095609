"""Letters that staff print and hand over themselves: the patient's own copy, and the one to a wrong reader.

Neither goes by a channel. A patient has no verified address in the registry, and an
address that a letter reached by mistake is frozen. What was made is audited with its
hash; making it again from the same record gives the same bytes.
"""

import hashlib
from datetime import datetime

from coordinator.domain.case import Case
from coordinator.domain.errors import NotFound, Refused
from coordinator.flow.case_file import gather
from coordinator.flow.handover import handed_over_at
from coordinator.flow.ledger import Transaction
from coordinator.flow.link_rows import IncidentRow
from coordinator.flow.parts import Parts
from coordinator.flow.reached import BY_FAX, left_for
from coordinator.flow.read_models import Actor
from coordinator.flow.rows import MessageRecord, may_have_arrived
from coordinator.letters.refusal import LetterRefused
from coordinator.letters.translations import LANGUAGES, language_for
from coordinator.planning.plan import make_plan


class PaperDesk:
    """Makes them, for a person who may read letters."""

    def __init__(self, parts: Parts) -> None:
        """Work with these parts."""
        self._parts = parts

    def patient_copy(self, message_id: str, *, language: str | None, actor: Actor) -> bytes:
        """Return the patient's copy (L14) of what a message tells, as PDF; raise NotFound or Refused.

        Without `language` it is in the one the registry has for the patient, where we have it, else English.
        """
        parts = self._parts
        with parts.ledger.begin(write=False) as tx:
            message, case = _case(tx, message_id)
        spoken = language_for(case.patient.language) if language is None else language
        if spoken not in LANGUAGES:
            raise Refused("paper.language", "There is no patient copy in this language. Choose one of those offered.")
        if case.event.status == "entered-in-error":
            raise Refused("paper.retracted", "The record was withdrawn, so there is nothing for the patient to keep.")
        plan = make_plan(case, parts.workshop.rules, ())
        try:
            made = parts.workshop.letters.patient_copy(case, plan, spoken)
        except LetterRefused as refused:
            why = f"The copy could not be written ({refused.code}). Send this code to whoever looks after the service."
            raise Refused("paper.letter", why) from refused
        self._audit(message, f"patient copy made ({spoken})", made.pdf, actor)
        return made.pdf

    def to_wrong_reader(self, message_id: str, *, actor: Actor) -> bytes:
        """Return the letter (L13) that asks a wrong reader to destroy one, as PDF; raise NotFound or Refused."""
        parts = self._parts
        now = parts.clock.now()
        with parts.ledger.begin(write=False) as tx:
            message, case = _case(tx, message_id)
            about = next((one for one in tx.incidents() if one.message_id == message_id), None)
            if about is None:
                raise Refused("paper.no-incident", "Record first that the letter reached the wrong place.")
            sent_at = _left_at(tx, about)
        provider = None if about.kind == BY_FAX else case.provider(message.provider_id)
        made = parts.workshop.letters.papers.misdirected(case.clinic, provider, message.reference, sent_at, now)
        self._audit(message, "letter to a wrong reader made", made, actor)
        return made

    def _audit(self, message: MessageRecord, action: str, made: bytes, actor: Actor) -> None:
        detail = f"SHA-256 {hashlib.sha256(made).hexdigest()}"
        with self._parts.ledger.begin() as tx:
            tx.audit(
                actor,
                action,
                at=self._parts.clock.now(),
                patient_key=message.patient_key,
                subject=message.id,
                detail=detail,
            )


def _case(tx: Transaction, message_id: str) -> tuple[MessageRecord, Case]:
    message = tx.message(message_id)
    row = None if message is None else tx.inbox_row(message.event_ref)
    case = None if row is None else gather(tx, row)
    if message is None or case is None:
        raise NotFound("message")
    return message, case


def _left_at(tx: Transaction, about: IncidentRow) -> datetime:
    """Return when the letter left that the incident is about: its last try at that address, or when it was handed over.

    What was sent since, to the right reader, is another letter; and word of a fax may come hours after it.
    """
    if about.endpoint_id is not None:
        went = left_for(tx, about.message_id, until=about.raised_at)
        return next((one.at for one in went if one.delivery.endpoint_id == about.endpoint_id), about.raised_at)
    there = [one for one in tx.deliveries(about.message_id) if may_have_arrived(one)]
    return handed_over_at(tx, there[-1]) if there else about.raised_at
