"""Composing a message anew from the record as it stands now: a linked new version, shown as a difference first.

Only for a message of which nothing has arrived, or may have. What a recipient holds is mended by an amended event,
which goes out as a correction and says so. What a person reads here is what is composed: the two are compared by
their hash, so that a change in between is shown again and not sent unseen.
"""

import difflib
import hashlib
from dataclasses import dataclass, replace

from coordinator.domain.case import Case
from coordinator.domain.delivery import UNSENT, State
from coordinator.domain.errors import NotFound, Refused
from coordinator.flow.case_file import gather
from coordinator.flow.compose import ForRecipient, compose_for, documents_of
from coordinator.flow.lanes import supersede_older
from coordinator.flow.ledger import Transaction
from coordinator.flow.parts import Parts
from coordinator.flow.prepare import first_delivery, new_message
from coordinator.flow.read_models import Actor
from coordinator.flow.resend import need_reason
from coordinator.flow.rows import InboxRow, MessageRecord, NewMessage, may_have_arrived
from coordinator.flow.search import search_terms
from coordinator.letters.refusal import LetterRefused
from coordinator.mapping.problems import MappingHeld
from coordinator.planning.plan import make_plan


@dataclass(frozen=True)
class Recomposed:
    """What composing anew would change. PHI inside."""

    message_id: str
    diff: tuple[tuple[str, str], ...]
    """(" ", "-" or "+", line) of the letter as text; empty when the letter has no text."""
    same: bool
    """Whether the letter would be the same, word for word."""
    seen: str
    """The hash of what was shown; it goes with the word to go ahead."""


@dataclass(frozen=True)
class _Made:
    row: InboxRow
    case: Case
    message: NewMessage
    content: ForRecipient

    def text(self) -> str:
        """Return the letters as text."""
        return "\n".join(one.text for one in self.content.letters)

    def seen(self) -> str:
        return hashlib.sha256(self.text().encode()).hexdigest()


def why_not_recompose(tx: Transaction, message: MessageRecord) -> str | None:
    """Return the reason, for the screen, why a message may not be composed anew; None when it may."""
    if message.state != "open" or message.superseded_by is not None:
        return "It is closed, or a newer message has taken its place."
    if message.digest_due_at is not None:
        return "A digest tells of several sessions and is not composed anew. Send it again as it is stored."
    for delivery in tx.deliveries(message.id):
        if delivery.state in {State.ON_WIRE, State.CLAIMED}:
            return "It is on its way at this moment; wait for the outcome."
        if may_have_arrived(delivery) or delivery.state not in UNSENT | {State.CANCELLED, State.DEAD}:
            return (
                "It has arrived, or may have. What the recipient holds is corrected by an amended event from the "
                "charting system, which tells them what changed."
            )
    return None


def preview(parts: Parts, message_id: str, actor: Actor) -> Recomposed:
    """Return what composing anew would change; raise Refused with the reason, or NotFound."""
    old, made, before = _compose(parts, message_id)
    after = made.text()
    lines = [
        (line[0], line[2:])
        for line in difflib.ndiff(before.splitlines(), after.splitlines())
        if line[0] in " -+"
    ]  # fmt: skip
    with parts.ledger.begin() as tx:
        tx.audit(actor, "composed anew to look at", at=parts.clock.now(), patient_key=old.patient_key, subject=old.id)
    return Recomposed(message_id, tuple(lines), before == after, made.seen())


def recompose(parts: Parts, message_id: str, *, seen: str | None, reason: str, token: str, actor: Actor) -> str:
    """Put a newly composed version in the message's place and on its way; return its id.

    `seen` is the hash of what the person was shown; None is for a job, whose items are looked at as they come.
    The same token again returns the first outcome.
    """
    need_reason(reason)
    with parts.ledger.begin(write=False) as tx:
        before = tx.acted_before(token)
    if before is not None:
        return before
    old, made, _before = _compose(parts, message_id)
    if seen is not None and made.seen() != seen:
        raise Refused("recompose.changed", "The record has changed since you looked. Look at the difference again.")
    now = parts.clock.now()
    with parts.ledger.begin() as tx:
        tx.read_ahead_lanes([made.message.lane], lock=True)
        current = tx.message(message_id, lock=True)
        if current is None:
            raise NotFound("message")
        earlier = tx.acted(token, "recompose", made.message.id, now)
        if earlier is not None:
            return earlier
        refusal = why_not_recompose(tx, current)
        if refusal is not None:
            raise Refused("recompose.refused", refusal)
        tx.add_message(made.message, at=now, terms=search_terms(made.case, made.message.provider_id))
        for document in documents_of(made.message.id, made.content):
            tx.add_document(document, at=now)
        if not supersede_older(parts, tx, made.message):
            raise Refused("recompose.superseded", "A newer message on the same subject goes to this recipient already.")
        first_delivery(parts, tx, made.message, made.content.plan)
        for subject in (old.id, made.message.id):
            tx.audit(actor, "composed anew", at=now, patient_key=old.patient_key, subject=subject, detail=reason)
    return made.message.id


def _compose(parts: Parts, message_id: str) -> tuple[MessageRecord, _Made, str]:
    """Return the message, what it would be now, and its stored text."""
    with parts.ledger.begin(write=False) as tx:
        old = tx.message(message_id)
        if old is None:
            raise NotFound("message")
        refusal = why_not_recompose(tx, old)
        if refusal is not None:
            raise Refused("recompose.refused", refusal)
        row = tx.inbox_row(old.event_ref)
        case = None if row is None else gather(tx, row, composed_at=parts.clock.now())
        before = _stored_text(tx, message_id)
    if row is None or case is None:
        raise Refused("registry.patient-missing", parts.causes.get("registry.patient-missing").sentence)
    revision = int(old.plan.get("revision", 0)) + 1
    case = replace(case, revision=revision)
    plan = make_plan(case, parts.workshop.rules, ())
    mine = next((one for one in plan.recipients if one.provider == old.provider_id), None)
    if mine is None:
        raise Refused("release.left-care-team", parts.causes.get("release.left-care-team").sentence)
    if mine.not_sent_because is not None:
        raise Refused("consent.missing", mine.not_sent_because)
    try:
        content = compose_for(parts.workshop, case, plan, mine)
    except (MappingHeld, LetterRefused) as held:
        cause = parts.causes.get("event.letter" if isinstance(held, LetterRefused) else "event.mapping")
        raise Refused(cause.code, f"{cause.sentence} {cause.next_step}") from held
    message = new_message(row, case, plan, mine)
    message = replace(message, plan={**message.plan, "revision": revision, "recomposed_from": old.id})
    return old, _Made(row, case, message, content), before


def _stored_text(tx: Transaction, message_id: str) -> str:
    found = [tx.document(name) for name, role, *_ in tx.documents(message_id) if role == "letter-text"]
    return "\n".join(one[0].body.decode("utf-8") for one in found if one is not None)
