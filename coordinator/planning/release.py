"""The last question before each send: may this message still go to this address, today?"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from coordinator.domain.consent import ConsentDecision
from coordinator.domain.part2 import registered_part2
from coordinator.domain.plan import LetterKind
from coordinator.domain.registry import Patient, Provider, Registry
from coordinator.planning.recipients import BY_HAND, consent_for, in_force, needs_own_consent, unusable_because


@dataclass(frozen=True)
class Release:
    """Whether a send may begin. When not, `cause` is a key of the cause table."""

    allowed: bool
    cause: str | None
    consent: ConsentDecision | None


@dataclass(frozen=True)
class Part2Mark:
    """What a composed message says of 42 CFR Part 2.

    `marked`: it is Part 2 material, with the notice. `course`: of which course. `explains`: (id,
    version) of the consent that its letters explain. `since`: a record that it may draw on was
    marked after it was composed.
    """

    marked: bool = False
    course: str | None = None
    explains: tuple[str, int] | None = None
    since: bool = False


NOT_PART2 = Part2Mark()


def may_release(
    *,
    registry: Registry,
    patient_id: str,
    recipient: str,
    endpoint_id: str,
    letters: Iterable[LetterKind],
    now: datetime,
    is_correction: bool = False,
    is_superseded: bool = False,
    is_suspended: bool = False,
    part2: Part2Mark = NOT_PART2,
) -> Release:
    """Return whether the message may go now. Everything is asked anew; nothing is remembered from planning.

    `is_correction`: a correction also goes to one who has left the care team since.
    `is_superseded`: a newer message has taken its place. `is_suspended`: the
    endpoint was frozen for everybody. `part2`: what the message carries is what it was
    composed as; what the registry says since then counts as well.
    """
    kinds = tuple(letters)
    if is_superseded:
        return Release(False, "release.superseded", None)
    patient = registry.patient(patient_id)
    provider = registry.provider(recipient)
    if patient is None or provider is None:
        return Release(False, "event.registry", None)
    today = now.astimezone(ZoneInfo(registry.clinic.time_zone)).date()
    cause, consent = _consented(registry, patient, recipient, kinds, today, part2)
    if cause is not None:
        return Release(False, cause, consent)
    on_team = any(one.provider == recipient for one in in_force(patient.care_team, today))
    if not on_team and not (is_correction or "L9" in kinds):
        return Release(False, "release.left-care-team", consent)
    stopped = (
        None if endpoint_id == BY_HAND else _address_stopped(provider, endpoint_id, today, is_suspended=is_suspended)
    )
    return Release(stopped is None, stopped, consent)


def _consented(
    registry: Registry, patient: Patient, recipient: str, kinds: tuple[LetterKind, ...], today: date, part2: Part2Mark
) -> tuple[str | None, ConsentDecision]:
    """Return the cause for which consent stops the message, or None; and the decision."""
    is_part2 = part2.marked or part2.since or registered_part2(registry, patient, part2.course)
    consent = consent_for(patient, recipient, kinds, today, part2=is_part2)
    if not consent.permits:
        return f"consent.{consent.reason}", consent
    if is_part2 and not part2.marked:
        return "consent.part2-unmarked", consent
    if is_part2 and part2.explains != (consent.directive, consent.version):
        # A letter goes by the consent that it explains: beside a newer one while that one holds, never in its place.
        consent = consent_for(_with_only(patient, part2.explains), recipient, kinds, today, part2=True)
        if not consent.permits:
            return "consent.part2-other", consent
    return "consent.minor-turned-adult" if needs_own_consent(patient, consent, today) else None, consent


def _with_only(patient: Patient, explained: tuple[str, int] | None) -> Patient:
    """Return the patient with every restriction, and of all permissions this one."""
    kept = tuple(one for one in patient.consents if one.decision == "restrict" or (one.id, one.version) == explained)
    return patient.model_copy(update={"consents": kept})


def _address_stopped(provider: Provider, endpoint_id: str, today: date, *, is_suspended: bool) -> str | None:
    """Return the cause for which nothing may go to the address today, or None."""
    endpoint = provider.endpoint(endpoint_id)
    if endpoint is None:
        return "release.endpoint-gone"
    return "release.endpoint-suspended" if is_suspended else unusable_because(endpoint, today)
