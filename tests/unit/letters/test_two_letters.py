"""One event, two letters in one message: each thing is asked once, and one reply form answers both."""

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from coordinator.domain.case import SentLetter
from coordinator.domain.plan import RuleOutcome
from coordinator.letters.pdf import PdfEngine, pages_text

BOTH = (
    "spike-and-question.psychiatrist",
    "question-behind-summary.psychiatrist",
    "T6-dose.pr-psych",
    "T6-form.pr-psych",
)


@pytest.fixture(scope="session")
def messages(written):
    """Return (sample and reader) -> the letters of one message."""
    found = {}
    for row in written:
        found.setdefault(row.name.rpartition(".")[0], []).append(row)
    return found


def _flat(text):
    return " ".join(text.split())


def _numbers(text):
    """Return the numbers that Box A begins its requests with."""
    box = text.split("What we ask you to do", 1)[1]
    return [int(one) for one in re.findall(r"(?m)^(\d)\. ", box)]


def test_the_messages_with_two_letters_are_those_of_a_question_beside_another_letter(messages):
    assert sorted(name for name, rows in messages.items() if len(rows) > 1) == sorted(BOTH)


def test_every_request_of_a_message_is_asked_in_one_letter_and_only_there(messages):
    asked = 0
    for name, rows in messages.items():
        plan = next(one for one in rows[0].sample.recipients.values() if one.provider == rows[0].letter.provider)
        if plan.audience == "patient":
            continue
        shown = [ask for row in rows for ask in row.page.parts["frame"].asks]
        if rows[0].page.body is None:
            assert not shown, name
            continue
        assert [one.text.text for one in shown] == [one.text for one in plan.requests], name
        assert [one.number for one in shown] == list(range(1, len(plan.requests) + 1)), name
        whole = _flat(" ".join(row.letter.text for row in rows))
        for one in plan.requests:
            assert whole.count(_flat(one.text)) == 1, (name, one.text)
            asked += 1
    assert asked > 30


def test_a_message_has_one_reply_form_at_most_and_it_stands_behind_its_last_letter(messages):
    for name, rows in messages.items():
        forms = ["Reply form\n" in row.letter.text for row in rows]
        assert sum(forms) <= 1, name
        assert not any(forms[:-1]), name
        assert [row.page.form is not None for row in rows] == forms, name
    assert all("Reply form\n" in messages[name][-1].letter.text for name in BOTH)


def test_the_numbers_go_on_from_one_letter_to_the_next(messages):
    alert, question = messages["spike-and-question.psychiatrist"]
    assert _numbers(alert.letter.text) == [1]
    assert _numbers(question.letter.text) == [2]
    assert '<ol start="2">' in question.letter.html


@pytest.mark.parametrize("name", BOTH)
def test_a_letter_prints_the_numbers_that_its_text_says(messages, templates, name):
    engine = PdfEngine(templates / "layout")
    for row in messages[name]:
        printed = "\n".join(pages_text(engine.render(row.letter.html)))
        assert _numbers(printed) == _numbers(row.letter.text), row.name


def test_each_letter_points_to_what_the_other_asks_and_says_where_the_form_is(messages):
    alert, question = (_flat(row.letter.text) for row in messages["spike-and-question.psychiatrist"])
    other = "Please see also “Question about a medicine”, sent with this letter: it asks for something else"
    assert f"{other}, and the reply form behind it serves both." in alert
    assert "Please see also “Safety alert”, sent with this letter: it asks for something else." in question
    assert "The reply form behind this letter serves both." in question


def test_a_letter_that_asks_nothing_beside_a_question_does_not_say_that_nothing_is_to_do(messages):
    summary, question = (_flat(row.letter.text) for row in messages["T6-dose.pr-psych"])
    assert "No action needed – for information." not in summary
    assert "No action needed for what this letter tells. Please see also “Question about a medicine”" in summary
    assert "Please see also" not in question


@pytest.mark.parametrize("name", BOTH)
def test_the_question_never_says_that_nothing_is_asked_meanwhile(messages, name):
    first, question = (_flat(row.letter.text) for row in messages[name])
    assert "no request of ours names a dose of it until you answer" in question
    assert "ask for nothing" not in question
    waits = "asks does not wait for this answer."
    assert (f"What “Safety alert” {waits}" in question) == ("held or adjusted" in first)


@pytest.mark.parametrize("name", BOTH)
def test_the_letter_beside_a_question_does_not_ask_it_a_second_time(messages, name):
    first = _flat(messages[name][0].letter.text)
    assert "Please tell us if this is wrong." not in first
    assert "These statements differ; the other letter sent with this one asks you which of them holds." in first


def test_the_form_has_a_part_for_each_letter_that_asks(messages):
    form = _flat(messages["spike-and-question.psychiatrist"][1].letter.text.split("Reply form\n", 1)[1])
    plan, choice = form.index("To “Safety alert”, tick one:"), form.index("To “Question about a medicine”, tick one:")
    assert (
        plan
        < form.index("I agree and will do what is asked.")
        < form.index("A different plan (dose, from which day):")
        < choice
    )
    assert choice < form.index("Prescribed now: Adderall XR 20 mg once daily") < form.index("Something else:")
    assert form.index("Something else:") < form.index("Tick what applies:") < form.index("Please call me, at:")
    alone = _flat(messages["T6-dose.pr-psych"][1].letter.text.split("Reply form\n", 1)[1])
    assert "Tick one: [ ] Prescribed now:" in alone
    assert "I agree" not in alone


def _question(room, sample, **changes):
    one = sample.recipients["psychiatrist"]
    plan = replace(sample.plan, **changes) if changes else sample.plan
    return room.pages(sample.case, plan, one)[1].parts["frame"]


def test_a_routine_question_beside_an_urgent_letter_is_not_marked_urgent(room):
    sample = room.samples().sample("spike-and-question")
    alert = room.pages(sample.case, sample.plan, sample.recipients["psychiatrist"])[0].parts["frame"]
    assert alert.urgent
    assert not _question(room, sample).urgent


@pytest.mark.parametrize("known", [True, False])
def test_an_urgent_question_is_marked_and_so_is_one_of_which_that_is_not_known(room, known):
    sample = room.samples().sample("spike-and-question")
    rule = RuleOutcome("R17", True, "evaluated", "urgent", {}, {}, "")
    assert _question(room, sample, rules=(rule,) if known else ()).urgent


def test_only_the_first_letter_says_that_we_also_telephone(room):
    sample = room.samples().sample("spike-and-question")
    one = replace(sample.recipients["psychiatrist"], priority="stat", phone_call=True)
    pages = room.pages(sample.case, sample.plan, one)
    assert [page.parts["frame"].telephoned for page in pages] == [True, False]


def test_a_correction_of_both_letters_says_whether_each_numbered_request_stands(room):
    sample = room.samples().sample("spike-and-question")
    one = replace(sample.recipients["psychiatrist"], letters=("L9", "L5", "L12", "L11"))
    asked = one.requests[0].text, "Please tell us something else."
    sent = SentLetter("pr-psych", "L5", 1, datetime(2026, 10, 14, 19, tzinfo=UTC), asked)
    previous = sample.case.event
    now = previous.model_copy(update={"version": 2})
    case = replace(sample.case, event=now, previous=previous, already_sent=(sent,))
    first, question = room.write(case, sample.plan, one, fax=False)
    text = _flat(first.text)
    assert first.kind, question.kind == ("L9", "L12")
    assert "Request 1 of the earlier letter still stands." in text
    assert "Yes. Request 1 of the earlier letter still stands. Request 2 in our letter of 14 October 2026" in text
    assert "What is asked below is new." not in text
    assert "Nothing is asked now." not in text
    assert _flat(first.text + question.text).count(_flat(one.requests[1].text)) == 1
    assert ("Reply form\n" in first.text, "Reply form\n" in question.text) == (False, True)
