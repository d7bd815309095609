"""A far side that is slow to answer the sweep's questions: it keeps no clock waiting, and no other far side."""

from datetime import timedelta

import pytest
from bench_parts import example, of_patients

from coordinator.domain.delivery import State
from coordinator.domain.errors import InDoubt
from coordinator.flow.ports import Lookup
from coordinator.flow.sweep import settle_doubts

SLOW_S = 15


@pytest.fixture
def asked(bench):
    """Put six faxes in doubt at a gateway that takes its time, beside six letters at a server that answers at once."""
    told = [bench.told(event) for event in of_patients(bench, 6)]
    names = []

    def answers(kind, seconds):
        def look_up(package, endpoint, far_side_ref, *, deadline):
            names.append(kind)
            bench.clock.turn(seconds=seconds)
            return Lookup("unknown")

        return look_up

    for kind, seconds in (("fax", SLOW_S), ("fhir-rest", 0.2)):
        bench.channels[kind].script = [("take-then", InDoubt(f"{kind}.in-doubt"))] * 6
        bench.channels[kind].look_up = answers(kind, seconds)
    while bench.send_due():
        pass
    assert {bench.deliveries(one["pr-pcp"].id)[-1].state for one in told} == {State.IN_DOUBT}
    return names


def test_a_round_asks_a_slow_far_side_once_and_the_others_as_often_as_they_have_doubts(bench, asked):
    bench.clock.turn(minutes=1)
    begun_at = bench.clock.now()
    bench.sweep()
    assert (asked.count("fax"), asked.count("fhir-rest")) == (1, 6)
    assert bench.clock.now() - begun_at < bench.parts.policy.questions_a_round


def test_every_doubt_at_a_slow_far_side_is_asked_about_in_time(bench, asked):
    for _ in range(6 * 12):
        bench.clock.turn(minutes=1)
        bench.sweep()
    assert asked.count("fax") >= 6


def test_while_one_is_slow_a_message_that_is_overdue_is_told_to_a_person_in_the_same_round(bench, asked):
    bench.clock.turn(minutes=1)
    change = bench.told(example("dose-change.stimulant-hold"))["pr-psych"]
    with bench.store.begin(write=False) as tx:
        tell_by_at = tx.message(change.id).tell_by_at
    bench.clock.time = tell_by_at + timedelta(seconds=1)
    bench.sweep()
    with bench.store.begin(write=False) as tx:
        assert tx.message(change.id).told_at - tell_by_at < timedelta(minutes=1)


def test_two_workers_do_not_ask_about_the_same_doubt_at_once(bench, asked):
    bench.clock.turn(minutes=1)
    real = bench.channels["fhir-rest"].look_up
    inside = []

    def look_up(*args, **more):
        if not inside:
            inside.append(True)
            inside.append(settle_doubts(bench.parts))  # another worker's round, in the midst of ours
        return real(*args, **more)

    bench.channels["fhir-rest"].look_up = look_up
    bench.sweep()
    assert asked.count("fhir-rest") == 6
