"""Whether what a message says has been said anew since: asked before one that may have arrived is sent once more."""

from coordinator.flow.ledger import Transaction
from coordinator.flow.rows import TOLD_IN_DIGEST, DeliveryRow, InboxRow, MessageRecord

AMENDED = "event.superseded"
"""Cause of what is withdrawn because its record was amended."""
WRITTEN_ANEW = "digest.written-anew"
"""Cause of a digest that is withdrawn because one of its sessions was."""


def is_outdated_repeat(tx: Transaction, row: DeliveryRow, message: MessageRecord) -> bool:
    """Return whether this is another try of a delivery whose recipient is told otherwise by now.

    What has surely not left is withdrawn when its record is amended (`flow/lanes.py`).
    What may have arrived is left then and answered by a correction; when it turns out
    that it never arrived, it must not follow that correction. What a person sends again
    goes as it is: they know, and the letter says that it is sent again. Only what was
    entered in error since goes no more, whoever asked for it: they could not know.
    """
    by_person = row.resend_of is not None
    if row.tries < 2 and not by_person:
        return False
    refs = [message.event_ref]
    if message.digest_due_at is not None:
        refs += [one.event_ref for one in tx.told_with(message)]
    told = [found for one in refs if (found := tx.inbox_row(one)) is not None]
    if by_person:
        return any(is_taken_back(tx, one) for one in told)
    return any(is_told_anew(tx, one, message.provider_id) for one in told)


def is_taken_back(tx: Transaction, row: InboxRow) -> bool:
    """Return whether a later version that was prepared says that the record was entered in error."""
    later = [one for one in tx.inbox_versions(row.source, row.event.id) if one.version > row.version]
    return any(one.state == "prepared" and one.event.status == "entered-in-error" for one in later)


def is_told_anew(tx: Transaction, row: InboxRow, provider_id: str) -> bool:
    """Return whether a later version takes the record back, or has something to say to this recipient.

    One that changed nothing for this recipient has nothing to say, and relies on the older one.
    """
    for later in tx.inbox_versions(row.source, row.event.id):
        if later.version <= row.version or later.state != "prepared" or later.event.status == "arrived":
            continue
        if later.event.status == "entered-in-error":
            return True
        if any(one.provider_id == provider_id and _speaks(one) for one in tx.messages_of_event(later.id)):
            return True
    return False


def _speaks(message: MessageRecord) -> bool:
    return message.state in {"open", "digest", "withheld"} or message.cause == TOLD_IN_DIGEST
