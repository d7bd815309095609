"""The part of the store that holds deliveries, their attempts, receipts and endpoints, as the flow sees it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from coordinator.domain.delivery import State
from coordinator.flow.rows import (
    AttemptRow,
    DeliveryRow,
    EndpointHealth,
    MessageRecord,
    NewDelivery,
    ReceiptRow,
)


class DeliveryPart(Protocol):
    """Deliveries, attempts, receipts, endpoint health."""

    def add_delivery(self, delivery: NewDelivery, *, at: datetime) -> None:
        """Insert a delivery."""
        ...

    def read_ahead(self, delivery_ids: Sequence[str]) -> None:
        """Read in few statements, and lock, what claiming each of these deliveries will ask for."""
        ...

    def recheck(
        self, known: Sequence[tuple[DeliveryRow, MessageRecord]], *, registry: bool = False, attempts: bool = False
    ) -> None:
        """Lock these deliveries, and take what is known of them for true where nothing has changed since."""
        ...

    def tried_before(self, delivery: DeliveryRow) -> Sequence[str]:
        """Return the channels of the message's earlier deliveries that were tried, oldest first."""
        ...

    def delivery(self, delivery_id: str, *, lock: bool = False) -> DeliveryRow | None:
        """Return one delivery."""
        ...

    def deliveries(self, message_id: str) -> Sequence[DeliveryRow]:
        """Return a message's deliveries, oldest first."""
        ...

    def claim_due(
        self, worker: str, now: datetime, lease_until: datetime, limit: int, *, shut: Sequence[str], per_endpoint: int,
        shut_channels: Sequence[str] = ()
    ) -> Sequence[DeliveryRow]:  # fmt: skip
        """Lease due pending deliveries fairly over endpoints, skipping the `shut` ones; fence raised, state claimed."""
        ...

    def put_pace(self, endpoint_id: str, at_once: int | None, per_minute: int | None) -> None:
        """Remember how fast an endpoint may be sent to; None for no limit of its own."""
        ...

    def at_once(self, endpoint_id: str, usual: int) -> int:
        """Return how many sends an endpoint may have at the same time, of those claimed in this transaction."""
        ...

    def due_ids(self, now: datetime, limit: int, *, shut: Sequence[str], shut_channels: Sequence[str]) -> Sequence[str]:
        """Return pending deliveries that are due and not shut, earliest first, without leasing them."""
        ...

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
        ...

    def postpone(self, delivery_id: str, due_at: datetime) -> None:
        """Set when a delivery is looked at next, without moving it."""
        ...

    def note_cause(self, delivery_id: str, cause: str) -> None:
        """Set why a delivery stands where it stands, without moving it."""
        ...

    def expect_receipt(self, delivery_id: str, due_at: datetime) -> None:
        """Set when the proof of a sent delivery counts as late, without moving it."""
        ...

    def stale_ids(self, now: datetime, limit: int) -> Sequence[str]:
        """Return the claimed and on-wire deliveries whose lease ran out. Opens nothing that may be unreadable."""
        ...

    def stale(self, now: datetime, ids: Sequence[str]) -> Sequence[DeliveryRow]:
        """Return those of these that are claimed or on the wire and whose lease ran out, locked."""
        ...

    def doubts_due(self, now: datetime, limit: int) -> Sequence[DeliveryRow]:
        """Return deliveries in doubt whose far side may be asked by now, longest due first."""
        ...

    def in_state(self, states: Sequence[State], limit: int) -> Sequence[DeliveryRow]:
        """Return deliveries in these states, oldest first."""
        ...

    def receipts_overdue(self, now: datetime, limit: int) -> Sequence[DeliveryRow]:
        """Return sent deliveries whose receipt is late."""
        ...

    def reports_awaited(self, channel: str, since: datetime, limit: int) -> Sequence[DeliveryRow]:
        """Return a channel's deliveries whose report may still come, oldest first.

        Those that are sent, and those that a person was given since then because it was late.
        """
        ...

    def lane_on_wire(self, message: MessageRecord) -> bool:
        """Return whether another message of the same lane is being sent at this moment."""
        ...

    def by_far_side(self, channel: str, far_side_ref: str) -> DeliveryRow | None:
        """Return the delivery the far side knows by that name."""
        ...

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
        """Insert the attempt row; return its number (1 is the first). `address_key` tells later where it went."""
        ...

    def mark_on_wire(self, delivery_id: str, fence: int, at: datetime) -> None:
        """Stamp the open attempt's first-byte instant."""
        ...

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
        ...

    def attempts(self, delivery_id: str) -> Sequence[AttemptRow]:
        """Return a delivery's attempts, first first."""
        ...

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
        ...

    def receipts(self, delivery_id: str) -> Sequence[ReceiptRow]:
        """Return a delivery's receipts, oldest first."""
        ...

    def health(self, endpoint_id: str, *, lock: bool = False) -> EndpointHealth:
        """Return what is remembered of an endpoint."""
        ...

    def put_health(self, health: EndpointHealth, at: datetime) -> None:
        """Remember it."""
        ...

    def open_breakers(self) -> Sequence[EndpointHealth]:
        """Return the endpoints whose breaker is open, the longest first."""
        ...

    def counts(self) -> dict[str, int]:
        """Return the number of deliveries by state."""
        ...

    def problems(self) -> Sequence[tuple[str, str, int]]:
        """Return (endpoint, cause, count) of what needs a person, largest first."""
        ...
