"""Rows of holds and of resend jobs, frozen, and what they ask of the store."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from coordinator.domain.delivery import State

EVERYTHING = "everything"
HoldKind = Literal["person", "restore"]
JobState = Literal["draft", "asked", "running", "paused", "done", "cancelled"]
ItemState = Literal["waiting", "made", "refused"]
JobMode = Literal["stored", "recomposed"]


@dataclass(frozen=True)
class HoldRow:
    """A hold on sending. `scope`: "everything", "channel:fax" or "endpoint:<id>"."""

    scope: str
    kind: HoldKind
    placed_at: datetime
    placed_by: str
    reason: str


@dataclass(frozen=True)
class Closed:
    """The ways that are held at this moment: nothing goes out there, and nothing there uses up an attempt."""

    everything: bool = False
    channels: frozenset[str] = frozenset()
    endpoints: frozenset[str] = frozenset()

    def covers(self, channel: str, endpoint_id: str) -> bool:
        """Return whether a delivery by this way has to wait."""
        return self.everything or channel in self.channels or endpoint_id in self.endpoints

    def scopes_over(self, channel: str, endpoint_id: str) -> tuple[str, ...]:
        """Return the holds that a delivery by this way waits behind, the widest first."""
        found = [EVERYTHING] if self.everything else []
        found += [f"channel:{channel}"] if channel in self.channels else []
        return (*found, *([f"endpoint:{endpoint_id}"] if endpoint_id in self.endpoints else []))


def closed_by(scopes: Sequence[str]) -> Closed:
    """Return what holds of these scopes close."""
    named = [one.partition(":") for one in scopes]
    return Closed(
        everything=EVERYTHING in scopes,
        channels=frozenset(name for what, _, name in named if what == "channel"),
        endpoints=frozenset(name for what, _, name in named if what == "endpoint"),
    )


@dataclass(frozen=True)
class Selection:
    """Which messages a resend job is about: those whose newest delivery fits every part that is given."""

    endpoint_id: str | None = None
    provider_id: str | None = None
    channel: str | None = None
    cause: str | None = None
    since: datetime | None = None
    with_arrived: bool = False
    """Whether what was sent, or is proven to have arrived, is sent again too."""

    def states(self) -> tuple[State, ...]:
        """Return the states of the deliveries that are meant."""
        stuck = (State.HELD, State.DEAD, State.IN_DOUBT)
        return (*stuck, State.SENT, State.ACKNOWLEDGED) if self.with_arrived else stuck


@dataclass(frozen=True)
class JobRow:
    """One resend job: a frozen list of messages that goes out one by one."""

    id: str
    state: JobState
    mode: JobMode
    selection: str
    """What was chosen, as JSON; codes and ids only."""
    reason: str
    per_minute: int
    made_at: datetime
    made_by: str
    started_at: datetime | None = None
    started_by: str | None = None
    next_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True)
class JobItem:
    """One message of a job and what came of it."""

    job_id: str
    position: int
    message_id: str
    delivery_id: str
    state: ItemState = "waiting"
    new_delivery_id: str | None = None
    why: str | None = None
    done_at: datetime | None = None


class HoldPart(Protocol):
    """Holds on sending, and which deliveries were looked at after a restore."""

    def holds(self) -> Sequence[HoldRow]:
        """Return every hold, oldest first."""
        ...

    def closed(self) -> Closed:
        """Return what is held, without the reasons: asked at every claim and before every first byte."""
        ...

    def stopped(self, now: datetime) -> Closed:
        """Return what is held, and among the endpoints those whose breaker is open, in one question."""
        ...

    def put_hold(self, row: HoldRow) -> bool:
        """Place a hold; return False when its scope is held already."""
        ...

    def lift_hold(self, scope: str) -> bool:
        """Lift a hold; return False when there was none."""
        ...

    def waiting_behind(self, scope: str, *, but: Closed | None = None) -> int:
        """Return how many deliveries wait to be sent behind a scope, without those by a way that is closed in `but`."""
        ...

    def unreviewed(self, before: datetime, limit: int) -> Sequence[str]:
        """Return pending and held deliveries of what is not new since then, and not looked at since the restore."""
        ...

    def mark_reviewed(self, delivery_id: str, at: datetime) -> None:
        """Remember that a delivery was looked at since the restore."""
        ...

    def reviewed_counts(self) -> dict[str, int]:
        """Return the number of reviewed deliveries by their state now."""
        ...

    def forget_reviews(self) -> None:
        """Start over, for the next restore."""
        ...


class JobPart(Protocol):
    """Resend jobs and their items."""

    def selected(self, wanted: Selection) -> Sequence[tuple[str, str]]:
        """Return (message, its newest delivery) of what a selection means, oldest occurrence first."""
        ...

    def add_job(self, row: JobRow, items: Sequence[JobItem]) -> None:
        """Store a job with its frozen list."""
        ...

    def job(self, job_id: str, *, lock: bool = False) -> JobRow | None:
        """Return one job."""
        ...

    def jobs(self, states: Sequence[JobState] | None = None, limit: int = 50) -> Sequence[JobRow]:
        """Return jobs, newest first."""
        ...

    def put_job(self, row: JobRow) -> None:
        """Store what has changed of a job."""
        ...

    def job_items(self, job_id: str, *, after: int = 0, limit: int = 200) -> Sequence[JobItem]:
        """Return a job's items after a position, in order."""
        ...

    def next_item(self, job_id: str) -> JobItem | None:
        """Return the first item that still waits, or None."""
        ...

    def put_item(self, item: JobItem) -> None:
        """Store what came of an item."""
        ...

    def job_counts(self, job_id: str) -> dict[str, int]:
        """Return the number of items by state."""
        ...

    def overlapping_job(self, job_id: str) -> str | None:
        """Return another running or paused job that holds one of this job's messages, or None."""
        ...
