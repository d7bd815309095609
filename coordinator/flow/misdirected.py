"""What a letter in the wrong place sets going: an incident, and no more letters to that address for anybody."""

from datetime import datetime

from coordinator.domain.ids import stable_uuid
from coordinator.flow.addresses import ADDRESS_CHANGED, NOT_APPROVED, address_key, is_closed, sharing_number
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
    """Open an incident and suspend the address the letter went to, for every patient; return its id."""
    arrived = [one for one in tx.deliveries(message.id) if may_have_arrived(one) and one.channel != "by-hand"]
    went = delivery or (arrived[-1] if arrived else None)
    endpoint = None if went is None else went.endpoint_id
    name = stable_uuid("incident", message.id, kind)
    row = IncidentRow(name, message.id, message.patient_key, endpoint, kind, answer_id, now, raised_by=actor.name,
                      note=note)  # fmt: skip
    tx.add_incident(row)
    if went is not None:
        suspend(tx, went, cause, now)
    tx.audit(actor, "incident opened", at=now, patient_key=message.patient_key, subject=message.id, code=cause,
             detail=note)  # fmt: skip
    write(Log.DELIVERY_HELD, message_id=message.id, code=cause, endpoint_id=endpoint)
    return name


def suspend(tx: Transaction, row: DeliveryRow, code: str, now: datetime) -> None:
    """Close an endpoint's present address for every patient, until the registry holds another verified one.

    A fax number that several recipients of one office share is closed for all of them.
    """
    address = _address(tx, row)
    key = address_key(tx, address)
    shared = sharing_number(tx, address) if row.channel == "fax" else ()
    for name in sorted({row.endpoint_id, *(one.id for one in shared)}):  # in one order, whoever asks at the same time
        known = tx.health(name, lock=True)
        waits = known.cause in (ADDRESS_CHANGED, NOT_APPROVED)
        if is_closed(tx, known, address) and (waits or name != row.endpoint_id):
            continue  # closed already; a changed one until it is verified and a second person has looked at it
        tx.put_health(EndpointHealth(name, suspended_at=now, suspended_address_key=key, cause=code), now)


def suspend_dialled(tx: Transaction, row: DeliveryRow, code: str, now: datetime) -> None:
    """Close the number that this fax dialled, if it is the endpoint's still and nothing has closed it before.

    Word of a fax may come hours after it: the registry may hold another number by then, of which it says nothing.
    """
    address = _address(tx, row)
    key, health = address_key(tx, address), tx.health(row.endpoint_id, lock=True)
    dialled = [one.address_key for one in tx.attempts(row.id) if one.on_wire_at is not None and one.address_key]
    if (dialled and dialled[-1] != key) or is_closed(tx, health, address):
        return
    suspend(tx, row, code, now)


def _address(tx: Transaction, row: DeliveryRow) -> str:
    message = tx.message(row.message_id)
    registry = None if message is None else tx.registry_for(message.plan["patient"]["id"], [row.provider_id])
    provider = None if registry is None else registry.provider(row.provider_id)
    endpoint = provider.endpoint(row.endpoint_id) if provider else None
    return endpoint.address if endpoint else ""
