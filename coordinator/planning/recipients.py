"""Who is told: the care team of the day, everybody who holds an earlier version, and by which route."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal
from zoneinfo import ZoneInfo

from coordinator.domain.case import Case, SentLetter
from coordinator.domain.consent import ConsentDecision, decide
from coordinator.domain.events import DoseChange
from coordinator.domain.plan import ChannelChoice, LetterKind
from coordinator.domain.registry import (
    Audience,
    CareRole,
    CareTeamMember,
    ContentClass,
    Endpoint,
    Patient,
    Provider,
)
from coordinator.planning.readings import clinic_day

BY_HAND = "by-hand"
"""The endpoint that every recipient has: the letter is printed and the hand-over recorded."""
FAX_VERIFIED_FOR_YEARS = 1
"""A fax number counts as verified for twelve months: offices move, and directories stay wrong for years."""
ADULT_AT = 18
STIMULANT_PRESCRIBER = "stimulant-prescriber"
"""What the rules call whoever prescribes the stimulant, psychiatrist or not."""

_CONTENT: Mapping[LetterKind, ContentClass] = {
    "L3": "medication",
    "L4": "medication",
    "L11": "medication",
    "L12": "medication",
}
"""What a letter kind is about, where it is not the session as such."""
_MENTAL_HEALTH: frozenset[LetterKind] = frozenset({"L1", "L2", "L5", "L7"})
"""Letters that carry scores or the suicide-risk result: a restriction on mental-health content stops them."""

WHY_NOT: Mapping[str, str] = {
    "restriction": "The patient has restricted what this recipient may be told.",
    "revoked": "The patient has withdrawn consent for this recipient.",
    "expired": "The patient's consent for this recipient has run out.",
    "not-yet": "The patient's consent for this recipient has not begun yet.",
    "no-consent": "No consent of the patient for this recipient is on record.",
    "content": "The patient's consent for this recipient does not cover this kind of content.",
    "part2-revoked": "The patient has withdrawn the consent that names Part 2 records for this recipient.",
    "part2-expired": "The patient's consent that names Part 2 records for this recipient has run out.",
    "part2-not-yet": "The patient's consent that names Part 2 records for this recipient has not begun yet.",
    "part2-no-consent": "This is Part 2 material, and no consent that names it is on record for this recipient.",
    "part2-content": "The patient's Part 2 consent for this recipient does not cover this kind of content.",
    "not-on-care-team": "The recipient does not take part in this patient's care on record.",
}


@dataclass(frozen=True)
class Recipient:
    """One outside clinician who may be told, with the letters of this event that they hold already."""

    provider: Provider
    audience: Audience
    member: CareTeamMember | None
    on_team: bool
    """Whether on the care team on the event's day or on the day of composing."""
    holds: tuple[SentLetter, ...] = ()
    asked: bool = False
    """Whether this event asks something of this very recipient by name."""

    @property
    def prescribes_stimulant(self) -> bool:
        """Whether this is the prescriber of the stimulant, whom questions about it go to."""
        return self.asked or (self.member is not None and "stimulant" in self.member.prescribes)

    @property
    def roles(self) -> frozenset[str]:
        """The names under which the rules may tell or ask this recipient."""
        return frozenset({self.audience, *({STIMULANT_PRESCRIBER} if self.prescribes_stimulant else ())})

    def holds_before(self, version: int) -> bool:
        """Whether an earlier version of the event reached this recipient."""
        return any(one.version < version for one in self.holds)


def audience_of(role: CareRole, *, prescribes_stimulant: bool) -> Audience | None:
    """Return the audience for a role, or None for one that gets no letters.

    Whoever prescribes the stimulant is written to as its prescriber, whatever the role.
    """
    if role in ("psychiatrist", "primary-care"):
        return "psychiatrist" if role == "psychiatrist" else "primary-care"
    return "psychiatrist" if prescribes_stimulant else None


def recipients_of(case: Case) -> tuple[Recipient, ...]:
    """Return everybody to consider, in the order of the care team, then former holders.

    The care team in force on the event's day on the clinic's calendar; for a
    corrected event also today's team; and always whoever holds an earlier version,
    even one who has left since (they hold what is wrong).
    """
    zone = case.clinic.time_zone
    days = [clinic_day(case.event, zone)]
    if case.previous is not None:
        days.append(case.composed_at.astimezone(ZoneInfo(zone)).date())
    found: dict[str, Recipient] = {}
    for day in days:
        for member in in_force(case.patient.care_team, day):
            _add(case, found, member, on_team=True)
    asked = case.event.requested_of if isinstance(case.event, DoseChange) else None
    if asked is not None:
        _add_outsider(case, found, asked)
        if asked in found:
            found[asked] = replace(found[asked], asked=True)
    for sent in case.already_sent:
        if sent.provider not in found:
            _add_former(case, found, sent.provider)
    return tuple(found.values())


def in_force(team: Iterable[CareTeamMember], day: date) -> tuple[CareTeamMember, ...]:
    """Return the members of the care team on a day; `to` is the last day."""
    return tuple(one for one in team if one.from_ <= day and (one.to is None or day <= one.to))


def _add(case: Case, found: dict[str, Recipient], member: CareTeamMember, *, on_team: bool) -> None:
    audience = audience_of(member.role, prescribes_stimulant="stimulant" in member.prescribes)
    provider = case.registry.provider(member.provider)
    if provider is None or audience is None or provider.id in found:
        return
    holds = tuple(one for one in case.already_sent if one.provider == provider.id)
    found[provider.id] = Recipient(provider, audience, member, on_team, holds)


def _add_former(case: Case, found: dict[str, Recipient], provider_id: str) -> None:
    """Add somebody who holds an earlier version, in the role they had last."""
    members = sorted((one for one in case.patient.care_team if one.provider == provider_id), key=lambda one: one.from_)
    if members:
        _add(case, found, members[-1], on_team=False)
    _add_outsider(case, found, provider_id)


def _add_outsider(case: Case, found: dict[str, Recipient], provider_id: str) -> None:
    """Add somebody who never was on the care team, if only so that the plan says why they are not told."""
    provider = case.registry.provider(provider_id)
    if provider is not None and provider_id not in found:
        audience: Audience = "primary-care" if _is_primary_care(provider) else "psychiatrist"
        holds = tuple(one for one in case.already_sent if one.provider == provider_id)
        found[provider_id] = Recipient(provider, audience, None, on_team=False, holds=holds)


def _is_primary_care(provider: Provider) -> bool:
    return provider.specialty in ("family-medicine", "internal-medicine", "pediatrics")


def content_of(letters: Iterable[LetterKind]) -> ContentClass:
    """Return the content class that the letters need: of the widest among them."""
    classes = {_CONTENT.get(kind, "session") for kind in letters if kind not in ("L9", "L10", "L11")}
    return "medication" if classes == {"medication"} else "session"


def consent_for(
    patient: Patient, provider_id: str, letters: Iterable[LetterKind], on: date, *, part2: bool
) -> ConsentDecision:
    """Return whether the recipient may have these letters on that day; `part2`: they are Part 2 material.

    The letters' own content must be permitted, and a restriction on mental-health
    content stops every letter that carries scores or risk.
    """
    kinds = tuple(letters)
    if _MENTAL_HEALTH & set(kinds):
        private = decide(patient, provider_id, "mental-health", on)
        if private.reason == "restriction":
            return private
    return decide(patient, provider_id, content_of(kinds), on, part2=part2)


def needs_own_consent(patient: Patient, decision: ConsentDecision, on: date) -> bool:
    """Whether the patient has come of age and the consent relied on was given before that by somebody else."""
    birthday = coming_of_age(patient.birth_date)
    if not decision.permits or on < birthday:
        return False
    rests_on = patient.consent(decision.directive, decision.version)
    return rests_on is not None and rests_on.from_ < birthday


def coming_of_age(birth: date) -> date:
    """Return the eighteenth birthday; for 29 February, the day after it."""
    try:
        return birth.replace(year=birth.year + ADULT_AT)
    except ValueError:
        return date(birth.year + ADULT_AT, 3, 1)


def unusable_because(
    endpoint: Endpoint, on: date
) -> Literal["release.unverified", "release.verification-expired"] | None:
    """Return the cause code for which an address may not be used on that day, or None."""
    if endpoint.kind == "by-hand":
        return None
    if endpoint.verified_on is None or endpoint.verified_on > on:
        return "release.unverified"
    if endpoint.kind == "fax" and on >= _years_later(endpoint.verified_on, FAX_VERIFIED_FOR_YEARS):
        return "release.verification-expired"
    return None


def _years_later(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return date(day.year + years, 3, 1)


_WHY_PASSED_OVER: Mapping[str, str] = {
    "release.unverified": "Nobody has verified this address yet.",
    "release.verification-expired": "This fax number was verified more than twelve months ago.",
}


def channels_of(provider: Provider, on: date) -> tuple[ChannelChoice, ...]:
    """Return the provider's endpoints in their own order, those that may not be used marked, by hand always last."""
    chosen = []
    for endpoint in provider.endpoints:
        if endpoint.kind == "by-hand":
            continue
        why = unusable_because(endpoint, on)
        chosen.append(ChannelChoice(endpoint.id, endpoint.kind, why is None, _WHY_PASSED_OVER[why] if why else None))
    return (*chosen, ChannelChoice(BY_HAND, "by-hand"))
