"""A record is marked as 42 CFR Part 2 after letters were written that may draw on it: none of them goes unmarked."""

import json

import pytest
from bench_parts import STAFF, example
from test_digest import take_in
from test_part2 import NOTICE, documents, named, on_file

from coordinator.domain.delivery import State
from coordinator.domain.errors import Refused
from coordinator.flow import prepare as preparing
from coordinator.flow import recompose


@pytest.fixture
def database_url(tmp_path):
    return f"sqlite:///{tmp_path / 'coordinator.sqlite'}"


def spike(number, day, **changes):
    """Return a session with a spike on that day of October."""
    event = json.loads(json.dumps(example("session-outcome.bp-spike")).replace("2026-10-14", f"2026-10-{day:02}"))
    event["course"]["session_number"] = number
    return event | {"id": f"sess-{number}"} | changes


FIRST, SECOND, EARLIER = spike(4, 12), spike(5, 14), spike(3, 9)
MARKED = FIRST | {"version": 2, "part2": True, "amendment_reason": "It belongs to the programme."}


def told(bench, event):
    """Take an event in a minute after the last one; return the psychiatrist's message."""
    bench.clock.turn(minutes=1)
    return next((one for one in take_in(bench, event) if one.provider_id == "pr-psych"), None)


def second_recorded(bench):
    """Take the second session in, without preparing it; return what was answered."""
    bench.clock.turn(minutes=1)
    recorded = bench.submit(SECOND)
    if recorded.outcome == "held":
        bench.desk.answer(recorded.event_ref, confirmed=True, reason="read again", actor=STAFF)
    return recorded


@pytest.fixture
def told_of_the_second(bench):
    on_file(bench, named("pr-psych"))
    told(bench, FIRST)
    return told(bench, SECOND)


def test_what_waits_and_may_draw_on_it_is_held_and_goes_once_it_is_composed_anew(bench, told_of_the_second):
    message = told_of_the_second
    assert bench.desk.message(message.id, STAFF).row.part2 is False
    told(bench, MARKED)
    bench.send_due()
    assert (bench.state(message.id), bench.cause(message.id)) == (State.HELD, "consent.part2-unmarked")
    row = bench.desk.message(message.id, STAFF).row
    assert "since this message was written" in row.why
    assert "Compose it anew" in row.next_step
    shown = recompose.preview(bench.parts, message.id, STAFF)
    anew = recompose.recompose(
        bench.parts, message.id, reason="the notice is missing", token="r" * 43, seen=shown.seen, actor=STAFF
    )
    bench.send_due()
    assert bench.state(anew) == State.ACKNOWLEDGED
    assert NOTICE in documents(bench, bench_message(bench, anew), "letter-text")[0]


def bench_message(bench, name):
    with bench.store.begin(write=False) as tx:
        return tx.message(name)


def test_what_is_about_to_leave_is_asked_once_more(bench, told_of_the_second):
    bench.channels["fhir-rest"].between = lambda: told(bench, MARKED)
    bench.send_due()
    assert bench.state(told_of_the_second.id) == State.HELD
    assert not [one for one in bench.channels["fhir-rest"].held if told_of_the_second.id in one[0]]


def test_a_letter_that_was_sent_before_is_not_sent_again_without_the_notice(bench, told_of_the_second):
    bench.send_due()
    assert bench.state(told_of_the_second.id) == State.ACKNOWLEDGED
    told(bench, MARKED)
    with pytest.raises(Refused) as refused:
        bench.desk.resend(
            bench.deliveries(told_of_the_second.id)[-1].id, reason="they lost it", token="s" * 43, actor=STAFF
        )
    assert "since this message was written" in refused.value.reason


def test_what_was_composed_before_the_record_came_knows_nothing_of_it_and_goes(bench):
    on_file(bench, named("pr-psych"))
    earlier = told(bench, EARLIER)
    told(bench, FIRST)
    told(bench, MARKED)
    bench.send_due()
    assert bench.state(earlier.id) == State.ACKNOWLEDGED


@pytest.mark.parametrize("prepared", [True, False])
def test_what_is_being_composed_while_the_mark_comes_does_not_go_without_it(bench, monkeypatch, prepared):
    on_file(bench, named("pr-psych"))
    told(bench, FIRST)
    recorded = second_recorded(bench)
    whole, came = preparing.compose, []

    def compose(workshop, case):
        made = whole(workshop, case)
        if case.event.id == SECOND["id"] and not came:
            bench.clock.turn(seconds=1)
            came.append(bench.submit(MARKED))
            assert came[0].outcome == "accepted", came[0].faults
            if prepared:
                assert bench.prepare(came[0])
        return made

    monkeypatch.setattr(preparing, "compose", compose)
    first = bench.prepare(recorded)
    monkeypatch.undo()
    if prepared:
        assert first == [], "written from what is no longer true"
        message = next(one for one in bench.prepare(recorded) if one.provider_id == "pr-psych")
        assert bench.desk.message(message.id, STAFF).row.part2 is True
        assert NOTICE in documents(bench, message, "letter-text")[0]
    else:
        bench.prepare(came[0])
        message = next(one for one in first if one.provider_id == "pr-psych")
        bench.send_due()
        assert (bench.state(message.id), bench.cause(message.id)) == (State.HELD, "consent.part2-unmarked")


def test_a_mark_that_was_taken_back_before_keeps_nothing_from_being_prepared(bench):
    on_file(bench, named("pr-psych"))
    told(bench, FIRST)
    recorded = second_recorded(bench)
    told(bench, MARKED)
    told(bench, FIRST | {"version": 3, "amendment_reason": "It does not belong to it."})
    bench.clock.turn(minutes=1)
    assert bench.prepare(recorded), "what it draws on is what holds now, and it waits for nothing"
