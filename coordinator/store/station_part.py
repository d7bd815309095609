"""What the machines at fax numbers called themselves, in the database. Their names are sealed."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from coordinator.flow.station_rows import StationRow
from coordinator.store.sealed import Part
from coordinator.store.tables import ID, METADATA, WORD, UtcInstant

endpoint_stations = sa.Table(
    "endpoint_stations",
    METADATA,
    sa.Column("endpoint_id", WORD, primary_key=True),
    sa.Column("address_key", ID, nullable=False),
    sa.Column("good_sealed", sa.LargeBinary, nullable=False),
    sa.Column("heard_at", UtcInstant, nullable=False),
    sa.Column("other_sealed", sa.LargeBinary),
    sa.Column("other_since", UtcInstant),
    sa.Column("other_message", ID),
)
"""One row for each fax endpoint whose gateway tells what the machine there calls itself."""


class StationRows(Part):
    """Implements flow.station_rows.StationPart."""

    def station(self, endpoint_id: str, *, lock: bool = False) -> StationRow | None:
        """Return what is known of an endpoint's machine; `lock` holds it until the transaction ends."""
        query = sa.select(endpoint_stations).where(endpoint_stations.c.endpoint_id == endpoint_id)
        row = self._one(self._locked(query, lock=lock))
        return None if row is None else self._station(row)

    def add_station(self, row: StationRow) -> bool:
        """Store what was heard first; return False when there is a row already."""
        return self._insert_once(endpoint_stations, self._values(row))

    def put_station(self, row: StationRow) -> None:
        """Store what has changed of a row."""
        where = endpoint_stations.c.endpoint_id == row.endpoint_id
        self._run(sa.update(endpoint_stations).where(where).values(self._values(row)))

    def forget_station(self, endpoint_id: str) -> None:
        """Forget what was heard at an endpoint, for its number is another now."""
        self._run(sa.delete(endpoint_stations).where(endpoint_stations.c.endpoint_id == endpoint_id))

    def other_stations(self) -> Sequence[StationRow]:
        """Return the rows in which another machine was heard, the oldest warning first."""
        table = endpoint_stations.c
        query = sa.select(endpoint_stations).where(table.other_since.is_not(None))
        return [self._station(row) for row in self._all(query.order_by(table.other_since, table.endpoint_id))]

    def _values(self, row: StationRow) -> dict[str, Any]:
        name = row.endpoint_id
        return {
            "endpoint_id": name,
            "address_key": row.address_key,
            "good_sealed": self._seal_json("endpoint_stations", name, "good", list(row.good)),
            "heard_at": row.heard_at,
            "other_sealed": None
            if row.other is None
            else self._seal("endpoint_stations", name, "other", row.other.encode()),
            "other_since": row.other_since,
            "other_message": row.other_message,
        }

    def _station(self, row: Row[Any]) -> StationRow:
        name, other = row.endpoint_id, row.other_sealed
        return StationRow(
            name,
            row.address_key,
            tuple(self._open_json("endpoint_stations", name, "good", row.good_sealed)),
            row.heard_at,
            None if other is None else self._open("endpoint_stations", name, "other", other).decode(),
            row.other_since,
            row.other_message,
        )
