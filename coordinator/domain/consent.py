"""May this recipient have this content today? One function, asked before composing and before each send."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal

from coordinator.domain.registry import Consent, ContentClass, Patient

Lacking = Literal["revoked", "expired", "not-yet", "no-consent", "content"]
"""Why no permission is in force."""
ConsentReason = (
    Lacking
    | Literal[
        "consent",
        "restriction",
        "not-on-care-team",
        "part2-revoked",
        "part2-expired",
        "part2-not-yet",
        "part2-no-consent",
        "part2-content",
    ]
)
_OF_PART2: Mapping[Lacking, ConsentReason] = {
    "revoked": "part2-revoked",
    "expired": "part2-expired",
    "not-yet": "part2-not-yet",
    "no-consent": "part2-no-consent",
    "content": "part2-content",
}


@dataclass(frozen=True)
class ConsentDecision:
    """The answer, with its reason and the directive it rests on (id and version), for the record."""

    decision: Literal["permit", "deny"]
    reason: ConsentReason
    directive: str | None
    version: int | None

    @property
    def permits(self) -> bool:
        """Whether the content may go."""
        return self.decision == "permit"


def decide(
    patient: Patient, recipient: str, content: ContentClass, on: date, *, part2: bool = False
) -> ConsentDecision:
    """Return whether `recipient` may have `content` about `patient` on that day.

    A restriction in force wins over every permission. Without a permission in force
    the answer is deny: no state's rule is assumed to make consent unnecessary.
    Part 2 material (`part2`) is content of the class "substance-use" as well, and only
    a consent whose paper names it (its own `part2`) permits it: "all" alone does not.
    """
    classes = {"all", content, *(("substance-use",) if part2 else ())}
    mine = [one for one in patient.consents if one.recipient == recipient]
    for one in mine:
        if one.decision == "restrict" and classes & set(one.content) and one.in_force(on):
            return ConsentDecision("deny", "restriction", one.id, one.version)
    naming = [one for one in mine if one.decision == "permit" and (one.part2 is not None or not part2)]
    permits = sorted((one for one in naming if classes & set(one.content)), key=lambda one: (one.version, one.id))
    for one in reversed(permits):
        if one.in_force(on):
            return ConsentDecision("permit", "consent", one.id, one.version)
    if not permits:
        return _deny("content" if naming else "no-consent", None, part2=part2)
    return _deny(_why_over(permits[-1], on), permits[-1], part2=part2)


def _why_over(last: Consent, on: date) -> Lacking:
    if last.revoked_on is not None and last.revoked_on <= on:
        return "revoked"
    return "not-yet" if last.from_ > on else "expired"


def _deny(why: Lacking, rests_on: Consent | None, *, part2: bool) -> ConsentDecision:
    directive, version = (rests_on.id, rests_on.version) if rests_on is not None else (None, None)
    return ConsentDecision("deny", _OF_PART2[why] if part2 else why, directive, version)
