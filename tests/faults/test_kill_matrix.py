"""Real processes, killed with kill -9 between every two steps of recording, preparing, sending and settling.

A worker stops itself at the named step, with every thread it has, and only then is it killed: a step counts when its
process was seen standing there. What the pretend recipients hold is the judge.
"""

import json
import os
import random
import time

import pytest

from tests.faults import report
from tests.faults.conftest import LONG, ROOT

SUBMIT = ("record:before-begin", "record:before-commit", "record:after-commit")
PREPARE = {
    "T2 claimed, nothing composed yet": "_prepare_round:after-commit",
    "T2 composed, nothing stored yet": "_store:before-begin",
    "T2 stored, before its commit": "_store:before-commit",
    "T2 after its commit": "_store:after-commit",
}
SEND = {
    "T3 claimed and released, before the commit": "claim:before-commit",
    "T3 after the claim's commit": "claim:after-commit",
    "T3 the channel begins": "send:begins",
    "T3 marked on-wire, before the commit": "mark:before-commit",
    "T3 after the mark's commit, before the first byte": "mark:after-commit",
    "T4 the answer was read, nothing written": "send:answer-read",
    "T4 outcome written, before its commit": "write_outcome:before-commit",
    "T4 after its commit": "write_outcome:after-commit",
}
RECEIPT = {
    "receipt written, before its commit": "take_in:before-commit",
    "after the receipt's commit, before it is marked as read": "take_in:after-commit",
}
RECOVER = {
    "a dead worker's rows taken back, before the commit": "take_back_leases:before-commit",
    "after that commit": "take_back_leases:after-commit",
    "the far side was asked, nothing written": "_settle_by_answer:before-begin",
    "its answer written, before the commit": "_settle_by_answer:before-commit",
    "after that commit ": "_settle_by_answer:after-commit",
}
RANDOM_KILLS = 8 if LONG else 2

pytestmark = [pytest.mark.loopback, pytest.mark.timeout(900)]


def killed_at(made, places, **more):
    """Start a worker, see it stand at its place, kill it."""
    worker = made.start_worker(STOP_AT=places, **more)
    place = worker.has_stopped_at()
    worker.kill()
    assert worker.ended() == -9
    return place


def test_a_submission_killed_around_its_commit_is_recorded_once(made, tmp_path):
    event = made.event()
    file = tmp_path / "event.json"
    file.write_text(json.dumps(event))
    for place in SUBMIT:
        process = made.start("submit", str(file), STOP_AT=place)
        assert process.has_stopped_at() == place
        process.kill()
        report.keep_kill(made.name, f"T1 {place.partition(':')[2]}")
    assert made.start("submit", str(file)).wait() == 0
    with made.service.store.begin(write=False) as tx:
        assert len(tx.inbox_versions("ehr", event["id"])) == 1
    made.accepted.append((event["id"], event["version"]))


def test_killed_between_every_two_steps_nothing_is_lost_and_nothing_arrives_twice(made, settle):
    kills = 0
    for steps in (PREPARE, SEND, RECEIPT):
        for step, places in steps.items():
            made.submit(and_prepare=steps is not PREPARE)
            killed_at(made, places)
            report.keep_kill(made.name, step)
            kills += 1
    settle(f"kill -9 at {kills} steps from preparing to receipts, one after the other", kills)


def test_killed_while_it_takes_back_what_a_dead_worker_held(made, settle):
    kills = 0
    for step, places in RECOVER.items():
        made.submit()
        killed_at(made, "mark:after-commit")
        if made.broker:
            time.sleep(made.lease_s + 0.5)  # so that the next sweep has something to take back
        killed_at(made, places)
        report.keep_kill(made.name, step)
        kills += 2
    settle(f"kill -9 at {len(RECOVER)} steps of recovery from a kill -9", kills)


def test_killed_while_the_recipient_works_on_the_request(made, settle):
    """The recipient has read the request (and then also stored it) and has not answered when the sender dies."""
    web, kills = made.stage.farm.ehr._web, 0
    answer = web._answer
    for stored in (False, True):
        seen = []

        def stall(request, stored=stored, seen=seen):
            if request.method != "POST" or not request.path.endswith("/DocumentReference"):
                return answer(request)
            if stored:
                answer(request)
            seen.append(request.path)
            end = time.monotonic() + 30
            while seen and time.monotonic() < end:
                time.sleep(0.02)
            raise ConnectionError("the sender is dead")

        while made.submitted % 3 == 2:
            made.submitted += 1  # these are told by Direct
        made.submit()
        web._answer = stall
        try:
            worker = made.start_worker()
            end = time.monotonic() + 60
            while not seen and time.monotonic() < end:
                time.sleep(0.02)
            assert seen, f"the request never came: {worker.said()}"
            worker.kill()
        finally:
            web._answer = answer
            seen.clear()
        report.keep_kill(made.name, "on the wire, " + ("stored there, unanswered" if stored else "read there, lost"))
        kills += 1
    settle("kill -9 while the recipient has the request, before and after it stored it", kills)


def test_killed_at_random_under_load_nothing_is_lost_and_nothing_arrives_twice(made, settle):
    chance = random.Random(made.name)
    for _ in range(RANDOM_KILLS):
        for _ in range(3):
            made.submit(and_prepare=chance.random() < 0.8)
        worker = made.start_worker()
        time.sleep(chance.uniform(0.8, 4.0))
        worker.kill()
    settle(f"{RANDOM_KILLS} x kill -9 at random under load (seeded)", RANDOM_KILLS)


def test_a_migration_killed_half_way_is_done_by_the_next_start(tmp_path, template):
    """Every step of the migrations is one transaction on both databases: killed before its commit, nothing of it is
    there, and the next `migrate` brings the schema up.
    """
    from coordinator.bootstrap import build
    from coordinator.settings import Settings
    from coordinator.store import migrate

    settings = Settings(data_dir=tmp_path)
    environment = {
        "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "COORDINATOR_DATA_DIR": str(tmp_path),
        "REACHED": str(tmp_path / "reached"), "TEST_LEASE_S": "6",
    }  # fmt: skip
    for delay_s in (0.0, 0.01, 0.03, 0.06, 0.1):
        worker = template.start("migrate", (), environment, tmp_path, tmp_path / "migrate.log")
        time.sleep(0.3 + delay_s)
        worker.kill()
    worker = template.start("migrate", (), environment, tmp_path, tmp_path / "migrate.log")
    assert worker.wait() == 0, worker.said()
    service = build(settings)
    assert migrate.is_current(service.store.engine)
    service.store.engine.dispose()


def test_sqlite_is_told_to_wait_for_the_disk(made):
    """The cut of the power itself is not played; what it rests on is asked of the open database."""
    if made.broker:
        pytest.skip("PostgreSQL waits for the disk by itself")
    with made.service.store.engine.connect() as connection:
        modes = [connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in ("journal_mode", "synchronous")]
    assert modes == ["wal", 2]
