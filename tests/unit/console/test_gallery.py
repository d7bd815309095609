"""The gallery of letters: invented people only, for every role that may come in."""

import pytest
from browser import Browser, words


@pytest.fixture
def browser(client):
    made = Browser(client)
    made.sign_in()
    return made


def test_the_gallery_lists_every_letter_and_says_that_nothing_was_sent(browser):
    text = words(browser.get("/letters"))
    assert "Nothing here was sent to anybody" in text
    assert "Safety alert" in text
    assert "bp spike" in text


def test_a_letter_of_the_gallery_carries_its_band_and_a_policy_for_its_own_style_only(browser):
    answer = browser.get("/letters/L5/psychiatrist/bp-spike")
    assert answer.status_code == 200
    assert "PREVIEW - NOT SENT" in answer.text
    policy = answer.headers["content-security-policy"]
    assert "style-src 'sha256-" in policy
    assert "script-src" not in policy
    assert "'unsafe-inline'" not in policy


@pytest.mark.parametrize("place", ["L5/psychiatrist/nobody", "L99/psychiatrist/bp-spike", "L5/neighbour/bp-spike"])
def test_a_letter_that_there_is_not_is_not_here(browser, place):
    assert browser.get(f"/letters/{place}").status_code == 404


def test_nobody_sees_the_gallery_before_signing_in(client):
    assert client.get("/letters").status_code == 303
