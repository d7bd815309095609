"""The rows the flow works on, opened (decrypted) and frozen. PHI inside, so never log them."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from coordinator.domain.case import ClinicEvent
from coordinator.domain.delivery import ARRIVED_MAYBE, State
from coordinator.domain.plan import LetterKind

InboxState = Literal["received", "question", "stuck", "prepared", "superseded", "declined"]
MessageState = Literal["open", "digest", "withheld", "superseded", "cancelled", "nothing-to-send"]


REPLACED = "release.superseded"
"""Cause of what was withdrawn because a newer message on the same subject is in its place."""
BY_A_PERSON = "cancelled.person"
"""Cause of what a person withdrew."""
TOLD_IN_DIGEST = "digest.told"
"""Cause of a message whose session a digest tells of together with others: that one carries it."""
UNPREPARED = timedelta(minutes=10)
"""How long a received event may stay without its messages before somebody is told."""


@dataclass(frozen=True)
class InboxRow:
    """One recorded event version."""

    id: str
    source: str
    event: ClinicEvent
    version: int
    event_type: str
    patient_key: str
    content_key: str
    state: InboxState
    cause: str | None
    questions: tuple[tuple[str, str, str], ...]
    occurred_at: datetime
    received_at: datetime
    composed_at: datetime | None
    prepared_at: datetime | None
    tries: int
    fence: int


@dataclass(frozen=True)
class NewMessage:
    """A message as preparing makes it. `plan` is kept as JSON values, sealed."""

    id: str
    event_ref: str
    event_type: str
    event_version: int
    patient_key: str
    provider_id: str
    audience: str
    letters: tuple[LetterKind, ...]
    priority: str
    lane_subject: str
    occurred_at: datetime
    state: MessageState
    cause: str | None
    reference: str
    content_class: str
    plan: dict[str, Any]
    acknowledge_by_at: datetime | None = None
    tell_by_at: datetime | None = None
    digest_due_at: datetime | None = None
    corrects: str | None = None

    @property
    def lane(self) -> tuple[str, str, str]:
        """The patient, the recipient and the subject: within it an older message never follows a newer one."""
        return self.patient_key, self.provider_id, self.lane_subject


@dataclass(frozen=True)
class MessageRecord(NewMessage):
    """A stored message."""

    superseded_by: str | None = None
    told_at: datetime | None = None
    marked_since: bool = False
    """A record that it may draw on was marked as 42 CFR Part 2 after it was composed."""
    created_at: datetime = field(kw_only=True)
    updated_at: datetime = field(kw_only=True)


def why_closed(message: MessageRecord) -> str:
    """Return the cause of a message that is closed.

    Nothing is in the place of what a person withdrew; rows of earlier versions say of it that something was.
    """
    if message.state == "cancelled" and message.superseded_by is None and message.cause == REPLACED:
        return BY_A_PERSON
    return message.cause or "bug"


@dataclass(frozen=True)
class NewDocument:
    """A document to store with its message."""

    id: str
    message_id: str
    role: str
    title: str
    media_type: str
    body: bytes
    sha256: str
    made_with: str


@dataclass(frozen=True)
class NewDelivery:
    """A delivery to create, pending or already held."""

    id: str
    message_id: str
    provider_id: str
    endpoint_id: str
    channel: str
    position: int
    priority: str
    state: State
    cause: str | None
    due_at: datetime | None
    resend_of: str | None = None
    reason: str | None = None


class DeliveryRow(NamedTuple):
    """A stored delivery. A tuple, because each step of a delivery makes a changed one."""

    id: str
    message_id: str
    provider_id: str
    endpoint_id: str
    channel: str
    position: int
    priority: str
    state: State
    cause: str | None
    due_at: datetime | None
    receipt_due_at: datetime | None
    tries: int
    attempts_used: int
    lease_owner: str | None
    lease_until: datetime | None
    fence: int
    far_side_ref: str | None
    content_sha256: str | None
    resend_of: str | None
    reason: str | None
    created_at: datetime
    updated_at: datetime
    spoilt: bool = False
    """A sealed part (`far_side_ref`, `reason`) cannot be opened and is None: a person acts, and it stops nobody."""


MAYBE_THERE: frozenset[str] = frozenset(
    {
        "receipt.overdue", "direct.no-processed", "direct.no-dispatched", "link.expired", "fhir.outcome-error",
        "fhir.partial", "fhir.altered", "fhir.other-patient", "fhir.not-kept", "fax.partial",
    }
)  # fmt: skip
"""Causes of a held delivery that left, and of which the far side may hold some or all."""


def may_have_arrived(row: DeliveryRow) -> bool:
    """Return whether the recipient has it, or may have: by the state, or by why it stands with a person."""
    return row.state in ARRIVED_MAYBE or (row.state == State.HELD and row.tries > 0 and row.cause in MAYBE_THERE)


@dataclass(frozen=True)
class AttemptRow:
    """A stored attempt."""

    id: str
    delivery_id: str
    number: int
    fence: int
    worker: str
    started_at: datetime
    on_wire_at: datetime | None
    ended_at: datetime | None
    outcome: str | None
    cause: str | None
    status: int | None
    facts: tuple[tuple[str, str], ...]
    address_key: str | None = None
    """The keyed hash of the address that it was for, as it was then."""

    @property
    def reached(self) -> bool:
        """Whether this try ended so that the far side has something of it, or may have."""
        ended_there = self.outcome in {"taken", "proven", "in-doubt"} or self.cause in MAYBE_THERE
        return self.on_wire_at is not None and ended_there


@dataclass(frozen=True)
class ReceiptRow:
    """A stored receipt."""

    id: str
    delivery_id: str | None
    channel: str
    verdict: str
    cause: str | None
    received_at: datetime


@dataclass(frozen=True)
class EndpointHealth:
    """What we remember of an endpoint: failures in a row, the breaker, a suspension and the address it was about."""

    endpoint_id: str
    failures: int = 0
    open_since: datetime | None = None
    probe_at: datetime | None = None
    suspended_at: datetime | None = None
    suspended_address_key: str | None = None
    cause: str | None = None
    entered_by: tuple[str, ...] = ()
    """Who stored a changed address and its verification; none of them approves it."""


@dataclass(frozen=True)
class AuditRow:
    """One line of evidence, for a message's timeline."""

    at: datetime
    actor: str
    action: str
    code: str | None
    detail: str | None
