"""Waits that a clock which was ahead has made too long."""

from datetime import datetime, timedelta

import sqlalchemy as sa

from coordinator.domain.delivery import State
from coordinator.store.sealed import Part
from coordinator.store.tables import deliveries, endpoint_health, endpoint_paces, inbox

WAITING = deliveries.c.state.in_([State.PENDING, State.CLAIMED, State.ON_WIRE, State.SENT, State.IN_DOUBT])
"""Named one by one, so that an index finds them among all that is finished."""
WAITS = ("due_at", "receipt_due_at", "lease_until")


class PutOffRows(Part):
    """Implements flow.ledger.PutOffPart."""

    def bring_nearer(self, now: datetime, *, ahead: timedelta, lease: timedelta) -> int:
        """Let what was written more than `ahead` after now wait as long as was meant, counted from now."""
        beyond = now + ahead
        moved = self._deliveries(now, beyond) + self._events(now, beyond, lease)
        return moved + self._probes(now, beyond) + self._paces(beyond)

    def _deliveries(self, now: datetime, beyond: datetime) -> int:
        columns = [deliveries.c[name] for name in ("id", "updated_at", *WAITS)]
        rows = self._all(sa.select(*columns).where(WAITING, deliveries.c.updated_at > beyond))
        for row in rows:
            waits = {name: row._mapping[name] for name in WAITS}
            meant = {name: now + (at - row.updated_at) for name, at in waits.items() if at is not None and at > now}
            if meant:
                self._backlog.change(deliveries, {"id": row.id}, meant)
        return len(rows)

    def _events(self, now: datetime, beyond: datetime, lease: timedelta) -> int:
        """Events carry no instant of their last change; but none waits longer than some seconds for its next try."""
        held = inbox.c.lease_until > beyond + lease
        rows = self._all(
            sa.select(inbox.c.id, inbox.c.lease_until).where(
                inbox.c.state == "received", sa.or_(inbox.c.due_at > beyond, held)
            )
        )
        for row in rows:
            until = None if row.lease_until is None else min(row.lease_until, now + lease)
            self._backlog.change(inbox, {"id": row.id}, {"due_at": now, "lease_until": until})
        return len(rows)

    def _probes(self, now: datetime, beyond: datetime) -> int:
        health = endpoint_health.c
        rows = self._all(
            sa.select(health.endpoint_id, health.probe_at, health.updated_at).where(
                health.updated_at > beyond, health.probe_at > now
            )
        )
        for row in rows:
            change = {"probe_at": now + (row.probe_at - row.updated_at)}
            self._backlog.change(endpoint_health, {"endpoint_id": row.endpoint_id}, change)
        return len(rows)

    def _paces(self, beyond: datetime) -> int:
        """A pace is used up for a minute at the most, whatever it is."""
        pace = endpoint_paces.c
        rows = self._all(sa.select(pace.endpoint_id).where(pace.next_at > beyond))
        for row in rows:
            self._backlog.change(endpoint_paces, {"endpoint_id": row.endpoint_id}, {"next_at": None})
        return len(rows)
