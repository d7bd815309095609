"""The rows that say when each kind of the service's own work was last seen."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, Protocol

Work = Literal["prepare", "claim", "send", "sweep", "receipts"]


class HeartbeatPart(Protocol):
    """When each kind of work was last seen, whichever process did it."""

    def heartbeats(self) -> Mapping[str, datetime]:
        """Return the last instant of each kind that was ever seen or expected."""
        ...

    def put_heartbeat(self, work: Work, at: datetime) -> None:
        """Remember that it was done now."""
        ...

    def expect_heartbeat(self, work: Work, at: datetime) -> None:
        """Count it as seen at that instant if it was never seen."""
        ...
