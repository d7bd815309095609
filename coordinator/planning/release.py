"""The last question before each send: may this message still go to this address, today?"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from coordinator.domain.consent import ConsentDecision
from coordinator.domain.plan import LetterKind
from coordinator.domain.registry import Provider, Registry
from coordinator.planning.recipients import BY_HAND, consent_for, in_force, needs_own_consent, unusable_because


@dataclass(frozen=True)
class Release:
    """Whether a send may begin. When not, `cause` is a key of the cause table."""

    allowed: bool
    cause: str | None
    consent: ConsentDecision | None


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
) -> Release:
    """Return whether the message may go now. Everything is asked anew; nothing is remembered from planning.

    `is_correction`: a correction also goes to one who has left the care team since.
    `is_superseded`: a newer message has taken its place. `is_suspended`: the
    endpoint was frozen for everybody.
    """
    kinds = tuple(letters)
    if is_superseded:
        return Release(False, "release.superseded", None)
    patient = registry.patient(patient_id)
    provider = registry.provider(recipient)
    if patient is None or provider is None:
        return Release(False, "event.registry", None)
    today = now.astimezone(ZoneInfo(registry.clinic.time_zone)).date()
    consent = consent_for(patient, recipient, kinds, today)
    if not consent.permits:
        return Release(False, f"consent.{consent.reason}", consent)
    if needs_own_consent(patient, consent, today):
        return Release(False, "consent.minor-turned-adult", consent)
    on_team = any(one.provider == recipient for one in in_force(patient.care_team, today))
    if not on_team and not (is_correction or "L9" in kinds):
        return Release(False, "release.left-care-team", consent)
    stopped = (
        None if endpoint_id == BY_HAND else _address_stopped(provider, endpoint_id, today, is_suspended=is_suspended)
    )
    return Release(stopped is None, stopped, consent)


def _address_stopped(provider: Provider, endpoint_id: str, today: date, *, is_suspended: bool) -> str | None:
    """Return the cause for which nothing may go to the address today, or None."""
    endpoint = next((one for one in provider.endpoints if one.id == endpoint_id), None)
    if endpoint is None:
        return "release.endpoint-gone"
    return "release.endpoint-suspended" if is_suspended else unusable_because(endpoint, today)
