"""The same story at scale: PostgreSQL, a real broker, Celery workers and beat as processes of their own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid

import psycopg
import pytest

from coordinator.flow.read_models import MessageFilter
from coordinator.sandbox import demo_people as people
from coordinator.sandbox.demo import DEMO, RESTING
from coordinator.sandbox.demo_stage import set_up

pytestmark = [pytest.mark.servers, pytest.mark.timeout(400)]


def needed(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        pytest.fail(f"{name} is not set: run .ci/run, which starts the servers")
    return value


@pytest.fixture
def database():
    server = needed("COORDINATOR_TEST_POSTGRES")
    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"')
    yield server.replace("postgresql://", "postgresql+psycopg://").rsplit("/", 1)[0] + f"/{name}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


class Processes:
    """Workers and beat with the stage's settings in their environment."""

    def __init__(self, settings, folder) -> None:
        values = settings.model_dump(mode="json", exclude_none=True)
        self._environment = dict(os.environ) | {
            f"COORDINATOR_{name.upper()}": str(value) for name, value in values.items() if value not in ("", None)
        }
        self._folder = folder
        self.running: list[subprocess.Popen] = []

    def start(self, *verb: str) -> subprocess.Popen:
        log = (self._folder / f"{verb[0]}.log").open("ab")
        made = subprocess.Popen(
            [sys.executable, "-m", "coordinator.cli", *verb],
            env=self._environment,
            cwd=self._folder,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        log.close()
        self.running.append(made)
        return made

    def kill(self, process: subprocess.Popen) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)

    def stop(self) -> None:
        for one in self.running:
            self.kill(one)


@pytest.fixture(params=["COORDINATOR_TEST_AMQP", "COORDINATOR_TEST_REDIS"])
def stage(request, database, tmp_path):
    broker = needed(request.param)

    def at_scale(settings):
        return settings.model_copy(update={"database_url": database, "broker_url": broker, "lease_s": 15})

    made = set_up(tmp_path, 8080, 8081, quick=at_scale)
    body = json.dumps(people.registry(made.farm.addresses(), people.EXAMPLES_FROM), ensure_ascii=False).encode()
    assert made.service.registry.write_whole(body, DEMO).outcome == "created"
    with made.service.store.begin(write=False) as tx:
        made.farm.ehr.admit(tx.patient(tx.key("patient", "MRN-1001")), "pr-psych")
    processes = Processes(made.service.settings, tmp_path)
    yield made, processes
    processes.stop()
    made.farm.stop()
    made.service.store.engine.dispose()


def rows(made):
    return list(made.service.desk.messages(MessageFilter(limit=500), DEMO))


def settled(made, wanted: int, within_s: float) -> bool:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        with made.service.store.begin(write=False) as tx:
            waiting = tx.inbox_in(("received",))
        found = rows(made)  # only after nothing waits to be prepared: what comes of it is among these
        if not waiting and len(found) >= wanted and all(one.state in RESTING for one in found):
            return True
        time.sleep(0.5)
    return False


def test_workers_deliver_everything_once_though_they_are_killed(stage, tmp_path):
    made, processes = stage
    day = people.EXAMPLES_FROM
    events = [people.example("session-outcome.bp-spike", day), people.example("dose-change.ketamine", day)]
    for number in range(6):
        event = people.session(day, f"sess-{number}", "MRN-1002", "course-78", weight_kg="68", dose_mg="34")
        event["course"]["session_number"] = number + 1
        events.append(event)
    beat = processes.start("beat")
    worker = processes.start("worker", "--concurrency", "2")
    for event in events:
        answer = made.service.desk.submit("ehr", json.dumps(event, ensure_ascii=False).encode())
        if answer.outcome == "held":
            made.service.desk.answer(answer.event_ref, confirmed=True, reason="checked the sheet", actor=DEMO)
        else:
            assert answer.outcome == "accepted", answer.faults
    for _ in range(2):
        time.sleep(6)
        processes.kill(worker)
        worker = processes.start("worker", "--concurrency", "2")
    processes.kill(beat)
    processes.start("beat")
    ok = settled(made, len(events), 150)
    logs = "".join(file.read_text()[-2000:] for file in tmp_path.glob("*.log"))
    assert ok, [(one.title, one.channel, one.state, one.why) for one in rows(made)] + [logs]
    assert made.farm.duplicates() == {"ehr": [], "hisp": [], "fax": []}
    assert made.service.verify() == []
    with made.service.store.begin(write=False) as tx:
        assert set(tx.heartbeats()) == {"prepare", "claim", "send", "sweep", "receipts"}
    lost = [one for one in rows(made) if one.state not in {"acknowledged", "cancelled"} and not one.why]
    assert lost == []
    assert all(name not in logs for name in ("Núñez", "Bakke", "MRN-100"))
