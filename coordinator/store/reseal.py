"""Key rotation: everything that is sealed under an older key is sealed anew, while the service runs.

A step is one transaction over a few rows. Which key sealed a value stands in front of
it, so the rows still to do are found from the values themselves: killed at any moment,
the next run goes on where this one ended. A value that somebody else wrote meanwhile is
left as they wrote it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import sqlalchemy as sa

from coordinator.domain.errors import Refused
from coordinator.flow.ports import Cipher, Clock
from coordinator.flow.read_models import Actor
from coordinator.store.ledger import Store
from coordinator.store.tables import METADATA, key_checks

STEP_ROWS = 50
"""Rows of one transaction: short enough that a writer on SQLite hardly waits, and a kill costs next to nothing."""


class KeyRing(Cipher, Protocol):
    """A cipher of which one can ask what seals now, and how a value sealed under each key begins."""

    @property
    def active(self) -> str:
        """The id of the key that seals."""
        ...

    @property
    def looks_up(self) -> str:
        """The id of the key that the hashes for look-ups are made with."""
        ...

    def heads(self) -> Mapping[str, bytes]:
        """Return, by key id, the bytes that every value sealed under it begins with."""
        ...


@dataclass(frozen=True)
class KeyUse:
    """One key of the file or of the database: what it does, and how many values are sealed under it."""

    key_id: str
    seals: bool
    looks_up: bool
    values: int
    in_file: bool


@dataclass(frozen=True)
class Progress:
    """After one step: the table being worked on, and how many of all older values are done."""

    table: str
    done: int
    of: int


def sealed_columns() -> Iterator[tuple[sa.Table, list[sa.Column[Any]]]]:
    """Yield every table that holds sealed values, with those columns."""
    for name in sorted(METADATA.tables):
        table = METADATA.tables[name]
        columns = [one for one in table.columns if one.name.endswith("_sealed")]
        if columns:
            yield table, columns


class KeyDesk:
    """What an administrator does with the field keys of a running service."""

    def __init__(self, store: Store, ring: KeyRing, clock: Clock) -> None:
        """Work on this store, whose cipher is the ring."""
        self._store = store
        self._ring = ring
        self._clock = clock

    def uses(self) -> tuple[KeyUse, ...]:
        """Return every key that is in the file or that the database was written with, the sealing one last."""
        heads = self._ring.heads()
        counts = dict.fromkeys(heads, 0)
        lost = 0
        with self._store.begin(write=False) as tx:
            known = [row.key_id for row in tx.connection.execute(sa.select(key_checks.c.key_id))]
            for table, columns in sealed_columns():
                for column in columns:
                    under = [sa.func.count().filter(_begins(column, head)) for head in heads.values()]
                    query = sa.select(sa.func.count(column), *under).select_from(table)
                    total, *each = tx.connection.execute(query).one()
                    for key_id, count in zip(heads, each, strict=True):
                        counts[key_id] += count
                    lost += total - sum(each)
        if lost:
            raise Refused("keys.lost", f"{lost} stored values are sealed under a key that is not in the key file.")
        made = [self._use(one, counts.get(one, 0), in_file=one in heads) for one in {**heads, **dict.fromkeys(known)}]
        return tuple(sorted(made, key=lambda one: one.seals))

    def _use(self, key_id: str, values: int, *, in_file: bool) -> KeyUse:
        ring = self._ring
        return KeyUse(key_id, key_id == ring.active, key_id == ring.looks_up, values, in_file)

    def reseal(self, actor: Actor, *, rows: int = STEP_ROWS) -> Iterator[Progress]:
        """Seal anew what is under another key than the active one; yield after each step. Safe to stop and repeat."""
        total = sum(one.values for one in self.uses() if not one.seals)
        done = 0
        for table, columns in sealed_columns():
            after: tuple[Any, ...] | None = None
            while True:
                count, after = self._step(table, columns, after, rows)
                done += count
                if after is None:
                    break
                yield Progress(table.name, done, max(done, total))
        with self._store.begin() as tx:
            tx.audit(actor, "keys resealed", at=self._clock.now(), code=self._ring.active, detail=str(done))

    def _step(
        self, table: sa.Table, columns: list[sa.Column[Any]], after: tuple[Any, ...] | None, rows: int
    ) -> tuple[int, tuple[Any, ...] | None]:
        """Do the next rows behind `after`; return how many values, and the last row, or None when there was none."""
        head = self._ring.heads()[self._ring.active]
        keys = list(table.primary_key.columns)
        older = sa.or_(*(sa.and_(one.is_not(None), ~_begins(one, head)) for one in columns))
        query = sa.select(*keys, *columns).where(older).order_by(*keys).limit(rows)
        if after is not None:
            query = query.where(sa.tuple_(*keys) > after)
        with self._store.begin(write=False) as tx:
            found = list(tx.connection.execute(query))
        if not found:
            return 0, None
        count = 0
        with self._store.begin() as tx:
            for row in found:
                name = tuple(row._mapping[one.name] for one in keys)
                for column in columns:
                    count += self._anew(tx.connection, table, column, name, row._mapping[column.name], head)
        return count, tuple(found[-1]._mapping[one.name] for one in keys)

    def _anew(
        self,
        connection: sa.Connection,
        table: sa.Table,
        column: sa.Column[Any],
        name: tuple[Any, ...],
        sealed: bytes | None,
        head: bytes,
    ) -> int:
        if sealed is None or sealed.startswith(head):
            return 0
        place = _place(table.name, name, column.name)
        fresh = self._ring.seal(self._ring.open(sealed, place=place), place=place)
        same = [key == value for key, value in zip(table.primary_key.columns, name, strict=True)]
        change = sa.update(table).where(*same, column == sealed).values({column.name: fresh})
        return connection.execute(change).rowcount

    def forget(self, key_id: str, actor: Actor) -> None:
        """Let the database start without a key; raise Refused while anything needs it. Its line may then go."""
        with self._store.begin(write=False) as tx:
            known = tx.connection.execute(sa.select(key_checks.c.key_id).where(key_checks.c.key_id == key_id)).first()
        if known is None:
            raise Refused("keys.unknown", "This database was never written with a key of that id.")
        use = next(one for one in self.uses() if one.key_id == key_id)
        if use.seals or use.looks_up:
            what = "what is written now is sealed under it" if use.seals else "every look-up goes by it"
            raise Refused("keys.needed", f"This key stays: {what}.")
        if use.values:
            raise Refused("keys.needed", f"{use.values} values are sealed under it; run `keys reseal` first.")
        with self._store.begin() as tx:
            tx.connection.execute(sa.delete(key_checks).where(key_checks.c.key_id == key_id))
            tx.audit(actor, "key forgotten", at=self._clock.now(), code=key_id)


def _begins(column: sa.Column[Any], head: bytes) -> sa.ColumnElement[bool]:
    return sa.func.substr(column, 1, len(head)) == sa.literal(head, sa.LargeBinary)


def _place(table: str, name: tuple[Any, ...], column: str) -> str:
    """Return what a value is bound to. A former version of the registry is the row as it stood in the registry."""
    if table == "registry_history":
        table, name = "registry", name[:2]
    field = column.removesuffix("_sealed").replace("_", "-")
    return f"{table}|{'/'.join(str(one) for one in name)}|{field}"
