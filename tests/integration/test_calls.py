"""Telephone calls: owed, listed with the number to dial, recorded once."""

import json

import pytest
from bench_parts import STAFF, example

from coordinator.domain.errors import Refused


@pytest.fixture
def owed(bench):
    clinic = example("clinic")
    clinic["providers"][0]["phone"] = "+1-218-555-0150"
    bench.registry.write_whole(json.dumps(clinic).encode(), STAFF)
    bench.told(example("session-outcome.bp-spike"))
    bench.send_due()
    bench.clock.turn(hours=5)
    bench.sweep()
    return bench.desk.calls(STAFF)


def test_an_unanswered_urgent_letter_is_a_call_with_the_number_to_dial(owed):
    assert {one.recipient for one in owed} == {"Łukasz Müller-Ångström, MD", "Maeve O’Brien-Süß, DO"}
    mine = next(one for one in owed if one.recipient.startswith("Łukasz"))
    assert mine.numbers == (("Łukasz Müller-Ångström, MD", "+1-218-555-0150"),)
    assert "not answered" in mine.why
    assert mine.next_step


def test_a_fax_number_is_never_offered_for_a_call(owed):
    theirs = next(one for one in owed if one.recipient.startswith("Maeve"))
    assert theirs.numbers == ()


def test_a_call_is_recorded_once_with_what_was_agreed(bench, owed):
    first = owed[0]
    with pytest.raises(Refused, match="note"):
        bench.desk.call_done(first.task_id, note=" ", actor=STAFF)
    bench.desk.call_done(first.task_id, note="reached Dr M., holds on treatment days", actor=STAFF)
    with pytest.raises(Refused, match="recorded"):
        bench.desk.call_done(first.task_id, note="called again", actor=STAFF)
    assert first.task_id not in {one.task_id for one in bench.desk.calls(STAFF)}
    bench.sweep()
    assert len(bench.desk.calls(STAFF)) == len(owed) - 1
    timeline = bench.desk.message(first.message_id, STAFF).timeline
    assert any("call recorded: reached Dr M." in one.text for one in timeline)


def test_the_call_of_a_replaced_letter_is_not_asked_for(bench, owed):
    event = example("session-outcome.bp-spike") | {"version": 2, "amendment_reason": "another person's cuff"}
    event["vitals"][0] |= {"systolic": 124, "diastolic": 78}
    bench.told(event)
    # The old letter has arrived and is replaced; its correction carries the request now.
    assert {one.message_id for one in bench.desk.calls(STAFF)} <= {one.message_id for one in owed}
