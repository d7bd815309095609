"""The question which of two statements holds (L12): only what answers it ends the calls for it."""

import pytest
from bench_parts import DIFFER, STAFF
from link_parts import LinkBench
from test_answers import DOSE, LICENCE, by_phone, said
from test_answers_page import Desk

OVERDUE = [("call", "answer.overdue")]


@pytest.fixture
def links(bench):
    return LinkBench(bench, medications=DIFFER)


@pytest.fixture
def message(links):
    """A spike, and a question about the stimulant beside it."""
    told = links.told()
    assert told.letters == ("L5", "L12", "L11")
    return told


def days_pass(links, days=2):
    links.clock.turn(days=days)
    links.bench.sweep()


@pytest.mark.parametrize(
    ("kind", "more"),
    [("agree", {}), ("acknowledged", {}), ("different-plan", {"note": "we meet on Monday first"})],
)
def test_an_answer_that_does_not_tell_the_dose_leaves_the_call_owed(links, message, kind, more):
    links.reader.answer(links.enter(), said(kind, **more), "n-1")
    days_pass(links)
    assert links.tasks(message)[:1] == OVERDUE
    links.reader.answer(links.enter(), said(kind, **more), "n-2")
    assert links.tasks(message)[:1] == OVERDUE, "once it is owed, the same holds"


@pytest.mark.parametrize("kind", ["current-dose", "different-plan"])
def test_the_dose_ends_the_call_in_time_and_late(links, message, kind):
    days_pass(links)
    assert links.tasks(message)
    links.reader.answer(links.enter(), said(kind, dose=DOSE), "n-1")
    assert links.tasks(message) == []


def test_a_dose_in_time_is_never_a_call_whatever_is_answered_after_it(links, message):
    links.reader.answer(links.enter(), said("current-dose", dose=DOSE), "n-1")
    links.reader.answer(links.enter(), said("agree"), "n-2")
    days_pass(links, 5)
    assert links.tasks(message) == []


def test_who_asks_to_be_called_and_then_agrees_is_still_called(links, message):
    links.reader.answer(links.enter(), said("call-me", phone="+12185550143"), "n-1")
    links.reader.answer(links.enter(), said("agree"), "n-2")
    assert links.tasks(message) == [("call-back", "answer.call-me")]
    (call,) = links.bench.desk.calls(STAFF)
    assert "asks to be called" in call.why


def test_staff_who_record_the_call_end_it(links, message):
    links.reader.answer(links.enter(), said(), "n-1")
    days_pass(links, 1)
    call = next(one for one in links.bench.desk.calls(STAFF) if one.message_id == message.id)
    assert [kind for kind, _ in call.answered] == ["agree"]
    assert "which stimulant regimen is prescribed now" in call.still_open
    links.bench.desk.call_done(call.task_id, note="Dr M.: 30 mg, he wrote it down wrongly", actor=STAFF)
    days_pass(links, 5)
    assert links.tasks(message) == []


def test_an_answer_by_telephone_goes_by_the_same_rule(links, message):
    days_pass(links)
    by_phone(links, message, said())
    assert links.answers.still_open(message.id)
    assert links.tasks(message)[:1] == OVERDUE
    by_phone(links, message, said("current-dose", dose=DOSE), token="t-2")
    assert not links.answers.still_open(message.id)
    assert links.tasks(message) == []


def test_a_dose_that_a_clinician_rejects_opens_the_question_again_at_once(links, message):
    links.reader.answer(links.enter(), said("current-dose", dose=DOSE), "n-1")
    (waiting,) = links.answers.waiting(STAFF)
    assert waiting.still_open is None
    links.answers.review(waiting.id, accepted=False, actor=STAFF, licence=LICENCE, reason="another patient's dose")
    assert links.tasks(message) == [("call", "answer.still-open")]
    days_pass(links, 5)
    assert links.tasks(message)[0] == ("call", "answer.still-open"), "and it escalates like any other"
    assert OVERDUE[0] not in links.tasks(message)


def test_a_second_dose_that_is_rejected_is_a_call_again(links, message):
    for number, value in enumerate(("20", "25")):
        dose = DOSE | {"dose": {"value": value, "unit": "mg"}}
        links.reader.answer(links.enter(), said("current-dose", dose=dose), f"n-{number}")
        (waiting,) = links.answers.waiting(STAFF)
        links.answers.review(waiting.id, accepted=False, actor=STAFF, licence=LICENCE, reason="another patient's dose")
        assert links.tasks(message) == [("call", "answer.still-open")]
        (call,) = links.bench.desk.calls(STAFF)
        links.bench.desk.call_done(call.task_id, note="they look it up and write again", actor=STAFF)


def test_a_rejected_agreement_raises_no_second_call(links, message):
    links.reader.answer(links.enter(), said(), "n-1")
    (waiting,) = links.answers.waiting(STAFF)
    links.answers.review(waiting.id, accepted=False, actor=STAFF, licence=LICENCE, reason="typed by mistake")
    assert links.tasks(message) == []
    days_pass(links)
    assert links.tasks(message)[:1] == OVERDUE


def test_the_reader_is_told_that_the_question_is_open(links, message):
    session = links.enter()
    links.reader.answer(session, said(), "n-1")
    shown = links.reader.view(session)
    assert shown.still_open
    links.reader.answer(session, said("current-dose", dose=DOSE), "n-2")
    assert not links.reader.view(session).still_open


def test_the_console_says_what_is_still_open_everywhere_an_answer_is_seen(links, message):
    desk = Desk(links, "sender", "clinician")
    form = desk.get(f"/messages/{message.id}/answer").text
    token = form.split('name="token" value="')[1].split('"')[0]
    fields = {"token": token, "via": "phone", "kind": "agree", "name": "Dr M.", "role": "psychiatrist"}
    stored = desk.post(f"/messages/{message.id}/answer", **fields)
    assert stored.headers["location"] == "/answers?done=still-open"
    assert "so the call stays owed" in desk.get("/answers?done=still-open").text
    assert "Still open:" in desk.get("/answers").text
    about = desk.get(f"/messages/{message.id}").text
    assert "An answer is asked for by" in about
    assert "Still open: “Please tell us which stimulant regimen" in about


@pytest.mark.parametrize("char", ["\u202e", "\u2028"])
def test_an_answer_with_a_character_that_nobody_sees_is_not_recorded(links, message, char):
    desk = Desk(links, "sender", "clinician")
    token = desk.get(f"/messages/{message.id}/answer").text.split('name="token" value="')[1].split('"')[0]
    fields = {"token": token, "via": "phone", "kind": "agree", "name": f"Dr{char} M.", "role": "psychiatrist"}
    refused = desk.post(f"/messages/{message.id}/answer", **fields)
    assert "a character that nobody sees" in refused.text
    assert refused.status_code == 422


def test_the_list_of_calls_says_what_was_answered_and_what_is_open(links, message):
    links.reader.answer(links.enter(), said(), "n-1")
    days_pass(links)
    first = Desk(links, "sender", "clinician").get("/").text
    assert "agrees and will do what is asked" in first
    assert "Still open:" in first
