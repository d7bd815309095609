"""A thousand events within ten seconds, over HTTP, at a service that sends meanwhile: each answered, or put off."""

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import httpx
import pytest

from coordinator.sandbox import demo_people as people
from coordinator.sandbox.demo import DEMO
from coordinator.sandbox.demo_stage import set_up
from tests.faults.engines import _patient
from tests.faults.intake import free_port

pytestmark = [pytest.mark.loopback, pytest.mark.timeout(300)]
EVENTS, WITHIN_S, CLIENTS = 1_000, 10.0, 32


@pytest.fixture
def stage(tmp_path):
    made = set_up(tmp_path / "data", free_port(), free_port())
    clinic = people.registry(made.farm.addresses(), people.EXAMPLES_FROM)
    clinic["patients"] += [_patient(clinic["patients"][0], number) for number in range(EVENTS)]
    body = json.dumps(clinic, ensure_ascii=False).encode()
    assert made.service.registry.write_whole(body, DEMO).outcome == "created"
    yield made
    made.service.close()
    made.farm.stop()


@pytest.fixture
def served(stage, tmp_path):
    """Start the service as its user does, in a process of its own; return its address."""
    values = stage.service.settings.model_dump(mode="json", exclude_none=True)
    ours = {
        f"COORDINATOR_{name.upper()}": value if isinstance(value, str) else json.dumps(value)
        for name, value in values.items()
        if value != ""
    }
    with (tmp_path / "serve.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "coordinator.cli", "serve"], env=dict(os.environ) | ours, stdout=log, stderr=log
        )
    base = f"http://127.0.0.1:{stage.service.settings.port}"
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            if httpx.get(f"{base}/health/ready", trust_env=False).status_code == 200:
                break
        except httpx.TransportError:
            time.sleep(0.2)
    yield base
    process.kill()
    process.wait(10)


def events():
    day = people.EXAMPLES_FROM
    first = people.example("session-outcome.bp-spike", day)
    for number in range(EVENTS):
        yield first | {
            "id": f"burst-{number}",
            "patient": f"MRN-F{number}",
            "course": first["course"] | {"id": f"course-f{number}"},
        }


def test_a_burst_of_a_thousand_events_is_answered_or_put_off_and_none_of_it_is_lost(stage, served, capsys):
    _, token = stage.service.accounts.sources.issue("burst", ("events:write",))
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    statuses: Counter[int] = Counter()
    promised, said, lock = set(), set(), threading.Lock()
    began = time.monotonic()
    with httpx.Client(base_url=served, headers=headers, timeout=120, trust_env=False) as http:

        def post(numbered):
            number, event = numbered
            time.sleep(max(0.0, began + WITHIN_S * number / EVENTS - time.monotonic()))
            answer = http.post("/v1/events", content=json.dumps(event).encode())
            with lock:
                statuses[answer.status_code] += 1
                if answer.status_code not in (202, 503):
                    said.add(answer.text[:600])
                if answer.is_success:
                    promised.add(event["id"])

        with ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(post, enumerate(events())))
    took = timedelta(seconds=round(time.monotonic() - began, 1))
    with stage.service.store.begin(write=False) as tx:
        kept = {one.event.id for state in ("received", "prepared", "question", "stuck", "superseded", "declined")
                for one in tx.inbox_in((state,))}  # fmt: skip
    assert {status for status in statuses if not 200 <= status < 300} <= {503}, (statuses, said)
    assert promised - kept == set()
    assert sum(statuses.values()) == EVENTS
    assert stage.service.verify() == []
    with capsys.disabled():
        sys.stdout.write(f"\n{EVENTS} events over {WITHIN_S:.0f} s, the last answer after {took}: {dict(statuses)}\n")
