"""Whether the service itself is at work: each loop says so now and then, and whoever looks sees which one is silent."""

import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta

from coordinator.domain.errors import StoreAway
from coordinator.flow.heartbeat_rows import Work
from coordinator.flow.ledger import Ledger
from coordinator.flow.ports import Clock

CAUSES: Mapping[Work, str] = {
    "prepare": "work.prepare",
    "claim": "work.send",
    "send": "work.send",
    "sweep": "work.sweep",
    "receipts": "work.receipts",
}
"""What to tell a person when nobody does it. Claiming and sending are one thing to them."""
TELLS_EVERY_S = 10.0
SILENT_AFTER = timedelta(minutes=3)
"""How long a kind of work may not be seen. One send takes 60 s at most, and receipts come every 15 s."""


class Heartbeat:
    """Tells the database, for this process, what is being done; no oftener than every `every_s`."""

    def __init__(self, ledger: Ledger, clock: Clock, every_s: float = TELLS_EVERY_S) -> None:
        """Tell this ledger, by this clock."""
        self._ledger, self._clock, self._every_s = ledger, clock, every_s
        self._told_s: dict[Work, float] = {}

    def beat(self, work: Work) -> None:
        """Say that a round of this work went well. While the database is away nothing is said, and that is right."""
        now_s = time.monotonic()
        if now_s - self._told_s.get(work, -self._every_s) < self._every_s:
            return
        self._told_s[work] = now_s
        with suppress(StoreAway), self._ledger.begin() as tx:
            tx.put_heartbeat(work, self._clock.now())

    def expect_all(self) -> None:
        """Have work that no process has ever begun noticed as well, from now on."""
        with self._ledger.begin() as tx:
            for work in CAUSES:
                tx.expect_heartbeat(work, self._clock.now())

    def silent(self) -> Mapping[str, datetime]:
        """Return what nobody seems to do, as `silent` below does; raises StoreAway."""
        with self._ledger.begin(write=False) as tx:
            return silent(tx.heartbeats(), self._clock.now())


def silent(seen: Mapping[str, datetime], now: datetime) -> Mapping[str, datetime]:
    """Return the cause codes of the kinds of work that nobody seems to do, with when each was last seen.

    What was never expected is not missed. An instant in the future counts for nothing: that clock was wrong.
    """
    found: dict[str, datetime] = {}
    for work, code in CAUSES.items():
        at = seen.get(work)
        if at is not None and abs(now - at) > SILENT_AFTER:
            found[code] = min(at, found.get(code, at))
    return found
