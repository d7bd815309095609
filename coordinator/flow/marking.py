"""A record is marked as 42 CFR Part 2 by an amendment: what was composed from it before must not go without the notice.

What is stored already is told (`mark_since`) when the amendment is prepared. What is being composed at that moment is
not stored yet; it asks before it is (`marked_patients`), and is composed anew.
"""

from collections.abc import Sequence
from datetime import datetime

from coordinator.flow.ledger import Transaction
from coordinator.flow.rows import InboxRow


def mark_since(tx: Transaction, row: InboxRow, now: datetime) -> None:
    """Tell the messages that may have drawn on this record while it was not yet marked."""
    if not row.event.part2:
        return
    plain = [one for one in tx.inbox_versions(row.source, row.event.id) if not one.event.part2]
    if plain:
        first = min(one.received_at for one in plain)
        tx.mark_since(row.patient_key, composed_from=first, but_of_event=row.id, at=now)


def marked_patients(tx: Transaction, patient_keys: Sequence[str], began: datetime) -> frozenset[str]:
    """Return the patients of whom a marked record was prepared since `began`, so that composing may have missed it.

    Whoever composes anew begins later than that, so nobody waits twice for one record.
    """
    rows = [tx.inbox_row(name) for name in tx.prepared_after(sorted(set(patient_keys)), began)]
    return frozenset(one.patient_key for one in rows if one is not None and one.event.part2)
