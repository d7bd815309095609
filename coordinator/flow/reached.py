"""Where a letter went: the addresses it has left for, asked when it is said to have reached the wrong place."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from coordinator.domain.errors import Refused
from coordinator.flow.ledger import Transaction
from coordinator.flow.rows import DeliveryRow

BY_FAX = "misdirected-fax"
"""The kind of incident in which a letter went to a number, or another address, whose owner we do not know."""
NO_ADDRESS = frozenset({"by-hand", "none"})


class Left(NamedTuple):
    """The latest delivery of a letter to one address, and when it last left for there."""

    delivery: DeliveryRow
    at: datetime


def left_for(tx: Transaction, message_id: str, *, until: datetime | None = None) -> Sequence[Left]:
    """Return each address that a letter left for by then, with its latest delivery there; the latest comes last.

    What was claimed and put back has not left, however often; what went on paper has no address.
    """
    found: dict[str, Left] = {}
    for row in tx.deliveries(message_id):
        if row.channel in NO_ADDRESS:
            continue
        tries = [one.on_wire_at for one in tx.attempts(row.id) if one.on_wire_at is not None]
        at = max((one for one in tries if until is None or one <= until), default=None)
        if at is not None and (row.endpoint_id not in found or found[row.endpoint_id].at <= at):
            found[row.endpoint_id] = Left(row, at)
    return sorted(found.values(), key=lambda one: one.at)


def reached_wrongly(tx: Transaction, message_id: str, kind: str, named: str | None) -> DeliveryRow | None:
    """Return the delivery that reached the wrong place; None when none has left for an address.

    `named` is the delivery a person has chosen. Raises Refused where a person has to
    choose, or has chosen what cannot be: to close the wrong address leaves the one in
    use that the letter did reach.
    """
    went = left_for(tx, message_id)
    if kind == BY_FAX:
        went = [one for one in went if one.delivery.channel == "fax"] or went
    if named:
        row = tx.delivery(named)
        chosen = [one.delivery for one in went if row is not None and one.delivery.endpoint_id == row.endpoint_id]
        if row is None or row.message_id != message_id or not chosen:
            raise Refused(
                "incident.address",
                "The letter did not leave for that address in the way you said, so nothing was closed. "
                "Choose again what happened, and the address it reached.",
            )
        return chosen[0]
    if len(went) > 1:
        raise Refused(
            "incident.which",
            "This letter left for more than one address, and only the one it reached is to be closed. Choose which.",
        )
    return went[0].delivery if went else None
