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
from coordinator.store.tables import UtcInstant, inbox, refusals

MOST_READ = 4_000
_READ: dict[str, tuple[bytes, ClinicEvent]] = {}
"""Events read lately, by inbox id, with the sealed body they were read from."""

_BY_ID = sa.select(inbox).where(inbox.c.id == sa.bindparam("of_id"))
_BY_ID_LOCKED = _BY_ID.with_for_update()
_VERSIONS = (
    sa.select(inbox)
    .where(inbox.c.source == sa.bindparam("of_source"), inbox.c.event_key == sa.bindparam("of_event"))
    .order_by(inbox.c.version)
)
_OF_PATIENT = (
    sa.select(inbox)
    .where(
        inbox.c.patient_key == sa.bindparam("of_patient"),
        inbox.c.occurred_at <= sa.bindparam("until", type_=UtcInstant),
    )
    .order_by(inbox.c.occurred_at.desc(), inbox.c.version.desc(), inbox.c.id.desc())
    .limit(sa.bindparam("most", type_=sa.Integer))
)
_AFTER = (
    sa.select(inbox)
    .where(
        inbox.c.patient_key == sa.bindparam("of_patient"),
        inbox.c.occurred_at > sa.bindparam("after", type_=UtcInstant),
    )
    .order_by(inbox.c.occurred_at, inbox.c.version, inbox.c.id)
    .limit(sa.bindparam("most", type_=sa.Integer))
)


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
        if event_ref in (self._ahead.locked_events if lock else self._ahead.events):
            return self._ahead.events[event_ref]
        row = self._one(_BY_ID_LOCKED if lock and self._postgres else _BY_ID, of_id=event_ref)
        return None if row is None else self._inbox(row)

    def inbox_versions(self, source: str, event_id: str) -> Sequence[InboxRow]:
        """Return every version on record, oldest version first."""
        event_key = self.key("event", event_id)
        known = self._ahead.versions.get((source, event_key))
        if known is not None:
            return known
        return [self._inbox(row) for row in self._all(_VERSIONS, of_source=source, of_event=event_key)]

    def inbox_of_patient(self, patient_key: str, *, until: datetime, limit: int) -> Sequence[InboxRow]:
        """Return a patient's newest rows that occurred by `until`, at most `limit`, oldest occurrence first."""
        known = self._ahead.past.get(patient_key)
        if known is not None:
            return [row for row in known if row.occurred_at <= until][-limit:]
        rows = self._all(_OF_PATIENT, of_patient=patient_key, until=until, most=limit)
        return [self._inbox(row) for row in reversed(rows)]

    def prepared_after(self, patient_keys: Sequence[str], at: datetime) -> Sequence[str]:
        """Return the rows about these patients that were prepared after that instant."""
        later = sa.and_(inbox.c.patient_key.in_(patient_keys), inbox.c.prepared_at > at)
        return [row.id for row in self._all(sa.select(inbox.c.id).where(later))]

    def inbox_of_patient_after(self, patient_key: str, *, after: datetime, limit: int) -> Sequence[InboxRow]:
        """Return a patient's rows that occurred later than `after`, at most `limit`, oldest occurrence first."""
        known = self._ahead.past.get(patient_key)
        if known is not None:
            return [row for row in known if row.occurred_at > after][:limit]
        return [self._inbox(row) for row in self._all(_AFTER, of_patient=patient_key, after=after, most=limit)]

    def add_inbox(self, row: InboxRow, *, body: bytes) -> bool:
        """Insert; return False when (source, id, version) is there already."""
        event_key = self.key("event", row.event.id)
        values = {
            "id": row.id,
            "source": row.source,
            "event_key": event_key,
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
        }
        self._ahead.past.pop(row.patient_key, None)
        known = self._ahead.versions.get((row.source, event_key))
        if known is None:
            return self._insert_once(inbox, values)
        if any(one.version == row.version for one in known):
            return False
        # What was read ahead says that it is new. Should somebody else be taking the name just now, the insert fails.
        self._backlog.insert(inbox, values)
        known.append(row)
        known.sort(key=lambda one: one.version)
        return True

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
        self._ahead.past.clear()
        known = self._ahead.events.pop(event_ref, None)
        locked = event_ref in self._ahead.locked_events
        self._ahead.locked_events.discard(event_ref)
        if known is None:
            self._ahead.versions.clear()
        else:
            self._ahead.versions.pop((known.source, self.key("event", known.event.id)), None)
        if known is not None and locked and expect is not None and not count_try:
            # Read and locked by this very transaction: the state is what was read.
            if known.state not in expect:
                raise StateConflict("event")
            self._backlog.change(inbox, {"id": event_ref}, change)
            return
        if count_try:
            change["tries"] = inbox.c.tries + 1
        query = sa.update(inbox).where(inbox.c.id == event_ref)
        if expect is not None:
            query = query.where(inbox.c.state.in_(list(expect)))
        if self._run(query.values(change)).rowcount != 1:
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
            self._run(
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
        done = self._run(sa.update(inbox).where(held).values(lease_owner=None, lease_until=None))
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
