"""Changed addresses: one carries nothing until it was verified itself and a second person has looked at it."""

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from coordinator.domain.errors import NotFound, Refused
from coordinator.domain.registry import Endpoint, Provider, Registry, plain_address
from coordinator.flow.address_rows import ClosedAddress
from coordinator.flow.ledger import Transaction
from coordinator.flow.parts import Parts
from coordinator.flow.read_models import Actor
from coordinator.flow.rows import EndpointHealth
from coordinator.flow.second_person import same_person

ADDRESS_CHANGED = "release.address-changed"
NOT_APPROVED = "release.address-not-approved"
SUSPENDING = frozenset({"fax.bad-number", "fax.wrong-number", "fax.no-fax-tone"})
"""Causes that close a number for every patient until somebody has verified another one, or this one anew."""
SHARED = frozenset({"fax", "direct", "secure-link"})
"""Kinds of address that are one place, whoever has it. A FHIR server is many: one wrong record closes it for nobody
else."""


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


def known_providers(tx: Transaction) -> Registry | None:
    """Return the registry with all its providers and no patient, or None before there is a clinic."""
    return tx.registry_for("", tx.registry_keys("provider"))


def endpoint_of(tx: Transaction, endpoint_id: str) -> tuple[Registry, Provider, Endpoint]:
    """Return the endpoint of that id with the registry and whose it is; raise NotFound when no provider has it."""
    registry = known_providers(tx)
    if registry is not None:
        for provider in registry.providers:
            endpoint = provider.endpoint(endpoint_id)
            if endpoint is not None:
                return registry, provider, endpoint
    raise NotFound("endpoint")


def known_endpoint(tx: Transaction, endpoint_id: str) -> Endpoint:
    """Return the endpoint of that id, whoever's it is; raise NotFound when no provider has it."""
    _, _, endpoint = endpoint_of(tx, endpoint_id)
    return endpoint


def endpoints_at(tx: Transaction, kind: str, key: str) -> tuple[Endpoint, ...]:
    """Return every recipient's endpoint of this kind whose address has that key, in the order of their ids."""
    registry = known_providers(tx)
    every = [one for each in (() if registry is None else registry.providers) for one in each.endpoints]
    found = [one for one in every if one.kind == kind and address_key(tx, one.address) == key]
    return tuple(sorted(found, key=lambda one: one.id))  # in one order, whoever asks at the same time


def known_as_wrong(tx: Transaction, endpoint: Endpoint) -> ClosedAddress | None:
    """Return what is known against the endpoint's address, whoever's letter it was found out by; None for nothing."""
    if endpoint.kind not in SHARED:
        return None
    return tx.closed_address(endpoint.kind, address_key(tx, endpoint.address))


def is_still_wrong(tx: Transaction, endpoint: Endpoint) -> bool:
    """Return whether something is known against the address, and its verification says nothing against that.

    Of a number where no fax machine answered, one of that day or later does. Where a
    letter was in the wrong hands none does while the incident is open, and then one of
    a later day than that on which it was closed.
    """
    known, verified_on = known_as_wrong(tx, endpoint), endpoint.verified_on
    if known is None or verified_on is None:
        return known is not None
    since = _today(tx, known.closed_at)
    if known.cause in SUSPENDING:
        return verified_on < since
    return verified_on <= since or any(one.address_key == known.address_key for one in tx.incidents())


def approve(parts: Parts, endpoint_id: str, address: str, actor: Actor) -> None:
    """Put a changed and verified address into use, as another person than who entered it; raise Refused or NotFound.

    `address` is typed anew by whoever approves: it was entered twice then, by two people.
    """
    now = parts.clock.now()
    with parts.ledger.begin() as tx:
        endpoint = known_endpoint(tx, endpoint_id)
        health = tx.health(endpoint_id, lock=True)
        if health.cause == ADDRESS_CHANGED and is_closed(tx, health, endpoint.address):
            raise Refused("address.unverified", "Nobody has verified this address since it was entered. Do that first.")
        if not waits_for_approval(tx, endpoint):
            raise Refused("address.nothing-to-approve", "This address does not wait for an approval.")
        if is_still_wrong(tx, endpoint):
            raise Refused(
                "address.known-wrong",
                "This address was found to be wrong, and nobody has verified it since. Close the incident about it if "
                "one is open; ask the recipient; and enter the day of that verification, which must be a later one.",
            )
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
        _open(tx, endpoint, now)
        tx.audit(actor, "changed address approved", at=now, subject=endpoint_id)


def note_changes(
    tx: Transaction, before: bytes | None, provider: Provider, now: datetime, actor: Actor, *, alone: bool
) -> None:
    """Close what was changed. Once it is verified anew it waits for a second person, or opens when one is enough.

    The verification that stands beside a changed address counts only when it is newer
    than the one before, or of today. Reading the same file again changes nothing. An
    address that a known provider has under a new id is a change too. A provider who is
    new goes by what is stated, but not for an address that is known as wrong.
    """
    tx.lock_addresses(to_close=False)
    earlier = {} if before is None else {one.id: one for one in Provider(**json.loads(before)).endpoints}
    gone = {one.kind: one for one in earlier.values() if provider.endpoint(one.id) is None}
    today = _today(tx, now)
    added = [one for one in provider.endpoints if one.id not in earlier and one.kind != "by-hand"]
    # Asked before anything is closed here: a number may change its place with another.
    new = [
        one for one in added
        if (known_as_wrong(tx, one) is not None if before is None else not _is_in_use(tx, earlier.values(), one))
    ]  # fmt: skip
    for endpoint in provider.endpoints:
        old = earlier.get(endpoint.id)
        if endpoint.kind == "by-hand" or (old is None and endpoint not in new):
            continue
        if old is None or not _is_same(old, endpoint):
            # Who entered a closed address under another id entered it here too.
            _close(tx, endpoint, now, actor, before=_entered_by(tx, earlier.values(), endpoint))
            verified = _is_fresh(old or gone.get(endpoint.kind), endpoint, today)
        else:
            verified = _is_verified_since(tx, old, endpoint)
        if verified and not is_still_wrong(tx, endpoint):
            _verified(tx, endpoint, now, actor, alone=alone)


def _is_same(one: Endpoint, other: Endpoint) -> bool:
    return (one.kind, plain_address(one.address)) == (other.kind, plain_address(other.address))


def _is_in_use(tx: Transaction, earlier: Iterable[Endpoint], endpoint: Endpoint) -> bool:
    """Return whether the provider has this address already, under another id, and it is not closed there."""
    return any(_is_same(one, endpoint) and not is_closed(tx, tx.health(one.id), one.address) for one in earlier)


def _entered_by(tx: Transaction, earlier: Iterable[Endpoint], endpoint: Endpoint) -> tuple[str, ...]:
    """Return who entered this address under another id of the provider, where it is closed."""
    return tuple(name for one in earlier if _is_same(one, endpoint) for name in tx.health(one.id).entered_by)


def _close(tx: Transaction, new: Endpoint, now: datetime, actor: Actor, *, before: tuple[str, ...]) -> None:
    names = tuple(dict.fromkeys((*before, actor.name)))
    key, known = address_key(tx, new.address), known_as_wrong(tx, new)
    cause = ADDRESS_CHANGED if known is None else known.cause
    tx.put_health(
        EndpointHealth(new.id, suspended_at=now, suspended_address_key=key, cause=cause, entered_by=names), now
    )
    tx.forget_station(new.id)
    word = "address changed, unverified again" if known is None else "address known as wrong, closed here too"
    tx.audit(actor, word, at=now, subject=new.id, code=cause)


def _open(tx: Transaction, endpoint: Endpoint, now: datetime) -> None:
    """Put an address into use. A number that is one again is dead for nobody; each who has it is verified anew."""
    tx.put_health(EndpointHealth(endpoint.id), now)
    known = known_as_wrong(tx, endpoint)
    if known is not None and known.cause in SUSPENDING:
        tx.forget_address(known.kind, known.address_key)


def _is_fresh(old: Endpoint | None, new: Endpoint, today: date) -> bool:
    """Return whether the verification that came with a change is the new address's own.

    `old` stood in its place: under its id, or under one that went away with the change.
    """
    return new.verified_on is not None and (
        old is None or old.verified_on is None or new.verified_on > old.verified_on or new.verified_on == today
    )


def _is_verified_since(tx: Transaction, old: Endpoint, endpoint: Endpoint) -> bool:
    """Return whether an address that was closed has a verification of that day or later.

    One that was closed for its change needs no other word. One that is known as wrong was verified before: it needs a
    later day than the one that stood there.
    """
    health = tx.health(endpoint.id)
    if health.suspended_at is None or endpoint.verified_on is None:
        return False
    if endpoint.verified_on < _today(tx, health.suspended_at):
        return False
    if health.cause == ADDRESS_CHANGED:
        return True
    is_later = old.verified_on is None or endpoint.verified_on > old.verified_on
    known = health.cause in SUSPENDING or known_as_wrong(tx, endpoint) is not None
    return known and is_later and is_closed(tx, health, endpoint.address)


def _verified(tx: Transaction, endpoint: Endpoint, now: datetime, actor: Actor, *, alone: bool) -> None:
    """Open a changed address that was verified anew, or let it wait for a second person."""
    if alone:
        _open(tx, endpoint, now)
    else:
        health = tx.health(endpoint.id)
        names = dict.fromkeys((*health.entered_by, actor.name))
        tx.put_health(replace(health, cause=NOT_APPROVED, entered_by=tuple(names)), now)
    tx.audit(actor, "changed address verified", at=now, subject=endpoint.id, code=None if alone else NOT_APPROVED)


def _today(tx: Transaction, now: datetime) -> date:
    """Return the clinic's day."""
    registry = tx.registry_for("", ())
    return now.date() if registry is None else now.astimezone(ZoneInfo(registry.clinic.time_zone)).date()
