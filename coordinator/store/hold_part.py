"""Holds, restore reviews and resend jobs in the database. Reasons are sealed; the rest is codes and ids."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row
from sqlalchemy.orm import aliased

from coordinator.domain.delivery import State
from coordinator.flow.hold_rows import (
    EVERYTHING,
    Closed,
    HoldRow,
    JobItem,
    JobRow,
    JobState,
    Selection,
    closed_by,
)
from coordinator.store.delivery_queries import LATER
from coordinator.store.sealed import Part
from coordinator.store.tables import ID, METADATA, WORD, UtcInstant, deliveries, endpoint_health, messages

holds = sa.Table(
    "holds",
    METADATA,
    sa.Column("scope", sa.String(128), primary_key=True),
    sa.Column("kind", WORD, nullable=False),
    sa.Column("placed_at", UtcInstant, nullable=False),
    sa.Column("placed_by", WORD, nullable=False),
    sa.Column("reason_sealed", sa.LargeBinary, nullable=False),
)

restore_reviews = sa.Table(
    "restore_reviews",
    METADATA,
    sa.Column("delivery_id", ID, sa.ForeignKey("deliveries.id"), primary_key=True),
    sa.Column("at", UtcInstant, nullable=False),
)

resend_jobs = sa.Table(
    "resend_jobs",
    METADATA,
    sa.Column("id", ID, primary_key=True),
    sa.Column("state", WORD, nullable=False),
    sa.Column("mode", WORD, nullable=False),
    sa.Column("selection", sa.String(1000), nullable=False),
    sa.Column("reason_sealed", sa.LargeBinary, nullable=False),
    sa.Column("per_minute", sa.Integer, nullable=False),
    sa.Column("made_at", UtcInstant, nullable=False),
    sa.Column("made_by", WORD, nullable=False),
    sa.Column("started_at", UtcInstant),
    sa.Column("started_by", WORD),
    sa.Column("next_at", UtcInstant),
    sa.Column("ended_at", UtcInstant),
    sa.Index("ix_resend_jobs_state", "state", "made_at"),
)

resend_items = sa.Table(
    "resend_items",
    METADATA,
    sa.Column("job_id", ID, sa.ForeignKey("resend_jobs.id"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("message_id", ID, sa.ForeignKey("messages.id"), nullable=False),
    sa.Column("delivery_id", ID, sa.ForeignKey("deliveries.id"), nullable=False),
    sa.Column("state", WORD, nullable=False),
    sa.Column("new_delivery_id", ID),
    sa.Column("why", sa.String(500)),
    sa.Column("done_at", UtcInstant),
    sa.Index("ix_resend_items_message", "message_id"),
    sa.Index("ix_resend_items_state", "job_id", "state", "position"),
)

_SCOPES = sa.select(holds.c.scope)
_STOPPED = sa.union_all(
    sa.select(sa.literal_column("'shut'").label("what"), endpoint_health.c.endpoint_id.label("name")).where(
        endpoint_health.c.open_since.is_not(None),
        endpoint_health.c.probe_at > sa.bindparam("now", type_=UtcInstant),
    ),
    sa.select(sa.literal_column("'hold'"), holds.c.scope),
)
"""Shut endpoints and what is held, in one question."""
PAPER = ("by-hand", "none")
JOB_COLUMNS = (
    "id", "state", "mode", "selection", "per_minute", "made_at", "made_by", "started_at", "started_by", "next_at",
    "ended_at",
)  # fmt: skip
ITEM_COLUMNS = (
    "job_id", "position", "message_id", "delivery_id", "state", "new_delivery_id", "why", "done_at",
)  # fmt: skip


class HoldRows(Part):
    """Implements flow.hold_rows.HoldPart."""

    def holds(self) -> Sequence[HoldRow]:
        """Return every hold, oldest first."""
        return [
            HoldRow(
                row.scope,
                row.kind,
                row.placed_at,
                row.placed_by,
                self._open("holds", row.scope, "reason", row.reason_sealed).decode(),
            )
            for row in self._all(sa.select(holds).order_by(holds.c.placed_at, holds.c.scope))
        ]

    def closed(self) -> Closed:
        """Return what is held, without the reasons: asked at every claim and before every first byte."""
        if self._ahead.closed is None:
            self._ahead.closed = closed_by([row.scope for row in self._all(_SCOPES)])
        return self._ahead.closed

    def stopped(self, now: datetime) -> Closed:
        """Return what is held, and among the endpoints those whose breaker is open, in one question."""
        rows = self._all(_STOPPED, now=now)
        closed = closed_by([row.name for row in rows if row.what == "hold"])
        return replace(closed, endpoints=closed.endpoints | {row.name for row in rows if row.what == "shut"})

    def put_hold(self, row: HoldRow) -> bool:
        """Place a hold; return False when its scope is held already."""
        self._ahead.closed = None
        values = {"scope": row.scope, "kind": row.kind, "placed_at": row.placed_at, "placed_by": row.placed_by}
        return self._insert_once(
            holds, {**values, "reason_sealed": self._seal("holds", row.scope, "reason", row.reason.encode())}
        )

    def lift_hold(self, scope: str) -> bool:
        """Lift a hold; return False when there was none."""
        self._ahead.closed = None
        return self._run(sa.delete(holds).where(holds.c.scope == scope)).rowcount == 1

    def waiting_behind(self, scope: str, *, but: Closed | None = None) -> int:
        """Return how many deliveries wait to be sent behind a scope, without those by a way that is closed in `but`."""
        what, _, name = scope.partition(":")
        query = sa.select(sa.func.count()).where(deliveries.c.state.in_([State.PENDING, State.CLAIMED]))
        if but is not None:
            if but.everything:
                return 0
            query = query.where(
                deliveries.c.channel.not_in(sorted(but.channels)),
                deliveries.c.endpoint_id.not_in(sorted(but.endpoints)),
            )
        if what == "channel":
            query = query.where(deliveries.c.channel == name)
        elif scope != EVERYTHING:
            query = query.where(deliveries.c.endpoint_id == name)
        return int(self._run(query).scalar_one())

    def unreviewed(self, before: datetime, limit: int) -> Sequence[str]:
        """Return pending and held deliveries of what is not new since then, and not looked at since the restore."""
        seen = sa.exists().where(restore_reviews.c.delivery_id == deliveries.c.id)
        query = (
            sa.select(deliveries.c.id)
            .join(messages, messages.c.id == deliveries.c.message_id)
            .where(
                deliveries.c.state.in_([State.PENDING, State.HELD]),
                deliveries.c.channel.not_in(PAPER),
                sa.or_(messages.c.occurred_at < before, messages.c.created_at < before),
                ~seen,
            )
            .order_by(deliveries.c.id)
            .limit(limit)
        )
        return [row.id for row in self._all(query)]

    def mark_reviewed(self, delivery_id: str, at: datetime) -> None:
        """Remember that a delivery was looked at since the restore."""
        self._insert_once(restore_reviews, {"delivery_id": delivery_id, "at": at})

    def reviewed_counts(self) -> dict[str, int]:
        """Return the number of reviewed deliveries by their state now."""
        query = (
            sa.select(deliveries.c.state, sa.func.count().label("n"))
            .join(restore_reviews, restore_reviews.c.delivery_id == deliveries.c.id)
            .group_by(deliveries.c.state)
        )
        return {row.state: row.n for row in self._all(query)}

    def forget_reviews(self) -> None:
        """Start over, for the next restore."""
        self._run(sa.delete(restore_reviews))


class JobRows(Part):
    """Implements flow.hold_rows.JobPart."""

    def selected(self, wanted: Selection) -> Sequence[tuple[str, str]]:
        """Return (message, its newest delivery) of what a selection means, oldest occurrence first."""
        query = (
            sa.select(deliveries.c.message_id, deliveries.c.id)
            .join(messages, messages.c.id == deliveries.c.message_id)
            .where(
                messages.c.state == "open",
                messages.c.superseded_by.is_(None),
                deliveries.c.state.in_(wanted.states()),
                deliveries.c.channel.not_in(PAPER),
                ~LATER,
            )
            .order_by(messages.c.occurred_at, messages.c.id)
        )
        for column, value in (
            (deliveries.c.endpoint_id, wanted.endpoint_id),
            (deliveries.c.provider_id, wanted.provider_id),
            (deliveries.c.channel, wanted.channel),
            (deliveries.c.cause, wanted.cause),
        ):
            if value is not None:
                query = query.where(column == value)
        if wanted.since is not None:
            query = query.where(deliveries.c.updated_at >= wanted.since)
        return [(row.message_id, row.id) for row in self._all(query)]

    def add_job(self, row: JobRow, items: Sequence[JobItem]) -> None:
        """Store a job with its frozen list."""
        values = {name: getattr(row, name) for name in JOB_COLUMNS}
        sealed = self._seal("resend_jobs", row.id, "reason", row.reason.encode())
        self._run(sa.insert(resend_jobs).values(**values, reason_sealed=sealed))
        if items:
            self._run(sa.insert(resend_items), [vars(one) for one in items])

    def job(self, job_id: str, *, lock: bool = False) -> JobRow | None:
        """Return one job."""
        row = self._one(self._locked(sa.select(resend_jobs).where(resend_jobs.c.id == job_id), lock=lock))
        return None if row is None else self._job(row)

    def jobs(self, states: Sequence[JobState] | None = None, limit: int = 50) -> Sequence[JobRow]:
        """Return jobs, newest first."""
        query = sa.select(resend_jobs).order_by(resend_jobs.c.made_at.desc(), resend_jobs.c.id).limit(limit)
        if states is not None:
            query = query.where(resend_jobs.c.state.in_(list(states)))
        return [self._job(row) for row in self._all(query)]

    def put_job(self, row: JobRow) -> None:
        """Store what has changed of a job."""
        changes = {name: getattr(row, name) for name in JOB_COLUMNS if name != "id"}
        self._run(sa.update(resend_jobs).where(resend_jobs.c.id == row.id).values(changes))

    def job_items(self, job_id: str, *, after: int = 0, limit: int = 200) -> Sequence[JobItem]:
        """Return a job's items after a position, in order."""
        table = resend_items.c
        query = sa.select(resend_items).where(table.job_id == job_id, table.position > after)
        return [_item(row) for row in self._all(query.order_by(table.position).limit(limit))]

    def next_item(self, job_id: str) -> JobItem | None:
        """Return the first item that still waits, or None."""
        table = resend_items.c
        query = sa.select(resend_items).where(table.job_id == job_id, table.state == "waiting")
        row = self._one(query.order_by(table.position).limit(1))
        return None if row is None else _item(row)

    def put_item(self, item: JobItem) -> None:
        """Store what came of an item."""
        table = resend_items.c
        where = sa.and_(table.job_id == item.job_id, table.position == item.position)
        self._run(sa.update(resend_items).where(where).values(vars(item)))

    def job_counts(self, job_id: str) -> dict[str, int]:
        """Return the number of items by state."""
        table = resend_items.c
        query = sa.select(table.state, sa.func.count().label("n")).where(table.job_id == job_id).group_by(table.state)
        return {row.state: row.n for row in self._all(query)}

    def overlapping_job(self, job_id: str) -> str | None:
        """Return another running or paused job that holds one of this job's messages, or None."""
        mine, theirs = aliased(resend_items), aliased(resend_items)
        query = (
            sa.select(theirs.c.job_id)
            .join(mine, mine.c.message_id == theirs.c.message_id)
            .join(resend_jobs, resend_jobs.c.id == theirs.c.job_id)
            .where(
                mine.c.job_id == job_id,
                theirs.c.job_id != job_id,
                theirs.c.state == "waiting",
                resend_jobs.c.state.in_(["running", "paused"]),
            )
            .limit(1)
        )
        row = self._one(query)
        return None if row is None else str(row.job_id)

    def _job(self, row: Row[Any]) -> JobRow:
        reason = self._open("resend_jobs", row.id, "reason", row.reason_sealed).decode()
        return JobRow(**{name: getattr(row, name) for name in JOB_COLUMNS}, reason=reason)


def _item(row: Row[Any]) -> JobItem:
    return JobItem(**{name: getattr(row, name) for name in ITEM_COLUMNS})
