"""What a letter in the wrong place sets going: an incident, and no more letters to that address for anybody."""

from datetime import datetime

from coordinator.domain.ids import stable_uuid
from coordinator.flow.addresses import address_key
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
    """Close an endpoint's present address for every patient, until the registry holds another verified one."""
    message = tx.message(row.message_id)
    registry = None if message is None else tx.registry_for(message.plan["patient"]["id"], [row.provider_id])
    provider = None if registry is None else registry.provider(row.provider_id)
    endpoint = provider.endpoint(row.endpoint_id) if provider else None
    address = endpoint.address if endpoint else ""
    health = EndpointHealth(
        row.endpoint_id, suspended_at=now, suspended_address_key=address_key(tx, address), cause=code
    )
    tx.put_health(health, now)
