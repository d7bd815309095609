"""A clinic whose messages cost nothing to compose, on SQLite or PostgreSQL, as durable as the product is."""

import contextlib
import copy
import itertools
import json
import os
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from coordinator.bootstrap import SystemClock, SystemDice
from coordinator.domain.delivery import State
from coordinator.flow.parts import Parts, Policy
from coordinator.flow.prepare import prepare_all
from coordinator.flow.record import record
from coordinator.flow.registry_desk import RegistryDesk
from coordinator.flow.runner import PREPARE_AT_ONCE
from coordinator.settings import Settings
from coordinator.store import migrate
from coordinator.store.engine import connect
from coordinator.store.ledger import Store
from coordinator.store.tables import deliveries
from tests.bench.bodies import bodies_only
from tests.faults.simulation.world import STAFF, cipher, example, tools

PATIENTS = 200
EACH_ONCE = 1_500
"""More patients than events: a second session has a history, is held for a question, and may go into a digest."""
SENDERS = int(Settings.model_fields["senders"].default)
"""As many as the embedded runner has when nobody sets it."""


def registry(patients: int) -> dict[str, Any]:
    """Return the example clinic with many patients, so that no patient has an endless history."""
    made = example("clinic")
    first = made["patients"][0]
    made["patients"] = []
    for number in range(patients):
        patient = copy.deepcopy(first) | {"id": f"MRN-B{number}"}
        patient["identifiers"] = [one | {"value": f"NS-B{number}"} for one in patient["identifiers"]]
        patient["course"] = patient["course"] | {"id": f"course-b{number}"}
        made["patients"].append(patient)
    return made


def spread(made: dict[str, Any], offices: int) -> dict[str, Any]:
    """Return the registry with that many psychiatrists, each with an endpoint of their own, sharing the patients."""
    psychiatrist = next(one for one in made["providers"] if one["id"] == "pr-psych")
    for number in range(offices):
        own = copy.deepcopy(psychiatrist) | {"id": f"pr-psych-{number}"}
        own["endpoints"] = [one | {"id": f"office-{number}"} for one in own["endpoints"][:1]]
        made["providers"].append(own)
    for number, patient in enumerate(made["patients"]):
        text = json.dumps(patient).replace('"pr-psych"', f'"pr-psych-{number % offices}"')
        made["patients"][number] = json.loads(text)
    return made


def parts_over(store: Store, channels: dict[str, Any], per_endpoint: int = 1000) -> Parts:
    """Return the parts of a process that works on this store."""
    policy = replace(Policy(), per_endpoint=per_endpoint)
    return Parts(ledger=store, clock=SystemClock(), dice=SystemDice(), channels=channels, policy=policy, **tools())


class Clinic:
    """Parts over a fresh database."""

    def __init__(
        self,
        url: str,
        channels: dict[str, Any],
        per_endpoint: int = 1000,
        offices: int = 0,
        patients: int = PATIENTS,
    ) -> None:
        self.url = url
        self.engine = connect(url)
        migrate.upgrade(self.engine)
        self.store = Store(self.engine, cipher())
        self.parts = parts_over(self.store, channels, per_endpoint)
        self._patients = patients
        whole = spread(registry(patients), offices) if offices else registry(patients)
        written = RegistryDesk(self.parts).write_whole(json.dumps(whole).encode(), STAFF)
        assert written.outcome == "created", written.faults
        self._numbers = itertools.count()

    def accept(self) -> str:
        """Record one session of the next patient; return its reference."""
        number = next(self._numbers)
        whose = number % self._patients
        event = example("session-outcome.bp-spike") | {"id": f"b-{number}", "patient": f"MRN-B{whose}"}
        event["course"] = {"id": f"course-b{whose}"}
        answer = record(self.parts, "ehr", json.dumps(event).encode())
        if answer.outcome == "held":
            with self.store.begin() as tx:
                tx.move_inbox(answer.event_ref, "received", at=self.parts.clock.now())
            self.parts.bell.ring("event", [answer.event_ref])
        return str(answer.event_ref)

    def prepared(self, count: int) -> None:
        """Put `count` messages into the outbox for FHIR, in the proper way; nothing else is left due."""
        with bodies_only():
            refs = [self.accept() for _ in range(count)]
            for first in range(0, count, PREPARE_AT_ONCE):
                prepare_all(self.parts, refs[first : first + PREPARE_AT_ONCE])
        with self.engine.begin() as connection:
            # Written out: by the index of what is pending, however much is stored.
            other = sa.and_(deliveries.c.channel != "fhir-rest", deliveries.c.state == sa.literal_column("'pending'"))
            connection.execute(sa.update(deliveries).where(other).values(state=State.CANCELLED, due_at=None))

    def counts(self) -> dict[str, int]:
        """Return the number of deliveries by state."""
        with self.store.begin(write=False) as tx:
            return dict(tx.counts())

    def settle(self, state: State) -> None:
        """Put every delivery into one state."""
        with self.engine.begin() as connection:
            connection.execute(sa.update(deliveries).values(state=state, due_at=None))


@contextmanager
def clinic(
    channels: dict[str, Any],
    *,
    postgres: bool = False,
    per_endpoint: int = 1000,
    offices: int = 0,
    patients: int = PATIENTS,
) -> Iterator[Clinic]:
    """Yield a clinic on a database of its own."""
    with contextlib.ExitStack() as stack:
        if postgres:
            url = stack.enter_context(_database())
        else:
            url = f"sqlite:///{Path(stack.enter_context(tempfile.TemporaryDirectory())) / 'c.sqlite'}"
        made = Clinic(url, channels, per_endpoint, offices, patients)
        try:
            yield made
        finally:
            made.engine.dispose()


def servers() -> bool:
    """Return whether this runs under .ci/servers."""
    return bool(os.environ.get("COORDINATOR_TEST_POSTGRES"))


@contextmanager
def _database() -> Iterator[str]:
    import psycopg

    server = os.environ["COORDINATOR_TEST_POSTGRES"]
    name = f"b{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"')
    try:
        yield f"{server.replace('postgresql://', 'postgresql+psycopg://').rsplit('/', 1)[0]}/{name}"
    finally:
        with psycopg.connect(server, autocommit=True) as admin:
            admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
