"""What the console, the API and the command line are shown. Values only; PHI inside, so never log them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from coordinator.domain.delivery import State
from coordinator.flow.station_rows import OtherStation


@dataclass(frozen=True)
class MessageRow:
    """One line of the list of messages: a message and where its newest delivery stands."""

    id: str
    patient_name: str
    patient_id: str
    birth_date: str
    provider_id: str
    recipient: str
    letters: tuple[str, ...]
    title: str
    priority: str
    channel: str
    state: State
    cause: str | None
    """Stable code, or None when all is well."""
    why: str
    """One plain sentence: why it stands where it stands."""
    next_step: str
    """What a person should do now; empty when nobody needs to."""
    role: str | None
    needs_person: bool
    attempts: int
    due_at: datetime | None
    created_at: datetime
    updated_at: datetime
    event_type: str
    event_id: str
    event_version: int
    delivery_id: str
    reference: str
    part2: bool = False
    """Material of a 42 CFR Part 2 programme."""


@dataclass(frozen=True)
class AttemptView:
    """One try, whole."""

    number: int
    started_at: datetime
    on_wire_at: datetime | None
    ended_at: datetime | None
    outcome: str | None
    """taken, proven, transient, permanent, needs-human, in-doubt, or None while it runs."""
    cause: str | None
    sentence: str
    status: int | None
    facts: tuple[tuple[str, str], ...]
    next_due_at: datetime | None
    worker: str


@dataclass(frozen=True)
class ReceiptView:
    """Word from the far side."""

    received_at: datetime
    verdict: str
    cause: str | None
    sentence: str


@dataclass(frozen=True)
class DeliveryView:
    """One message on its way to one endpoint."""

    id: str
    channel: str
    endpoint_id: str
    address: str
    state: State
    cause: str | None
    why: str
    next_step: str
    role: str | None
    due_at: datetime | None
    resend_of: str | None
    resend_reason: str | None
    created_at: datetime
    attempts: tuple[AttemptView, ...]
    receipts: tuple[ReceiptView, ...]
    may_resend: bool
    may_not_resend_because: str | None
    may_release: bool
    may_cancel: bool
    may_record_handover: bool
    may_not_next_because: str | None = "There is no further address."
    """Why the next address of the route may not be taken now; None when it may."""
    resend_to: "WayAgain | None" = None
    """Where it goes when it is sent again now; None when it may not be."""
    write_on_it: str = ""
    """For paper that waits to be handed over: the words that make it known as a copy; empty for a first one."""
    waits_behind: tuple[str, ...] = ()
    """The holds that it waits behind, by their scopes, the widest first."""


@dataclass(frozen=True)
class WayAgain:
    """The address that a letter takes when it is sent again: the same, or another because that one is closed."""

    endpoint_id: str
    channel: str


@dataclass(frozen=True)
class DocumentView:
    """One stored document of a message (without its bytes)."""

    id: str
    role: str
    title: str
    media_type: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class TimelineEntry:
    """One line of a message's history, oldest first."""

    at: datetime
    actor: str
    text: str


@dataclass(frozen=True)
class Withdrawn:
    """Who withdrew a message by hand, when, and why in that person's words."""

    at: datetime
    actor: str
    reason: str


@dataclass(frozen=True)
class MessageDetail:
    """One message with everything about it."""

    row: MessageRow
    audience: str
    consent: str
    rules: tuple[tuple[str, str, str], ...]
    """(rule id, priority, why) of the rules that fired."""
    requests: tuple[str, ...]
    supersedes: str | None
    superseded_by: str | None
    documents: tuple[DocumentView, ...]
    deliveries: tuple[DeliveryView, ...]
    timeline: tuple[TimelineEntry, ...]
    action_token: str
    """Goes with every button; the same token twice acts once."""
    rules_off: tuple[tuple[str, str], ...] = ()
    """(rule id, why) of the rules that are off or could not be evaluated, and so said nothing."""
    answer_by_at: datetime | None = None
    """When the recipient's answer is due, while something is asked and none has come."""
    answers: int = 0
    """How many answers came."""
    still_open: str | None = None
    """What is asked and none of the answers told."""
    withdrawn: Withdrawn | None = None
    """By whom it was withdrawn; None for what stands, and for what the service itself closed."""


@dataclass(frozen=True)
class CallToMake:
    """A telephone call that somebody owes: to whom, about whom, why, and by when."""

    task_id: str
    message_id: str
    patient_name: str
    birth_date: str
    recipient: str
    organization: str | None
    numbers: tuple[tuple[str, str], ...]
    """(whose, number) in the order to try."""
    title: str
    reference: str
    why: str
    next_step: str
    due_at: datetime
    answered: tuple[tuple[str, datetime], ...] = ()
    """(kind, when) of what the recipient has answered so far."""
    still_open: str | None = None
    """What is asked and none of those answers told."""


@dataclass(frozen=True)
class HeldEvent:
    """An event that waits for a person's answer before anything is composed."""

    event_ref: str
    source: str
    event_id: str
    event_version: int
    event_type: str
    patient_name: str
    patient_id: str
    received_at: datetime
    questions: tuple[tuple[str, str, str], ...]
    """(question id, role, text)."""
    cause: str
    next_step: str


@dataclass(frozen=True)
class Refusal:
    """An event that was refused: where and what, never the values."""

    id: str
    source: str
    received_at: datetime
    faults: tuple[tuple[str, str, str], ...]
    """(JSON pointer, what is wrong, what would be right)."""


@dataclass(frozen=True)
class Overview:
    """The numbers at the top of the console, and the problems worth one line each."""

    by_state: tuple[tuple[str, int], ...]
    needs_attention: int
    held_events: int
    oldest_unfinished_at: datetime | None
    problems: tuple[tuple[str, str, int], ...]
    """(endpoint or cause, sentence, number of messages behind it)."""
    answers_waiting: int = 0
    """Answers of recipients that no clinician has reviewed yet."""
    incidents_open: int = 0
    """Letters that may have reached the wrong place, not looked into to the end."""
    unprepared: tuple["Unprepared", ...] = ()
    """Events whose letters are not written although they should be, the longest waiting first."""
    other_stations: tuple[OtherStation, ...] = ()
    """Fax numbers at which another machine than before answers, the oldest warning first."""
    standstills: tuple["Standstill", ...] = ()
    """What the service itself does not do any more."""


@dataclass(frozen=True)
class Standstill:
    """A kind of the service's own work that nobody seems to do: no process, or one that is stuck."""

    since: datetime
    why: str
    next_step: str
    role: str


@dataclass(frozen=True)
class Unprepared:
    """Events that wait for their letters for one cause; they go on by themselves once it is gone."""

    count: int
    since: datetime
    why: str
    next_step: str
    role: str


@dataclass(frozen=True)
class MessageFilter:
    """What the list shows. Empty means everything, newest first."""

    state: State | None = None
    needs_attention: bool = False
    provider_id: str | None = None
    channel: str | None = None
    patient: str | None = None
    """The clinic's own patient number, exactly."""
    text: str | None = None
    """Patient or recipient name, reference or event id, without accents or case."""
    begins: str | None = None
    """The first signs of the message's own id."""
    before_id: str | None = None
    limit: int = 50


@dataclass(frozen=True)
class Recorded:
    """The answer to one submitted event."""

    outcome: Literal["accepted", "held", "replay", "conflict", "refused", "superseded"]
    event_ref: str | None
    event_id: str | None
    event_version: int | None
    faults: tuple[tuple[str, str, str], ...] = ()
    questions: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True)
class EventView:
    """Where one received event stands, and the messages made from it."""

    event_ref: str
    source: str
    event_id: str
    event_version: int
    event_type: str
    state: str
    cause: str | None
    next_step: str
    received_at: datetime
    questions: tuple[tuple[str, str, str], ...]
    messages: tuple[MessageRow, ...]


@dataclass(frozen=True)
class Actor:
    """Who acts: a person of the clinic, a source system, an outside reader, or a named job of ours."""

    kind: Literal["staff", "source", "recipient", "job"]
    name: str
