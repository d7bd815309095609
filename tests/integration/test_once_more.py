"""What the far side has not got is sent once more, not again and again: then a person decides."""

import pytest
from bench_parts import STAFF, example

from coordinator.domain.delivery import State
from coordinator.domain.errors import InDoubt
from coordinator.flow import deliver
from coordinator.flow.ports import Lookup

BREAKS_AFTER_TAKING = ("take-then", InDoubt("fhir.500", status=500))
HOURS = 48


@pytest.fixture
def never_found(bench):
    """Let the record system take every letter, break then, and show none of them in its search."""
    far = bench.channels["fhir-rest"]
    far.script, far.says = [BREAKS_AFTER_TAKING] * 500, Lookup("absent")
    return far


def rounds(bench, count, **between):
    for _ in range(count):
        bench.clock.turn(**between)
        bench.sweep()
        bench.send_due()


def test_a_server_that_stores_and_never_shows_gets_a_letter_twice_at_most_and_then_a_person_decides(bench, never_found):
    message = bench.told(example("session-outcome.bp-spike"))["pr-psych"]
    bench.send_due()
    rounds(bench, HOURS * 3, minutes=20)
    (row,) = bench.deliveries(message.id)
    assert len(never_found.held) == 2
    assert (row.state, row.cause) == (State.IN_DOUBT, "doubt.absent-again")
    shown = bench.desk.message(message.id, STAFF)
    assert shown.row.needs_person
    assert "more than once" in shown.row.why
    assert bench.broken() == []


def test_it_is_settled_by_itself_when_the_search_shows_it_after_all(bench, never_found):
    message = bench.told(example("session-outcome.bp-spike"))["pr-psych"]
    bench.send_due()
    rounds(bench, 20, minutes=20)
    never_found.says = Lookup("arrived-proven", far_side_ref="DocumentReference/9")
    rounds(bench, 6, minutes=20)
    assert bench.state(message.id) == State.ACKNOWLEDGED
    assert len(never_found.held) == 2


def test_a_person_who_has_asked_them_may_send_it_again_and_decides_about_the_next_doubt_too(bench, never_found):
    message = bench.told(example("session-outcome.bp-spike"))["pr-psych"]
    bench.send_due()
    rounds(bench, 20, minutes=20)
    (row,) = bench.deliveries(message.id)
    bench.desk.release(row.id, reason="called, they have nothing", token="t-1", actor=STAFF)
    rounds(bench, 20, minutes=20)
    assert len(never_found.held) == 3
    assert bench.state(message.id) == State.IN_DOUBT


def test_a_worker_that_dies_says_nothing_about_the_far_side_and_has_it_sent_as_often_as_the_schedule_allows(bench):
    bench.channels["fhir-rest"].says = Lookup("absent")
    message = bench.told(example("session-outcome.bp-spike"))["pr-psych"]
    deaths = 0
    for _ in range(HOURS * 3):
        for one in deliver.claim(bench.parts, "dead", 50):
            deliver.mark(bench.parts, one, None)
            deaths += one.message.id == message.id
        bench.clock.turn(minutes=20)
        bench.sweep()
    tries = 1 + len(bench.parts.retries.schedule("fhir-rest", message.priority, "doubt.worker-died"))
    assert 2 < deaths <= tries
    assert (bench.state(message.id), bench.cause(message.id)) == (State.IN_DOUBT, "doubt.absent-again")


def test_a_notice_whose_mail_service_breaks_each_time_goes_as_often_as_the_schedule_and_ever_more_slowly(bench):
    far = bench.channels["fhir-rest"]
    far.safe_to_repeat, far.script, far.says = True, [BREAKS_AFTER_TAKING] * 5000, Lookup("absent")
    message = bench.told(example("session-outcome.bp-spike"))["pr-psych"]
    bench.send_due()
    rounds(bench, 60, minutes=1)
    assert len(far.held) <= 6
    rounds(bench, 24 * 14, hours=1)
    assert len(far.held) <= 1 + len(bench.parts.retries.schedule("fhir-rest", message.priority, "link.in-doubt"))
    assert (bench.state(message.id), bench.cause(message.id)) == (State.IN_DOUBT, "doubt.absent-again")
