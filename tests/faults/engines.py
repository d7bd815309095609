"""A clinic on one engine: pretend recipients in this process, worker processes that can be killed, and the judge."""

import contextlib
import copy
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from coordinator.domain.delivery import NEEDS_PERSON, State
from coordinator.flow.prepare import prepare
from coordinator.flow.read_models import Actor
from coordinator.flow.record import record
from coordinator.sandbox.demo_people import registry
from coordinator.sandbox.demo_stage import set_up
from coordinator.settings import shipped
from coordinator.store.tables import deliveries, inbox, messages

ROOT = Path(__file__).resolve().parents[2]
PATIENTS = 60
AT_REST = {State.ACKNOWLEDGED, State.CANCELLED, *NEEDS_PERSON}


@dataclass(frozen=True)
class Verdict:
    """What the recipients hold against what we say."""

    told: int
    acknowledged: int
    waiting: int
    lost: int
    twice: int
    findings: int

    @property
    def kept(self) -> bool:
        return self.lost == self.twice == self.findings == 0


@dataclass
class Engine:
    """One engine under test. `broker` empty is the embedded runner on SQLite."""

    folder: Path
    name: str
    database: str = ""
    broker: str = ""
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    submitted: int = 0

    def open(self) -> None:
        """Start the recipients, make the database, and load the clinic."""

        def here(settings: Any) -> Any:
            return settings.model_copy(
                update={"database_url": self.database, "broker_url": self.broker, "doubt_pause_s": 10}
            )

        self.stage = set_up(self.folder, 0, 0, quick=here)
        self.service = self.stage.service
        today = self.service.parts.clock.now().date()
        clinic = registry(self.stage.farm.addresses(), today)
        first = clinic["patients"][0]
        for number in range(PATIENTS):
            patient = copy.deepcopy(first) | {"id": f"MRN-F{number}"}
            patient["course"] = patient["course"] | {"id": f"course-f{number}"}
            patient["identifiers"] = [one | {"value": f"NS-F{number}"} for one in patient["identifiers"]]
            clinic["patients"].append(patient)
        written = self.service.registry.write_whole(json.dumps(clinic).encode(), Actor("staff", "dana"))
        assert written.outcome == "created", written.faults
        with self.service.store.begin(write=False) as tx:
            for number in range(PATIENTS):
                patient = tx.patient(tx.key("patient", f"MRN-F{number}"))
                self.stage.farm.ehr.admit(patient, "pr-psych")

    def close(self) -> None:
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.wait(20)
        self.service.store.engine.dispose()
        self.stage.farm.stop()

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment of a worker process."""
        values = self.service.settings.model_dump(mode="json", exclude_none=True)
        ours = {
            f"COORDINATOR_{name.upper()}": value if isinstance(value, str) else json.dumps(value)
            for name, value in values.items()
            if value != ""
        }
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return kept | ours | {"PYTHONPATH": str(ROOT)} | more

    def start(self, role: str, *arguments: str, **more: str) -> subprocess.Popen[bytes]:
        """Start a worker process."""
        with (self.folder / f"{role}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.runner", role, *arguments],
                cwd=self.folder,
                env=self.environment(**more),
                stdout=log,
                stderr=log,
            )
        self.processes.append(process)
        return process

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """kill -9."""
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        process.wait(20)

    @property
    def worker_role(self) -> str:
        return "worker" if self.broker else "embedded"

    def event(self) -> dict[str, Any]:
        """Return a session of a patient of its own, so that nothing replaces anything."""
        number, self.submitted = self.submitted, self.submitted + 1
        text = (shipped("docs/examples") / "session-outcome.bp-spike.json").read_text(encoding="utf-8")
        made = copy.deepcopy(json.loads(text)) | {"id": f"sess-{uuid.uuid4().hex[:12]}"}
        made["patient"] = f"MRN-F{number}"
        made["course"] = made["course"] | {"id": f"course-f{number}"}
        return made

    def submit(self, *, and_prepare: bool = True) -> None:
        """Record an event in this process, and prepare it here too, so that a worker has only to send."""
        answer = record(self.service.parts, "ehr", json.dumps(self.event()).encode())
        assert answer.outcome == "accepted", answer.faults
        if and_prepare:
            prepare(self.service.parts, answer.event_ref)

    def unfinished(self) -> int:
        """Return how many rows are still on their way."""
        with self.service.store.begin(write=False) as tx:
            rows = tx.connection.execute(sa.select(deliveries.c.state, sa.func.count()).group_by(deliveries.c.state))
            moving = sum(count for state, count in rows if State(state) not in AT_REST)
            waiting = sa.select(sa.func.count()).where(inbox.c.state == "received")
            return moving + int(tx.connection.execute(waiting).scalar_one())

    def until_quiet(self, timeout_s: float = 90) -> None:
        """Wait until every row is at rest."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            with contextlib.suppress(sa.exc.OperationalError):
                if not self.unfinished():
                    return
            time.sleep(0.3)

    def judge(self) -> Verdict:
        """Compare what the recipients hold with what we say."""
        farm = self.stage.farm
        with self.service.store.begin(write=False) as tx:
            query = sa.select(messages.c.id, deliveries.c.state).join(
                deliveries, deliveries.c.message_id == messages.c.id
            )
            rows = list(tx.connection.execute(query))
        told = {row.id for row in rows}
        arrived = {row.id for row in rows if row.state == State.ACKNOWLEDGED}
        waiting = {row.id for row in rows if State(row.state) in NEEDS_PERSON} - arrived
        counts = farm.counts()
        held = counts["ehr"] + counts["fax"] + counts["hisp"]
        lost = (len(told) - len(arrived) - len(waiting)) + max(0, len(arrived) - held)
        lost += max(0, 2 * self.submitted - len(told))
        twice = sum(len(one) for one in farm.duplicates().values()) + max(0, held - len(told))
        return Verdict(len(told), len(arrived), len(waiting), lost, twice, len(self.service.verify()))


@contextlib.contextmanager
def engine(folder: Path, name: str, database: str = "", broker: str = "") -> Iterator[Engine]:
    """Yield an open engine; every process it started is gone afterwards."""
    made = Engine(folder, name, database, broker)
    made.open()
    try:
        yield made
    finally:
        made.close()
