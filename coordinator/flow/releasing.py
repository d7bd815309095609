"""The last question before each send, asked with what the registry says now."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from coordinator.domain.registry import Endpoint
from coordinator.flow.ledger import Transaction
from coordinator.flow.parts import Parts
from coordinator.flow.rows import DeliveryRow, MessageRecord
from coordinator.planning.release import may_release


@dataclass(frozen=True)
class ReleaseAnswer:
    """May it go now? With the consent it rests on, or the stable cause why not."""

    permits: bool
    code: str | None = None
    withdraw: bool = False
    """It will never go (superseded, consent ended): cancel instead of hold."""
    directive: str | None = None
    version: int | None = None


def ask_release(
    parts: Parts, tx: Transaction, row: DeliveryRow, message: MessageRecord, now: datetime
) -> ReleaseAnswer:
    """Return whether this delivery may go at this moment. Reads everything again; trusts nothing remembered."""
    if message.state in {"superseded", "cancelled"}:
        return ReleaseAnswer(False, "release.superseded", withdraw=True)
    registry = tx.registry_for(message.plan["patient"]["id"], [message.provider_id])
    if registry is None:
        return ReleaseAnswer(False, "registry.patient-missing")
    patient = registry.patient(message.plan["patient"]["id"])
    provider = registry.provider(message.provider_id)
    if patient is None or provider is None:
        return ReleaseAnswer(False, "registry.recipient-missing")
    endpoint = next((one for one in provider.endpoints if one.id == row.endpoint_id), None)
    if row.channel == "by-hand":
        endpoint = Endpoint(id="by-hand", kind="by-hand", address="by-hand")
    if endpoint is None:
        return ReleaseAnswer(False, "route.endpoint-gone")
    health = tx.health(row.endpoint_id)
    suspended = health.suspended_at is not None and health.suspended_address_key == tx.key("address", endpoint.address)
    today = now.astimezone(ZoneInfo(registry.clinic.time_zone)).date()
    release = may_release(
        patient=patient,
        provider=provider,
        endpoint=endpoint,
        content=message.content_class,  # type: ignore[arg-type]  (stored by us)
        on=today,
        suspended=suspended,
        superseded=message.superseded_by is not None,
        correction=message.corrects is not None,
    )
    if release.permits:
        return ReleaseAnswer(True, directive=release.directive, version=release.version)
    return ReleaseAnswer(False, release.code, withdraw=release.code == "release.superseded")
