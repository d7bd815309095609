"""The test patient's message: only where the partner agreed, marked, by the very channel, and never about a patient."""

import json

import pytest
from bench_parts import STAFF, example

from coordinator.domain.errors import NotFound, Permanent, Refused
from coordinator.flow import holds
from coordinator.flow.endpoint_test import send_test

AGREED = {
    "agreed_with": "Kim Doe, integration desk",
    "agreed_on": "2026-10-01",
    "name": {"family": "Zztest", "given": ["Alex"]},
    "birth_date": "1970-01-01",
    "sex": "unknown",
    "identifiers": [{"system": "urn:example:northshore:mrn", "value": "TEST-1"}],
}


@pytest.fixture
def database_url(tmp_path):
    return f"sqlite:///{tmp_path / 'coordinator.sqlite'}"


def agree(bench, provider: int = 0, place: int = 0, **changes) -> str:
    entity = example("clinic")["providers"][provider]
    entity["endpoints"][place]["test"] = AGREED | changes
    written = bench.registry.write("providers", entity["id"], json.dumps(entity).encode(), STAFF)
    assert written.outcome == "updated", written.faults
    return entity["endpoints"][place]["id"]


def sent(bench, kind):
    taken = []
    channel = bench.channels[kind]
    before = channel.send

    def send(package, endpoint, **more):
        taken.append(package)
        return before(package, endpoint, **more)

    channel.send = send
    return taken


@pytest.mark.parametrize(("provider", "place", "kind"), [(0, 0, "fhir-rest"), (0, 1, "direct"), (1, 0, "fax")])
def test_the_agreed_message_goes_by_the_very_channel_and_is_marked(bench, provider, place, kind):
    name, taken = agree(bench, provider, place), sent(bench, kind)
    steps = send_test(bench.parts, name, STAFF)
    assert (steps[-1].name, steps[-1].ok) == ("test message", True)
    assert "201" in steps[-1].seen
    package = taken[0]
    assert package.subject.startswith("TEST ")
    assert package.reference.startswith("TEST-")
    assert package.patient.name.full() == "Alex Zztest"
    text = package.document("letter-text").body.decode()
    assert "TEST MESSAGE" in text
    assert all(one.title.startswith("TEST ") for one in package.documents)
    if kind == "fhir-rest":
        assert package.document("fhir-document") is not None


def labels(body):
    """Return the security labels of every resource in a FHIR body, by resource."""
    if isinstance(body, list):
        return [one for item in body for one in labels(item)]
    if not isinstance(body, dict):
        return []
    mine = [{one["code"] for one in body["meta"]["security"]}] if "security" in body.get("meta", {}) else []
    return mine + [one for value in body.values() for one in labels(value)]


def test_every_resource_of_the_test_message_says_that_it_is_test_data_and_of_no_other_message(bench):
    name, taken = agree(bench), sent(bench, "fhir-rest")
    send_test(bench.parts, name, STAFF)
    message = bench.told(example("dose-change.ketamine"))["pr-psych"]
    bench.send_due()
    assert taken[1].message == message.id
    for package, expected in ((taken[0], True), (taken[1], False)):
        bodies = [json.loads(one.body) for one in package.documents if one.role.startswith("fhir-")]
        found = [one for body in bodies for one in labels(body)]
        assert len(found) > 5
        assert {"HTEST" in one for one in found} == {expected}


def test_nothing_of_it_enters_the_record_but_the_evidence(bench):
    send_test(bench.parts, agree(bench), STAFF)
    with bench.store.begin() as tx:
        assert tx.counts() == {}
        assert [one.action for one in tx.audit_of(["ep-psych-fhir"])] == ["test message sent"]
    assert bench.broken() == []


def test_a_double_click_is_one_test_message(bench):
    name = agree(bench)
    send_test(bench.parts, name, STAFF)
    with pytest.raises(Refused, match=r"test\.again"):
        send_test(bench.parts, name, STAFF)
    assert bench.channels["fhir-rest"].calls == 1
    bench.clock.turn(minutes=2)
    send_test(bench.parts, name, STAFF)
    assert bench.channels["fhir-rest"].calls == 2


def test_without_an_agreement_nothing_is_sent(bench):
    with pytest.raises(Refused, match=r"test\.not-agreed"):
        send_test(bench.parts, "ep-psych-fhir", STAFF)
    with pytest.raises(NotFound):
        send_test(bench.parts, "nobody", STAFF)
    assert all(one.calls == 0 for one in bench.channels.values())


@pytest.mark.parametrize(
    "changes",
    [
        {"name": {"family": "NÚÑEZ-ĐẶNG", "given": ["Zoë"]}, "birth_date": "1988-03-07"},
        {"name": {"family": "Nunez Dang", "given": ["Zoe"]}, "birth_date": "1988-03-07"},
        {"identifiers": [{"system": "urn:example:northshore:mrn", "value": "NS-55213"}]},
    ],
)
def test_a_test_patient_who_could_be_a_real_one_is_refused(bench, changes):
    name = agree(bench, **changes)
    with pytest.raises(Refused, match=r"test\.real"):
        send_test(bench.parts, name, STAFF)
    assert all(one.calls == 0 for one in bench.channels.values())


def test_what_the_far_side_refuses_is_shown_with_what_to_do(bench):
    name = agree(bench)
    bench.channels["fhir-rest"].script = [Permanent("fhir.422", status=422)]
    step = send_test(bench.parts, name, STAFF)[-1]
    assert step.ok is False
    assert "422" in step.seen
    assert step.what_to_do


def test_a_held_address_takes_no_test_message_either(bench):
    name = agree(bench)
    holds.hold(bench.parts, f"endpoint:{name}", reason="they asked us to stop", actor=STAFF)
    with pytest.raises(Refused, match=r"release\.paused"):
        send_test(bench.parts, name, STAFF)
