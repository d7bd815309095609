"""Addresses whose verification is not theirs: one that was changed carries nothing until it was verified itself."""

import json
from datetime import date, datetime
from zoneinfo import ZoneInfo

from coordinator.domain.registry import Endpoint, Provider, plain_address
from coordinator.flow.ledger import Transaction
from coordinator.flow.read_models import Actor
from coordinator.flow.rows import EndpointHealth

ADDRESS_CHANGED = "release.address-changed"


def address_key(tx: Transaction, address: str) -> str:
    """Return the keyed hash of an address, the same for two spellings of it."""
    return tx.key("address", plain_address(address))


def is_closed(tx: Transaction, health: EndpointHealth, address: str) -> bool:
    """Return whether this very address is closed for every patient."""
    return health.suspended_at is not None and health.suspended_address_key == address_key(tx, address)


def closed_because(health: EndpointHealth) -> str:
    """Return the cause code under which a closed address holds messages."""
    return ADDRESS_CHANGED if health.cause == ADDRESS_CHANGED else "release.endpoint-suspended"


def note_changes(tx: Transaction, before: bytes | None, provider: Provider, now: datetime, actor: Actor) -> None:
    """Close what was changed without being verified anew, and open what has been verified since.

    The verification that stands beside a changed address counts only when it is newer
    than the one before, or of today. Reading the same file again changes nothing.
    """
    earlier = {} if before is None else {one.id: one for one in Provider(**json.loads(before)).endpoints}
    today = _today(tx, now)
    for endpoint in provider.endpoints:
        old = earlier.get(endpoint.id)
        if old is None or endpoint.kind == "by-hand":
            continue
        if (old.kind, plain_address(old.address)) != (endpoint.kind, plain_address(endpoint.address)):
            _changed(tx, old, endpoint, today, now, actor)
        else:
            _verified_since(tx, endpoint, now, actor)


def _changed(tx: Transaction, old: Endpoint, new: Endpoint, today: date, now: datetime, actor: Actor) -> None:
    fresh = new.verified_on is not None and (
        old.verified_on is None or new.verified_on > old.verified_on or new.verified_on == today
    )
    if fresh:
        tx.put_health(EndpointHealth(new.id), now)
        tx.audit(actor, "address changed, verified anew", at=now, subject=new.id)
        return
    key = address_key(tx, new.address)
    tx.put_health(EndpointHealth(new.id, suspended_at=now, suspended_address_key=key, cause=ADDRESS_CHANGED), now)
    tx.audit(actor, "address changed, unverified again", at=now, subject=new.id, code=ADDRESS_CHANGED)


def _verified_since(tx: Transaction, new: Endpoint, now: datetime, actor: Actor) -> None:
    """Open an address that was closed for its change once a verification of that day or later stands beside it."""
    health = tx.health(new.id)
    if health.cause != ADDRESS_CHANGED or health.suspended_at is None or new.verified_on is None:
        return
    if new.verified_on < _today(tx, health.suspended_at):
        return
    tx.put_health(EndpointHealth(new.id), now)
    tx.audit(actor, "changed address verified", at=now, subject=new.id)


def _today(tx: Transaction, now: datetime) -> date:
    """Return the clinic's day."""
    registry = tx.registry_for("", ())
    return now.date() if registry is None else now.astimezone(ZoneInfo(registry.clinic.time_zone)).date()
