"""A letter that reached the wrong place: opened by an answer or by staff, and closed with what was found out.

Opening one freezes the address for every patient. Closing it lifts that only when a person says that the address is
right after all; a wrong one stays frozen until another one was verified.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from coordinator.domain.errors import NotFound, Refused
from coordinator.domain.ids import stable_uuid
from coordinator.flow.addresses import ADDRESS_CHANGED, NOT_APPROVED, known_endpoint, sharing_number
from coordinator.flow.ledger import Transaction
from coordinator.flow.link_rows import IncidentRow
from coordinator.flow.misdirected import open_about
from coordinator.flow.parts import Parts
from coordinator.flow.presenting import title_of
from coordinator.flow.read_models import Actor
from coordinator.flow.resend import need_reason
from coordinator.flow.rows import EndpointHealth

KINDS = ("misdirected-fax", "wrong-recipient", "not-my-patient")
"""What staff may report; the last two are also what a reader may answer."""


@dataclass(frozen=True)
class IncidentView:
    """An incident as staff see it. PHI inside."""

    id: str
    message_id: str
    endpoint_id: str | None
    kind: str
    raised_at: datetime
    raised_by: str | None
    note: str | None
    patient_name: str
    birth_date: str
    recipient: str
    title: str
    frozen: bool
    """Whether the address still carries nothing for anybody."""


def open_incident(parts: Parts, message_id: str, *, kind: str, note: str, actor: Actor) -> str:
    """Record that staff learned of a letter in the wrong place; return the incident; raise Refused or NotFound."""
    need_reason(note)
    if kind not in KINDS:
        raise Refused("incident.kind", "Say what happened: a misdirected fax, a wrong recipient, or a wrong patient.")
    now = parts.clock.now()
    with parts.ledger.begin() as tx:
        message = tx.message(message_id, lock=True)
        if message is None:
            raise NotFound("message")
        gone = [one for one in tx.deliveries(message_id) if one.tries > 0 and one.channel not in {"by-hand", "none"}]
        if not gone:
            raise Refused("incident.not-sent", "This letter has not left, so it cannot have reached the wrong place.")
        earlier = tx.incident(stable_uuid("incident", message_id, kind))
        if earlier is not None:
            raise Refused("incident.there", "This was reported before; look at the incident.")
        return open_about(tx, message, kind, now, actor, delivery=gone[-1], note=note)


def close_incident(
    parts: Parts, incident_id: str, *, resolution: str, address_is_right: bool, actor: Actor
) -> None:  # fmt: skip
    """Close an incident with what was found out; lift the freeze of its address only when that is right after all."""
    need_reason(resolution)
    now = parts.clock.now()
    with parts.ledger.begin() as tx:
        row = tx.incident(incident_id, lock=True)
        if row is None:
            raise NotFound("incident")
        if not tx.close_incident(incident_id, by=actor.name, closing=resolution, at=now):
            raise Refused("incident.closed", "Somebody has closed this incident already.")
        if address_is_right and row.endpoint_id is not None:
            names = (row.endpoint_id, *_sharing(tx, row.endpoint_id))
            if any(one.endpoint_id in names for one in tx.incidents()):
                raise Refused("incident.others", "Another open incident is about this address. Settle that one first.")
            frozen = tx.health(row.endpoint_id, lock=True)
            if frozen.cause not in (ADDRESS_CHANGED, NOT_APPROVED):  # that one was changed since, and waits for more
                _open(tx, names, frozen, now)
        word = "incident closed, address right" if address_is_right else "incident closed, address stays frozen"
        tx.audit(actor, word, at=now, patient_key=row.patient_key, subject=row.message_id, detail=resolution)


def _sharing(tx: Transaction, endpoint_id: str) -> tuple[str, ...]:
    """Return the other recipients' endpoints of the same fax number, which are frozen with this one."""
    try:
        endpoint = known_endpoint(tx, endpoint_id)
    except NotFound:
        return ()  # it is no longer in the registry
    shared = sharing_number(tx, endpoint.address) if endpoint.kind == "fax" else ()
    return tuple(one.id for one in shared if one.id != endpoint_id)


def _open(tx: Transaction, names: Sequence[str], frozen: EndpointHealth, now: datetime) -> None:
    for name in sorted(names):
        health = tx.health(name, lock=True)
        if (health.suspended_address_key, health.cause) == (frozen.suspended_address_key, frozen.cause):
            tx.put_health(replace(health, suspended_at=None, suspended_address_key=None, cause=None), now)


def open_incidents(parts: Parts, actor: Actor) -> Sequence[IncidentView]:
    """Return the open incidents, newest first, with what a person needs to look into them."""
    with parts.ledger.begin() as tx:
        found = [_view(tx, row) for row in tx.incidents()]
        if found:
            tx.audit(actor, "incidents listed", at=parts.clock.now())
    return [one for one in found if one is not None]


def _view(tx: Transaction, row: IncidentRow) -> IncidentView | None:
    message = tx.message(row.message_id)
    if message is None:
        return None
    frozen = row.endpoint_id is not None and tx.health(row.endpoint_id).suspended_at is not None
    return IncidentView(
        id=row.id,
        message_id=row.message_id,
        endpoint_id=row.endpoint_id,
        kind=row.kind,
        raised_at=row.raised_at,
        raised_by=row.raised_by,
        note=row.note,
        patient_name=message.plan["patient"]["name"],
        birth_date=message.plan["patient"]["birth_date"],
        recipient=message.plan["recipient"],
        title=title_of(message),
        frozen=frozen,
    )
