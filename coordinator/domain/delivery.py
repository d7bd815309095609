"""Delivery states, the one table of allowed moves, and the retry arithmetic."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum


class State(StrEnum):
    """Where one message stands on its way to one endpoint."""

    PENDING = "pending"
    """In the outbox, to be tried at `due_at`."""
    CLAIMED = "claimed"
    """A worker holds it; not one byte has left."""
    ON_WIRE = "on-wire"
    """Marked before the first byte; the far side may have it."""
    SENT = "sent"
    """The far side took it; no receipt yet."""
    ACKNOWLEDGED = "acknowledged"
    """A receipt proves it."""
    IN_DOUBT = "in-doubt"
    """It may have arrived; never repeated before the far side was asked."""
    HELD = "held"
    """A person must act; no attempt is used up."""
    DEAD = "dead"
    """No further attempt will be made."""
    CANCELLED = "cancelled"
    """Withdrawn or superseded before it was sent."""


MOVES: dict[State, frozenset[State]] = {
    State.PENDING: frozenset({State.CLAIMED, State.HELD, State.CANCELLED, State.IN_DOUBT}),
    State.CLAIMED: frozenset({State.ON_WIRE, State.PENDING, State.HELD, State.CANCELLED, State.DEAD}),
    State.ON_WIRE: frozenset({State.SENT, State.ACKNOWLEDGED, State.PENDING, State.HELD, State.IN_DOUBT, State.DEAD}),
    State.SENT: frozenset({State.ACKNOWLEDGED, State.PENDING, State.HELD, State.DEAD, State.IN_DOUBT}),
    State.IN_DOUBT: frozenset({State.SENT, State.ACKNOWLEDGED, State.PENDING, State.HELD, State.DEAD}),
    State.HELD: frozenset({State.PENDING, State.ACKNOWLEDGED, State.CANCELLED, State.DEAD, State.IN_DOUBT}),
    State.ACKNOWLEDGED: frozenset(),
    State.DEAD: frozenset(),
    State.CANCELLED: frozenset(),
}
"""The only moves there are. Every write of a state goes through `check_move`.

claimed -> dead: refused for good, or the last planned try spent, before the first byte.
on-wire -> acknowledged: channels where taking and proving are the same moment (FHIR REST).
sent -> pending / dead: a gateway that queued a fax and later reports that it failed.
held -> acknowledged: staff recorded the hand-over of a printed letter, or a late receipt came in.
pending -> in-doubt, held -> in-doubt: the database is an older copy, and what waits in it may have been sent since.
pending -> in-doubt, too: word came that the far side has what waits to be sent again; its receipt moves it on at once.
"""

FINAL: frozenset[State] = frozenset(state for state, moves in MOVES.items() if not moves)
UNSENT: frozenset[State] = frozenset({State.PENDING, State.CLAIMED, State.HELD})
"""Not one byte has left: what is here may still be replaced or withdrawn."""
ARRIVED_MAYBE: frozenset[State] = frozenset({State.ON_WIRE, State.SENT, State.ACKNOWLEDGED, State.IN_DOUBT})
NEEDS_PERSON: frozenset[State] = frozenset({State.HELD, State.IN_DOUBT, State.DEAD})

RETRY_AFTER_CAP = timedelta(hours=24)


class IllegalMove(ValueError):
    """A move that the table does not have."""


def check_move(old: State, new: State) -> None:
    """Raise IllegalMove unless the table has the move."""
    if new not in MOVES[old]:
        raise IllegalMove(f"{old} -> {new}")


def next_due(
    schedule: Sequence[timedelta],
    attempts: int,
    now: datetime,
    *,
    retry_after: timedelta | None = None,
    jitter: float,
) -> datetime | None:
    """Return when to try again, or None once the schedule is spent.

    `attempts` counts the attempts already used, so it is 1 or more after a failure
    that counts, and 0 after one that does not (then the first wait applies). A
    Retry-After is honoured up to 24 h and never shortens the wait. `jitter` is a
    factor near 1.0 that the caller draws; it never brings the retry before the
    far side's own wish.
    """
    if attempts > len(schedule):
        return None
    wait = schedule[max(attempts, 1) - 1] * jitter
    if retry_after is not None:
        wait = max(wait, min(retry_after, RETRY_AFTER_CAP))
    return now + wait
