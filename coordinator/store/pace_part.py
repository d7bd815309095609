"""The pace of endpoints: what the registry says of it, and whose turn it is."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

import sqlalchemy as sa

from coordinator.domain.pace import Pace
from coordinator.store.sealed import Part
from coordinator.store.tables import endpoint_paces

TAKE: sa.Executable = (
    sa.update(endpoint_paces)
    .where(
        endpoint_paces.c.endpoint_id == sa.bindparam("of_endpoint"), endpoint_paces.c.turn == sa.bindparam("seen_turn")
    )
    .values(turn=endpoint_paces.c.turn + 1, next_at=sa.bindparam("until"))
    .returning(sa.literal_column("1"))
)


class PaceRows(Part):
    """Implements flow.ledger.PacePart, and what the claim asks of it."""

    def put_pace(self, endpoint_id: str, at_once: int | None, per_minute: int | None) -> None:
        """Remember what the registry says of an endpoint; what is used up of the minute stays."""
        table, limits = endpoint_paces, {"at_once": at_once, "per_minute": per_minute}
        if at_once is None and per_minute is None:
            self._run(sa.delete(table).where(table.c.endpoint_id == endpoint_id))
        elif not self._insert_once(table, {"endpoint_id": endpoint_id, **limits}):
            self._run(sa.update(table).where(table.c.endpoint_id == endpoint_id).values(**limits))

    def at_once(self, endpoint_id: str, usual: int) -> int:
        """Return how many sends an endpoint may have at the same time, of those claimed in this transaction."""
        pace, _ = self._ahead.paces.get(endpoint_id, (Pace(), 0))
        return min(usual, pace.at_once or usual)

    def _take_turns(self, wanted: Mapping[str, int], now: datetime) -> set[str]:
        """Take that many sends of each endpoint's pace; return the endpoints that another worker was quicker at."""
        lost = set()
        for endpoint_id in sorted(one for one in wanted if one in self._ahead.paces):  # in one order: no deadlock
            pace, turn = self._ahead.paces[endpoint_id]
            values = {"of_endpoint": endpoint_id, "seen_turn": turn, "until": pace.after(wanted[endpoint_id], now)}
            if self._run(TAKE, values).first() is None:
                lost.add(endpoint_id)
            else:
                # A claim that comes back for more in the same transaction goes on from here.
                self._ahead.paces[endpoint_id] = (replace(pace, next_at=pace.after(wanted[endpoint_id], now)), turn + 1)
        return lost
