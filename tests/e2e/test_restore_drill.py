"""The restore drill of docs/operations.md, done with the real service and pretend recipients that count."""

import gc
import json
import sqlite3
import sys
import time

import pytest

from coordinator.flow.read_models import Actor, MessageFilter
from coordinator.sandbox import demo_people as people
from coordinator.sandbox.demo_stage import set_up

pytestmark = [pytest.mark.loopback, pytest.mark.timeout(300)]
STAFF = Actor("staff", "dana")
RESTING = {"acknowledged", "held", "dead", "in-doubt", "cancelled"}


class House:
    """The service in one folder, started and stopped as often as the drill needs it."""

    def __init__(self, folder):
        self.folder = folder
        self.database = folder / "coordinator.sqlite"

    def start(self):
        self.stage = set_up(self.folder, 61610, 61611, quick=lambda one: one.model_copy(update={"doubt_pause_s": 1}))
        self.service = self.stage.service
        self.runner = self.service.runner()

    def stop(self):
        self.runner.stop()
        self.service.close()
        self.stage.farm.stop()
        gc.collect()

    def import_clinic(self):
        today = self.service.parts.clock.now().date()
        body = json.dumps(people.registry(self.stage.farm.addresses(), today), ensure_ascii=False).encode()
        assert self.service.registry.write_whole(body, STAFF).outcome == "created"
        with self.service.store.begin(write=False) as tx:
            patient = tx.patient(tx.key("patient", "MRN-1001"))
        self.stage.farm.ehr.admit(patient, "pr-psych")

    def submit(self, name):
        today = self.service.parts.clock.now().date()
        answer = self.service.desk.submit("ehr", json.dumps(people.example(name, today)).encode())
        assert answer.outcome in {"accepted", "replay"}, answer
        self.runner.wake()

    def rows(self):
        return self.service.desk.messages(MessageFilter(limit=100), STAFF)

    def until(self, true, seconds=90):
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            if true():
                return
            time.sleep(0.1)
        raise AssertionError([(one.title, one.channel, one.state.value, one.cause) for one in self.rows()])

    def at_rest(self):
        with self.service.store.begin(write=False) as tx:
            waiting = tx.inbox_in(("received",))
        return not waiting and all(one.state.value in RESTING for one in self.rows())

    def held_there(self):
        return self.stage.farm.counts()


@pytest.fixture
def house(tmp_path):
    made = House(tmp_path / "data")
    made.start()
    yield made
    made.stop()


def test_the_drill(house, tmp_path, capsys):
    house.import_clinic()
    house.submit("session-outcome.bp-spike")
    house.runner.start()
    house.until(house.at_rest)
    house.runner.stop()
    # A dose change is accepted, and the backup is taken before anything of it has left.
    house.submit("dose-change.ketamine")
    copy = tmp_path / "backup.sqlite"
    with sqlite3.connect(house.database) as live, sqlite3.connect(copy) as out:
        live.backup(out)
    # Afterwards it is delivered, and so is one more event that the backup knows nothing of.
    house.runner = house.service.runner()
    house.submit("dose-change.stimulant-hold")
    house.runner.start()
    house.until(house.at_rest)
    delivered, before = house.held_there(), len(house.rows())
    house.stop()

    # The disk fails; the older copy is put in its place, and the service is started as always.
    for ending in ("", "-wal", "-shm"):
        house.database.with_name(house.database.name + ending).unlink(missing_ok=True)
    house.database.write_bytes(copy.read_bytes())
    began = time.monotonic()
    house.start()
    view = house.service.sending.restore()
    assert view.hold is not None, "the older copy was not noticed"
    noticed_s = time.monotonic() - began
    house.runner.start()
    # The source sends again what it sent since that copy was made.
    house.submit("dose-change.stimulant-hold")
    house.until(lambda: len(house.rows()) == before and house.service.sending.restore().to_review == 0)
    house.until(lambda: all(one.state.value != "pending" for one in house.rows()))
    looked_s = time.monotonic() - began
    assert house.held_there() == delivered
    released = house.service.sending.restore_off(reason="drill: every far side was asked", actor=STAFF)
    time.sleep(5)
    house.until(house.at_rest)
    assert house.held_there() == delivered
    assert all(found == [] for found in house.stage.farm.duplicates().values())
    assert house.service.verify() == []
    standing = sorted((one.channel, one.state.value, one.cause) for one in house.rows())
    told = f"noticed in {noticed_s:.1f} s, looked through in {looked_s:.1f} s, released {released}: {standing}"
    with capsys.disabled():
        sys.stdout.write(f"\n{told}\n")
