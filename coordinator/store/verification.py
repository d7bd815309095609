"""The six promises, checked against the rows. Each finding names the row that breaks one."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from coordinator.domain.delivery import State
from coordinator.domain.errors import Unreadable
from coordinator.flow.compose import package_hash
from coordinator.flow.rows import UNPREPARED
from coordinator.store.ledger import Store, StoreTransaction
from coordinator.store.tables import attempts, deliveries, documents, endpoint_health, inbox, messages

GRACE = UNPREPARED
"""What verify names of the events, the console's first page shows at the same time."""
"""How long past its time a row may be before somebody must have noticed. Workers look every second."""


@dataclass(frozen=True)
class Finding:
    """One broken promise: which, in what row, and what is wrong there. No PHI."""

    promise: str
    table: str
    row: str
    what: str


def verify(store: Store, now: datetime) -> list[Finding]:
    """Return every row that breaks a promise; an empty list means all six hold."""
    with store.begin(write=False) as tx:
        found: list[Finding] = []
        for check in (_lost, _silent, _twice, _consent, _wrong, _order, _evidence):
            found.extend(check(tx, now))
    return found


def _rows(tx: StoreTransaction, query: sa.Select[Any]) -> list[Any]:
    return list(tx.connection.execute(query))


def _lost(tx: StoreTransaction, _now: datetime) -> Iterator[Finding]:
    has_message = sa.exists().where(messages.c.event_ref == inbox.c.id)
    for row in _rows(tx, sa.select(inbox.c.id).where(inbox.c.state == "prepared", ~has_message)):
        yield Finding("never lost", "inbox", row.id, "prepared, but no message came of it")
    states = ["received", "question", "stuck", "prepared", "superseded", "declined"]
    for row in _rows(tx, sa.select(inbox.c.id).where(inbox.c.state.not_in(states))):
        yield Finding("never lost", "inbox", row.id, "in no known state")
    has_delivery = sa.exists().where(deliveries.c.message_id == messages.c.id)
    query = sa.select(messages.c.id).where(messages.c.state == "open", ~has_delivery)
    for row in _rows(tx, query):
        yield Finding("never lost", "messages", row.id, "open, but on no way to anybody")
    query = sa.select(messages.c.id).where(messages.c.state == "withheld", messages.c.cause.is_(None), ~has_delivery)
    for row in _rows(tx, query):
        yield Finding("never lost", "messages", row.id, "withheld without a cause")
    alive = sa.exists().where(deliveries.c.message_id == messages.c.id, deliveries.c.state != State.CANCELLED)
    for row in _rows(tx, sa.select(messages.c.id).where(messages.c.state == "open", has_delivery, ~alive)):
        yield Finding("never lost", "messages", row.id, "open, but every delivery was withdrawn")


def _silent(tx: StoreTransaction, now: datetime) -> Iterator[Finding]:
    limit = now - GRACE
    free = sa.or_(inbox.c.lease_until.is_(None), inbox.c.lease_until < limit)
    query = sa.select(inbox.c.id).where(inbox.c.state == "received", inbox.c.due_at < limit, free)
    for row in _rows(tx, query):
        yield Finding("never silent", "inbox", row.id, "due for preparing and nobody came")
    again = sa.and_(inbox.c.composed_at < limit, inbox.c.due_at > now)
    for row in _rows(tx, sa.select(inbox.c.id).where(inbox.c.state == "received", again)):
        yield Finding("never silent", "inbox", row.id, "tried again and again, and still not prepared")
    shut = sa.select(endpoint_health.c.endpoint_id).where(endpoint_health.c.open_since.is_not(None))
    late = sa.or_(deliveries.c.due_at.is_(None), deliveries.c.due_at < limit)
    # What a person holds back is in view on the page of holds, with who, why and since when.
    held = tx.closed()
    query = sa.select(deliveries.c.id, deliveries.c.channel, deliveries.c.endpoint_id).where(
        deliveries.c.state == State.PENDING, late, deliveries.c.endpoint_id.not_in(shut)
    )
    for row in _rows(tx, query):
        if held.covers(row.channel, row.endpoint_id):
            continue
        yield Finding("never silent", "deliveries", row.id, "due for sending and nobody came")
    query = sa.select(deliveries.c.id).where(
        deliveries.c.state.in_([State.CLAIMED, State.ON_WIRE]),
        sa.or_(deliveries.c.lease_until.is_(None), deliveries.c.lease_until < limit),
    )
    for row in _rows(tx, query):
        yield Finding("never silent", "deliveries", row.id, "its worker is gone and nobody noticed")
    query = sa.select(deliveries.c.id).where(
        deliveries.c.state == State.SENT,
        sa.or_(deliveries.c.receipt_due_at.is_(None), deliveries.c.receipt_due_at < limit),
    )
    for row in _rows(tx, query):
        yield Finding("never silent", "deliveries", row.id, "its proof of arrival is late and nobody asked")
    query = sa.select(deliveries.c.id).where(deliveries.c.state == State.HELD, deliveries.c.cause.is_(None))
    for row in _rows(tx, query):
        yield Finding("never silent", "deliveries", row.id, "held without a cause")
    query = sa.select(messages.c.id).where(messages.c.state == "digest", messages.c.digest_due_at < limit)
    for row in _rows(tx, query):
        yield Finding("never silent", "messages", row.id, "its digest is overdue")


def _twice(tx: StoreTransaction, _now: datetime) -> Iterator[Finding]:
    done = deliveries.c.state.in_([State.SENT, State.ACKNOWLEDGED])
    query = (
        sa.select(deliveries.c.message_id)
        .where(done, deliveries.c.resend_of.is_(None))
        .group_by(deliveries.c.message_id)
        .having(sa.func.count() > 1)
    )
    for row in _rows(tx, query):
        yield Finding("never twice", "messages", row.message_id, "delivered more than once without a person asking")
    query = (
        sa.select(attempts.c.delivery_id)
        .where(attempts.c.outcome == "proven")
        .group_by(attempts.c.delivery_id)
        .having(sa.func.count() > 1)
    )
    for row in _rows(tx, query):
        yield Finding("never twice", "deliveries", row.delivery_id, "two attempts were proven")


def _consent(tx: StoreTransaction, _now: datetime) -> Iterator[Finding]:
    query = sa.select(attempts.c.id).where(attempts.c.on_wire_at.is_not(None), attempts.c.consent_directive.is_(None))
    for row in _rows(tx, query):
        yield Finding("never without consent", "attempts", row.id, "sent with no consent on record")


def _wrong(tx: StoreTransaction, _now: datetime) -> Iterator[Finding]:
    hashes: dict[str, list[str]] = {}
    for row in _rows(tx, sa.select(documents.c.id, documents.c.message_id, documents.c.sha256)):
        hashes.setdefault(row.message_id, []).append(row.sha256)
        try:
            found = tx.document(row.id)
        except Unreadable:
            yield Finding("never wrong", "documents", row.id, "the stored bytes cannot be read")
            continue
        if found is None or hashlib.sha256(found[0].body).hexdigest() != row.sha256:
            yield Finding("never wrong", "documents", row.id, "the stored bytes are not the composed bytes")
    query = (
        sa.select(attempts.c.id, attempts.c.content_sha256, deliveries.c.message_id)
        .join(deliveries, deliveries.c.id == attempts.c.delivery_id)
        .where(attempts.c.on_wire_at.is_not(None), attempts.c.content_sha256.is_not(None))
    )
    for row in _rows(tx, query):
        if row.content_sha256 != package_hash(hashes.get(row.message_id, [])):
            yield Finding("never wrong", "attempts", row.id, "what was sent is not what is stored")


def _order(tx: StoreTransaction, _now: datetime) -> Iterator[Finding]:
    # Refused, and then withdrawn because its record was wrong: what it had replaced goes after it, rightly.
    taken_back = sa.and_(
        messages.c.state == "cancelled", messages.c.cause.in_(["release.retracted", "event.superseded"])
    )
    query = (
        sa.select(
            messages.c.id,
            messages.c.patient_key,
            messages.c.provider_id,
            messages.c.lane_subject,
            messages.c.occurred_at,
            messages.c.event_version,
            sa.func.min(attempts.c.on_wire_at).label("left_at"),
        )
        .join(deliveries, deliveries.c.message_id == messages.c.id)
        .join(attempts, attempts.c.delivery_id == deliveries.c.id)
        .where(attempts.c.on_wire_at.is_not(None), deliveries.c.resend_of.is_(None), sa.not_(taken_back))
        .group_by(messages.c.id)
        .order_by(
            messages.c.patient_key,
            messages.c.provider_id,
            messages.c.lane_subject,
            messages.c.occurred_at,
            messages.c.event_version,
        )
    )
    rows = _rows(tx, query)
    for _, lane in groupby(rows, key=lambda row: (row.patient_key, row.provider_id, row.lane_subject)):
        last = None
        # What happened at the same instant is neither older nor newer, so it is looked at together.
        for _, same in groupby(lane, key=lambda row: (row.occurred_at, row.event_version)):
            together = list(same)
            if last is not None and min(row.left_at for row in together) < last.left_at:
                yield Finding("never out of order", "messages", last.id, "left after a newer message of its lane")
            last = max([*together, *([last] if last is not None else [])], key=lambda row: row.left_at)


def _evidence(tx: StoreTransaction, _now: datetime) -> Iterator[Finding]:
    for place in tx.broken_audit():
        yield Finding("evidence", "audit", place, "the audit chain does not hold here")
