"""coordinator watch as a process of its own, killed at any moment: every event on record once, every file moved."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples"
FILES, EACH = 5, 3


def run(*arguments, settings):
    done = subprocess.run(
        [sys.executable, "-m", "coordinator.cli", *map(str, arguments)],
        env=settings, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def sessions(event, file_number):
    """Return the events of one file: sessions of one course, each with its own number and id."""
    numbers = range(file_number * EACH + 1, (file_number + 1) * EACH + 1)
    return [
        {**event, "id": f"sess-{n}", "course": {**event["course"], "session_number": n, "planned_sessions": 30}}
        for n in numbers
    ]


def moved(inbox):
    return len(list((inbox / "done").glob("*.json")))


@pytest.mark.timeout(170)
def test_killed_at_any_moment_it_loses_no_event_and_records_none_twice(tmp_path):
    settings = {**os.environ, "COORDINATOR_DATA_DIR": str(tmp_path / "data")}
    run("registry", "import", EXAMPLES / "clinic.json", settings=settings)
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    event = json.loads((EXAMPLES / "session-outcome.bp-spike.json").read_text("utf-8"))
    for number in range(FILES):
        (inbox / f"f{number}.json").write_text(json.dumps(sessions(event, number)), "utf-8")
    dice = random.Random(20261014)
    command = [sys.executable, "-m", "coordinator.cli", "watch", str(inbox), "--every", "0.1", "--json"]
    for _ in range(3):
        process = subprocess.Popen(
            command, env=settings, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        before, ends = moved(inbox), time.monotonic() + 20
        while time.monotonic() < ends and moved(inbox) == before and process.poll() is None:
            time.sleep(0.005)
        time.sleep(dice.random() * 0.1)
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    told = run("watch", inbox, "--every", "0.1", "--once", "--json", settings=settings)
    assert sorted(one.name for one in (inbox / "done").glob("*.json")) == [f"f{number}.json" for number in range(FILES)]
    assert list(inbox.glob("*.json")) == []
    assert list((inbox / "refused").iterdir()) == []
    for line in told.splitlines():
        assert set(json.loads(line)["counts"]) <= {"accepted", "held", "replay"}
    again = inbox / "f-again.json"
    again.write_text(json.dumps([one for number in range(FILES) for one in sessions(event, number)]), "utf-8")
    (line,) = run("watch", inbox, "--every", "0.1", "--once", "--json", settings=settings).splitlines()
    assert json.loads(line)["counts"] == {"replay": FILES * EACH}, "every event was on record already, once"
