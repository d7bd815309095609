"""May this recipient have this content today? One function, asked before composing and before each send."""

from dataclasses import dataclass
from datetime import date
from typing import Literal

from coordinator.domain.registry import ContentClass, Patient


@dataclass(frozen=True)
class ConsentDecision:
    """The answer, with its reason and the directive it rests on (id and version), for the record."""

    decision: Literal["permit", "deny"]
    reason: Literal[
        "consent", "restriction", "revoked", "expired", "not-yet", "no-consent", "not-on-care-team", "content"
    ]
    directive: str | None
    version: int | None

    @property
    def permits(self) -> bool:
        """Whether the content may go."""
        return self.decision == "permit"


def decide(patient: Patient, recipient: str, content: ContentClass, on: date) -> ConsentDecision:
    """Return whether `recipient` may have `content` about `patient` on that day.

    A restriction in force wins over every permission. Without a permission in force
    the answer is deny: no state's rule is assumed to make consent unnecessary.
    """
    mine = [one for one in patient.consents if one.recipient == recipient]
    covering = [one for one in mine if "all" in one.content or content in one.content]
    for one in covering:
        if one.decision == "restrict" and _in_force(one.from_, one.to, one.revoked_on, on):
            return ConsentDecision("deny", "restriction", one.id, one.version)
    permits = sorted((one for one in covering if one.decision == "permit"), key=lambda one: (one.version, one.id))
    for one in reversed(permits):
        if _in_force(one.from_, one.to, one.revoked_on, on):
            return ConsentDecision("permit", "consent", one.id, one.version)
    if not permits:
        other = any(one.decision == "permit" for one in mine)
        return ConsentDecision("deny", "content" if other else "no-consent", None, None)
    last = permits[-1]
    if last.revoked_on is not None and last.revoked_on <= on:
        return ConsentDecision("deny", "revoked", last.id, last.version)
    if last.from_ > on:
        return ConsentDecision("deny", "not-yet", last.id, last.version)
    return ConsentDecision("deny", "expired", last.id, last.version)


def _in_force(start: date, end: date | None, revoked: date | None, on: date) -> bool:
    return start <= on and (end is None or on <= end) and (revoked is None or on < revoked)
