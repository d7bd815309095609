"""A letter that was withheld for lack of consent and is told afterwards: its clocks run like those of any other."""

from datetime import datetime

import pytest
from bench_parts import STAFF, START, example
from test_digest import by, quiet, take_in

from coordinator.domain.delivery import State
from coordinator.domain.errors import NeedsHuman, Transient
from coordinator.flow import backfill
from coordinator.planning.clocks import end_of_business_day

FAR_SIDE_DOWN = [Transient("net.connect")] * 500


def consents(**changes):
    return [one | changes for one in example("clinic")["patients"][0]["consents"]]


def withheld(bench, event):
    """Return the messages of an event that comes while no consent is in force."""
    bench.change_patient(consents=consents(revoked_on="2026-10-15"))
    return take_in(bench, event)


def tell_afterwards(bench, message):
    bench.change_patient(consents=consents(version=2))
    held = bench.deliveries(message.id)[0].id
    bench.desk.release(held, reason="consent is there now", token="r" * 43, actor=STAFF)
    with bench.store.begin(write=False) as tx:
        return tx.message(message.id)


@pytest.fixture
def plans(monkeypatch):
    """Return the plans of what is told afterwards, as they were made."""
    made = []

    def compose_for(workshop, case, plan, mine):
        made.append(mine)
        return backfill_compose(workshop, case, plan, mine)

    backfill_compose = backfill.compose_for
    monkeypatch.setattr(backfill, "compose_for", compose_for)
    return made


@pytest.fixture
def spike(bench, plans):
    """The session with the rise in blood pressure, told afterwards to the psychiatrist, ten hours later."""
    (message,) = by(withheld(bench, example("session-outcome.bp-spike")), "pr-psych", "withheld")
    bench.clock.turn(hours=10)
    return tell_afterwards(bench, message)


def now_and_then(bench, message, hours):
    """Sweep and send every half hour; return when it first showed as overdue, and the calls owed in the end."""
    told_at = None
    for _ in range(hours * 2):
        bench.send_due()
        bench.clock.turn(minutes=30)
        bench.sweep()
        with bench.store.begin(write=False) as tx:
            told_at = told_at or tx.message(message.id).told_at
            owed = [(cause, due_at) for _, _, _, cause, due_at in tx.open_tasks(message.id)]
    return told_at, owed


def test_what_is_told_afterwards_has_both_clocks_of_the_plan_that_is_made_then(bench, spike, plans):
    (mine,) = plans
    assert spike.priority == "urgent"
    assert spike.plan["requests"]
    assert mine.acknowledge_by_at is not None
    assert (spike.acknowledge_by_at, spike.tell_by_at) == (mine.acknowledge_by_at, mine.tell_a_person_by_at)
    assert min(spike.acknowledge_by_at, spike.tell_by_at) > bench.clock.now()


def test_an_unanswered_letter_that_was_told_afterwards_becomes_a_call(bench, spike):
    told_at, owed = now_and_then(bench, spike, hours=5)
    assert told_at is None
    assert ("answer.overdue", spike.acknowledge_by_at) in owed
    assert spike.id in {one.message_id for one in bench.desk.calls(STAFF)}
    assert bench.broken() == []


def test_one_told_afterwards_that_does_not_leave_is_shown_to_a_person_in_time(bench, spike):
    bench.channels["fhir-rest"].script = list(FAR_SIDE_DOWN)
    told_at, owed = now_and_then(bench, spike, hours=5)
    assert told_at is not None
    assert 0 <= (told_at - spike.tell_by_at).total_seconds() <= 1800
    assert ("answer.overdue", spike.acknowledge_by_at) in owed
    row = bench.desk.message(spike.id, STAFF).row
    assert (row.state, row.needs_person) == (State.PENDING, True)


def test_an_uneventful_session_told_afterwards_goes_as_a_letter_of_its_own_and_is_late_two_days_from_then(bench):
    take_in(bench, quiet(3, 5))
    bench.send_due()
    (message,) = by(withheld(bench, quiet(4, 12)), "pr-pcp", "withheld")
    bench.clock.turn(days=10)
    told = tell_afterwards(bench, message)
    assert told.tell_by_at == end_of_business_day(bench.clock.now(), 2, "America/Chicago")
    assert told.tell_by_at > datetime(2026, 10, 27, tzinfo=START.tzinfo)
    bench.clock.turn(minutes=1)
    bench.sweep()
    bench.send_due()
    row = bench.desk.message(told.id, STAFF).row
    assert (row.title, row.state) == ("Session summary", State.ACKNOWLEDGED)
    with bench.store.begin(write=False) as tx:
        assert tx.message(told.id).told_at is None


def test_a_digest_keeps_the_clocks_of_its_newest_session(bench):
    take_in(bench, quiet(3, 5))
    bench.send_due()
    (item,) = by(take_in(bench, quiet(4, 12)), "pr-pcp", "digest")
    bench.clock.turn(days=3)
    bench.sweep()
    with bench.store.begin(write=False) as tx:
        message = tx.message(item.id)
    assert message.state == "open"
    assert item.tell_by_at is not None
    assert (message.acknowledge_by_at, message.tell_by_at) == (item.acknowledge_by_at, item.tell_by_at)


def test_a_held_letter_that_was_sent_again_and_does_not_leave_is_shown_to_a_person_in_time(bench):
    bench.channels["fhir-rest"].script = [NeedsHuman("fhir.forbidden"), *FAR_SIDE_DOWN]
    message = bench.told(example("session-outcome.bp-spike"))["pr-psych"]
    bench.send_due()
    held = bench.deliveries(message.id)[0]
    assert held.state == State.HELD
    bench.desk.resend(held.id, reason="their server was mended", token="r" * 43, actor=STAFF)
    told_at, _ = now_and_then(bench, message, hours=5)
    assert told_at is not None
    assert 0 <= (told_at - message.tell_by_at).total_seconds() <= 1800
