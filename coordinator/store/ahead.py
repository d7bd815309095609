"""What a transaction has read ahead, and what it keeps back to write in bulk before it commits.

A step that handles many deliveries at once asks for each of them the same few things. They
are read ahead in one statement a kind, so that the flow can go on asking row by row; and
equal writes wait until something reads, or the transaction ends, and then go out together.
Nothing of this outlives its transaction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from coordinator.domain.pace import Pace
from coordinator.flow.hold_rows import Closed
from coordinator.flow.rows import DeliveryRow, EndpointHealth, InboxRow, MessageRecord, NewDocument
from coordinator.store.in_bulk import InBulk, Row
from coordinator.store.tables import METADATA, search_terms


@dataclass
class ReadAhead:
    """Rows that this transaction has in hand. Deliveries are here only while they are locked by it."""

    deliveries: dict[str, DeliveryRow] = field(default_factory=dict)
    messages: dict[str, MessageRecord] = field(default_factory=dict)
    tried: dict[str, list[tuple[datetime, str]]] = field(default_factory=dict)
    """(made at, channel) of a message's deliveries that were tried, oldest first."""
    contents: dict[str, list[NewDocument]] = field(default_factory=dict)
    health: dict[str, EndpointHealth] = field(default_factory=dict)
    paces: dict[str, tuple[Pace, int]] = field(default_factory=dict)
    """Of the endpoints that have one: the pace, and the turn it was read at."""
    bodies: dict[tuple[str, str], bytes | None] = field(default_factory=dict)
    """Registry entities by kind and key, sealed as they are stored."""
    open_attempts: dict[tuple[str, int], str | None] = field(default_factory=dict)
    closed: Closed | None = None
    """What is held, as one answer for the whole transaction."""
    lanes: dict[tuple[str, str, str], set[str]] | None = None
    """The messages on the wire, by lane."""
    events: dict[str, InboxRow] = field(default_factory=dict)
    locked_events: set[str] = field(default_factory=set)
    versions: dict[tuple[str, str], list[InboxRow]] = field(default_factory=dict)
    """Every version of an event, by (source, event key), oldest version first."""
    past: dict[str, list[InboxRow]] = field(default_factory=dict)
    """All events of a patient, oldest occurrence first."""
    staff: list[tuple[str, bytes]] | None = None
    """Keys and sealed bodies of the clinic's staff."""
    lane_rows: dict[tuple[str, str, str], list[MessageRecord]] = field(default_factory=dict)
    """The messages of (patient key, provider, subject), oldest occurrence first."""
    ordinals: dict[str, int] = field(default_factory=dict)
    """How many deliveries there are of a message that this transaction has added."""


@dataclass(frozen=True)
class AuditLine:
    """One line of evidence that is to be appended."""

    at: datetime
    actor_kind: str
    actor: str
    action: str
    patient_key: str | None
    subject: str | None
    code: str | None
    detail: str | None


class Backlog:
    """Writes that are kept back. Several changes of one row become one; equal statements go out together."""

    def __init__(self, connection: Connection) -> None:
        """Keep back writes of this connection's transaction."""
        self._connection = connection
        self._changes: dict[tuple[sa.Table, tuple[str, ...]], dict[tuple[Any, ...], dict[str, Any]]] = {}
        self._inserts: dict[sa.Table, list[dict[str, Any]]] = {}
        self.lines: list[AuditLine] = []
        """Evidence to append. Kept back longest: writers wait for one another at the end of the chain."""

    def insert(self, table: sa.Table, values: dict[str, Any]) -> None:
        """Keep back an insert."""
        self._inserts.setdefault(table, []).append(values)

    def change(self, table: sa.Table, where: Mapping[str, Any], values: Mapping[str, Any]) -> None:
        """Keep back an update of the rows whose columns have the values of `where`."""
        rows = self._changes.setdefault((table, tuple(where)), {})
        rows.setdefault(tuple(where.values()), {}).update(values)

    def write(self) -> None:
        """Send the row changes that were kept back."""
        inserts, changes = self._inserts, self._changes
        if not inserts and not changes:
            return
        self._inserts, self._changes = {}, {}
        for table in sorted(inserts, key=_ORDER.__getitem__):
            if table is search_terms and self._connection.dialect.name == "postgresql":
                given = {one.name: ",".join([row[one.name] for row in inserts[table]]) for one in table.c}
                self._connection.execute(_INSERT_TERMS, given)
            else:
                in_bulk(self._connection, table, inserts[table])
        for (table, keys), rows in changes.items():
            alike: dict[tuple[str, ...], list[dict[str, Any]]] = {}
            for key, change in rows.items():
                found_by = {f"at_{name}": value for name, value in zip(keys, key, strict=True)}
                alike.setdefault(tuple(sorted(change)), []).append({**change, **found_by})
            for columns, sets in alike.items():
                in_bulk(self._connection, table, sets, columns, keys)


def in_bulk(
    connection: Connection,
    table: sa.Table,
    rows: Sequence[Row],
    columns: tuple[str, ...] | None = None,
    keys: tuple[str, ...] = (),
) -> None:
    """Insert rows that have the same columns; with `keys`, change those columns where the keys are as given."""
    dialect, named = connection.dialect, tuple(rows[0]) if columns is None else columns
    place = (dialect.name, table, named, keys)
    if place not in _READY:
        _READY[place] = InBulk(table, named, dialect, keys)
    _READY[place].run(connection, rows)


_ORDER = {table: number for number, table in enumerate(METADATA.sorted_tables)}
"""What others refer to comes first, in whatever order it was kept back."""
_INSERT_TERMS = sa.insert(search_terms).from_select(
    [one.name for one in search_terms.c],
    sa.select(*[sa.func.unnest(sa.func.string_to_array(sa.bindparam(one.name), ",")) for one in search_terms.c]),
)
"""On PostgreSQL one statement for all words of a transaction, some twenty a message, in place of one each.

They are hashes and ids of ours, so that no comma stands in any.
"""
_READY: dict[tuple[Any, ...], InBulk] = {}
"""Statements in their drivers' form, by driver, table and columns."""
