"""The machine at a fax number: its name is kept and compared at each fax; another one is a person's matter.

It holds nobody's letters, for a machine may have been replaced. But a number that
changed hands answers like any other, and the name is the only thing that tells.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from coordinator.domain.errors import Refused
from coordinator.domain.registry import Endpoint
from coordinator.domain.station import same_station
from coordinator.flow.addresses import address_key, is_closed, known_endpoint, known_providers
from coordinator.flow.ledger import Transaction
from coordinator.flow.parts import Parts
from coordinator.flow.read_models import Actor
from coordinator.flow.rows import DeliveryRow, MessageRecord
from coordinator.flow.station_rows import OtherStation, StationRow, quoted
from coordinator.observe.log import Log, write

OTHER_STATION = "fax.other-station"
CALLS_ITSELF = "machine that answered calls itself"
ANOTHER = "another machine than before answered, it calls itself"
MOST_GOOD = 5
"""Names kept for one number. Some offices have a few machines behind one."""


def note_station(tx: Transaction, row: DeliveryRow, station: str | None, now: datetime, actor: Actor) -> None:
    """Keep what the machine called itself that took this letter, and compare it with what is known of its number.

    Called in the transaction in which the arrival is settled. The name stands in the
    evidence of the message in any case. It is compared only where it is certain at
    which number it was heard, and that this is the endpoint's number still.
    """
    message = tx.message(row.message_id)
    if station is None or message is None:
        return
    changed = _compare(tx, row, message, station, now, actor)
    tx.audit(actor, ANOTHER if changed else CALLS_ITSELF, at=now, patient_key=message.patient_key, subject=message.id,
             code=OTHER_STATION if changed else None, detail=station)  # fmt: skip


def _compare(
    tx: Transaction, row: DeliveryRow, message: MessageRecord, station: str, now: datetime, actor: Actor
) -> bool:
    """Return whether another machine than before answered; keep its name, and raise the warning if it is a new one."""
    key = _heard_at(tx, row, message)
    if key is None:
        return False
    fresh = StationRow(row.endpoint_id, key, (station,), now)
    if tx.add_station(fresh):
        return False
    known = tx.station(row.endpoint_id, lock=True)
    if known is None or known.address_key != key:
        tx.put_station(fresh)
        return False
    if _is_among(station, known.good):
        return False
    if known.other is None or not same_station(known.other, station):
        raised = replace(known, other=station, other_since=known.other_since or now, other_message=message.id)
        tx.put_station(raised)
        tx.audit(actor, "another machine answers at this number", at=now, subject=row.endpoint_id, code=OTHER_STATION,
                 detail=f"{station}; until now {quoted(known.good)}")  # fmt: skip
    if known.other is None:
        write(Log.OTHER_STATION, endpoint_id=row.endpoint_id, delivery_id=row.id, code=OTHER_STATION)
    return True


def _heard_at(tx: Transaction, row: DeliveryRow, message: MessageRecord) -> str | None:
    """Return the key of the number that was dialled; None unless all tries dialled one, and it is the present one."""
    dialled = {one.address_key for one in tx.attempts(row.id) if one.on_wire_at is not None}
    registry = tx.registry_of(message.patient_key, row.provider_id)
    provider = None if registry is None else registry.provider(row.provider_id)
    endpoint = None if provider is None else provider.endpoint(row.endpoint_id)
    if endpoint is None:
        return None
    key = address_key(tx, endpoint.address)
    return key if dialled == {key} else None


def station_at(tx: Transaction, endpoint: Endpoint) -> StationRow | None:
    """Return what is known of the machine at the endpoint's present number."""
    if endpoint.kind != "fax":
        return None
    known = tx.station(endpoint.id)
    return known if known is not None and known.address_key == address_key(tx, endpoint.address) else None


def warning_of(parts: Parts, row: StationRow | None) -> OtherStation | None:
    """Return the warning that a row makes, in words; None when it makes none."""
    if row is None or row.other is None or row.other_since is None or row.other_message is None:
        return None
    cause = parts.causes.get(OTHER_STATION)
    return OtherStation(
        endpoint_id=row.endpoint_id,
        calls_itself=row.other,
        until_now=row.good,
        since=row.other_since,
        message_id=row.other_message,
        why=cause.sentence,
        next_step=cause.next_step,
        role=cause.role,
    )


def open_warnings(parts: Parts, tx: Transaction) -> Sequence[OtherStation]:
    """Return the warnings that wait for a person, the oldest first; a number that is closed already is in hand."""
    rows = tx.other_stations()
    registry = known_providers(tx) if rows else None
    found = []
    for row in rows:
        endpoint = None if registry is None else registry.endpoint(row.endpoint_id)
        if endpoint is None or is_closed(tx, tx.health(endpoint.id), endpoint.address):
            continue
        warning = warning_of(parts, station_at(tx, endpoint))
        if warning is not None:
            found.append(warning)
    return found


def confirm_station(parts: Parts, endpoint_id: str, station: str, actor: Actor) -> None:
    """Let a name count as the office's own from now on, as a person who has asked them; raise Refused or NotFound.

    `station` is the name that the person asked about: it must be the one that the
    warning is about still.
    """
    now = parts.clock.now()
    with parts.ledger.begin() as tx:
        endpoint = known_endpoint(tx, endpoint_id)
        known = tx.station(endpoint_id, lock=True)
        if known is None or known.other is None or station_at(tx, endpoint) is None:
            raise Refused("station.nothing-to-confirm", "No other machine was heard at this number, or it is settled.")
        if actor.kind != "staff":
            raise Refused("station.person", "A person who asked the office must confirm it; a program cannot.")
        if not same_station(known.other, station):
            raise Refused(
                "station.differs",
                "That is not what the machine called itself last. Look at the name again, and ask the office about it.",
            )
        good = (known.other, *known.good)[:MOST_GOOD]
        tx.put_station(StationRow(endpoint_id, known.address_key, good, now))
        tx.audit(actor, "machine confirmed as theirs", at=now, subject=endpoint_id, code=OTHER_STATION,
                 detail=known.other)  # fmt: skip


def _is_among(station: str, good: Sequence[str]) -> bool:
    return any(same_station(station, one) for one in good)
