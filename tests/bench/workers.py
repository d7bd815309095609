"""The product's own workers and beat, as processes, on PostgreSQL and RabbitMQ; composing and the far side are ours.

    python -m tests.bench.workers PORT FILE worker
    python -m tests.bench.workers PORT FILE beat

PORT is the sink's. Each message's first byte is written into FILE: its id, and the instant on the clock that all
processes of a machine share.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from coordinator.bootstrap import adopt, build
from coordinator.hints import Hints
from coordinator.settings import Settings
from coordinator.store.ledger import Store
from tests.bench.bodies import bodies_only
from tests.bench.clinic import Clinic
from tests.bench.delivering import Poster
from tests.faults.simulation.world import cipher

WORKERS = 2
KINDS = ("fhir-rest", "direct", "fax")
STARTS_WITHIN_S = 60.0


class Noting(Poster):
    """Writes down when the first byte of each message left."""

    def __init__(self, kind: str, port: int, notes: Any) -> None:
        super().__init__(kind, port)
        self._notes, self._writing = notes, threading.Lock()

    def send(self, package: Any, endpoint: Any, *, deadline: datetime, about_to_send: Any) -> Any:
        taken = super().send(package, endpoint, deadline=deadline, about_to_send=about_to_send)
        with self._writing:
            self._notes.write(f"{package.message} {self.first_bytes.pop(package.message)}\n")
        return taken


def run(port: int, notes: Path, verb: list[str]) -> None:
    """Be one process of the service until killed."""
    made = build(Settings())
    with notes.open("a", buffering=1, encoding="ascii") as out:
        changes = {
            "ledger": Store(made.store.engine, cipher()),
            "channels": {kind: Noting(kind, port, out) for kind in KINDS},
            "policy": replace(made.parts.policy, per_endpoint=1000),
        }
        for name, value in changes.items():
            object.__setattr__(made.parts, name, value)  # the parts are frozen for the product, not for its benchmarks
        adopt(made)
        from coordinator.cli import main

        with bodies_only():
            main(verb)


@contextmanager
def workers(made: Clinic, port: int, folder: Path) -> Iterator[Path]:
    """Yield the file of first bytes, once all workers take tasks. `made` hints them of what becomes due."""
    broker, notes = os.environ["COORDINATOR_TEST_AMQP"], folder / "first-bytes"
    notes.touch()
    environment = dict(os.environ) | {
        "COORDINATOR_DATABASE_URL": made.engine.url.render_as_string(hide_password=False),
        "COORDINATOR_BROKER_URL": broker,
        "COORDINATOR_DATA_DIR": str(folder),
    }
    made.parts.bell.listeners.append(Hints(broker).tell)
    command = [sys.executable, "-m", "tests.bench.workers", str(port), str(notes)]
    verbs = [["worker"]] * WORKERS + [["beat"]]
    with ExitStack() as stack:
        for verb in verbs:
            log = stack.enter_context((folder / f"{verb[0]}.log").open("ab"))
            process = subprocess.Popen([*command, *verb], env=environment, stdout=log, stderr=log)
            stack.callback(process.wait)
            stack.callback(process.kill)
        _warm(made, notes)
        yield notes


def _warm(made: Clinic, notes: Path) -> None:
    """Give them something to do until each has begun; what they load the first time is not what is asked about."""
    ends = time.monotonic() + STARTS_WITHIN_S
    while len(first_bytes(notes)) < 40:
        if time.monotonic() > ends:
            raise RuntimeError("the workers did not start")
        made.accept()
        time.sleep(0.3)


def first_bytes(notes: Path) -> dict[str, float]:
    """Return the instant of the first byte, by message."""
    lines = [line.split() for line in notes.read_text(encoding="ascii").splitlines()]
    return {line[0]: float(line[1]) for line in lines if len(line) == 2}


if __name__ == "__main__":
    run(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
