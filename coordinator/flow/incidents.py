"""A letter that reached the wrong place: opened by an answer or by staff, and closed with what was found out.

Opening one freezes the address that the letter went to, for every patient and every recipient who has it. Closing it
lifts that only when a person says that the address is right after all; a wrong one stays frozen, and known as wrong.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from coordinator.domain.errors import NotFound, Refused
from coordinator.domain.ids import stable_uuid
from coordinator.flow.addresses import address_key
from coordinator.flow.ledger import Transaction
from coordinator.flow.link_rows import IncidentRow
from coordinator.flow.misdirected import frozen_by, keep_frozen, open_about, thaw
from coordinator.flow.parts import Parts
from coordinator.flow.presenting import title_of
from coordinator.flow.reached import BY_FAX, left_for, reached_wrongly
from coordinator.flow.read_models import Actor
from coordinator.flow.resend import need_reason
from coordinator.flow.rows import MessageRecord

KINDS = (BY_FAX, "wrong-recipient", "not-my-patient")
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
    """Whether the address that it went to still carries nothing for anybody."""
    moved: bool = False
    """Whether the recipient has another address by now, which is not closed for this."""


def open_incident(
    parts: Parts, message_id: str, *, kind: str, note: str, actor: Actor, delivery_id: str | None = None
) -> str:  # fmt: skip
    """Record that staff learned of a letter in the wrong place; return the incident; raise Refused or NotFound.

    `delivery_id` says which address it reached, where it left for more than one.
    """
    need_reason(note)
    if kind not in KINDS:
        raise Refused("incident.kind", "Say what happened: a misdirected fax, a wrong recipient, or a wrong patient.")
    now = parts.clock.now()
    with parts.ledger.begin() as tx:
        message = tx.message(message_id, lock=True)
        if message is None:
            raise NotFound("message")
        if not left_for(tx, message_id):
            raise Refused("incident.not-sent", "This letter has not left, so it cannot have reached the wrong place.")
        earlier = tx.incident(stable_uuid("incident", message_id, kind))
        if earlier is not None:
            raise Refused("incident.there", "This was reported before; look at the incident.")
        went = reached_wrongly(tx, message_id, kind, delivery_id)
        return open_about(tx, message, kind, now, actor, delivery=went, note=note)


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
        tx.lock_addresses(to_close=True)
        if not address_is_right:
            keep_frozen(tx, row, now)
        elif row.endpoint_id is not None:
            if any(_is_about_the_same(row, one) for one in tx.incidents()):
                raise Refused("incident.others", "Another open incident is about this address. Settle that one first.")
            thaw(tx, row, now)
        word = "incident closed, address right" if address_is_right else "incident closed, address stays frozen"
        tx.audit(actor, word, at=now, patient_key=row.patient_key, subject=row.message_id, detail=resolution)


def _is_about_the_same(one: IncidentRow, other: IncidentRow) -> bool:
    """Return whether two incidents closed the same address, whoever's it was."""
    if None in (one.address_key, other.address_key):
        return one.endpoint_id == other.endpoint_id
    return one.address_key == other.address_key


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
    if row.address_key is None:
        frozen, moved = row.endpoint_id is not None and tx.health(row.endpoint_id).suspended_at is not None, False
    else:
        frozen, moved = frozen_by(tx, row) is not None, _has_moved(tx, row, message)
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
        moved=moved,
    )


def _has_moved(tx: Transaction, row: IncidentRow, message: MessageRecord) -> bool:
    registry = tx.registry_of(message.patient_key, message.provider_id)
    provider = None if registry is None else registry.provider(message.provider_id)
    endpoint = None if provider is None or row.endpoint_id is None else provider.endpoint(row.endpoint_id)
    return endpoint is None or address_key(tx, endpoint.address) != row.address_key
