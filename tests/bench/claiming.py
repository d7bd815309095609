"""A claim beside the bare claim statement."""

from collections.abc import Iterator

import sqlalchemy as sa

from coordinator.domain.delivery import State
from coordinator.store.tables import deliveries
from tests.bench.clinic import Clinic, clinic, servers
from tests.bench.rows import Row, cpu_and_seconds

CLAIMS, ROUNDS = 20, 3


def measure() -> Iterator[Row]:
    """Yield the rows of this part."""
    for postgres in (False, *([True] if servers() else [])):
        with clinic({}, postgres=postgres) as made:
            ours, floor, cpu, floor_cpu = [], [], [], []
            for _ in range(ROUNDS):
                made.prepared(CLAIMS * 2)
                cpu_s, took_s = cpu_and_seconds(lambda made=made: [_bare(made) for _ in range(CLAIMS)])
                floor.append(CLAIMS / took_s)
                floor_cpu.append(cpu_s / CLAIMS * 1000)
                cpu_s, took_s = cpu_and_seconds(lambda made=made: [_store_claim(made) for _ in range(CLAIMS)])
                ours.append(CLAIMS / took_s)
                cpu.append(cpu_s / CLAIMS * 1000)
                made.settle(State.ACKNOWLEDGED)
            engine = "PostgreSQL" if postgres else "SQLite"
            what = f"Claim of one (store's transaction) against the bare claim SQL, {engine}"
            yield Row(what, ours, floor, "/s", 0.5, True, cpu=(cpu, floor_cpu))


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
        if connection.dialect.name == "postgresql":
            find = find.with_for_update(skip_locked=True)
        row = connection.execute(find).first()
        assert row is not None
        change = {"state": State.CLAIMED, "fence": row.fence + 1, "lease_owner": "b", "lease_until": now}
        connection.execute(sa.update(deliveries).where(deliveries.c.id == row.id).values(change))


def _store_claim(made: Clinic) -> None:
    now = made.parts.clock.now()
    with made.store.begin() as tx:
        shut = sorted(tx.stopped(now).endpoints)
        rows = tx.claim_due("b", now, now + made.parts.policy.lease, 1, shut=shut, per_endpoint=100_000)
        assert rows
