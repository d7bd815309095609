"""Recorded events and refusals in the database."""

import json
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from coordinator.domain.case import ClinicEvent
from coordinator.domain.errors import NotFound, StateConflict
from coordinator.domain.events import EVENT
from coordinator.domain.ids import stable_uuid
from coordinator.flow.rows import InboxRow, InboxState
from coordinator.store.sealed import Part
from coordinator.store.tables import inbox, refusals

MOST_READ = 4_000
_READ: dict[str, tuple[bytes, ClinicEvent]] = {}
"""Events read lately, by inbox id, with the sealed body they were read from."""


class InboxRows(Part):
    """Implements flow.ledger.InboxPart."""

    def inbox_by_name(self, source: str, event_id: str, version: int) -> InboxRow | None:
        """Return the row of (source, id, version), or None."""
        query = sa.select(inbox).where(
            inbox.c.source == source, inbox.c.event_key == self.key("event", event_id), inbox.c.version == version
        )
        row = self._one(query)
        return None if row is None else self._inbox(row)

    def inbox_row(self, event_ref: str, *, lock: bool = False) -> InboxRow | None:
        """Return a row; `lock` holds it until the transaction ends."""
        row = self._one(self._locked(sa.select(inbox).where(inbox.c.id == event_ref), lock=lock))
        return None if row is None else self._inbox(row)

    def inbox_versions(self, source: str, event_id: str) -> Sequence[InboxRow]:
        """Return every version on record, oldest version first."""
        query = (
            sa.select(inbox)
            .where(inbox.c.source == source, inbox.c.event_key == self.key("event", event_id))
            .order_by(inbox.c.version)
        )
        return [self._inbox(row) for row in self._all(query)]

    def inbox_of_patient(self, patient_key: str, *, until: datetime, limit: int) -> Sequence[InboxRow]:
        """Return a patient's newest rows that occurred by `until`, at most `limit`, oldest occurrence first."""
        query = (
            sa.select(inbox)
            .where(inbox.c.patient_key == patient_key, inbox.c.occurred_at <= until)
            .order_by(inbox.c.occurred_at.desc(), inbox.c.version.desc(), inbox.c.id.desc())
            .limit(limit)
        )
        return [self._inbox(row) for row in reversed(self._all(query))]

    def inbox_of_patient_after(self, patient_key: str, *, after: datetime, limit: int) -> Sequence[InboxRow]:
        """Return a patient's rows that occurred later than `after`, at most `limit`, oldest occurrence first."""
        query = (
            sa.select(inbox)
            .where(inbox.c.patient_key == patient_key, inbox.c.occurred_at > after)
            .order_by(inbox.c.occurred_at, inbox.c.version, inbox.c.id)
            .limit(limit)
        )
        return [self._inbox(row) for row in self._all(query)]

    def add_inbox(self, row: InboxRow, *, body: bytes) -> bool:
        """Insert; return False when (source, id, version) is there already."""
        return self._insert_once(
            inbox,
            {
                "id": row.id,
                "source": row.source,
                "event_key": self.key("event", row.event.id),
                "version": row.version,
                "event_type": row.event_type,
                "patient_key": row.patient_key,
                "content_key": row.content_key,
                "body_sealed": self._seal("inbox", row.id, "body", body),
                "state": row.state,
                "cause": row.cause,
                "questions_sealed": self._seal_json("inbox", row.id, "questions", row.questions),
                "occurred_at": row.occurred_at,
                "received_at": row.received_at,
                "composed_at": row.composed_at,
                "due_at": row.received_at,
                "updated_at": row.received_at,
            },
        )

    def move_inbox(
        self,
        event_ref: str,
        state: InboxState,
        *,
        at: datetime,
        cause: str | None = None,
        composed_at: datetime | None = None,
        due_at: datetime | None = None,
        expect: Sequence[InboxState] | None = None,
        count_try: bool = False,
    ) -> None:
        """Change a row's state; raise StateConflict when it is not in one of `expect`."""
        change: dict[str, object] = {
            "state": state,
            "cause": cause,
            "updated_at": at,
            "lease_owner": None,
            "lease_until": None,
            "due_at": due_at or at,
        }
        if composed_at is not None:
            change["composed_at"] = composed_at
        if state == "prepared":
            change["prepared_at"] = at
        if count_try:
            change["tries"] = inbox.c.tries + 1
        query = sa.update(inbox).where(inbox.c.id == event_ref)
        if expect is not None:
            query = query.where(inbox.c.state.in_(list(expect)))
        if self.connection.execute(query.values(change)).rowcount != 1:
            if self._one(sa.select(inbox.c.id).where(inbox.c.id == event_ref)) is None:
                raise NotFound("event")
            raise StateConflict("event")

    def claim_inbox(self, worker: str, now: datetime, lease_until: datetime, limit: int) -> Sequence[str]:
        """Lease due `received` rows; return their ids, oldest first."""
        free = sa.or_(inbox.c.lease_until.is_(None), inbox.c.lease_until < now)
        query = (
            sa.select(inbox.c.id)
            .where(inbox.c.state == "received", inbox.c.due_at <= now, free)
            .order_by(inbox.c.received_at, inbox.c.id)
            .limit(limit)
        )
        if self._postgres:
            query = query.with_for_update(skip_locked=True)
        ids = [row.id for row in self._all(query)]
        if ids:
            self.connection.execute(
                sa.update(inbox)
                .where(inbox.c.id.in_(ids))
                .values(lease_owner=worker, lease_until=lease_until, fence=inbox.c.fence + 1)
            )
        return ids

    def inbox_due(self, now: datetime, limit: int) -> Sequence[str]:
        """Return the ids of due `received` rows that nobody has leased, oldest first."""
        free = sa.or_(inbox.c.lease_until.is_(None), inbox.c.lease_until < now)
        query = sa.select(inbox.c.id).where(inbox.c.state == "received", inbox.c.due_at <= now, free)
        return [row.id for row in self._all(query.order_by(inbox.c.received_at, inbox.c.id).limit(limit))]

    def free_inbox(self) -> int:
        """Give back every lease on `received` rows; only for one who knows that no other worker lives."""
        held = sa.and_(inbox.c.state == "received", inbox.c.lease_until.is_not(None))
        done = self.connection.execute(sa.update(inbox).where(held).values(lease_owner=None, lease_until=None))
        return done.rowcount

    def inbox_in(self, states: Sequence[InboxState]) -> Sequence[InboxRow]:
        """Return the rows in these states, oldest first."""
        query = sa.select(inbox).where(inbox.c.state.in_(list(states))).order_by(inbox.c.received_at, inbox.c.id)
        return [self._inbox(row) for row in self._all(query)]

    def unprepared(self, before: datetime) -> Sequence[tuple[str, datetime, int]]:
        """Return (cause, since when, count) of the events due since before then and not prepared, oldest first."""
        since = sa.func.min(inbox.c.composed_at).label("since")
        query = (
            sa.select(inbox.c.cause, since, sa.func.count().label("n"))
            .where(inbox.c.state == "received", inbox.c.composed_at < before)
            .group_by(inbox.c.cause)
        )
        return [(row.cause or "event.not-prepared", row.since, row.n) for row in self._all(query.order_by(since))]

    def add_refusal(self, source: str, body: bytes, faults: Sequence[tuple[str, str, str]], at: datetime) -> str:
        """Record that something was refused, without its values; return the id."""
        body_key = self.key("refused-body", body.decode("utf-8", "replace"))
        name = stable_uuid("refusal", source, body_key, at.isoformat())
        self._insert_once(
            refusals,
            {
                "id": name,
                "source": source,
                "received_at": at,
                "body_key": body_key,
                "faults_sealed": self._seal_json("refusals", name, "faults", list(faults)),
            },
        )
        return name

    def refusals(self, limit: int) -> Sequence[tuple[str, str, datetime, tuple[tuple[str, str, str], ...]]]:
        """Return (id, source, when, faults), newest first."""
        query = sa.select(refusals).order_by(refusals.c.received_at.desc(), refusals.c.id).limit(limit)
        found = []
        for row in self._all(query):
            faults = self._open_json("refusals", row.id, "faults", row.faults_sealed)
            found.append((row.id, row.source, row.received_at, tuple(tuple(one) for one in faults)))
        return found

    def _event(self, row: Row[Any]) -> ClinicEvent:
        """Return the event of a row. A stored event never changes, so reading it again costs nothing."""
        known = _READ.get(row.id)
        if known is not None and known[0] == row.body_sealed:
            return known[1]
        body = self._open("inbox", row.id, "body", row.body_sealed)
        event: ClinicEvent = EVENT.validate_python(json.loads(body, parse_float=Decimal))
        if len(_READ) >= MOST_READ:
            _READ.clear()
        _READ[row.id] = (row.body_sealed, event)
        return event

    def _inbox(self, row: Row[Any]) -> InboxRow:
        asked = row.questions_sealed if row.state == "question" or row.cause == "event.question" else None
        questions = self._open_json("inbox", row.id, "questions", asked) or []
        return InboxRow(
            id=row.id,
            source=row.source,
            event=self._event(row),
            version=row.version,
            event_type=row.event_type,
            patient_key=row.patient_key,
            content_key=row.content_key,
            state=row.state,
            cause=row.cause,
            questions=tuple((one[0], one[1], one[2]) for one in questions),
            occurred_at=row.occurred_at,
            received_at=row.received_at,
            composed_at=row.composed_at,
            prepared_at=row.prepared_at,
            tries=row.tries,
            fence=row.fence,
        )
