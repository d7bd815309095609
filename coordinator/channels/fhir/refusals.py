"""What a server has lately refused for good, so that it is not asked with every message. Forgotten after a day.

Kept by each process for itself: whoever does not know it yet learns it by one refusal, which by
its status says for sure that nothing was kept. So nothing can be lost or doubled by forgetting;
what could be lost by never forgetting is a type that the server takes again.
"""

import threading
from collections.abc import Iterable
from datetime import datetime, timedelta

REMEMBERED_FOR = timedelta(hours=24)
TRANSACTION = "transaction"
Place = tuple[str, str]
"""An endpoint's id and address: another address is another server."""


class Refusals:
    """Types, or the transaction, by endpoint, with when each was refused. Shared by threads."""

    def __init__(self) -> None:
        self._since: dict[tuple[Place, str], datetime] = {}
        self._lock = threading.Lock()

    def note(self, place: Place, what: Iterable[str], now: datetime) -> None:
        """Remember what was refused just now."""
        with self._lock:
            self._since.update({(place, one): now for one in what})

    def of(self, place: Place, now: datetime) -> frozenset[str]:
        """Return what this server has refused within the last day."""
        with self._lock:
            return frozenset(
                what
                for (where, what), since in self._since.items()
                if where == place and now - since < REMEMBERED_FOR
            )  # fmt: skip
