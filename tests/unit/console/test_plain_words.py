"""Pages for staff say what happened in words; a code stands only where it is meant to be passed on."""

from dataclasses import replace

import pytest
from browser import Browser, words
from web_data import NOW, a_detail, a_row

from coordinator.console import words as vocabulary
from coordinator.domain.delivery import State
from coordinator.flow.read_models import TimelineEntry


@pytest.fixture
def browser(client):
    made = Browser(client)
    made.sign_in()
    return made


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("delivery in-doubt", "delivery: in doubt"),
        ("delivery pending", "delivery: waiting"),
        ("delivery dead", "delivery: failed"),
        ("delivery planned", "delivery planned"),
        ("receipt processed", "receipt: taken over, not yet delivered"),
        ("receipt overdue", "receipt overdue"),
        ("answered: different-plan", "answered: has a different plan"),
        ("letter-pdf taken by link", "letter as PDF taken by link"),
        ("patient copy made (es): SHA-256 ab", "patient copy made (Spanish): SHA-256 ab"),
        ("released: consent came: today", "released: consent came: today"),
        ("far side said: delivery held", "far side said: delivery held"),
    ],
)
def test_a_line_of_the_history_is_said_in_words(text, said):
    assert vocabulary.happened(text) == said


def test_every_state_and_every_word_of_the_far_side_has_its_line():
    for state in State:
        assert "-" not in vocabulary.happened(f"delivery {state.value}")
    for verdict in vocabulary.VERDICTS:
        assert vocabulary.happened(f"receipt {verdict}") != f"receipt {verdict}"


def test_a_message_tells_its_letters_by_name_and_its_history_in_words(service, browser, monkeypatch):
    row = a_row(1, letters=("L9", "L4", "L11"))
    lines = (
        TimelineEntry(NOW, "job outcome", "delivery in-doubt"),
        TimelineEntry(NOW, "staff rae", "answered: call-me"),
    )
    monkeypatch.setattr(service.desk, "message", lambda *_: replace(a_detail(row), timeline=lines))
    text = words(browser.get("/messages/m-1"))
    assert "Correction (L9), stimulant request (L4), reply form (L11), for psychiatrist" in text
    assert "delivery: in doubt" in text
    assert "answered: wants to be called" in text


def test_a_message_without_a_letter_says_that_none_was_written(service, browser, monkeypatch):
    row = a_row(1, state=State.HELD, letters=(), channel="none")
    monkeypatch.setattr(service.desk, "message", lambda *_: replace(a_detail(row), documents=()))
    assert "Letter None was written." in words(browser.get("/messages/m-1"))


def test_every_kind_of_letter_has_its_name():
    assert set(vocabulary.LETTERS) == {f"L{number}" for number in range(1, 15)}


def test_the_letters_page_tells_cases_and_languages_in_words(browser):
    text = words(browser.get("/letters"))
    assert "stimulant hold told to one" in text
    assert "Spanish" in text


def test_a_letter_that_no_rule_asked_for_says_that_its_event_did(service, browser, monkeypatch):
    monkeypatch.setattr(service.desk, "message", lambda *_: replace(a_detail(a_row(1)), rules=()))
    text = words(browser.get("/messages/m-1"))
    assert "Why it was written The event itself calls for it." in text
    assert "fired" not in text
