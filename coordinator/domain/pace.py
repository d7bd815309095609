"""How fast one endpoint may be sent to: how many sends at the same time, and how many within a minute."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Pace:
    """The limits of an endpoint, and what is already taken of the minute.

    Sends are spread evenly, with as many together as one second has (one, up to sixty a minute): nobody
    gets a minute's worth in one burst.
    """

    at_once: int | None = None
    per_minute: int | None = None
    next_at: datetime | None = None
    """When the sends so far are used up; None before the first."""

    def room(self, now: datetime, busy: int, usual: int) -> int:
        """Return how many more may be begun now: `busy` are under way, `usual` is what any endpoint may have."""
        room = max(0, min(usual, self.at_once or usual) - busy)
        if self.per_minute is None:
            return room
        ahead = max(timedelta(0), (self.next_at or now) - now)
        return min(room, int((self._together * self._apart - ahead) / self._apart))

    def after(self, count: int, now: datetime) -> datetime | None:
        """Return `next_at` once that many more were begun."""
        if self.per_minute is None:
            return None
        return max(self.next_at or now, now) + count * self._apart

    @property
    def _apart(self) -> timedelta:
        return timedelta(minutes=1) / (self.per_minute or 1)

    @property
    def _together(self) -> int:
        return math.ceil((self.per_minute or 1) / 60)
