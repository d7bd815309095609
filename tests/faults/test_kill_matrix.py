"""Real processes, killed with kill -9 between every two steps; what the pretend recipients hold is the judge.

SQLite embedded runs with the loopback tests; PostgreSQL with RabbitMQ and with Redis where the servers are.
Every run kills at the four steps around the send; `COORDINATOR_FAULTS=long` (`python -m tests.faults`) at all nine,
and more often at random.
"""

import json
import os
import random
import time
import uuid

import pytest

from tests.faults import report
from tests.faults.engines import engine

STEPS = {
    "prepare, before its commit": ("_store:before-commit", False),
    "prepare, after its commit": ("_store:after-commit", False),
    "claim, before its commit": ("claim:before-commit", True),
    "claim, after its commit": ("claim:after-commit", True),
    "mark, before its commit": ("mark:before-commit", True),
    "mark, after its commit, before the first byte": ("mark:after-commit", True),
    "the answer was read, nothing written down": ("send:answer-read", True),
    "outcome, before its commit": ("write_outcome:before-commit", True),
    "outcome, after its commit": ("write_outcome:after-commit", True),
}
TASK_NAMES = {"claim:before-commit": "claim_one:before-commit", "claim:after-commit": "claim_one:after-commit"}
LONG = os.environ.get("COORDINATOR_FAULTS") == "long"
SHORT = ("claim, after its commit", "mark, after its commit, before the first byte",
         "the answer was read, nothing written down", "outcome, before its commit")  # fmt: skip
TAKEN = STEPS if LONG else {name: STEPS[name] for name in SHORT}
RANDOM_KILLS = 10 if LONG else 2

SERVERS = [
    pytest.param("PostgreSQL + RabbitMQ", marks=pytest.mark.servers),
    pytest.param("PostgreSQL + Redis", marks=pytest.mark.servers),
]
pytestmark = [pytest.mark.loopback, pytest.mark.timeout(600)]


@pytest.fixture(scope="module", params=["SQLite embedded", *SERVERS])
def made(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("matrix")
    if request.param == "SQLite embedded":
        with engine(folder, request.param) as one:
            yield one
        return
    import psycopg

    server = os.environ.get("COORDINATOR_TEST_POSTGRES")
    broker = os.environ.get("COORDINATOR_TEST_AMQP" if "Rabbit" in request.param else "COORDINATOR_TEST_REDIS")
    if not server or not broker:
        pytest.fail("the servers are not there: run .ci/servers COMMAND, which starts them")
    name = f"f{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"')
    url = server.replace("postgresql://", "postgresql+psycopg://").rsplit("/", 1)[0]
    with engine(folder, request.param, f"{url}/{name}", broker) as one:
        one.server, one.database_name = server, name
        yield one
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


def settle(made, fault):
    """Let a healthy worker finish, judge, and keep the verdict for the table."""
    began = time.monotonic()
    worker = made.start(made.worker_role)
    made.until_quiet()
    took_s = time.monotonic() - began
    made.kill(worker)
    verdict = made.judge()
    report.keep(made.name, fault, verdict, took_s)
    assert verdict.kept, verdict


@pytest.fixture
def beat(made):
    process = made.start("beat") if made.broker else None
    yield
    if process is not None:
        made.kill(process)


def test_a_submission_killed_before_and_after_its_commit_is_recorded_once(made, tmp_path):
    event = made.event()
    file = tmp_path / "event.json"
    file.write_text(json.dumps(event))
    for place in ("record:before-commit", "record:after-commit"):
        assert made.start("submit", str(file), KILL_AT=place).wait(60) == -9
    assert made.start("submit", str(file)).wait(60) == 0
    with made.service.store.begin(write=False) as tx:
        assert len(tx.inbox_versions("ehr", event["id"])) == 1


@pytest.mark.usefixtures("beat")
def test_killed_between_every_two_steps_nothing_is_lost_and_nothing_arrives_twice(made):
    reached = 0
    for place, prepared in TAKEN.values():
        made.submit(and_prepare=prepared)
        name = TASK_NAMES.get(place, place) if made.broker else place
        process = made.start(made.worker_role, KILL_AT=name)
        try:
            reached += process.wait(45) == -9
        finally:
            made.kill(process)
    assert reached == len(TAKEN)
    settle(made, f"kill -9 at {len(TAKEN)} steps between recording and outcome, one after the other")


@pytest.mark.usefixtures("beat")
def test_killed_at_random_under_load_nothing_is_lost_and_nothing_arrives_twice(made):
    chance = random.Random(made.name)
    for _ in range(RANDOM_KILLS):
        for _ in range(2):
            made.submit()
        process = made.start(made.worker_role)
        time.sleep(chance.uniform(2.0, 6.0))
        made.kill(process)
    settle(made, f"{RANDOM_KILLS} x kill -9 at random under load")


@pytest.mark.servers
@pytest.mark.usefixtures("beat")
def test_a_flushed_broker_only_slows(made):
    if not made.broker:
        pytest.skip("the embedded runner has no broker")
    for _ in range(3):
        made.submit()
    process = made.start(made.worker_role)
    for _ in range(8):
        time.sleep(0.5)
        flush(made.broker)
    made.kill(process)
    settle(made, "broker emptied 8 times while working, then kill -9")


def flush(broker):
    if broker.startswith("redis"):
        import redis

        with redis.Redis.from_url(broker) as server:
            server.flushall()
        return
    from kombu import Connection

    with Connection(broker) as connection:
        connection.SimpleQueue("coordinator").clear()


@pytest.mark.servers
@pytest.mark.usefixtures("beat")
def test_a_database_that_cuts_every_connection_loses_nothing(made):
    if not made.database:
        pytest.skip("SQLite has no connections to cut")
    import psycopg

    for _ in range(3):
        made.submit()
    process = made.start(made.worker_role)
    made.service.store.engine.dispose()
    for _ in range(5):
        time.sleep(1)
        with psycopg.connect(made.server, autocommit=True) as admin:
            query = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"
            admin.execute(query, (made.database_name,))
    made.service.store.engine.dispose()
    made.kill(process)
    settle(made, "every database connection cut 5 times while working")
