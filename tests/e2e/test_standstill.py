"""At scale, whoever watches the API learns that no worker is there, and that the broker's clock does not run."""

import time

import httpx
import psycopg
import pytest

from tests.e2e.test_stopping import Started, behind_a_broker  # noqa: F401  (a fixture)
from tests.faults.intake import free_port

pytestmark = [pytest.mark.servers, pytest.mark.timeout(300), pytest.mark.loopback]
LONG_AGO = "UPDATE heartbeats SET seen_at = '2026-01-05T00:00:00.000000+00:00'"


def watched(port, wanted, within_s=60):
    """Return once the API says that just this stands still."""
    ends_s, said = time.monotonic() + within_s, None
    while time.monotonic() < ends_s:
        try:
            answer = httpx.get(f"http://127.0.0.1:{port}/health/work", trust_env=False)
        except httpx.TransportError:
            time.sleep(0.2)
            continue
        said = answer.status_code, set(answer.json().get("standing_still", ()))
        if said == (503 if wanted else 200, wanted):
            return
        time.sleep(0.2)
    pytest.fail(f"it says {said}")


def test_work_that_nobody_does_is_said_and_is_done_by_a_worker_as_soon_as_there_is_one(behind_a_broker):  # noqa: F811
    settings, data = behind_a_broker
    port, folder = free_port(), data / "api"
    folder.mkdir()
    api = Started("serve", "--port", port, "--console-port", free_port(), settings=settings, data=folder)
    watched(port, set())
    with psycopg.connect(settings["COORDINATOR_DATABASE_URL"].replace("+psycopg", "")) as database:
        assert database.execute(LONG_AGO).rowcount == 5, "expected from the start, although nobody has begun it"
    watched(port, {"work.prepare", "work.send", "work.sweep", "work.receipts"})
    ready = httpx.get(f"http://127.0.0.1:{port}/health/ready", trust_env=False)
    assert ready.status_code == 200, "events are taken in all the same"
    worker = Started("worker", settings=settings, data=data)
    watched(port, {"work.sweep", "work.receipts"})
    assert worker.end() == 0, worker.log.read_text()
    assert api.end() == 0, api.log.read_text()
