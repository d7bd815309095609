"""A clock that was ahead for a while: what it put off goes when it should, not when the clock gets there."""

from datetime import timedelta

import pytest
from bench_parts import example

from coordinator.domain.delivery import State
from coordinator.domain.errors import InDoubt, Transient
from coordinator.flow.clock_back import AHEAD, LastLook


@pytest.fixture
def told(bench):
    made = bench.told(example("session-outcome.bp-spike"))
    bench.sweep()
    return made["pr-psych"]


def in_a_jump(bench, by, act):
    """Do something while the clock is ahead by that much, with the sweeps of before and after."""
    bench.sweep()
    bench.clock.turn(**by)
    bench.sweep()
    act()
    bench.clock.turn(**{unit: -amount for unit, amount in by.items()})


@pytest.mark.parametrize("by", [{"hours": 1}, {"days": 1}])
def test_a_retry_waits_as_long_as_was_meant_not_until_the_clock_gets_there(bench, told, by):
    bench.channels["fhir-rest"].script = [Transient("net.refused")]
    in_a_jump(bench, by, bench.send_due)
    ahead = bench.deliveries(told.id)[0]
    meant = ahead.due_at - ahead.updated_at
    assert ahead.due_at > bench.clock.now() + timedelta(minutes=30)
    assert bench.sweep()
    assert bench.deliveries(told.id)[0].due_at == bench.clock.now() + meant
    bench.clock.turn(seconds=meant.total_seconds())
    bench.send_due()
    assert bench.state(told.id) == State.ACKNOWLEDGED


def test_the_far_side_is_asked_about_a_doubt_as_soon_as_was_meant(bench, told):
    bench.channels["fhir-rest"].script = [("take-then", InDoubt("fhir.timeout"))]
    in_a_jump(bench, {"days": 1}, bench.send_due)
    assert bench.state(told.id) == State.IN_DOUBT
    bench.sweep()
    bench.clock.turn(seconds=bench.parts.policy.doubt_pause.total_seconds())
    bench.sweep()
    assert bench.state(told.id) == State.ACKNOWLEDGED


def test_a_receipt_is_missed_when_it_is_late_by_the_right_clock(bench, told):
    bench.channels["fhir-rest"].script, bench.channels["fhir-rest"].knows = ["queue"], False
    in_a_jump(bench, {"days": 1}, bench.send_due)
    bench.sweep()
    bench.clock.turn(hours=1, minutes=1)
    bench.sweep()
    assert (bench.state(told.id), bench.cause(told.id)) == (State.HELD, "receipt.overdue")


def test_a_dead_workers_lease_ends_a_lease_later_not_a_day(bench, told):
    def claim():
        with bench.store.begin() as tx:
            now = bench.clock.now()
            tx.claim_due("dead", now, now + bench.parts.policy.lease, 50, shut=(), per_endpoint=9)

    in_a_jump(bench, {"days": 1}, claim)
    bench.sweep()
    assert bench.state(told.id) == State.CLAIMED, "its worker may be alive and sending"
    bench.clock.turn(seconds=bench.parts.policy.lease.total_seconds() + 1)
    bench.sweep()
    assert bench.state(told.id) == State.PENDING


def test_an_event_taken_in_by_the_clock_ahead_is_prepared_now(bench):
    recorded = []
    in_a_jump(bench, {"days": 1}, lambda: recorded.append(bench.submit(example("session-outcome.bp-spike"))))
    now = bench.clock.now()
    with bench.store.begin() as tx:
        assert not tx.claim_inbox("w", now, now + timedelta(minutes=3), 9)
    bench.sweep()
    with bench.store.begin() as tx:
        assert tx.claim_inbox("w", now, now + timedelta(minutes=3), 9) == [recorded[0].event_ref]


def test_an_open_breaker_is_probed_when_it_should_be(bench, told):
    bench.channels["fhir-rest"].script = [Transient("net.refused") for _ in range(20)]

    def until_open():
        for _ in range(bench.parts.policy.breaker_after):
            with bench.store.begin() as tx:
                tx.postpone(bench.deliveries(told.id)[0].id, bench.clock.now())
            bench.send_due()

    in_a_jump(bench, {"days": 1}, until_open)
    bench.sweep()
    with bench.store.begin(write=False) as tx:
        probe_at = tx.health(bench.deliveries(told.id)[0].endpoint_id).probe_at
    assert probe_at == bench.clock.now() + bench.parts.policy.breaker_probe


def test_an_endpoint_whose_pace_was_taken_by_the_clock_ahead_is_not_shut_until_it_gets_there(bench, told):
    endpoint = bench.deliveries(told.id)[0].endpoint_id
    with bench.store.begin() as tx:
        tx.put_pace(endpoint, None, 1)
    bench.channels["fhir-rest"].script = [Transient("net.refused")]
    in_a_jump(bench, {"days": 1}, bench.send_due)
    bench.sweep()
    bench.clock.turn(minutes=5)
    bench.send_due()
    assert bench.state(told.id) == State.ACKNOWLEDGED


def test_nothing_moves_while_the_clock_only_goes_on(bench, told):
    bench.channels["fhir-rest"].script = [Transient("net.refused")]
    bench.send_due()
    due_at = bench.deliveries(told.id)[0].due_at
    bench.clock.turn(seconds=1)
    bench.sweep()
    assert bench.deliveries(told.id)[0].due_at == due_at


def test_a_process_that_has_just_begun_looks_once_and_then_only_when_the_clock_went_back(bench):
    last, now = LastLook(), bench.clock.now()
    assert last.went_back(now), "nobody knows what the clock did before"
    assert not last.went_back(now + timedelta(days=1))
    assert not last.went_back(now + timedelta(days=1) - AHEAD), "that little is corrected every day"
    assert last.went_back(now)
    assert not last.went_back(now + timedelta(seconds=2))
