"""K13: the field key is changed, and the process that seals the stored values anew is killed with kill -9 each time."""

import base64
import json
import os
import subprocess
import sys
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from coordinator.bootstrap import build
from coordinator.flow.prepare import prepare
from coordinator.flow.read_models import Actor, MessageFilter
from coordinator.settings import Settings
from tests.faults import servers
from tests.faults.conftest import LONG, ROOT, SQLITE

EXAMPLES = Path(ROOT) / "docs" / "examples"
STAFF = Actor("staff", "u1")
KILLS = 20 if LONG else 6

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(params=[SQLITE, pytest.param("PostgreSQL", marks=pytest.mark.servers)])
def settings(request, tmp_path):
    with nullcontext("") if request.param == SQLITE else servers.database() as url:
        yield Settings(data_dir=tmp_path, database_url=url)


def key_file(settings):
    return settings.data_dir / "field.key"


@contextmanager
def opened(settings):
    made = build(settings)
    made.open()
    yield made
    made.close()


def example(name):
    return json.loads((EXAMPLES / f"{name}.json").read_text(encoding="utf-8"))


def command(settings, *words):
    environment = {
        "PATH": os.environ["PATH"], "PYTHONPATH": ROOT, "COORDINATOR_DATA_DIR": str(settings.data_dir),
        "COORDINATOR_KEY_FILE": str(key_file(settings)), "COORDINATOR_DATABASE_URL": settings.database_url,
    }  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-m", "coordinator.cli", *words], env=environment, stdout=subprocess.PIPE, text=True
    )


def letters(made):
    with made.parts.ledger.begin(write=False) as tx:
        messages = [one.id for one in tx.find_messages(MessageFilter(limit=500))]
        return {name: tx.document(name)[0].body for one in messages for name, *_ in tx.documents(one)}


def test_killed_again_and_again_while_the_keys_rotate_every_value_can_be_read_and_the_job_goes_on(settings):
    with opened(settings) as made:
        made.registry.write_whole(json.dumps(example("clinic")).encode(), STAFF)
        for number in range(6):
            event = example("dose-change.stimulant-hold") | {"id": f"change-{number}"}
            answer = made.desk.submit("ehr", json.dumps(event).encode())
            assert answer.outcome in {"accepted", "held"}, answer.faults
            if answer.outcome == "held":
                made.desk.answer(answer.event_ref, confirmed=True, reason="looked at again", actor=STAFF)
            prepare(made.parts, answer.event_ref)
        before = letters(made)
        assert len(before) > 6
    with key_file(settings).open("a", encoding="ascii") as file:
        file.write(f"k2 {base64.b64encode(os.urandom(32)).decode()}\n")

    done = []
    for number in range(KILLS):
        job = command(settings, "keys", "reseal", "--restarted", "--rows", "1")
        lines = [job.stdout.readline() for _ in range(1 + number % 3)]
        job.kill()
        assert job.wait() == -9
        job.stdout.close()
        assert all(" of " in line for line in lines), lines
        done.append(int(lines[0].split()[2]))
        with opened(settings) as made:
            assert letters(made) == before
            assert made.verify() == []
    assert done == sorted(done, reverse=True), "each run has less to do than the one before"
    assert done[-1] < done[0]

    job = command(settings, "keys", "reseal", "--restarted")
    said, _ = job.communicate(timeout=120)
    assert job.returncode == 0
    assert said.endswith("every stored value is under the newest key.\n")
    with opened(settings) as made:
        assert letters(made) == before
        assert made.verify() == []
        assert [(one.key_id, one.values > 0) for one in made.keys().uses()] == [("k1", False), ("k2", True)]
