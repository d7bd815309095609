"""The calls that are owed, on the first page."""

import pytest
from browser import Browser, words
from web_data import NOW

from coordinator.domain.errors import Refused
from coordinator.flow.read_models import Actor, CallToMake

ME = Actor("staff", "sender")


@pytest.fixture
def call(service):
    made = CallToMake(
        "t-1", "m-1", "Ingrid Bakke", "1979-11-21", "Solveig Haugen, MD", "Iron Range Psychiatry",
        (("Solveig Haugen, MD", "+1-218-555-0150"),), "Urgent safety alert", "K7QF-2M9X-4T0B",
        "The recipient has not answered an urgent message in time.", "Telephone the recipient.", NOW,
    )  # fmt: skip
    service.desk.owed.append(made)
    return made


@pytest.fixture
def browser(client):
    made = Browser(client)
    made.sign_in()
    return made


def test_a_call_is_shown_with_the_number_and_the_reason(call, browser):
    page = browser.get("/")
    assert "Calls to make" in words(page)
    assert 'href="tel:+1-218-555-0150"' in page.text
    assert "has not answered" in words(page)


def test_a_call_is_recorded_with_what_was_agreed(call, service, browser):
    answer = browser.post("/calls/t-1/done", {"note": "reached her; she agrees"})
    assert answer.status_code == 303
    assert service.desk.done == [("call_done", "t-1", "reached her; she agrees", ME)]


@pytest.mark.parametrize("note", ["", "   ", "x" * 501])
def test_a_call_without_a_note_is_not_recorded(call, service, browser, note):
    assert browser.post("/calls/t-1/done", {"note": note}).status_code == 422
    assert service.desk.done == []


def test_a_call_that_a_colleague_recorded_says_so(call, service, browser):
    service.desk.refuse = Refused("call.recorded", "This call was recorded already.")
    answer = browser.post("/calls/t-1/done", {"note": "reached her"})
    assert answer.status_code == 409
    assert "recorded already" in words(answer)
