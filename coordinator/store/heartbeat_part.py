"""When each kind of the service's own work was last seen: a row a kind."""

from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa

from coordinator.flow.heartbeat_rows import Work
from coordinator.store.sealed import Part
from coordinator.store.tables import METADATA, WORD, UtcInstant

heartbeats = sa.Table(
    "heartbeats",
    METADATA,
    sa.Column("work", WORD, primary_key=True),
    sa.Column("seen_at", UtcInstant, nullable=False),
)


class HeartbeatRows(Part):
    """Implements flow.heartbeat_rows.HeartbeatPart."""

    def heartbeats(self) -> Mapping[str, datetime]:
        """Return the last instant of each kind that was ever seen or expected."""
        return {row.work: row.seen_at for row in self._all(sa.select(heartbeats))}

    def put_heartbeat(self, work: Work, at: datetime) -> None:
        """Remember that it was done now."""
        if not self._insert_once(heartbeats, {"work": work, "seen_at": at}):
            self._run(sa.update(heartbeats).where(heartbeats.c.work == work).values(seen_at=at))

    def expect_heartbeat(self, work: Work, at: datetime) -> None:
        """Count it as seen at that instant if it was never seen."""
        self._insert_once(heartbeats, {"work": work, "seen_at": at})
