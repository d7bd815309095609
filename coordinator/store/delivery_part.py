"""Deliveries and attempts in the database: the claim, the lease, the fence, and the one way to move."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from coordinator.domain.delivery import State, check_move
from coordinator.domain.errors import NotFound, StateConflict
from coordinator.flow.rows import AttemptRow, DeliveryRow, MessageRecord, NewDelivery
from coordinator.store.sealed import Part
from coordinator.store.tables import attempts, deliveries, messages

ROW_COLUMNS = (
    "id", "message_id", "provider_id", "endpoint_id", "channel", "position", "priority", "cause", "due_at",
    "receipt_due_at", "tries", "attempts_used", "lease_owner", "lease_until", "fence", "content_sha256", "resend_of",
    "created_at", "updated_at",
)  # fmt: skip
URGENCY = sa.case((deliveries.c.priority == "stat", 0), (deliveries.c.priority == "urgent", 1), else_=2)


class DeliveryRows(Part):
    """Implements the moving half of flow.ledger.DeliveryPart."""

    def add_delivery(self, delivery: NewDelivery, *, at: datetime) -> None:
        """Insert a delivery, numbered within its message."""
        reason = delivery.reason
        before = sa.select(sa.func.count()).where(deliveries.c.message_id == delivery.message_id)
        self.connection.execute(
            sa.insert(deliveries).values(
                id=delivery.id,
                message_id=delivery.message_id,
                ordinal=self.connection.execute(before).scalar_one() + 1,
                provider_id=delivery.provider_id,
                endpoint_id=delivery.endpoint_id,
                channel=delivery.channel,
                position=delivery.position,
                priority=delivery.priority,
                state=delivery.state,
                cause=delivery.cause,
                due_at=delivery.due_at,
                resend_of=delivery.resend_of,
                reason_sealed=None
                if reason is None
                else self._seal("deliveries", delivery.id, "reason", reason.encode()),
                created_at=at,
                updated_at=at,
            )
        )

    def delivery(self, delivery_id: str, *, lock: bool = False) -> DeliveryRow | None:
        """Return one delivery."""
        row = self._one(self._locked(sa.select(deliveries).where(deliveries.c.id == delivery_id), lock=lock))
        return None if row is None else self._delivery(row)

    def deliveries(self, message_id: str) -> Sequence[DeliveryRow]:
        """Return a message's deliveries, oldest first."""
        query = sa.select(deliveries).where(deliveries.c.message_id == message_id).order_by(deliveries.c.ordinal)
        return [self._delivery(row) for row in self._all(query)]

    def claim_due(
        self, worker: str, now: datetime, lease_until: datetime, limit: int, *, shut: Sequence[str], per_endpoint: int,
        shut_channels: Sequence[str] = (),
    ) -> Sequence[DeliveryRow]:  # fmt: skip
        """Lease due pending deliveries fairly over endpoints, skipping the `shut` ones; fence raised, state claimed.

        Fair: each endpoint's own queue is numbered, and no endpoint gets more than
        `per_endpoint` rows less what it already holds claimed or on the wire.
        """
        table = deliveries
        due = sa.and_(table.c.state == State.PENDING, table.c.due_at <= now, table.c.endpoint_id.not_in(list(shut)))
        if shut_channels:
            due = sa.and_(due, table.c.channel.not_in(list(shut_channels)))
        busy = (
            sa.select(table.c.endpoint_id, sa.func.count().label("busy"))
            .where(table.c.state.in_([State.CLAIMED, State.ON_WIRE]))
            .group_by(table.c.endpoint_id)
            .subquery()
        )
        turn = sa.func.row_number().over(
            partition_by=table.c.endpoint_id, order_by=(URGENCY, table.c.due_at, table.c.id)
        )
        queue = sa.select(table.c.id, table.c.endpoint_id, turn.label("turn")).where(due).subquery()
        pick = (
            sa.select(queue.c.id)
            .outerjoin(busy, busy.c.endpoint_id == queue.c.endpoint_id)
            .where(queue.c.turn + sa.func.coalesce(busy.c.busy, 0) <= per_endpoint)
            .order_by(queue.c.turn, queue.c.id)
            .limit(limit)
        )
        chosen = [row.id for row in self._all(pick)]
        if not chosen:
            return []
        query = sa.select(table).where(table.c.id.in_(chosen), table.c.state == State.PENDING)
        if self._postgres:
            query = query.with_for_update(skip_locked=True)
        rows = self._all(query)
        return [self._lease(row, worker, now, lease_until) for row in rows]

    def due_ids(self, now: datetime, limit: int, *, shut: Sequence[str], shut_channels: Sequence[str]) -> Sequence[str]:
        """Return pending deliveries that are due and not shut, earliest first, without leasing them."""
        table = deliveries.c
        query = (
            sa.select(table.id)
            .where(table.state == State.PENDING, table.due_at <= now)
            .where(table.endpoint_id.not_in(list(shut)), table.channel.not_in(list(shut_channels)))
            .order_by(table.due_at, table.id)
            .limit(limit)
        )
        return [row.id for row in self._all(query)]

    def claim_one(self, delivery_id: str, worker: str, now: datetime, lease_until: datetime) -> DeliveryRow | None:
        """Lease this delivery if it is pending and due; else None."""
        query = sa.select(deliveries).where(
            deliveries.c.id == delivery_id, deliveries.c.state == State.PENDING, deliveries.c.due_at <= now
        )
        if self._postgres:
            query = query.with_for_update(skip_locked=True)
        row = self._one(query)
        return None if row is None else self._lease(row, worker, now, lease_until)

    def _lease(self, row: Row[Any], worker: str, now: datetime, lease_until: datetime) -> DeliveryRow:
        check_move(State(row.state), State.CLAIMED)
        change = {
            "state": State.CLAIMED,
            "lease_owner": worker,
            "lease_until": lease_until,
            "fence": row.fence + 1,
            "tries": row.tries + 1,
            "updated_at": now,
        }
        self.connection.execute(sa.update(deliveries).where(deliveries.c.id == row.id).values(change))
        return self._delivery(row, **change)

    def move_delivery(
        self,
        delivery_id: str,
        new: State,
        *,
        at: datetime,
        fence: int | None = None,
        cause: str | None = None,
        due_at: datetime | None = None,
        receipt_due_at: datetime | None = None,
        far_side_ref: str | None = None,
        use_attempt: bool = False,
        content_sha256: str | None = None,
    ) -> State:
        """Move by the table and return the old state. Raises StateConflict (other fence) or IllegalMove."""
        row = self._one(self._locked(sa.select(deliveries).where(deliveries.c.id == delivery_id), lock=True))
        if row is None:
            raise NotFound("delivery")
        if fence is not None and row.fence != fence:
            raise StateConflict("fence")
        old = State(row.state)
        check_move(old, new)
        change: dict[str, Any] = {"state": new, "cause": cause, "updated_at": at, "due_at": due_at}
        if new not in (State.CLAIMED, State.ON_WIRE):
            change |= {"lease_owner": None, "lease_until": None}
        if new == State.SENT or row.receipt_due_at is not None:
            change["receipt_due_at"] = receipt_due_at
        if far_side_ref is not None:
            change["far_side_sealed"] = self._seal("deliveries", delivery_id, "far-side", far_side_ref.encode())
            change["far_side_key"] = self.key("far-side", f"{row.channel}|{far_side_ref}")
        elif new == State.ON_WIRE:
            # What an earlier try was called there says nothing about this one.
            change |= {"far_side_sealed": None, "far_side_key": None}
        if use_attempt:
            change["attempts_used"] = row.attempts_used + 1
        if content_sha256 is not None:
            change["content_sha256"] = content_sha256
        self.connection.execute(sa.update(deliveries).where(deliveries.c.id == delivery_id).values(change))
        return old

    def postpone(self, delivery_id: str, due_at: datetime) -> None:
        """Set when a delivery is looked at next, without moving it."""
        self.connection.execute(sa.update(deliveries).where(deliveries.c.id == delivery_id).values(due_at=due_at))

    def stale(self, now: datetime, *, owners_gone: Sequence[str] | None, limit: int) -> Sequence[DeliveryRow]:
        """Return claimed and on-wire deliveries whose lease ran out (or whose owner is not alive)."""
        gone = deliveries.c.lease_until < now
        if owners_gone is not None:
            gone = sa.or_(gone, deliveries.c.lease_owner.in_(list(owners_gone)))
        query = sa.select(deliveries).where(deliveries.c.state.in_([State.CLAIMED, State.ON_WIRE]), gone).limit(limit)
        if self._postgres:
            query = query.with_for_update(skip_locked=True)
        return [self._delivery(row) for row in self._all(query)]

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
            .where(deliveries.c.state == State.SENT, deliveries.c.receipt_due_at < now)
            .order_by(deliveries.c.receipt_due_at)
            .limit(limit)
        )
        return [self._delivery(row) for row in self._all(query)]

    def lane_on_wire(self, message: MessageRecord) -> bool:
        """Return whether another message of the same lane is being sent at this moment."""
        same = sa.and_(
            messages.c.patient_key == message.patient_key,
            messages.c.provider_id == message.provider_id,
            messages.c.lane_subject == message.lane_subject,
            messages.c.id != message.id,
        )
        # From the few that are on the wire, not from the lane, which grows with the years.
        going = sa.select(deliveries.c.message_id).where(deliveries.c.state == State.ON_WIRE)
        return self._one(sa.select(messages.c.id).where(messages.c.id.in_(going), same).limit(1)) is not None

    def by_far_side(self, channel: str, far_side_ref: str) -> DeliveryRow | None:
        """Return the delivery the far side knows by that name."""
        key = self.key("far-side", f"{channel}|{far_side_ref}")
        row = self._one(sa.select(deliveries).where(deliveries.c.far_side_key == key))
        return None if row is None else self._delivery(row)

    def open_attempt(
        self,
        delivery: DeliveryRow,
        attempt_id: str,
        worker: str,
        at: datetime,
        directive: str | None,
        version: int | None,
    ) -> int:
        """Insert the attempt row; return its number (1 is the first)."""
        number = delivery.tries
        self.connection.execute(
            sa.insert(attempts).values(
                id=attempt_id,
                delivery_id=delivery.id,
                number=number,
                fence=delivery.fence,
                worker=worker,
                started_at=at,
                consent_directive=directive,
                consent_version=version,
            )
        )
        return number

    def mark_on_wire(self, delivery_id: str, fence: int, at: datetime) -> None:
        """Stamp the open attempt's first-byte instant."""
        where = sa.and_(attempts.c.delivery_id == delivery_id, attempts.c.fence == fence)
        self.connection.execute(sa.update(attempts).where(where).values(on_wire_at=at))

    def close_attempt(
        self,
        delivery_id: str,
        fence: int,
        *,
        at: datetime,
        outcome: str,
        cause: str | None,
        status: int | None,
        detail: bytes,
        facts: str,
        content_sha256: str | None,
    ) -> None:
        """Close the open attempt with what happened."""
        where = sa.and_(attempts.c.delivery_id == delivery_id, attempts.c.fence == fence, attempts.c.ended_at.is_(None))
        row = self._one(sa.select(attempts.c.id).where(where))
        if row is None:
            return
        change = {
            "ended_at": at,
            "outcome": outcome,
            "cause": cause,
            "status": status,
            "facts": facts,
            "content_sha256": content_sha256,
            "detail_sealed": self._seal("attempts", row.id, "detail", detail) if detail else None,
        }
        self.connection.execute(sa.update(attempts).where(attempts.c.id == row.id).values(change))

    def attempts(self, delivery_id: str) -> Sequence[AttemptRow]:
        """Return a delivery's attempts, first first."""
        query = sa.select(attempts).where(attempts.c.delivery_id == delivery_id).order_by(attempts.c.number)
        found = []
        for row in self._all(query):
            pairs = [one.split("=", 1) for one in (row.facts or "").split(";") if "=" in one]
            found.append(
                AttemptRow(
                    row.id,
                    row.delivery_id,
                    row.number,
                    row.fence,
                    row.worker,
                    row.started_at,
                    row.on_wire_at,
                    row.ended_at,
                    row.outcome,
                    row.cause,
                    row.status,
                    tuple((name, value) for name, value in pairs),
                )
            )
        return found

    def _delivery(self, row: Row[Any], **newer: Any) -> DeliveryRow:  # noqa: ANN401  (columns of any type)
        values = {name: newer.get(name, getattr(row, name)) for name in ROW_COLUMNS}
        far_side = row.far_side_sealed
        reason = row.reason_sealed
        return DeliveryRow(
            **values,
            state=State(newer.get("state", row.state)),
            far_side_ref=None if far_side is None else self._open("deliveries", row.id, "far-side", far_side).decode(),
            reason=None if reason is None else self._open("deliveries", row.id, "reason", reason).decode(),
        )
