"""The store as the flow sees it: one transaction at a time, every row opened, every change checked.

`store` implements these; nothing here knows a database.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any, Protocol

from coordinator.domain.registry import Patient, Registry
from coordinator.flow.address_rows import AddressPart
from coordinator.flow.delivery_ledger import DeliveryPart
from coordinator.flow.heartbeat_rows import HeartbeatPart
from coordinator.flow.hold_rows import HoldPart, JobPart
from coordinator.flow.link_rows import AnswerPart, LinkPart
from coordinator.flow.read_models import Actor, MessageFilter
from coordinator.flow.rows import (
    AuditRow,
    InboxRow,
    InboxState,
    MessageRecord,
    MessageState,
    NewDocument,
    NewMessage,
)
from coordinator.flow.station_rows import StationPart


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

    def prepared_after(self, patient_keys: Sequence[str], at: datetime) -> Sequence[str]:
        """Return the rows about these patients that were prepared after that instant."""
        ...

    def inbox_of_patient_after(self, patient_key: str, *, after: datetime, limit: int) -> Sequence[InboxRow]:
        """Return a patient's rows that occurred later than `after`, at most `limit`, oldest occurrence first."""
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

    def unprepared(self, before: datetime) -> Sequence[tuple[str, datetime, int]]:
        """Return (cause, since when, count) of the events due since before then and not prepared, oldest first."""
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

    def mark_since(self, patient_key: str, *, composed_from: datetime, but_of_event: str, at: datetime) -> None:
        """Note that a record of the patient was marked as Part 2 after these messages may have drawn on it."""
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

    def open_waiting(
        self,
        message_id: str,
        *,
        letters: Sequence[str],
        priority: str,
        plan: dict[str, Any],
        acknowledge_by_at: datetime | None,
        tell_by_at: datetime | None,
        at: datetime,
    ) -> None:
        """Open a message that was withheld, or waited for its digest, with what it says now and the clocks of that."""
        ...

    def mark_superseded(self, message_id: str, by: str | None, at: datetime) -> None:
        """Remember which message replaces one that has left already; None: it is no longer replaced."""
        ...

    def mark_told(self, message_id: str, at: datetime) -> None:
        """Remember that the message has appeared under needs-attention by its clock."""
        ...

    def replaced_by(self, message: MessageRecord) -> Sequence[MessageRecord]:
        """Return the messages of its lane that this one took the place of, the newest first."""
        ...

    def stand_again(self, message_id: str, state: MessageState, at: datetime) -> None:
        """Take back that a message was replaced: it is open, or withheld, as it was."""
        ...

    def told_with(self, digest: MessageRecord) -> Sequence[MessageRecord]:
        """Return the messages of the sessions that a digest tells of, its own apart."""
        ...

    def wait_again(self, digest: MessageRecord, at: datetime) -> Sequence[str]:
        """Let the sessions that a digest told of, its own apart, wait for a digest again; return their messages."""
        ...

    def digests_due(self, now: datetime, limit: int) -> Sequence[str]:
        """Return the messages in state `digest` whose time has come. Opens nothing that may be unreadable."""
        ...

    def clock_ids(self, now: datetime, limit: int) -> Sequence[str]:
        """Return the messages one of whose clocks has run out, longest first. Opens nothing that may be unreadable."""
        ...

    def clocks_due(self, now: datetime, ids: Sequence[str]) -> Sequence[tuple[MessageRecord, bool, bool]]:
        """Return (message, arrived or withdrawn, call raised) of those of these whose clock has run out, locked."""
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


class AheadPart(Protocol):
    """Reading ahead for several events at once, one statement a kind; the flow goes on asking row by row."""

    def read_ahead_events(self, event_refs: Sequence[str], *, lock: bool = False) -> None:
        """Read these events and all their versions; `lock` holds them until the transaction ends."""
        ...

    def read_ahead_people(self, patient_keys: Sequence[str], history: int) -> None:
        """Read the clinic, its staff, these patients with their last events, and the providers around them."""
        ...

    def read_ahead_arrivals(self, names: Sequence[tuple[str, str]], patients: Sequence[str], history: int) -> None:
        """Read what is on record under these names (source, event id), and these patients as `read_ahead_people`.

        An event added after this is written with the others at the end, where a name that somebody else took
        meanwhile undoes the transaction.
        """
        ...

    def read_ahead_lanes(self, lanes: Sequence[tuple[str, str, str]], *, lock: bool = False) -> None:
        """Read the messages of these lanes: (patient key, provider, subject).

        `lock` keeps others who ask so waiting until the transaction ends: whoever adds a message to a lane must see
        what another one adds at the same moment, or neither withdraws the other.
        """
        ...


class PutOffPart(Protocol):
    """Waits that a clock which was ahead has made too long."""

    def bring_nearer(self, now: datetime, *, ahead: timedelta, lease: timedelta) -> int:
        """Let what was written more than `ahead` after now wait as long as was meant; return how much there was."""
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

    def raise_again(self, task_id: str, message_id: str, kind: str, cause: str, due_at: datetime, at: datetime) -> bool:
        """Raise a task, anew where the one before it is done; return False when it is open already."""
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

    def acted_before(self, token: str) -> str | None:
        """Return what a button's token came to, or None when it was not used."""
        ...


class Transaction(
    RegistryPart,
    InboxPart,
    AheadPart,
    MessagePart,
    DeliveryPart,
    RecordPart,
    LinkPart,
    AnswerPart,
    HoldPart,
    JobPart,
    PutOffPart,
    StationPart,
    HeartbeatPart,
    AddressPart,
    Protocol,
):
    """One transaction over everything."""

    def key(self, kind: str, value: str) -> str:
        """Return the keyed hash of a value (patient number, address)."""
        ...

    def write_kept_back(self) -> None:
        """Send the writes that were kept back to be sent with others; evidence still waits for the commit."""
        ...


class Ledger(Protocol):
    """Opens transactions; each is retried whole by nobody: a failed one raises and leaves nothing."""

    def begin(self, *, write: bool = True) -> AbstractContextManager[Transaction]:
        """Open a transaction, committed on leaving, rolled back on an exception."""
        ...


Json = dict[str, Any]
