"""Deliveries and attempts in the database: the claim, the lease, the fence, and the one way to move."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from coordinator.domain.delivery import State, check_move
from coordinator.domain.errors import NotFound, StateConflict
from coordinator.domain.pace import Pace
from coordinator.flow.rows import DeliveryRow, EndpointHealth, MessageRecord, NewDelivery
from coordinator.store.delivery_finds import DeliveryFinds
from coordinator.store.delivery_queries import (
    BUSY,
    BY_ID,
    BY_ID_LOCKED,
    BY_IDS,
    BY_IDS_FREE,
    GOING,
    PENDING,
    PENDING_FREE,
    RECHECK,
    RECHECK_FREE,
    TRIED,
    URGENCY,
    WAITING,
    WAITING_LATERAL,
)
from coordinator.store.pace_part import PaceRows
from coordinator.store.record_part import as_health
from coordinator.store.tables import deliveries

USUAL = Pace()
"""Of an endpoint that the registry gives none."""


def next_fence(fence: int) -> int:
    """Return the number of the next claim: whoever holds an older one may no longer send."""
    return fence + 1


class DeliveryRows(PaceRows, DeliveryFinds):
    """Implements the moving half of flow.ledger.DeliveryPart."""

    def add_delivery(self, delivery: NewDelivery, *, at: datetime) -> None:
        """Insert a delivery, numbered within its message."""
        reason, message = delivery.reason, delivery.message_id
        if message in self._ahead.ordinals:
            before = self._ahead.ordinals[message]
        else:
            before = self._run(sa.select(sa.func.count()).where(deliveries.c.message_id == message)).scalar_one()
        values = {
            "id": delivery.id,
            "message_id": message,
            "ordinal": before + 1,
            "provider_id": delivery.provider_id,
            "endpoint_id": delivery.endpoint_id,
            "channel": delivery.channel,
            "position": delivery.position,
            "priority": delivery.priority,
            "state": delivery.state,
            "cause": delivery.cause,
            "due_at": delivery.due_at,
            "resend_of": delivery.resend_of,
            "reason_sealed": None
            if reason is None
            else self._seal("deliveries", delivery.id, "reason", reason.encode()),
            "created_at": at,
            "updated_at": at,
        }
        self._backlog.insert(deliveries, values)
        if message in self._ahead.ordinals:
            self._ahead.ordinals[message] += 1

    def read_ahead(self, delivery_ids: Sequence[str]) -> None:
        """Read, in one statement a kind, what claiming each of these deliveries will ask for.

        The deliveries are locked, in one order; one that another transaction holds is left
        out, and is locked like any other when it is asked for.
        """
        missing = [one for one in delivery_ids if one not in self._ahead.deliveries]
        if missing:
            query = BY_IDS_FREE if self._postgres else BY_IDS
            for row in self._all(query, ids=sorted(missing)):
                self._ahead.deliveries[row.id] = self._delivery(row)
        rows = [self._ahead.deliveries[one] for one in delivery_ids if one in self._ahead.deliveries]
        if not rows:
            return
        names = sorted({row.message_id for row in rows})
        self._read_messages(names)
        known = [self._ahead.messages[one] for one in names if one in self._ahead.messages]
        self._read_registry(sorted({one.patient_key for one in known}), sorted({one.provider_id for one in known}))
        self._read_health(sorted({row.endpoint_id for row in rows}))
        self._read_contents(names)
        self._read_tried(names)
        self._read_lanes()

    def recheck(
        self, known: Sequence[tuple[DeliveryRow, MessageRecord]], *, registry: bool = False, attempts: bool = False
    ) -> None:
        """Lock these deliveries, and take what is known of them for true where nothing has changed since.

        Every write of a delivery or a message changes its state, its fence or its instant, so
        these are enough to ask for. What has changed is read anew; what another transaction
        holds is left out. `registry` reads the patients and recipients too.
        """
        given = {row.id: (row, message) for row, message in known}
        query = (RECHECK_FREE if self._postgres else RECHECK)[attempts]
        changed = []
        for row in self._all(query, ids=sorted(given)):
            delivery, message = given[row.id]
            if (row.state, row.fence, row.updated_at) == (delivery.state, delivery.fence, delivery.updated_at):
                self._ahead.deliveries[row.id] = delivery
            else:
                changed.append(row.id)
            if (row.m_state, row.m_superseded_by, row.m_updated_at) == (
                message.state,
                message.superseded_by,
                message.updated_at,
            ):
                self._ahead.messages[message.id] = message
            health = EndpointHealth(delivery.endpoint_id)
            if row.endpoint_id is not None:
                health = as_health(row)
            self._ahead.health[delivery.endpoint_id] = health
            if attempts:
                self._ahead.open_attempts[row.id, row.fence] = row.attempt_id
        if changed:
            for row in self._all(BY_IDS_FREE if self._postgres else BY_IDS, ids=changed):
                self._ahead.deliveries[row.id] = self._delivery(row)
        if registry:
            messages_known = self._ahead.messages.values()
            self._read_registry(
                sorted({one.patient_key for one in messages_known}), sorted({one.provider_id for one in messages_known})
            )

    def tried_before(self, delivery: DeliveryRow) -> Sequence[str]:
        """Return the channels of the message's earlier deliveries that were tried, oldest first."""
        if delivery.message_id not in self._ahead.tried:
            self._read_tried([delivery.message_id])
        tried = self._ahead.tried[delivery.message_id]
        return [channel for made_at, channel in tried if made_at < delivery.created_at]

    def _read_tried(self, message_ids: Sequence[str]) -> None:
        self._ahead.tried.update({one: [] for one in message_ids})
        for row in self._all(TRIED, ids=list(message_ids)):
            self._ahead.tried[row.message_id].append((row.created_at, row.channel))

    def _read_lanes(self) -> None:
        self._ahead.lanes = {}
        for row in self._all(GOING):
            lane = (row.patient_key, row.provider_id, row.lane_subject)
            self._ahead.lanes.setdefault(lane, set()).add(row.id)

    def delivery(self, delivery_id: str, *, lock: bool = False) -> DeliveryRow | None:
        """Return one delivery."""
        known = self._ahead.deliveries.get(delivery_id)
        if known is not None:
            return known
        row = self._one(BY_ID_LOCKED if lock and self._postgres else BY_ID, of_id=delivery_id)
        if row is None:
            return None
        made = self._delivery(row)
        if lock:
            self._ahead.deliveries[delivery_id] = made
        return made

    def deliveries(self, message_id: str) -> Sequence[DeliveryRow]:
        """Return a message's deliveries, oldest first."""
        query = sa.select(deliveries).where(deliveries.c.message_id == message_id).order_by(deliveries.c.ordinal)
        return [self._delivery(row) for row in self._all(query)]

    def claim_due(
        self, worker: str, now: datetime, lease_until: datetime, limit: int, *, shut: Sequence[str], per_endpoint: int,
        shut_channels: Sequence[str] = (),
    ) -> Sequence[DeliveryRow]:  # fmt: skip
        """Lease due pending deliveries fairly over endpoints, skipping the `shut` ones; fence raised, state claimed.

        Fair: the endpoints take turns, each with its most urgent and longest due first, and
        none gets more than `per_endpoint` rows less what it already holds claimed or on the
        wire, nor more than its own pace allows. Only the first few of each endpoint's queue
        are read, however long it is.
        """
        most = min(per_endpoint, limit * (2 if self._postgres else 1))
        waiting = self._all(WAITING_LATERAL if self._postgres else WAITING, now=now, most=most)
        if not waiting:
            return []
        free = [one for one in waiting if one.endpoint_id not in shut and one.channel not in shut_channels]
        endpoint_of = {row.id: row.endpoint_id for row in free}
        order = self._in_turn(free, now, per_endpoint)
        leased: list[DeliveryRow] = []
        while order and len(leased) < limit:
            wanted, order = order[: limit - len(leased)], order[limit - len(leased) :]
            lost = self._take_turns(Counter(endpoint_of[one] for one in wanted), now)
            ids = [one for one in wanted if endpoint_of[one] not in lost]
            rows = {row.id: row for row in self._all(PENDING_FREE if self._postgres else PENDING, ids=ids, now=now)}
            leased += [self._lease(rows[one], worker, now, lease_until) for one in ids if one in rows]
        return leased

    def _in_turn(self, free: Sequence[Row[Any]], now: datetime, per_endpoint: int) -> list[str]:
        """Return the ids of those that have room at their endpoints: the first of each, then the second of each.

        Of one turn the most urgent goes first, then who has waited longest.
        """
        busy = {row.endpoint_id: row.busy for row in self._all(BUSY)}
        for row in free:
            if row.turn is not None:
                self._ahead.paces[row.endpoint_id] = (Pace(row.at_once, row.per_minute, row.next_at), row.turn)
        rooms: dict[str, int] = {}
        turns: Counter[str] = Counter()
        queue = []
        for row in sorted(free, key=lambda one: (URGENCY.index(one.priority), one.due_at, one.id)):
            name = row.endpoint_id
            if name not in rooms:
                pace, _ = self._ahead.paces.get(name, (USUAL, 0))
                rooms[name] = pace.room(now, busy.get(name, 0), per_endpoint)
            turns[name] += 1
            if turns[name] <= rooms[name]:
                queue.append((turns[name], URGENCY.index(row.priority), row.due_at, row.id))
        return [one[-1] for one in sorted(queue)]

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

    def _lease(self, row: Row[Any], worker: str, now: datetime, lease_until: datetime) -> DeliveryRow:
        check_move(State(row.state), State.CLAIMED)
        change = {
            "state": State.CLAIMED,
            "lease_owner": worker,
            "lease_until": lease_until,
            "fence": next_fence(row.fence),
            "tries": row.tries + 1,
            "updated_at": now,
        }
        self._backlog.change(deliveries, {"id": row.id}, change)
        made = self._ahead.deliveries[row.id] = self._delivery(row)._replace(**change)
        return made

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
        lease_until: datetime | None = None,
    ) -> State:
        """Move by the table and return the old state. Raises StateConflict (other fence) or IllegalMove."""
        row = self.delivery(delivery_id, lock=True)
        if row is None:
            raise NotFound("delivery")
        if fence is not None and row.fence != fence:
            raise StateConflict("fence")
        old = row.state
        check_move(old, new)
        change: dict[str, Any] = {"state": new, "cause": cause, "updated_at": at, "due_at": due_at}
        if new not in (State.CLAIMED, State.ON_WIRE):
            change |= {"lease_owner": None, "lease_until": None}
        elif lease_until is not None:
            change["lease_until"] = lease_until
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
        self._backlog.change(deliveries, {"id": delivery_id}, change)
        seen = {name: value for name, value in change.items() if not name.startswith("far_side")}
        if "far_side_key" in change:
            seen["far_side_ref"] = far_side_ref
        self._ahead.deliveries[delivery_id] = row._replace(**seen)
        return old

    def postpone(self, delivery_id: str, due_at: datetime) -> None:
        """Set when a delivery is looked at next, without moving it."""
        self._ahead.deliveries.pop(delivery_id, None)
        self._backlog.change(deliveries, {"id": delivery_id}, {"due_at": due_at})

    def note_cause(self, delivery_id: str, cause: str) -> None:
        """Set why a delivery stands where it stands, without moving it."""
        self._ahead.deliveries.pop(delivery_id, None)
        self._backlog.change(deliveries, {"id": delivery_id}, {"cause": cause})

    def expect_receipt(self, delivery_id: str, due_at: datetime) -> None:
        """Set when the proof of a sent delivery counts as late, without moving it."""
        self._ahead.deliveries.pop(delivery_id, None)
        self._backlog.change(deliveries, {"id": delivery_id}, {"receipt_due_at": due_at})

    def lane_on_wire(self, message: MessageRecord) -> bool:
        """Return whether another message of the same lane is being sent at this moment."""
        if self._ahead.lanes is None:
            # From the few that are on the wire, not from the lane, which grows with the years.
            self._read_lanes()
        lane = (message.patient_key, message.provider_id, message.lane_subject)
        return bool((self._ahead.lanes or {}).get(lane, set()) - {message.id})
