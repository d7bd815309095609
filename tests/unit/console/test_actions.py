"""The buttons of a message and the answer to a held event: each does its one thing, or says why not."""

import re

import pytest
from browser import Browser, words
from web_data import a_delivery, a_row, some_questions

from coordinator.console import presenters
from coordinator.domain.delivery import State
from coordinator.domain.errors import Refused, StateConflict
from coordinator.flow.read_models import Actor

ME = Actor("staff", "sender")


@pytest.fixture
def browser(client):
    made = Browser(client)
    made.sign_in()
    return made


def act(browser, verb, number, **fields):
    return browser.post(f"/messages/m-{number}/{verb}", {"delivery": f"d-{number}", "token": "act-1", **fields})


@pytest.mark.parametrize(
    ("verb", "number", "fields", "done"),
    [
        ("resend", 3, {"reason": "number corrected"}, ("resend", "d-3", "number corrected", ME)),
        ("release", 6, {"reason": "consent came"}, ("release", "d-6", "consent came", "act-1", ME)),
        ("cancel", 5, {"reason": "by mistake"}, ("cancel", "m-5", "by mistake", ME)),
        ("handover", 8, {"to": "reception, Dr. Berg"}, ("handover", "d-8", "reception, Dr. Berg", None, ME)),
    ],
)
def test_each_button_does_its_one_thing_and_says_so(service, browser, verb, number, fields, done):
    answer = act(browser, verb, number, **fields)
    assert answer.status_code == 303
    assert service.desk.done == [done]
    assert 'role="status"' in browser.get(answer.headers["location"]).text


def test_a_double_click_sends_once(service, browser):
    for _ in range(2):
        assert act(browser, "resend", 3, reason="number corrected").status_code == 303
    assert len(service.desk.done) == 1


@pytest.mark.parametrize("verb", ["resend", "release", "cancel", "handover"])
@pytest.mark.parametrize("said", ["", "   ", "x" * 501])
def test_nothing_is_done_without_a_reason(service, browser, verb, said):
    answer = act(browser, verb, 3, reason=said, to=said)
    assert answer.status_code == 422
    assert "Nothing was done." in words(answer)
    assert service.desk.done == []


@pytest.mark.parametrize("verb", ["resend", "release", "cancel", "handover"])
def test_what_may_not_be_done_says_why_on_the_page(service, browser, verb):
    service.desk.refuse = Refused("release.no-consent", "There is no consent in force for this recipient.")
    answer = act(browser, verb, 3, reason="x", to="x")
    assert answer.status_code == 409
    assert "There is no consent in force for this recipient." in words(answer)


def test_what_was_typed_for_an_act_that_was_refused_is_still_there(service, browser):
    service.desk.refuse = Refused("reason.missing", "Give a reason of a few words.")
    page = act(browser, "resend", 3, reason='"ok"').text
    assert '<details class="action" name="action" open>' in page
    assert 'value="&#34;ok&#34;"' in page
    assert page.count(" open>") == 2  # this form, and the delivery's own card


@pytest.mark.parametrize("verb", ["resend", "release", "cancel", "handover"])
def test_who_was_too_late_is_told_so(service, browser, verb, monkeypatch):
    def faster(*_, **__):
        raise StateConflict

    monkeypatch.setattr(service.desk, "_do", faster)
    answer = act(browser, verb, 3, reason="x", to="x")
    assert answer.status_code == 409
    assert "was faster" in words(answer)


def test_a_delivery_of_another_message_is_not_touched(service, browser):
    answer = browser.post("/messages/m-3/resend", {"delivery": "d-4", "token": "act-1", "reason": "x"})
    assert answer.status_code == 404
    assert service.desk.done == []


def test_a_button_that_may_not_be_pressed_is_shown_with_its_reason(browser):
    page = browser.get("/messages/m-1").text
    assert re.search(r'<button disabled aria-describedby="why-cancel">Withdraw</button>', page)
    assert "Something of it may have left already" in page
    assert '<summary class="button">Send again</summary>' in page


@pytest.mark.parametrize(
    ("state", "channel", "says"),
    [
        (State.HELD, "by-hand", "record"),
        (State.HELD, "none", "no way"),
        (State.HELD, "fax", "closed"),
        (State.SENT, "fax", "held or in doubt"),
        (State.DEAD, "fax", "over"),
    ],
)
def test_a_release_that_may_not_be_says_the_right_reason(state, channel, says):
    view = a_delivery(a_row(1, state=state, channel=channel), may_release=False)
    reasons = {one.name: one.why_not for one in presenters.actions(view, allowed=True)}
    assert says in reasons["release"]


def test_what_may_be_done_comes_first():
    view = a_delivery(a_row(1, state=State.HELD, channel="by-hand"))
    offered = [one.why_not is None for one in presenters.actions(view, allowed=True)]
    assert offered == [True, True, False, False, False]


@pytest.mark.parametrize("state", list(State))
def test_every_refused_action_has_a_reason_in_every_state(state):
    view = a_delivery(a_row(1, state=state), may_resend=False, may_not_resend_because=None)
    for allowed in (True, False):
        for one in presenters.actions(view, allowed=allowed):
            assert one.label
            if not allowed:
                assert "role" in one.why_not
    refused = {one.name: one.why_not for one in presenters.actions(view, allowed=True)}
    assert refused["resend"]


def test_a_held_event_is_answered_either_way(service, browser):
    service.desk.held = some_questions()
    for said, known in (("yes", True), ("no", False)):
        answer = browser.post("/events/ev-1/answer", {"confirmed": said, "reason": "read again"})
        assert answer.status_code == 303
        assert service.desk.done[-1] == ("answer", "ev-1", known, "read again", ME)
        assert "Answered." in words(browser.get(answer.headers["location"]))


@pytest.mark.parametrize(
    "fields", [{}, {"confirmed": "yes"}, {"reason": "x"}, {"confirmed": "perhaps", "reason": "x"},
               {"confirmed": "yes", "reason": "x" * 501}],
)  # fmt: skip
def test_an_answer_needs_a_choice_and_a_reason(service, browser, fields):
    answer = browser.post("/events/ev-1/answer", fields)
    assert answer.status_code == 422
    assert "Say how you know" in words(answer)
    assert service.desk.done == []


def test_an_answer_that_came_too_late_says_why(service, browser):
    service.desk.refuse = Refused("event.answered", "Somebody has answered already.")
    answer = browser.post("/events/ev-1/answer", {"confirmed": "yes", "reason": "x"})
    assert answer.status_code == 409
    assert "Somebody has answered already." in words(answer)


def test_a_viewer_sees_questions_but_no_form(service, client):
    service.desk.held = some_questions()
    browser = Browser(client)
    browser.sign_in("viewer")
    answer = browser.get("/")
    assert "Was it measured in pounds?" in words(answer)
    assert "/answer" not in answer.text
