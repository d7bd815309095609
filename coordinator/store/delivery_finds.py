"""Which deliveries are due for what: found from the database alone, as the sweep, the desk and receipts ask."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy.engine import Row

from coordinator.domain.delivery import State
from coordinator.domain.errors import SPOILT
from coordinator.flow.rows import DeliveryRow
from coordinator.store.delivery_queries import HELD_BY_WORKER
from coordinator.store.one_of import one_of
from coordinator.store.sealed import Part
from coordinator.store.tables import deliveries


class DeliveryFinds(Part):
    """Implements the finding half of flow.ledger.DeliveryPart."""

    def stale_ids(self, now: datetime, limit: int) -> Sequence[str]:
        """Return the claimed and on-wire deliveries whose lease ran out. Opens nothing that may be unreadable."""
        query = sa.select(deliveries.c.id).where(HELD_BY_WORKER, deliveries.c.lease_until < now)
        return [row.id for row in self._all(query.order_by(deliveries.c.lease_until).limit(limit))]

    def stale(self, now: datetime, ids: Sequence[str]) -> Sequence[DeliveryRow]:
        """Return those of these that are claimed or on the wire and whose lease ran out, locked."""
        query = sa.select(deliveries).where(HELD_BY_WORKER, deliveries.c.lease_until < now)
        query = query.where(one_of(deliveries.c.id, "ids"))
        if self._postgres:
            query = query.with_for_update(skip_locked=True)
        return [self._delivery(row) for row in self._all(query, ids=list(ids))]

    def doubts_due(self, now: datetime, limit: int) -> Sequence[DeliveryRow]:
        """Return deliveries in doubt whose far side may be asked by now, longest due first."""
        in_doubt = deliveries.c.state == sa.literal_column("'in-doubt'")
        query = sa.select(deliveries).where(in_doubt, deliveries.c.due_at <= now)
        return [self._delivery(row) for row in self._all(query.order_by(deliveries.c.due_at).limit(limit))]

    def in_state(self, states: Sequence[State], limit: int) -> Sequence[DeliveryRow]:
        """Return deliveries in these states, oldest first."""
        query = (
            sa.select(deliveries)
            .where(deliveries.c.state.in_(list(states)))
            .order_by(deliveries.c.updated_at, deliveries.c.id)
            .limit(limit)
        )
        return [self._delivery(row) for row in self._all(query)]

    def receipts_overdue(self, now: datetime, limit: int) -> Sequence[DeliveryRow]:
        """Return sent deliveries whose receipt is late."""
        query = (
            sa.select(deliveries)
            .where(deliveries.c.state == sa.literal_column("'sent'"), deliveries.c.receipt_due_at < now)
            .order_by(deliveries.c.receipt_due_at)
            .limit(limit)
        )
        return [self._delivery(row) for row in self._all(query)]

    def reports_awaited(self, channel: str, since: datetime, limit: int) -> Sequence[DeliveryRow]:
        """Return a channel's deliveries that are sent, or are held since then for a late report; oldest first."""
        table = deliveries.c
        late = sa.and_(
            table.state == sa.literal_column("'held'"), table.cause == "receipt.overdue", table.updated_at >= since
        )
        query = (
            sa.select(deliveries)
            .where(table.channel == channel, sa.or_(table.state == sa.literal_column("'sent'"), late))
            .order_by(table.updated_at, table.id)
            .limit(limit)
        )
        return [self._delivery(row) for row in self._all(query)]

    def by_far_side(self, channel: str, far_side_ref: str) -> DeliveryRow | None:
        """Return the delivery the far side knows by that name."""
        key = self.key("far-side", f"{channel}|{far_side_ref}")
        row = self._one(sa.select(deliveries).where(deliveries.c.far_side_key == key))
        return None if row is None else self._delivery(row)

    def _delivery(self, row: Row[Any]) -> DeliveryRow:
        (name, message, _, provider, endpoint, channel, position, priority, state, cause, due_at, receipt_due_at, tries,
         attempts_used, lease_owner, lease_until, fence, far_side, _, content_sha256, resend_of, reason, created_at,
         updated_at) = cast("Sequence[Any]", row)  # fmt: skip
        spoilt = False
        try:
            far_side_ref = None if far_side is None else self._open("deliveries", name, "far-side", far_side).decode()
            why = None if reason is None else self._open("deliveries", name, "reason", reason).decode()
        except SPOILT:
            # One of a batch: the others are read all the same.
            far_side_ref, why, spoilt = None, None, True
        return DeliveryRow(
            name, message, provider, endpoint, channel, position, priority, State(state), cause, due_at, receipt_due_at,
            tries, attempts_used, lease_owner, lease_until, fence, far_side_ref, content_sha256, resend_of, why,
            created_at, updated_at, spoilt,
        )  # fmt: skip
