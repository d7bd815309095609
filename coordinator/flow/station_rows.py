"""What the machines at fax numbers called themselves: their rows, and the warning they make."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True)
class StationRow:
    """One fax endpoint: what the machine at its number calls itself, and what another one called itself since."""

    endpoint_id: str
    address_key: str
    """The keyed hash of the number at which this was heard; at another number nothing of it counts."""
    good: tuple[str, ...]
    """The first name heard, and those that a person has confirmed since, the newest first."""
    heard_at: datetime
    """When the newest of them was first heard or confirmed."""
    other: str | None = None
    """The name that is none of these; None when there is nothing to warn of."""
    other_since: datetime | None = None
    other_message: str | None = None
    """The first message whose letter went to the machine of that name."""


@dataclass(frozen=True)
class OtherStation:
    """A warning: another machine than before answers at a number. No PHI."""

    endpoint_id: str
    calls_itself: str
    until_now: tuple[str, ...]
    since: datetime
    message_id: str
    """The first message that went to it under this name; its page takes the report of a misdirected letter."""
    why: str
    next_step: str
    role: str

    @property
    def seen(self) -> str:
        """Return what was heard, as a sentence to go behind the other one."""
        return f"It calls itself “{self.calls_itself}”; until now it was {quoted(self.until_now)}."


def quoted(names: Sequence[str]) -> str:
    """Return names as they stand in a sentence: “North Clinic” or “North Clinic 2”."""
    return " or ".join(f"“{one}”" for one in names)


class StationPart(Protocol):
    """What machines called themselves, one row an endpoint."""

    def station(self, endpoint_id: str, *, lock: bool = False) -> StationRow | None:
        """Return what is known of an endpoint's machine; `lock` holds it until the transaction ends."""
        ...

    def add_station(self, row: StationRow) -> bool:
        """Store what was heard first; return False when there is a row already."""
        ...

    def put_station(self, row: StationRow) -> None:
        """Store what has changed of a row."""
        ...

    def forget_station(self, endpoint_id: str) -> None:
        """Forget what was heard at an endpoint, for its number is another now."""
        ...

    def other_stations(self) -> Sequence[StationRow]:
        """Return the rows in which another machine was heard, the oldest warning first."""
        ...
