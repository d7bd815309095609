"""Order: an older message about the same subject never follows a newer one to the same recipient."""

from dataclasses import fields

from coordinator.domain.delivery import UNSENT, State
from coordinator.domain.ids import stable_uuid
from coordinator.flow.back_in_lane import LANES, let_replaced_go
from coordinator.flow.case_file import arrived_at, carried_by, earlier_versions, gather
from coordinator.flow.ledger import Transaction
from coordinator.flow.outdated import AMENDED, WRITTEN_ANEW, is_told_anew
from coordinator.flow.parts import Parts
from coordinator.flow.rows import REPLACED, InboxRow, MessageRecord, NewMessage, may_have_arrived
from coordinator.flow.search import search_terms


def supersede_older(parts: Parts, tx: Transaction, message: NewMessage) -> bool:
    """Withdraw what this message replaces in its lane; return False when the message itself is the older one.

    The lane is (patient, recipient, subject). Only messages of which not one byte
    has left are withdrawn; what has left is answered by a correction.
    """
    now = parts.clock.now()
    mine = (message.occurred_at, message.event_version)
    for other in tx.lane(message.patient_key, message.provider_id, message.lane_subject):
        if other.id == message.id or other.state not in {"open", "withheld"}:
            continue
        theirs = (other.occurred_at, other.event_version)
        if theirs > mine and other.state == "open":
            tx.move_message(message.id, "superseded", at=now, cause=REPLACED, superseded_by=other.id)
            tx.audit(LANES, "message superseded", at=now, patient_key=message.patient_key, subject=message.id)
            return False
        if theirs <= mine and not withdraw(parts, tx, other, superseded_by=message.id, cause=REPLACED):
            tx.mark_superseded(other.id, message.id, now)
    return True


def withdraw_earlier(parts: Parts, tx: Transaction, row: InboxRow) -> None:
    """Withdraw what earlier versions of an event have not sent, whether or not this one tells that recipient anything.

    It may have nothing to say (a record entered in error), may wait for a digest, or
    be about another subject. Who has an earlier version is told by a correction.
    """
    if row.event.status == "arrived":
        return  # the planned session that was announced has not come to anything else yet
    cause = "release.retracted" if row.event.status == "entered-in-error" else AMENDED
    told = tx.messages_of_event(row.id)
    instead = {one.provider_id: one for state in ("digest", "withheld", "open") for one in told if one.state == state}
    for version in earlier_versions(tx, row):
        for name in [one.id for one in tx.messages_of_event(version.id)]:
            message = tx.message(name, lock=True)  # a digest may just be made of it
            if message is not None and carried_by(message) != message.id:
                message = _taken_out(parts, tx, message)
            if message is None or message.state not in {"open", "withheld", "digest"}:
                continue
            if arrived_at(tx, message.id) is not None:
                continue
            newer = instead.get(message.provider_id)
            gone = withdraw(parts, tx, message, superseded_by=None if newer is None else newer.id, cause=cause)
            if gone and (newer is None or newer.lane != message.lane):
                let_replaced_go(parts, tx, message, row)
            if message.digest_due_at is not None and message.state == "open":
                _let_others_wait(parts, tx, message)


def _taken_out(parts: Parts, tx: Transaction, message: MessageRecord) -> MessageRecord | None:
    """Return a message that a digest tells of as it waits again, if that digest has not left: it is withdrawn whole."""
    digest = tx.message(carried_by(message), lock=True)
    if digest is None or digest.state != "open":
        return message
    for one in tx.deliveries(digest.id):
        tx.delivery(one.id, lock=True)  # so that it does not leave between the look and the move
    if arrived_at(tx, digest.id) is not None:
        return message
    tell_anew(parts, tx, digest)
    return tx.message(message.id)


def tell_anew(parts: Parts, tx: Transaction, digest: MessageRecord) -> None:
    """Withdraw a digest, and let all of its sessions wait for another one, as far as they are not outdated.

    The session that the digest stood under waits as a message of its own.
    """
    again = _waiting(digest)
    row = tx.inbox_row(digest.event_ref)
    case = None if row is None else gather(tx, row)
    terms = () if case is None else search_terms(case, digest.provider_id)
    tx.add_message(again, at=parts.clock.now(), terms=terms)
    withdraw(parts, tx, digest, superseded_by=again.id, cause=WRITTEN_ANEW)
    _withdraw_outdated(parts, tx, again.id)
    _let_others_wait(parts, tx, digest)


def _waiting(digest: MessageRecord) -> NewMessage:
    """Return the session that a digest stands under, as it waits for another digest."""
    kept = {one.name: getattr(digest, one.name) for one in fields(NewMessage)}
    return NewMessage(**kept | {"id": stable_uuid("digest-again", digest.id), "state": "digest", "cause": None})


def _let_others_wait(parts: Parts, tx: Transaction, digest: MessageRecord) -> None:
    """Let the other sessions of a digest that was withdrawn wait again: the next sweep writes another one."""
    for again in tx.wait_again(digest, parts.clock.now()):
        _withdraw_outdated(parts, tx, again)


def _withdraw_outdated(parts: Parts, tx: Transaction, message_id: str) -> None:
    """Withdraw a message that waits again, if its recipient is told of its event anew since it was told of."""
    message = tx.message(message_id)
    row = None if message is None else tx.inbox_row(message.event_ref)
    if message is None or row is None:
        return
    if is_told_anew(tx, row, message.provider_id):
        withdraw(parts, tx, message, superseded_by=None, cause=AMENDED)


def withdraw(
    parts: Parts,
    tx: Transaction,
    message: MessageRecord,
    *,
    superseded_by: str | None,
    cause: str,
) -> bool:
    """Cancel a message's unsent deliveries; return whether the message as a whole is closed by that.

    What stands with a person and may have arrived all the same is closed only by a
    newer message, which is a correction then; a person cannot withdraw it.

    A delivery that a worker has claimed is cancelled too: its fence is checked again
    in the transaction that marks it on the wire, so not a byte follows.
    """
    now = parts.clock.now()
    # Locked, so that none of them leaves between the look and the move.
    rows = [tx.delivery(one.id, lock=True) or one for one in tx.deliveries(message.id)]
    held_there = [one for one in rows if may_have_arrived(one)]
    for delivery in rows:
        if delivery.state in UNSENT:
            tx.move_delivery(delivery.id, State.CANCELLED, at=now, cause=cause)
    if superseded_by is None and held_there:
        return False
    if any(one.state not in UNSENT | {State.CANCELLED, State.DEAD} for one in rows):
        return False
    tx.move_message(message.id, "superseded" if superseded_by else "cancelled", at=now, cause=cause,
                    superseded_by=superseded_by)  # fmt: skip
    tx.audit(LANES, "message withdrawn", at=now, patient_key=message.patient_key, subject=message.id)
    return True
