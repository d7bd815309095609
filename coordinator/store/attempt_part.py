"""Attempts in the database: opened at the claim, stamped before the first byte, closed with what happened."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from coordinator.flow.rows import AttemptRow, DeliveryRow
from coordinator.store.one_of import one_of
from coordinator.store.sealed import Part
from coordinator.store.tables import attempts

OPEN_ATTEMPTS = sa.select(attempts.c.id, attempts.c.delivery_id, attempts.c.fence).where(
    one_of(attempts.c.delivery_id, "ids"), attempts.c.ended_at.is_(None)
)
"""The attempts of some deliveries that have not ended."""


class AttemptRows(Part):
    """Implements the attempts' part of flow.ledger.DeliveryPart."""

    def open_attempt(
        self,
        delivery: DeliveryRow,
        attempt_id: str,
        worker: str,
        at: datetime,
        directive: str | None,
        version: int | None,
        *,
        address_key: str | None = None,
    ) -> int:
        """Insert the attempt row; return its number (1 is the first)."""
        number = delivery.tries
        self._backlog.insert(
            attempts,
            {
                "id": attempt_id,
                "delivery_id": delivery.id,
                "number": number,
                "fence": delivery.fence,
                "worker": worker,
                "started_at": at,
                "consent_directive": directive,
                "consent_version": version,
                "address_key": address_key,
            },
        )
        return number

    def mark_on_wire(self, delivery_id: str, fence: int, at: datetime) -> None:
        """Stamp the open attempt's first-byte instant."""
        self._backlog.change(attempts, {"delivery_id": delivery_id, "fence": fence}, {"on_wire_at": at})

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
        if (delivery_id, fence) in self._ahead.open_attempts:
            name = self._ahead.open_attempts.pop((delivery_id, fence))
        else:
            found = self._all(OPEN_ATTEMPTS, ids=[delivery_id])
            name = next((row.id for row in found if row.fence == fence), None)
        if name is None:
            return
        change = {
            "ended_at": at,
            "outcome": outcome,
            "cause": cause,
            "status": status,
            "facts": facts,
            "content_sha256": content_sha256,
            "detail_sealed": self._seal("attempts", name, "detail", detail) if detail else None,
        }
        self._backlog.change(attempts, {"id": name}, change)

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
                    row.address_key,
                )
            )
        return found
