"""How often what the far side has not got is sent again without a person."""

from datetime import datetime

from coordinator.domain.delivery import next_due
from coordinator.flow.ledger import Transaction
from coordinator.flow.parts import Parts
from coordinator.flow.rows import DeliveryRow

WORKER_DIED = "doubt.worker-died"
ABSENT_AGAIN = "doubt.absent-again"


def once_more_at(parts: Parts, tx: Transaction, row: DeliveryRow, now: datetime) -> datetime | None:
    """Return when a delivery in doubt that the far side says it has not got goes again; None when a person decides.

    Once: a far side that took it, broke, and does not show it may do so every time,
    and would have it a hundred times. A worker that died says nothing about the far
    side; such a delivery goes as often as its schedule has tries. What may be repeated
    without harm keeps the schedule's waits too.
    """
    schedule = parts.retries.schedule(row.channel, row.priority, row.cause or "")
    if parts.channels[row.channel].safe_to_repeat:
        scaled = tuple(wait * parts.policy.retry_scale for wait in schedule)
        return next_due(scaled, row.attempts_used, now, jitter=parts.dice.jitter())
    doubts = [one.cause for one in tx.attempts(row.id) if one.outcome == "in-doubt"]
    theirs = sum(cause != WORKER_DIED for cause in doubts)
    return now if theirs <= 1 and len(doubts) <= len(schedule) else None
