"""The pace that the registry gives an endpoint holds at every claim, for every worker, and over restarts."""

import json
import threading
from datetime import timedelta

import pytest
from bench_parts import STAFF, example

from coordinator.domain.delivery import State
from coordinator.domain.errors import Transient
from coordinator.flow import deliver
from coordinator.flow.endpoint_checks import check_endpoint, list_endpoints
from coordinator.flow.hand import Hand

PSYCHIATRIST = "pr-psych"


def paced(bench, **pace):
    """Give the psychiatrist's endpoints a pace; return the id of the first."""
    provider = next(one for one in example("clinic")["providers"] if one["id"] == PSYCHIATRIST)
    for endpoint in provider["endpoints"]:
        if pace:
            endpoint["pace"] = pace
    written = bench.registry.write("providers", PSYCHIATRIST, json.dumps(provider).encode(), STAFF)
    assert written.outcome == "updated" if pace else written.outcome in {"updated", "unchanged"}, written.faults
    return provider["endpoints"][0]["id"]


@pytest.fixture
def waiting(bench):
    """Return, once called, the messages to the psychiatrist of that many sessions of patients of their own."""

    def made(count):
        found = []
        whole = example("clinic")
        patient = whole["patients"][0]
        for number in range(count):
            own = json.loads(json.dumps(patient)) | {"id": f"MRN-P{number}"}
            own["identifiers"] = [one | {"value": f"NS-P{number}"} for one in own["identifiers"]]
            own["course"] = own["course"] | {"id": f"course-p{number}"}
            assert bench.registry.write("patients", own["id"], json.dumps(own).encode(), STAFF).outcome == "created"
            event = example("session-outcome.bp-spike") | {"id": f"p-{number}", "patient": own["id"]}
            event["course"] = {"id": f"course-p{number}"}
            found.append(bench.told(event)[PSYCHIATRIST])
        return found

    return made


def states(bench, messages):
    return [bench.state(one.id) for one in messages]


def test_no_more_go_at_the_same_time_than_the_partner_wants(bench, waiting):
    paced(bench, at_once=1)
    messages = waiting(3)
    first = deliver.claim(bench.parts, "w1", 50)
    mine = {one.id for one in messages}
    assert sum(one.message.id in mine for one in first) == 1
    assert len(first) > 1, "others go on"
    assert not [one for one in deliver.claim(bench.parts, "w2", 50) if one.message.id in mine]
    for one in first:
        deliver.attempt(bench.parts, one)
    assert [one for one in deliver.claim(bench.parts, "w2", 50) if one.message.id in mine]


def test_no_more_go_within_a_minute_than_the_partner_wants_and_nothing_waits_longer_than_that(bench, waiting):
    paced(bench, per_minute=30)
    messages = waiting(4)
    for second in range(0, 8, 2):
        bench.send_due()
        bench.send_due()
        assert states(bench, messages).count(State.ACKNOWLEDGED) == second / 2 + 1
        bench.clock.turn(seconds=2)


def test_a_retry_takes_a_turn_like_any_other(bench, waiting):
    paced(bench, per_minute=1)
    bench.channels["fhir-rest"].script = [Transient("net.refused")]
    messages = waiting(1)
    bench.send_due()
    assert states(bench, messages) == [State.PENDING]
    with bench.store.begin() as tx:
        tx.postpone(bench.deliveries(messages[0].id)[0].id, bench.clock.now())
    bench.send_due()
    assert states(bench, messages) == [State.PENDING]
    bench.clock.turn(minutes=1)
    bench.send_due()
    assert states(bench, messages) == [State.ACKNOWLEDGED]


def test_a_pace_that_is_changed_or_taken_away_counts_at_the_next_claim(bench, waiting):
    paced(bench, per_minute=1)
    messages = waiting(3)
    bench.send_due()
    assert states(bench, messages).count(State.ACKNOWLEDGED) == 1
    paced(bench, per_minute=1, at_once=2)
    bench.send_due()
    assert states(bench, messages).count(State.ACKNOWLEDGED) == 1, "what is used up of the minute stays used up"
    paced(bench)
    bench.send_due()
    assert states(bench, messages).count(State.ACKNOWLEDGED) == 3


def test_two_workers_at_the_same_moment_do_not_both_take_the_last_room(bench, waiting):
    paced(bench, at_once=1, per_minute=1)
    mine = {one.id for one in waiting(6)}
    begin, taken = threading.Barrier(4), []

    def claim(name):
        begin.wait()
        taken.extend(deliver.claim(bench.parts, name, 50))

    threads = [threading.Thread(target=claim, args=(f"w{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(one.message.id in mine for one in taken) <= 1
    bench.clock.turn(minutes=1, seconds=1)
    for one in taken:
        deliver.attempt(bench.parts, one)
    assert sum(one.message.id in mine for one in deliver.claim(bench.parts, "later", 50)) == 1, "nobody is left out"


def test_a_hand_that_gave_its_only_send_back_asks_for_the_next(bench, waiting):
    paced(bench, at_once=1)
    mine = {one.id for one in waiting(2)}
    hand = Hand(bench.parts, "w", 32)
    hand.fill()
    rung = bench.parts.bell.heard("delivery")
    while (one := hand.take()) is not None:
        deliver.attempt(bench.parts, one)
        hand.finished(one)
    assert bench.parts.bell.heard("delivery") != rung
    hand.fill()
    assert any(one.message.id in mine for one in iter(hand.take, None))


@pytest.mark.parametrize("pace", [{"at_once": 0}, {"per_minute": 0}, {"per_minute": "many"}, {"a_minute": 3}])
def test_a_pace_that_cannot_be_kept_is_refused_with_its_place(bench, pace):
    provider = next(one for one in example("clinic")["providers"] if one["id"] == PSYCHIATRIST)
    provider["endpoints"][0]["pace"] = pace
    written = bench.registry.write("providers", PSYCHIATRIST, json.dumps(provider).encode(), STAFF)
    assert written.outcome == "refused"
    assert written.faults[0][0].startswith("/endpoints/0/pace/")


def test_the_minute_is_counted_by_the_database_not_by_the_process(bench, waiting):
    endpoint = paced(bench, per_minute=1)
    waiting(1)
    bench.send_due()
    with bench.store.begin(write=False) as tx:
        from coordinator.store.tables import endpoint_paces

        row = tx.connection.execute(endpoint_paces.select().where(endpoint_paces.c.endpoint_id == endpoint)).one()
    assert row.next_at == bench.clock.now() + timedelta(minutes=1)


def test_whoever_looks_at_an_endpoint_sees_its_pace(bench):
    endpoint = paced(bench, at_once=1, per_minute=30)
    row = next(one for one in list_endpoints(bench.parts) if one.id == endpoint)
    assert row.pace == "at most 1 at once, 30 a minute"
    flow = next(one for one in check_endpoint(bench.parts, {}, endpoint, STAFF) if one.name == "flow")
    assert "at most 1 at once, 30 a minute, as the registry says" in flow.seen
