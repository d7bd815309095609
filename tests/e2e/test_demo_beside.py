"""The commands that a newcomer tries beside the running demo: they speak to its recipients, and nothing else may."""

import json
import subprocess
import sys

import pytest

from coordinator.sandbox import demo_people as people
from coordinator.sandbox.demo import DEMO
from coordinator.sandbox.demo_stage import set_up
from coordinator.settings import DEMO_SETTINGS, shipped

pytestmark = pytest.mark.loopback


@pytest.fixture
def running(tmp_path, monkeypatch):
    """Return the folder of a demo whose recipients are up, the folder in which it was started being the present one."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "demo-data"
    stage = set_up(folder, 8080, 8081)
    today = stage.service.parts.clock.now().date()
    body = json.dumps(people.registry(stage.farm.addresses(), today), ensure_ascii=False).encode()
    assert stage.service.registry.write_whole(body, DEMO).outcome == "created"
    yield folder
    stage.farm.stop()
    stage.service.close()


def typed(*words):
    """Type a command in another shell, in the present folder."""
    command = [sys.executable, "-m", "coordinator.cli", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


def check(endpoint):
    said = typed("endpoints", "check", endpoint, "--json")
    return said.returncode, {one["name"]: one["ok"] for one in json.loads(said.stdout)}


@pytest.mark.parametrize(
    ("endpoint", "asked"), [("ep-pcp-fax", "account"), ("ep-psych-direct", "starttls and sign-in")]
)
def test_a_check_in_another_shell_reaches_the_demos_recipients(running, endpoint, asked):
    code, steps = check(endpoint)
    assert code == 0
    assert steps[asked] is True


def test_the_record_system_of_the_demo_can_be_asked_too(running):
    _, steps = check("ep-psych-fhir")
    assert {name: steps[name] for name in ("metadata", "sign-in")} == {"metadata": True, "sign-in": True}


def test_without_the_demos_own_word_nothing_on_this_machine_is_asked(running):
    (running / DEMO_SETTINGS).unlink()
    code, steps = check("ep-psych-fhir")
    assert (code, steps["metadata"]) == (1, False)


def test_in_production_the_demos_word_opens_nothing(running, monkeypatch):
    monkeypatch.setenv("COORDINATOR_ENVIRONMENT", "production")
    said = typed("endpoints", "check", "ep-psych-fhir")
    assert said.returncode == 1
    assert "COORDINATOR_ALLOW_LOOPBACK is for trials" in said.stderr


def test_an_event_submitted_beside_the_demo_is_the_demos_and_the_list_shows_it(running, tmp_path):
    """Before, it made a second, empty database, and every list in the folder was empty from then on."""
    event = json.loads((shipped("docs/examples") / "dose-change.ketamine.json").read_text(encoding="utf-8"))
    file = tmp_path / "event.json"
    file.write_text(json.dumps(event))
    said = typed("submit", str(file))
    assert "dc-2001" in said.stdout
    assert "no registry" not in said.stdout
    assert "demo-data" in said.stderr
    assert not (tmp_path / "data").exists()
    assert "demo-data" in typed("messages", "list").stderr


def test_only_the_owner_reads_the_demos_settings(running):
    assert (running / DEMO_SETTINGS).stat().st_mode & 0o077 == 0


def test_where_there_is_no_database_a_check_says_so_and_makes_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = typed("endpoints", "list")
    assert said.returncode == 1
    assert "Run: coordinator serve" in said.stderr
    assert list(tmp_path.iterdir()) == []
