"""Receipts, endpoint health, telephone tasks, action tokens and the audit chain in the database."""

import hashlib
import os
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from coordinator.domain.delivery import NEEDS_PERSON
from coordinator.flow.read_models import Actor
from coordinator.flow.rows import AuditRow, EndpointHealth, ReceiptRow
from coordinator.store.ahead import AuditLine, in_bulk
from coordinator.store.delivery_queries import LATER
from coordinator.store.one_of import one_of
from coordinator.store.sealed import Part
from coordinator.store.tables import (
    acted,
    audit,
    audit_heads,
    deliveries,
    endpoint_health,
    messages,
    receipts,
    tasks,
)

SHARDS = 8
"""Audit chains kept side by side, so that writers on PostgreSQL seldom wait for each other."""
GENESIS = "0" * 64

_HEAD = sa.select(audit_heads).where(audit_heads.c.shard == sa.bindparam("of_shard"))
_HEAD_LOCKED = _HEAD.with_for_update()
_MOVE_HEAD = (
    sa.update(audit_heads)
    .where(audit_heads.c.shard == sa.bindparam("of_shard"))
    .values(seq=sa.bindparam("seq"), hash=sa.bindparam("hash"))
)
_HEALTH = sa.select(endpoint_health).where(endpoint_health.c.endpoint_id == sa.bindparam("of_endpoint"))
_HEALTHS = sa.select(endpoint_health).where(one_of(endpoint_health.c.endpoint_id, "endpoints"))


def _shard() -> int:
    """Return this thread's chain. A thread's number is an address, so its last bits are always the same."""
    return (os.getpid() + (threading.get_ident() >> 12)) % SHARDS


def link(previous: str, *fields: str | None) -> str:
    """Return the hash of one audit line: SHA-256 over the line before and this line's fields."""
    text = "\x1f".join([previous, *("" if one is None else one for one in fields)])
    return hashlib.sha256(text.encode()).hexdigest()


def as_health(row: Row[Any]) -> EndpointHealth:
    """Return what a row with the columns of `endpoint_health` says."""
    return EndpointHealth(
        row.endpoint_id,
        row.failures,
        row.open_since,
        row.probe_at,
        row.suspended_at,
        row.suspended_address_key,
        row.cause,
        tuple((row.entered_by or "").splitlines()),
    )


class RecordRows(Part):
    """Implements flow.ledger.RecordPart and the standing half of DeliveryPart."""

    def add_receipt(
        self,
        receipt_id: str,
        once_key: str,
        delivery_id: str | None,
        channel: str,
        verdict: str,
        cause: str | None,
        at: datetime,
        detail: bytes,
    ) -> bool:
        """Store a receipt once; return False for one we have."""
        return self._insert_once(
            receipts,
            {
                "id": receipt_id,
                "once_key": self.key("receipt", f"{channel}|{once_key}"),
                "delivery_id": delivery_id,
                "channel": channel,
                "verdict": verdict,
                "cause": cause,
                "received_at": at,
                "detail_sealed": self._seal("receipts", receipt_id, "detail", detail) if detail else None,
            },
        )

    def receipts(self, delivery_id: str) -> Sequence[ReceiptRow]:
        """Return a delivery's receipts, oldest first."""
        query = sa.select(receipts).where(receipts.c.delivery_id == delivery_id).order_by(receipts.c.received_at)
        return [
            ReceiptRow(row.id, row.delivery_id, row.channel, row.verdict, row.cause, row.received_at)
            for row in self._all(query)
        ]

    def health(self, endpoint_id: str, *, lock: bool = False) -> EndpointHealth:
        """Return what is remembered of an endpoint."""
        known = self._ahead.health.get(endpoint_id)
        if known is not None and not (lock and self._postgres):
            return known
        row = self._one(self._locked(_HEALTH, lock=lock), of_endpoint=endpoint_id)
        return EndpointHealth(endpoint_id) if row is None else as_health(row)

    def _read_health(self, endpoint_ids: Sequence[str]) -> None:
        """Read ahead what is remembered of these endpoints."""
        self._ahead.health.update({one: EndpointHealth(one) for one in endpoint_ids})
        for row in self._all(_HEALTHS, endpoints=endpoint_ids):
            self._ahead.health[row.endpoint_id] = as_health(row)

    def open_breakers(self) -> Sequence[EndpointHealth]:
        """Return the endpoints whose breaker is open, the longest first."""
        query = sa.select(endpoint_health).where(endpoint_health.c.open_since.is_not(None))
        return [as_health(row) for row in self._all(query.order_by(endpoint_health.c.open_since))]

    def put_health(self, health: EndpointHealth, at: datetime) -> None:
        """Remember it."""
        self._ahead.health.pop(health.endpoint_id, None)
        values = {
            "endpoint_id": health.endpoint_id,
            "failures": health.failures,
            "open_since": health.open_since,
            "probe_at": health.probe_at,
            "suspended_at": health.suspended_at,
            "suspended_address_key": health.suspended_address_key,
            "cause": health.cause,
            "entered_by": "\n".join(health.entered_by) or None,
            "updated_at": at,
        }
        if not self._insert_once(endpoint_health, values):
            where = endpoint_health.c.endpoint_id == health.endpoint_id
            self._run(sa.update(endpoint_health).where(where).values(values))

    def counts(self) -> dict[str, int]:
        """Return the number of deliveries by state."""
        query = sa.select(deliveries.c.state, sa.func.count().label("n")).group_by(deliveries.c.state)
        return {row.state: row.n for row in self._all(query)}

    def problems(self) -> Sequence[tuple[str, str, int]]:
        """Return (endpoint, cause, count) of what needs a person, largest first: what a later copy mended is not."""
        count = sa.func.count().label("n")
        query = (
            sa.select(deliveries.c.endpoint_id, deliveries.c.cause, count)
            .join(messages, messages.c.id == deliveries.c.message_id)
            .where(deliveries.c.state.in_(sorted(NEEDS_PERSON)), messages.c.state.in_(["open", "withheld"]), ~LATER)
            .group_by(deliveries.c.endpoint_id, deliveries.c.cause)
            .order_by(count.desc(), deliveries.c.endpoint_id)
        )
        return [(row.endpoint_id, row.cause or "bug", row.n) for row in self._all(query)]

    def audit(
        self,
        actor: Actor,
        action: str,
        *,
        at: datetime,
        patient_key: str | None = None,
        subject: str | None = None,
        code: str | None = None,
        detail: str | None = None,
    ) -> None:
        """Append one line of evidence in this transaction."""
        line = AuditLine(at, actor.kind, actor.name, action, patient_key, subject, code, detail)
        self._backlog.lines.append(line)

    def _append(self, lines: list[AuditLine]) -> None:
        """Chain the lines to their shard's head. The head is locked last, so nobody waits for it while we work."""
        shard = _shard() if self._postgres else 0
        seq, previous = self._head(shard)
        rows = []
        for line in lines:
            seq += 1
            instant = line.at.astimezone(UTC).isoformat()
            made = link(previous, str(shard), str(seq), instant, line.actor_kind, line.actor, line.action,
                        line.patient_key, line.subject, line.code, line.detail)  # fmt: skip
            sealed = None
            if line.detail is not None:
                sealed = self._seal("audit", f"{shard}/{seq}", "detail", line.detail.encode())
            rows.append(
                {
                    "shard": shard,
                    "seq": seq,
                    "at": line.at,
                    "actor_kind": line.actor_kind,
                    "actor": line.actor,
                    "action": line.action,
                    "patient_key": line.patient_key,
                    "subject": line.subject,
                    "code": line.code,
                    "detail_sealed": sealed,
                    "previous": previous,
                    "hash": made,
                }
            )
            previous = made
        in_bulk(self.connection, audit, rows)
        self.connection.execute(_MOVE_HEAD, {"of_shard": shard, "seq": seq, "hash": previous})

    def _head(self, shard: int) -> tuple[int, str]:
        query = _HEAD_LOCKED if self._postgres else _HEAD
        row = self._one(query, of_shard=shard)
        if row is None:
            self._insert_once(audit_heads, {"shard": shard, "seq": 0, "hash": GENESIS})
            row = self._one(query, of_shard=shard)
        if row is None:
            raise LookupError("audit head")
        return row.seq, row.hash

    def audit_of(self, subjects: Sequence[str]) -> Sequence[AuditRow]:
        """Return the evidence about these subjects, oldest first."""
        self.finish()
        query = (
            sa.select(audit).where(audit.c.subject.in_(list(subjects))).order_by(audit.c.at, audit.c.shard, audit.c.seq)
        )
        found = []
        for row in self._all(query):
            place = f"{row.shard}/{row.seq}"
            detail = (
                None if row.detail_sealed is None else self._open("audit", place, "detail", row.detail_sealed).decode()
            )
            found.append(AuditRow(row.at, f"{row.actor_kind} {row.actor}", row.action, row.code, detail))
        return found

    def broken_audit(self) -> Sequence[str]:
        """Return the places ("shard/seq") where the chain does not hold: changed, missing or extra lines."""
        self.finish()
        broken = []
        for head in self._all(sa.select(audit_heads).order_by(audit_heads.c.shard)):
            previous, expected = GENESIS, 1
            query = sa.select(audit).where(audit.c.shard == head.shard).order_by(audit.c.seq)
            for row in self._run(query.execution_options(yield_per=1000)):
                place = f"{row.shard}/{row.seq}"
                sealed = row.detail_sealed
                try:
                    detail = None if sealed is None else self._open("audit", place, "detail", sealed).decode()
                except Exception:  # whatever this cipher raises, the line is broken
                    broken.append(place)
                    detail = None
                line = link(previous, str(row.shard), str(row.seq), row.at.isoformat(), row.actor_kind, row.actor,
                            row.action, row.patient_key, row.subject, row.code, detail)  # fmt: skip
                if row.seq != expected or row.previous != previous or row.hash != line:
                    broken.append(place)
                previous, expected = row.hash, row.seq + 1
            if head.seq != expected - 1 or head.hash != previous:
                broken.append(f"{head.shard}/head")
        return broken

    def add_task(self, task_id: str, message_id: str, kind: str, cause: str, due_at: datetime, at: datetime) -> bool:
        """Raise a task once per (message, kind, cause); return whether it is new."""
        values = {"id": task_id, "message_id": message_id, "kind": kind, "cause": cause, "due_at": due_at}
        return self._insert_once(tasks, {**values, "created_at": at})

    def raise_again(self, task_id: str, message_id: str, kind: str, cause: str, due_at: datetime, at: datetime) -> bool:
        """Raise a task, anew where the one before it is done; return False when it is open already."""
        if self.add_task(task_id, message_id, kind, cause, due_at, at):
            return True
        # What was agreed at the call before stands in the audit trail.
        its = (tasks.c.message_id == message_id, tasks.c.kind == kind, tasks.c.cause == cause)
        change = {"due_at": due_at, "created_at": at, "done_at": None, "done_by": None, "note_sealed": None}
        return self._run(sa.update(tasks).where(*its, tasks.c.done_at.is_not(None)).values(change)).rowcount > 0

    def open_tasks(self, message_id: str | None = None) -> Sequence[tuple[str, str, str, str, datetime]]:
        """Return (id, message, kind, cause, due) of open tasks, most pressing first."""
        query = sa.select(tasks).where(tasks.c.done_at.is_(None)).order_by(tasks.c.due_at, tasks.c.id)
        if message_id is not None:
            query = query.where(tasks.c.message_id == message_id)
        return [(row.id, row.message_id, row.kind, row.cause, row.due_at) for row in self._all(query)]

    def close_task(self, task_id: str, *, by: str, note: str, at: datetime) -> str | None:
        """Close an open task with what was agreed; return its message, or None when it was closed already."""
        query = sa.select(tasks).where(tasks.c.id == task_id, tasks.c.done_at.is_(None))
        row = self._one(self._locked(query, lock=True))
        if row is None:
            return None
        change = {"done_at": at, "done_by": by, "note_sealed": self._seal("tasks", task_id, "note", note.encode())}
        self._run(sa.update(tasks).where(tasks.c.id == task_id).values(change))
        return str(row.message_id)

    def acted(self, token: str, action: str, outcome: str, at: datetime) -> str | None:
        """Remember a button's token; return the earlier outcome if it was used before."""
        key = self.key("action", token)
        if self._insert_once(acted, {"token_key": key, "action": action, "outcome": outcome, "at": at}):
            return None
        return self.acted_before(token)

    def acted_before(self, token: str) -> str | None:
        """Return what a button's token came to, or None when it was not used."""
        row = self._one(sa.select(acted.c.outcome).where(acted.c.token_key == self.key("action", token)))
        return None if row is None else str(row.outcome)
