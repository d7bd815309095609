"""Of which try a word of arrival speaks, and whether that one went where the letter is to be."""

from collections.abc import Sequence

from coordinator.domain.delivery import State
from coordinator.flow.addresses import address_key
from coordinator.flow.ledger import Transaction
from coordinator.flow.releasing import known_address
from coordinator.flow.rows import DeliveryRow

ELSEWHERE = "address.arrived-at-former"
RELAYED = frozenset({"fax", "direct"})
"""Channels whose word comes from a gateway and is of a try, wherever it went. The others are asked at the address."""


def proves_here(tx: Transaction, row: DeliveryRow, far_side_ref: str | None, about: Sequence[str] = ()) -> bool:
    """Return whether word that it arrived says so of the address that counts.

    That is the address of the last try, or, for a delivery that waits to be sent
    again, the one it will go to. An address may have been corrected between two tries:
    then proof from the former one is proof that somebody else has the letter.
    """
    tries = [one for one in tx.attempts(row.id) if one.on_wire_at is not None]
    if row.channel not in RELAYED or not tries:
        return True
    last = max(tries, key=lambda one: one.number)
    counts = _present(tx, row) if row.state in {State.PENDING, State.HELD} else last.address_key
    if {one.address_key for one in tries} <= {counts, None}:
        return True
    if about:
        return counts in {address_key(tx, one) for one in about}
    return far_side_ref is not None and far_side_ref == row.far_side_ref and last.address_key == counts


def _present(tx: Transaction, row: DeliveryRow) -> str | None:
    """Return the key of the address as the registry has it now; None where it has none any more."""
    message = tx.message(row.message_id)
    endpoint = None if message is None else known_address(tx, row, message)
    return None if endpoint is None else address_key(tx, endpoint.address)
