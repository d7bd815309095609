"""The restore drill of docs/operations.md, done with the real service and pretend recipients that count."""

import gc
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
import uuid
from pathlib import Path

import psycopg
import pytest

from coordinator.flow.read_models import Actor, MessageFilter
from coordinator.sandbox import demo_people as people
from coordinator.sandbox.demo_stage import set_up

pytestmark = [pytest.mark.loopback, pytest.mark.timeout(300)]
STAFF = Actor("staff", "dana")
RESTING = {"acknowledged", "held", "dead", "in-doubt", "cancelled"}


class Sqlite:
    """The embedded database: backed up while it is in use, and put back file for file."""

    url = ""

    def __init__(self, folder, copies):
        self.file, self.copy = folder / "coordinator.sqlite", copies / "backup.sqlite"

    def back_up(self):
        with sqlite3.connect(self.file) as live, sqlite3.connect(self.copy) as out:
            live.backup(out)

    def put_back(self):
        for ending in ("", "-wal", "-shm"):
            self.file.with_name(self.file.name + ending).unlink(missing_ok=True)
        self.file.write_bytes(self.copy.read_bytes())

    def remove(self):
        pass


class Postgres:
    """A database of the server that .ci/servers started: backed up and put back by PostgreSQL's own tools."""

    def __init__(self, folder, copies):
        server = os.environ.get("COORDINATOR_TEST_POSTGRES")
        if not server:
            pytest.fail("COORDINATOR_TEST_POSTGRES is not set: run .ci/run, which starts PostgreSQL")
        self.server, self.name, self.copy = server, f"drill_{uuid.uuid4().hex}", copies / "backup.dump"
        self.plain = f"{server.rsplit('/', 1)[0]}/{self.name}"
        self.url = self.plain.replace("postgresql://", "postgresql+psycopg://")
        self.on_server(f'CREATE DATABASE "{self.name}"')

    def on_server(self, *orders):
        with psycopg.connect(self.server, autocommit=True) as admin:
            for one in orders:
                admin.execute(one)

    def tool(self, name, *arguments):
        beside = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
        subprocess.run([beside[-1] if beside else shutil.which(name), *arguments], check=True, timeout=120)

    def back_up(self):
        self.tool("pg_dump", "--format=custom", f"--file={self.copy}", self.plain)

    def put_back(self):
        self.remove()
        self.on_server(f'CREATE DATABASE "{self.name}"')
        self.tool("pg_restore", "--exit-on-error", "--no-owner", f"--dbname={self.plain}", str(self.copy))

    def remove(self):
        self.on_server(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')


class House:
    """The service in one folder, started and stopped as often as the drill needs it."""

    def __init__(self, folder, database):
        self.folder, self.database = folder, database

    def start(self):
        changes = {"doubt_pause_s": 1, "search_lag_s": 1, "database_url": self.database.url}
        self.stage = set_up(self.folder, 61610, 61611, quick=lambda one: one.model_copy(update=changes))
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


@pytest.fixture(params=[Sqlite, pytest.param(Postgres, marks=pytest.mark.servers)])
def house(request, tmp_path):
    database = request.param(tmp_path / "data", tmp_path)
    made = House(tmp_path / "data", database)
    made.start()
    yield made
    made.stop()
    database.remove()


def test_the_drill(house, capsys):
    house.import_clinic()
    house.submit("session-outcome.bp-spike")
    house.runner.start()
    house.until(house.at_rest)
    house.runner.stop()
    # A dose change is accepted, and the backup is taken before anything of it has left.
    house.submit("dose-change.ketamine")
    house.database.back_up()
    # Afterwards it is delivered, and so is one more event that the backup knows nothing of.
    house.runner = house.service.runner()
    house.submit("dose-change.stimulant-hold")
    house.runner.start()
    house.until(house.at_rest)
    delivered, before = house.held_there(), len(house.rows())
    house.stop()

    # The disk fails; the older copy is put in its place, and the service is started as always.
    house.database.put_back()
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
    released = house.service.sending.restore_off(reason="drill: every far side was asked", actor=STAFF).go_on
    time.sleep(5)
    house.until(house.at_rest)
    assert house.held_there() == delivered
    assert all(found == [] for found in house.stage.farm.duplicates().values())
    assert house.service.verify() == []
    standing = sorted((one.channel, one.state.value, one.cause) for one in house.rows())
    told = f"noticed in {noticed_s:.1f} s, looked through in {looked_s:.1f} s, released {released}: {standing}"
    with capsys.disabled():
        sys.stdout.write(f"\n{told}\n")
