"""What planning decides: questions, rules, and for each recipient what, whether, why and by which route."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from coordinator.domain.consent import ConsentDecision
from coordinator.domain.registry import Audience, EndpointKind

Priority = Literal["routine", "urgent", "stat"]
PRIORITIES: tuple[Priority, ...] = ("routine", "urgent", "stat")

LetterKind = Literal["L1", "L2", "L3", "L4", "L5", "L6", "L7", "L8", "L9", "L10", "L11", "L12", "L13", "L14"]


@dataclass(frozen=True)
class Fault:
    """One thing wrong with an event: where (JSON pointer), what, and what would be right. Never the value."""

    pointer: str
    code: str
    message: str
    fix: str


@dataclass(frozen=True)
class Question:
    """Something possible but suspicious. The event waits until a person answers."""

    id: str
    pointer: str
    text: str
    role: Literal["front-desk", "clinician", "nurse"] = "clinician"
    suggestion: str | None = None


@dataclass(frozen=True)
class RuleOutcome:
    """What one coordination rule made of the event.

    `fired` is None when it could not be evaluated, with the reason in `why`.
    `state` tells an evaluated rule from one that is off.
    """

    id: str
    fired: bool | None
    state: Literal["evaluated", "could-not-evaluate", "off", "not-applicable"]
    priority: Priority | None
    inputs: dict[str, Any]
    thresholds: dict[str, Any]
    why: str
    title: str = ""
    version: int = 0
    signed_by: str | None = None
    demonstration: bool = False


@dataclass(frozen=True)
class Request:
    """One thing asked of a recipient: who does what by when, and which rule asks.

    `text` is the whole sentence for the letter, from the rules data. `action` is the
    code the FHIR Task uses: review, change, suspend, resume, approve.
    """

    text: str
    rule: str | None
    due_at: datetime | None
    action: Literal["review", "change", "suspend", "resume", "approve", "answer"] = "review"


@dataclass(frozen=True)
class ChannelChoice:
    """One endpoint of a route, in order. `usable` False says why it is passed over."""

    endpoint: str
    kind: EndpointKind
    usable: bool = True
    why_not: str | None = None


@dataclass(frozen=True)
class RecipientPlan:
    """What one recipient gets, or why nothing."""

    provider: str
    audience: Audience
    consent: ConsentDecision
    priority: Priority
    letters: tuple[LetterKind, ...]
    requests: tuple[Request, ...]
    channels: tuple[ChannelChoice, ...]
    not_sent_because: str | None = None
    when: Literal["now", "digest"] = "now"
    digest_due_at: datetime | None = None
    why: str = ""
    """The one reason this message exists: "rule R3", "first session", "dose changed", "digest", "correction"."""
    phone_call: bool = False
    """A stat message always also makes a telephone task."""
    acknowledge_by_at: datetime | None = None
    """When an unanswered message becomes a telephone task; None when nothing is asked."""
    tell_a_person_by_at: datetime | None = None
    """When an undelivered message appears under needs-attention while retries go on."""


@dataclass(frozen=True)
class Plan:
    """The whole decision about one event version. Pure function of event, history, registry, rules."""

    event_id: str
    event_version: int
    questions: tuple[Question, ...]
    rules: tuple[RuleOutcome, ...]
    recipients: tuple[RecipientPlan, ...]
    lane_subject: str
    """What an older message must not overtake: "clinic-drug:ketamine", "stimulant", "session:<hash>"."""
    notes: tuple[str, ...] = field(default=())

    def fired(self) -> tuple[RuleOutcome, ...]:
        """Return the rules that fired, most severe first, then by id."""
        hits = [one for one in self.rules if one.fired]
        return tuple(sorted(hits, key=lambda one: (-PRIORITIES.index(one.priority or "routine"), int(one.id[1:]))))
