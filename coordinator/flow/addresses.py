"""Changed addresses: one carries nothing until it was verified itself and a second person has looked at it."""

import json
from dataclasses import replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from coordinator.domain.errors import NotFound, Refused
from coordinator.domain.registry import Endpoint, Provider, plain_address
from coordinator.flow.ledger import Transaction
from coordinator.flow.parts import Parts
from coordinator.flow.read_models import Actor
from coordinator.flow.rows import EndpointHealth
from coordinator.flow.second_person import same_person

ADDRESS_CHANGED = "release.address-changed"
NOT_APPROVED = "release.address-not-approved"


def address_key(tx: Transaction, address: str) -> str:
    """Return the keyed hash of an address, the same for two spellings of it."""
    return tx.key("address", plain_address(address))


def is_closed(tx: Transaction, health: EndpointHealth, address: str) -> bool:
    """Return whether this very address is closed for every patient."""
    return health.suspended_at is not None and health.suspended_address_key == address_key(tx, address)


def closed_because(health: EndpointHealth) -> str:
    """Return the cause code under which a closed address holds messages."""
    return health.cause if health.cause in (ADDRESS_CHANGED, NOT_APPROVED) else "release.endpoint-suspended"


def waits_for_approval(tx: Transaction, endpoint: Endpoint) -> bool:
    """Return whether the address was changed and verified, and a second person has not looked at it."""
    health = tx.health(endpoint.id)
    return health.cause == NOT_APPROVED and is_closed(tx, health, endpoint.address)


def approve(parts: Parts, endpoint_id: str, address: str, actor: Actor) -> None:
    """Put a changed and verified address into use, as another person than who entered it; raise Refused or NotFound.

    `address` is typed anew by whoever approves: it was entered twice then, by two people.
    """
    now = parts.clock.now()
    with parts.ledger.begin() as tx:
        registry = tx.registry_for("", tx.registry_keys("provider"))
        endpoint = None if registry is None else registry.endpoint(endpoint_id)
        if endpoint is None:
            raise NotFound("endpoint")
        health = tx.health(endpoint_id, lock=True)
        if health.cause == ADDRESS_CHANGED and is_closed(tx, health, endpoint.address):
            raise Refused("address.unverified", "Nobody has verified this address since it was changed. Do that first.")
        if not waits_for_approval(tx, endpoint):
            raise Refused("address.nothing-to-approve", "This address does not wait for an approval.")
        if actor.kind != "staff":
            raise Refused("address.person", "A person must approve it, in the console or at a terminal.")
        if any(same_person(one, actor.name) for one in health.entered_by):
            raise Refused("address.second-person", "You entered this address or its verification. Somebody else must.")
        if plain_address(address.strip()) != plain_address(endpoint.address):
            raise Refused(
                "address.differs",
                "That is not the address in the registry. Ask the recipient which one is right; correct the registry "
                "if that one is wrong.",
            )
        tx.put_health(EndpointHealth(endpoint_id), now)
        tx.audit(actor, "changed address approved", at=now, subject=endpoint_id)


def note_changes(
    tx: Transaction, before: bytes | None, provider: Provider, now: datetime, actor: Actor, *, alone: bool
) -> None:
    """Close what was changed. Once it is verified anew it waits for a second person, or opens when one is enough.

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
            _close(tx, endpoint, now, actor)
            verified = _is_fresh(old, endpoint, today)
        else:
            verified = _is_verified_since(tx, endpoint)
        if verified:
            _verified(tx, endpoint, now, actor, alone=alone)


def _close(tx: Transaction, new: Endpoint, now: datetime, actor: Actor) -> None:
    key = address_key(tx, new.address)
    closed = EndpointHealth(
        new.id, suspended_at=now, suspended_address_key=key, cause=ADDRESS_CHANGED, entered_by=(actor.name,)
    )
    tx.put_health(closed, now)
    tx.audit(actor, "address changed, unverified again", at=now, subject=new.id, code=ADDRESS_CHANGED)


def _is_fresh(old: Endpoint, new: Endpoint, today: date) -> bool:
    """Return whether the verification that came with a change is the new address's own."""
    return new.verified_on is not None and (
        old.verified_on is None or new.verified_on > old.verified_on or new.verified_on == today
    )


def _is_verified_since(tx: Transaction, endpoint: Endpoint) -> bool:
    """Return whether an address that was closed for its change has a verification of that day or later."""
    health = tx.health(endpoint.id)
    if health.cause != ADDRESS_CHANGED or health.suspended_at is None or endpoint.verified_on is None:
        return False
    return endpoint.verified_on >= _today(tx, health.suspended_at)


def _verified(tx: Transaction, endpoint: Endpoint, now: datetime, actor: Actor, *, alone: bool) -> None:
    """Open a changed address that was verified anew, or let it wait for a second person."""
    health = tx.health(endpoint.id)
    if alone:
        health = EndpointHealth(endpoint.id)
    else:
        names = dict.fromkeys((*health.entered_by, actor.name))
        health = replace(health, cause=NOT_APPROVED, entered_by=tuple(names))
    tx.put_health(health, now)
    tx.audit(actor, "changed address verified", at=now, subject=endpoint.id, code=health.cause)


def _today(tx: Transaction, now: datetime) -> date:
    """Return the clinic's day."""
    registry = tx.registry_for("", ())
    return now.date() if registry is None else now.astimezone(ZoneInfo(registry.clinic.time_zone)).date()
