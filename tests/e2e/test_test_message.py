"""The partner's test message through the real channels, in front of pretend recipients that count."""

import gc
import json
import time

import pytest

from coordinator.domain.errors import Refused
from coordinator.domain.registry import Identifier, Patient
from coordinator.flow.read_models import Actor
from coordinator.sandbox import demo_people as people
from coordinator.sandbox.demo_stage import set_up

pytestmark = [pytest.mark.loopback, pytest.mark.timeout(200)]
STAFF = Actor("staff", "dana")


@pytest.fixture
def stage(tmp_path):
    made = set_up(tmp_path / "data", 61612, 61613)
    yield made
    made.service.close()
    made.farm.stop()
    gc.collect()


def agreed(number: str) -> dict:
    return {
        "agreed_with": "Kim Doe, integration desk",
        "agreed_on": "2026-10-01",
        "name": {"family": "Zztest", "given": ["Alex"]},
        "birth_date": "1970-01-01",
        "sex": "unknown",
        "identifiers": [{"system": "urn:example:northshore:mrn", "value": number}],
    }


def test_it_arrives_once_by_each_channel_and_is_marked_there(stage):
    today = stage.service.parts.clock.now().date()
    registry = people.registry(stage.farm.addresses(), today)
    ways = {}
    for provider in registry["providers"]:
        for endpoint in provider["endpoints"]:
            if endpoint["kind"] in ("fhir-rest", "direct", "fax") and endpoint["kind"] not in ways:
                endpoint["test"] = agreed("TEST-1")
                ways[endpoint["kind"]] = (endpoint["id"], provider["id"])
    assert set(ways) == {"fhir-rest", "direct", "fax"}
    body = json.dumps(registry, ensure_ascii=False).encode()
    assert stage.service.registry.write_whole(body, STAFF).outcome == "created"
    number = Identifier(system="urn:example:northshore:mrn", value="TEST-1", held_by=ways["fhir-rest"][1])
    theirs = Patient(
        id="TEST-PATIENT", name={"family": "Zztest", "given": ("Alex",)}, birth_date="1970-01-01", sex="unknown",
        identifiers=(number,),
    )  # fmt: skip
    stage.farm.ehr.admit(theirs, ways["fhir-rest"][1])
    before = stage.farm.counts()
    for kind, (endpoint, _) in ways.items():
        step = stage.service.test_endpoint(endpoint, STAFF)[-1]
        assert (step.name, step.ok) == ("test message", True), (kind, step)
    ends = time.monotonic() + 20
    while stage.farm.counts()["fax"] == before["fax"] and time.monotonic() < ends:
        time.sleep(0.2)  # the gateway dials after it has answered
    after = stage.farm.counts()
    assert {name: after[name] - before[name] for name in after} == {"ehr": 1, "hisp": 1, "fax": 1}
    assert stage.service.verify() == []
    with stage.service.store.begin(write=False) as tx:
        assert tx.counts() == {}


def test_a_test_patient_whom_the_far_side_does_not_know_is_told_with_what_to_do(stage):
    registry = people.registry(stage.farm.addresses(), stage.service.parts.clock.now().date())
    way = next(one for each in registry["providers"] for one in each["endpoints"] if one["kind"] == "fhir-rest")
    way["test"] = agreed("TEST-UNKNOWN")
    stage.service.registry.write_whole(json.dumps(registry, ensure_ascii=False).encode(), STAFF)
    step = stage.service.test_endpoint(way["id"], STAFF)[-1]
    assert (step.ok, "fhir.patient-none" in step.seen) == (False, True)
    assert step.what_to_do
    with pytest.raises(Refused):
        stage.service.test_endpoint("ep-pcp-fax", STAFF)
