"""What a letter in the wrong place sets going: an incident, and no more letters to that address for anybody."""

from dataclasses import replace
from datetime import datetime

from coordinator.domain.ids import stable_uuid
from coordinator.flow.address_rows import ClosedAddress
from coordinator.flow.addresses import ADDRESS_CHANGED, NOT_APPROVED, SHARED, SUSPENDING, address_key, endpoints_at
from coordinator.flow.ledger import Transaction
from coordinator.flow.link_rows import IncidentRow
from coordinator.flow.read_models import Actor
from coordinator.flow.rows import DeliveryRow, EndpointHealth, MessageRecord, may_have_arrived
from coordinator.observe.log import Log, write

CAUSE = "link.not-mine"


def open_about(
    tx: Transaction,
    message: MessageRecord,
    kind: str,
    now: datetime,
    actor: Actor,
    *,
    answer_id: str | None = None,
    delivery: DeliveryRow | None = None,
    note: str | None = None,
    cause: str = CAUSE,
) -> str:
    """Open an incident and close the address the letter went to, for every patient and recipient; return its id."""
    arrived = [one for one in tx.deliveries(message.id) if may_have_arrived(one) and one.channel != "by-hand"]
    went = delivery or (arrived[-1] if arrived else None)
    endpoint = None if went is None else went.endpoint_id
    name = stable_uuid("incident", message.id, kind)
    tx.lock_addresses(to_close=True)
    key = None if went is None else _close_where_it_went(tx, went, cause, now)
    row = IncidentRow(name, message.id, message.patient_key, endpoint, kind, answer_id, now, raised_by=actor.name,
                      note=note, address_key=key)  # fmt: skip
    tx.add_incident(row)
    tx.audit(actor, "incident opened", at=now, patient_key=message.patient_key, subject=message.id, code=cause,
             detail=note)  # fmt: skip
    write(Log.DELIVERY_HELD, message_id=message.id, code=cause, endpoint_id=endpoint)
    return name


def suspend_dialled(tx: Transaction, row: DeliveryRow, code: str, now: datetime) -> None:
    """Close the number of this fax's last try: word of it may come hours later, when the registry holds another one."""
    tx.lock_addresses(to_close=True)
    tried = [one.address_key for one in tx.attempts(row.id) if one.address_key]
    _freeze(tx, row.channel, tried[-1] if tried else address_key(tx, _address(tx, row)), code, now)


def _close_where_it_went(tx: Transaction, row: DeliveryRow, code: str, now: datetime) -> str | None:
    """Close the address of the last try that left, for whoever has it; return its key.

    Of a FHIR server this endpoint alone is closed, at its present address, and None comes back.
    """
    present = address_key(tx, _address(tx, row))
    if row.channel not in SHARED:
        _close(tx, row.endpoint_id, present, code, now)
        return None
    left = [one.address_key for one in tx.attempts(row.id) if one.on_wire_at is not None and one.address_key]
    key = left[-1] if left else present
    _freeze(tx, row.channel, key, code, now)
    return key


def _freeze(tx: Transaction, kind: str, key: str, code: str, now: datetime) -> None:
    """Close an address for whoever has it, and remember it for whoever comes to it.

    What was closed before stays closed for its own reason; what is known of the address
    is the graver of the two, a letter in the wrong hands.
    """
    for one in endpoints_at(tx, kind, key):
        _close(tx, one.id, key, code, now)
    known = tx.closed_address(kind, key)
    if known is None or known.cause in SUSPENDING or code not in SUSPENDING:
        tx.close_address(ClosedAddress(kind, key, now, code))


def keep_frozen(tx: Transaction, incident: IncidentRow, now: datetime) -> None:
    """Let no verification count for the incident's address that is not of a later day than this."""
    known = frozen_by(tx, incident)
    if known is not None and known.cause not in SUSPENDING:
        tx.close_address(replace(known, closed_at=now))


def thaw(tx: Transaction, incident: IncidentRow, now: datetime) -> None:
    """Open what was closed for an incident, for whoever has the address: a person says that it is right after all.

    An address that was changed waits for its verification and second person, and so
    does one that somebody came to while it was closed. A dead number stays dead.
    """
    key, kind = incident.address_key, _channel(tx, incident)
    if key is None:
        _thaw(tx, tx.health(incident.endpoint_id or "", lock=True), now)
        return
    tx.forget_address(kind, key)
    for one in endpoints_at(tx, kind, key):
        health = tx.health(one.id, lock=True)
        if health.suspended_at is None or health.suspended_address_key != key:
            continue
        if health.cause in SUSPENDING:
            tx.close_address(ClosedAddress(kind, key, health.suspended_at, health.cause))
        _thaw(tx, health, now)


def frozen_by(tx: Transaction, incident: IncidentRow) -> ClosedAddress | None:
    """Return what is known against the address that the incident is about; None for a FHIR server."""
    if incident.address_key is None:
        return None
    return tx.closed_address(_channel(tx, incident), incident.address_key)


def _thaw(tx: Transaction, health: EndpointHealth, now: datetime) -> None:
    if health.suspended_at is None or health.cause in {*SUSPENDING, ADDRESS_CHANGED, NOT_APPROVED}:
        return
    if health.entered_by:
        tx.put_health(replace(health, cause=ADDRESS_CHANGED), now)
    else:
        tx.put_health(replace(health, suspended_at=None, suspended_address_key=None, cause=None), now)


def _close(tx: Transaction, endpoint_id: str, key: str, code: str, now: datetime) -> None:
    known = tx.health(endpoint_id, lock=True)
    if known.suspended_at is None or known.suspended_address_key != key:
        tx.put_health(EndpointHealth(endpoint_id, suspended_at=now, suspended_address_key=key, cause=code), now)


def _channel(tx: Transaction, incident: IncidentRow) -> str:
    """Return by what kind of address the incident's letter went."""
    went = [one.channel for one in tx.deliveries(incident.message_id) if one.endpoint_id == incident.endpoint_id]
    return went[-1] if went else ""


def _address(tx: Transaction, row: DeliveryRow) -> str:
    message = tx.message(row.message_id)
    registry = None if message is None else tx.registry_for(message.plan["patient"]["id"], [row.provider_id])
    provider = None if registry is None else registry.provider(row.provider_id)
    endpoint = provider.endpoint(row.endpoint_id) if provider else None
    return endpoint.address if endpoint else ""
