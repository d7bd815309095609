"""A clock that was ahead and is right again: what it had put off is not waited for.

The clock of a machine may be wrong for a while, and be set right. A wait that was written meanwhile would last as much
longer as the clock was ahead: a day, for a retry of one minute. Whoever sweeps sees the clock go back, and gives
each wait the length that was meant. On PostgreSQL all this is the server's clock.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from coordinator.flow.ledger import Ledger
from coordinator.observe.log import Log, write

AHEAD = timedelta(minutes=5)
"""What is written further ahead than this was written by a clock that was wrong. Waits are off by less otherwise."""


@dataclass
class LastLook:
    """What the clock showed at the latest look of this process."""

    latest: datetime | None = None

    def went_back(self, now: datetime) -> bool:
        """Return whether the clock went back since; at the first look too, as nobody knows then."""
        back = self.latest is None or now < self.latest - AHEAD
        self.latest = now if back or self.latest is None else max(now, self.latest)
        return back


def catch_up(ledger: Ledger, last: LastLook, now: datetime, lease: timedelta) -> int:
    """Shorten the waits that a clock ahead has made too long, if the clock went back. Return how many there were."""
    if not last.went_back(now):
        return 0
    with ledger.begin() as tx:
        moved = tx.bring_nearer(now, ahead=AHEAD, lease=lease)
    if moved:
        write(Log.CLOCK_WENT_BACK, count=moved)
    return moved
