"""A claim beside the bare claim statement, and what a message costs when many are stored."""

from collections.abc import Iterator

import sqlalchemy as sa

from coordinator.domain.delivery import State
from coordinator.flow import deliver
from coordinator.store.tables import deliveries
from tests.bench.clinic import Clinic, clinic
from tests.bench.rows import Row, seconds

CLAIMS, ROUNDS = 20, 3
FEW, MANY = 1_000, 100_000


def measure() -> Iterator[Row]:
    """Yield the rows of this part."""
    with clinic({}) as made:
        ours, floor = [], []
        for _ in range(ROUNDS):
            made.prepared(CLAIMS * 2)
            floor.append(CLAIMS / seconds(lambda: [_bare(made) for _ in range(CLAIMS)]))
            ours.append(CLAIMS / seconds(lambda: [_store_claim(made) for _ in range(CLAIMS)]))
            made.settle(State.ACKNOWLEDGED)
        yield Row("Claim (store's transaction) against the bare claim SQL", ours, floor, "/s", 0.5, True)
    few, many = [_with(FEW) for _ in range(1)], [_with(MANY) for _ in range(1)]
    yield Row(f"Cost of claim, release and attempt row: {MANY:,} against {FEW:,} stored", many, few, "s", 1.2, False)


def _bare(made: Clinic) -> None:
    """One transaction: find the next due row, mark it taken. The floor."""
    with made.engine.begin() as connection:
        now = made.parts.clock.now()
        find = (
            sa.select(deliveries.c.id, deliveries.c.fence)
            .where(deliveries.c.state == State.PENDING, deliveries.c.due_at <= now)
            .order_by(deliveries.c.due_at)
            .limit(1)
        )
        row = connection.execute(find).first()
        assert row is not None
        change = {"state": State.CLAIMED, "fence": row.fence + 1, "lease_owner": "b", "lease_until": now}
        connection.execute(sa.update(deliveries).where(deliveries.c.id == row.id).values(change))


def _store_claim(made: Clinic) -> None:
    now = made.parts.clock.now()
    with made.store.begin() as tx:
        shut = tx.shut_endpoints(now)
        rows = tx.claim_due("b", now, now + made.parts.policy.lease, 1, shut=shut, per_endpoint=100_000)
        assert rows


def _with(stored: int) -> float:
    """Return seconds for CLAIMS whole claims while `stored` finished deliveries lie beside them."""
    with clinic({}) as made:
        made.stored(stored)
        made.prepared(CLAIMS)
        return seconds(lambda: [deliver.claim(made.parts, "b", 1) for _ in range(CLAIMS)])
