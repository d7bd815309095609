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


def with_contacts(bench):
    clinic = example("clinic")
    clinic["providers"][0]["phone"] = "+1-218-555-0150"
    clinic["providers"][0]["contacts"] = [
        {"role": "covering", "name": "Dr. Vera Cole", "phone": "+1-218-555-0152"},
        {"role": "second", "name": "Practice nurse line", "phone": "+1-218-555-0151"},
    ]
    assert bench.registry.write_whole(json.dumps(clinic).encode(), STAFF).outcome == "updated"


def causes_of(bench, message):
    with bench.store.begin(write=False) as tx:
        return [one[3] for one in tx.open_tasks(message.id)]


def test_nobody_answers_then_the_second_contact_then_the_covering_clinician(bench):
    with_contacts(bench)
    message = bench.told(example("session-outcome.bp-spike"))["pr-psych"]
    bench.send_due()
    seen = []
    for _ in range(60):
        bench.clock.turn(minutes=30)
        bench.sweep()
        now = causes_of(bench, message)
        if now and (not seen or seen[-1] != now[-1]):
            seen.append(now[-1])
    assert seen == ["answer.overdue", "answer.second", "answer.covering"]
    mine = [one for one in bench.desk.calls(STAFF) if one.message_id == message.id]
    first = {one.why: one.numbers[0][1] for one in mine}
    assert list(first.values()) == ["+1-218-555-0150", "+1-218-555-0151", "+1-218-555-0152"]
    assert all(len(one.numbers) == 3 for one in mine)


def test_a_recorded_call_ends_the_escalation_and_the_other_calls(bench):
    with_contacts(bench)
    message = bench.told(example("session-outcome.bp-spike"))["pr-psych"]
    bench.send_due()
    for _ in range(40):
        bench.clock.turn(minutes=30)
        bench.sweep()
        if "answer.second" in causes_of(bench, message):
            break
    task = next(one for one in bench.desk.calls(STAFF) if one.message_id == message.id)
    bench.desk.call_done(task.task_id, note="the nurse line took it", actor=STAFF)
    assert causes_of(bench, message) == []
    for _ in range(40):
        bench.clock.turn(minutes=30)
        bench.sweep()
    assert causes_of(bench, message) == []


def test_a_stat_message_goes_out_and_also_makes_a_call_at_once(bench):
    emergency = example("session-outcome.bp-spike") | {"blood_pressure_symptoms": ["chest-pain"]}
    message = bench.told(emergency)["pr-psych"]
    assert message.priority == "stat"
    assert causes_of(bench, message) == ["priority.stat"]
    assert bench.send_due() > 0
    assert causes_of(bench, message) == ["priority.stat"]
    assert "emergency" in next(one.why for one in bench.desk.calls(STAFF) if one.message_id == message.id)
