"""The store as the flow sees it: one transaction at a time, every row opened, every change checked.

`store` implements these; nothing here knows a database.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol

from coordinator.domain.delivery import State
from coordinator.domain.registry import Patient, Registry
from coordinator.flow.hold_rows import HoldPart, JobPart
from coordinator.flow.link_rows import AnswerPart, LinkPart
from coordinator.flow.read_models import Actor, MessageFilter
from coordinator.flow.rows import (
    AttemptRow,
    AuditRow,
    DeliveryRow,
    EndpointHealth,
    InboxRow,
    InboxState,
    MessageRecord,
    MessageState,
    NewDelivery,
    NewDocument,
    NewMessage,
    ReceiptRow,
)


class RegistryPart(Protocol):
    """The registry: entities by kind and key."""

    def registry_for(self, patient_id: str, providers: Sequence[str] = ()) -> Registry | None:
        """Return clinic, staff, this patient (if known) and the providers that matter; None without a clinic."""
        ...

    def registry_of(self, patient_key: str, provider: str) -> Registry | None:
        """Return the clinic with this patient and this provider (each if known), nobody else; None without a clinic."""
        ...

    def patient(self, patient_key: str) -> Patient | None:
        """Return one patient by key."""
        ...

    def put_registry(self, kind: str, key: str, body: bytes, *, by: str, at: datetime) -> bool:
        """Store an entity; return whether anything changed. The old version is kept."""
        ...

    def registry_body(self, kind: str, key: str) -> bytes | None:
        """Return the stored JSON of an entity, or None."""
        ...

    def registry_keys(self, kind: str) -> Sequence[str]:
        """Return the keys of a kind (hashed for patients)."""
        ...


class InboxPart(Protocol):
    """Recorded events and refusals."""

    def inbox_by_name(self, source: str, event_id: str, version: int) -> InboxRow | None:
        """Return the row of (source, id, version), or None."""
        ...

    def inbox_row(self, event_ref: str, *, lock: bool = False) -> InboxRow | None:
        """Return a row; `lock` holds it until the transaction ends."""
        ...

    def inbox_versions(self, source: str, event_id: str) -> Sequence[InboxRow]:
        """Return every version on record, oldest version first."""
        ...

    def inbox_of_patient(self, patient_key: str, *, until: datetime, limit: int) -> Sequence[InboxRow]:
        """Return a patient's newest rows that occurred by `until`, at most `limit`, oldest occurrence first."""
        ...

    def add_inbox(self, row: InboxRow, *, body: bytes) -> bool:
        """Insert; return False when (source, id, version) is there already."""
        ...

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
        ...

    def claim_inbox(self, worker: str, now: datetime, lease_until: datetime, limit: int) -> Sequence[str]:
        """Lease due `received` rows; return their ids."""
        ...

    def free_inbox(self) -> int:
        """Give back every lease on `received` rows; only for one who knows that no other worker lives."""
        ...

    def inbox_due(self, now: datetime, limit: int) -> Sequence[str]:
        """Return the ids of due `received` rows that nobody has leased, oldest first."""
        ...

    def inbox_in(self, states: Sequence[InboxState]) -> Sequence[InboxRow]:
        """Return the rows in these states, oldest first."""
        ...

    def add_refusal(self, source: str, body: bytes, faults: Sequence[tuple[str, str, str]], at: datetime) -> str:
        """Record that something was refused, without its values; return the id."""
        ...

    def refusals(self, limit: int) -> Sequence[tuple[str, str, datetime, tuple[tuple[str, str, str], ...]]]:
        """Return (id, source, when, faults), newest first."""
        ...


class MessagePart(Protocol):
    """Messages, documents and the search over them."""

    def add_message(self, message: NewMessage, *, at: datetime, terms: Sequence[str]) -> None:
        """Insert a message with its search terms."""
        ...

    def message(self, message_id: str, *, lock: bool = False) -> MessageRecord | None:
        """Return one message."""
        ...

    def messages_of_event(self, event_ref: str) -> Sequence[MessageRecord]:
        """Return the messages of an event version."""
        ...

    def lane(self, patient_key: str, provider_id: str, lane_subject: str) -> Sequence[MessageRecord]:
        """Return the lane's messages, oldest occurrence first."""
        ...

    def move_message(
        self,
        message_id: str,
        state: MessageState,
        *,
        at: datetime,
        cause: str | None = None,
        superseded_by: str | None = None,
    ) -> None:
        """Change a message's state."""
        ...

    def open_withheld(
        self, message_id: str, *, letters: Sequence[str], priority: str, plan: dict[str, Any], at: datetime
    ) -> None:
        """Turn a withheld message into an open one, with what it says now."""
        ...

    def mark_superseded(self, message_id: str, by: str, at: datetime) -> None:
        """Remember which message replaces one that has left already."""
        ...

    def mark_told(self, message_id: str, at: datetime) -> None:
        """Remember that the message has appeared under needs-attention by its clock."""
        ...

    def due_digests(self, now: datetime, limit: int) -> Sequence[MessageRecord]:
        """Return messages in state `digest` whose time has come."""
        ...

    def clocks_due(self, now: datetime, limit: int) -> Sequence[tuple[MessageRecord, bool, bool]]:
        """Return (message, arrived or withdrawn, call raised) of those one of whose clocks has run out."""
        ...

    def wind_clock(self, message_id: str, at: datetime | None) -> None:
        """Set when the message's clocks are looked at next; never, once both have run out."""
        ...

    def find_messages(self, wanted: MessageFilter) -> Sequence[MessageRecord]:
        """Return a page, newest first."""
        ...

    def add_document(self, document: NewDocument, *, at: datetime) -> None:
        """Store a document, sealed."""
        ...

    def documents(self, message_id: str) -> Sequence[tuple[str, str, str, str, str, int]]:
        """Return (id, role, title, media type, sha256, size) of a message's documents."""
        ...

    def contents(self, message_id: str) -> Sequence[NewDocument]:
        """Return a message's documents with their bytes, in the order of `documents`."""
        ...

    def document(self, document_id: str) -> tuple[NewDocument, str] | None:
        """Return one document with its bytes, and its message's patient key."""
        ...


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

    def due_ids(self, now: datetime, limit: int, *, shut: Sequence[str], shut_channels: Sequence[str]) -> Sequence[str]:
        """Return pending deliveries that are due and not shut, earliest first, without leasing them."""
        ...

    def claim_one(self, delivery_id: str, worker: str, now: datetime, lease_until: datetime) -> DeliveryRow | None:
        """Lease this delivery if it is pending and due; else None."""
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

    def stale(self, now: datetime, *, owners_gone: Sequence[str] | None, limit: int) -> Sequence[DeliveryRow]:
        """Return claimed and on-wire deliveries whose lease ran out (or whose owner is not alive)."""
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
    ) -> int:
        """Insert the attempt row; return its number (1 is the first)."""
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

    def shut_endpoints(self, now: datetime) -> Sequence[str]:
        """Return the endpoints whose breaker is open and not due for a probe, or that are suspended."""
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


class RecordPart(Protocol):
    """Audit, telephone tasks, and once-only action tokens."""

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
        ...

    def audit_of(self, subjects: Sequence[str]) -> Sequence[AuditRow]:
        """Return the evidence about these subjects, oldest first."""
        ...

    def add_task(self, task_id: str, message_id: str, kind: str, cause: str, due_at: datetime, at: datetime) -> bool:
        """Raise a task once per (message, kind, cause); return whether it is new."""
        ...

    def open_tasks(self, message_id: str | None = None) -> Sequence[tuple[str, str, str, str, datetime]]:
        """Return (id, message, kind, cause, due) of open tasks, most pressing first."""
        ...

    def broken_audit(self) -> Sequence[str]:
        """Return the places where the audit chain does not hold."""
        ...

    def close_task(self, task_id: str, *, by: str, note: str, at: datetime) -> str | None:
        """Close an open task with what was agreed; return its message, or None when it was closed already."""
        ...

    def acted(self, token: str, action: str, outcome: str, at: datetime) -> str | None:
        """Remember a button's token; return the earlier outcome if it was used before."""
        ...


class Transaction(
    RegistryPart,
    InboxPart,
    MessagePart,
    DeliveryPart,
    RecordPart,
    LinkPart,
    AnswerPart,
    HoldPart,
    JobPart,
    Protocol,
):
    """One transaction over everything."""

    def key(self, kind: str, value: str) -> str:
        """Return the keyed hash of a value (patient number, address)."""
        ...


class Ledger(Protocol):
    """Opens transactions; each is retried whole by nobody: a failed one raises and leaves nothing."""

    def begin(self, *, write: bool = True) -> AbstractContextManager[Transaction]:
        """Open a transaction, committed on leaving, rolled back on an exception."""
        ...


Json = dict[str, Any]
