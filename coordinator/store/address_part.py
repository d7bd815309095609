"""Addresses that are known as wrong, in the database: a row each, by kind and keyed hash."""

import sqlalchemy as sa

from coordinator.flow.address_rows import ClosedAddress
from coordinator.store.sealed import Part
from coordinator.store.tables import ID, METADATA, WORD, UtcInstant

closed_addresses = sa.Table(
    "closed_addresses",
    METADATA,
    sa.Column("kind", WORD, primary_key=True),
    sa.Column("address_key", ID, primary_key=True),
    sa.Column("closed_at", UtcInstant, nullable=False),
    sa.Column("cause", WORD, nullable=False),
)

_LOCK = 7263520
"""The number that stands for all addresses among the database's locks."""


class AddressRows(Part):
    """Implements flow.address_rows.AddressPart."""

    def lock_addresses(self, *, to_close: bool) -> None:
        """Wait for others, so that no address is closed while an endpoint comes to it unseen."""
        if self._postgres:  # SQLite has one writer at a time
            take = sa.func.pg_advisory_xact_lock if to_close else sa.func.pg_advisory_xact_lock_shared
            self._run(sa.select(take(_LOCK)))

    def closed_address(self, kind: str, address_key: str) -> ClosedAddress | None:
        """Return what is known against an address, or None."""
        row = self._one(sa.select(closed_addresses).where(*_is(kind, address_key)))
        return None if row is None else ClosedAddress(row.kind, row.address_key, row.closed_at, row.cause)

    def close_address(self, row: ClosedAddress) -> None:
        """Remember an address as wrong, in place of what was known of it."""
        known = {"closed_at": row.closed_at, "cause": row.cause}
        if not self._insert_once(closed_addresses, {"kind": row.kind, "address_key": row.address_key, **known}):
            self._run(sa.update(closed_addresses).where(*_is(row.kind, row.address_key)).values(known))

    def forget_address(self, kind: str, address_key: str) -> None:
        """Let nothing be known against an address any more."""
        self._run(sa.delete(closed_addresses).where(*_is(kind, address_key)))


def _is(kind: str, address_key: str) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    return closed_addresses.c.kind == kind, closed_addresses.c.address_key == address_key
