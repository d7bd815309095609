"""A clinic on SQLite whose messages cost nothing to compose, so that delivery alone is measured."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from coordinator.bootstrap import SystemClock, SystemDice
from coordinator.domain.delivery import State
from coordinator.flow.parts import Parts, Policy
from coordinator.flow.prepare import prepare
from coordinator.flow.record import record
from coordinator.flow.registry_desk import RegistryDesk
from coordinator.store import migrate
from coordinator.store.engine import connect
from coordinator.store.ledger import Store
from coordinator.store.tables import deliveries
from tests.bench.bodies import bodies_only
from tests.faults.simulation.world import STAFF, cipher, example, registry, tools


class Clinic:
    """Parts over a fresh database file, with the durability that the product has."""

    def __init__(self, folder: Path, channels: dict[str, Any]) -> None:
        self.engine = connect(f"sqlite:///{folder / 'c.sqlite'}")
        migrate.upgrade(self.engine)
        self.store = Store(self.engine, cipher())
        policy = replace(Policy(), per_endpoint=1000, lease=timedelta(hours=1))
        self.parts = Parts(
            ledger=self.store, clock=SystemClock(), dice=SystemDice(), channels=channels, policy=policy, **tools()
        )
        written = RegistryDesk(self.parts).write_whole(json.dumps(registry()).encode(), STAFF)
        assert written.outcome == "created", written.faults
        self._number = 0

    def accept(self) -> str:
        """Record one event; return its reference."""
        self._number += 1
        event = example("session-outcome.bp-spike") | {"id": f"b-{self._number}"}
        event["course"] = {"id": "course-0"}
        answer = record(self.parts, "ehr", json.dumps(event).encode())
        if answer.outcome == "held":
            with self.store.begin() as tx:
                tx.move_inbox(answer.event_ref, "received", at=self.parts.clock.now())
        return str(answer.event_ref)

    def prepared(self, count: int) -> None:
        """Put `count` messages into the outbox for FHIR, in the proper way; nothing else is left due."""
        with bodies_only():
            for _ in range(count):
                prepare(self.parts, self.accept())
        with self.engine.begin() as connection:
            other = sa.and_(deliveries.c.channel != "fhir-rest", deliveries.c.state == State.PENDING)
            connection.execute(sa.update(deliveries).where(other).values(state=State.CANCELLED, due_at=None))

    def stored(self, count: int) -> None:
        """Let `count` finished deliveries lie in the database: copies of one, under one old message."""
        self.prepared(1)
        self.settle(State.ACKNOWLEDGED)
        with self.engine.begin() as connection:
            rows = list(connection.execute(sa.select(deliveries).where(deliveries.c.channel == "fhir-rest")))
            first = dict(rows[0]._mapping)
            for start in range(0, count, 5_000):
                made = [first | {"id": f"copy-{n}", "ordinal": 10 + n} for n in range(start, min(count, start + 5_000))]
                connection.execute(sa.insert(deliveries), made)

    def settle(self, state: State) -> None:
        """Put every delivery into one state."""
        with self.engine.begin() as connection:
            connection.execute(sa.update(deliveries).values(state=state, due_at=None))


@contextmanager
def clinic(channels: dict[str, Any]) -> Iterator[Clinic]:
    """Yield a clinic in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        made = Clinic(Path(folder), channels)
        yield made
        made.engine.dispose()
