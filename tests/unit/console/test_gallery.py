"""The gallery of letters: invented people only, for every role that may come in."""

import re

import pytest
from browser import Browser, words

PLACE = re.compile(r'href="/letters/(L\d+)/([a-z-]+)/([a-z0-9-]+)')


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


def _found(browser, query=""):
    """Return (kind, audience, case) of every letter that the page lists."""
    return PLACE.findall(browser.get(f"/letters{query}").text)


def test_the_letters_stand_in_groups_by_kind_with_a_list_of_contents_that_leads_to_each(browser):
    page = browser.get("/letters").text
    kinds = list(dict.fromkeys(kind for kind, _, _ in _found(browser)))
    assert kinds == [f"L{number}" for number in range(1, 15)]
    heads = re.findall(r'<h2 id="(kind-L\d+)"', page)
    assert heads == [f"kind-{kind}" for kind in kinds]
    assert re.findall(r'href="#(kind-L\d+)"', page) == heads
    assert "L3 Dose-change notice" in words(browser.get("/letters"))
    assert page.count("<table") == len(kinds) == page.count("<caption")


def test_a_letter_is_found_by_words_of_its_case_its_title_or_its_kind(browser):
    every = _found(browser)
    assert {case for _, _, case in _found(browser, "?text=BP+Spike")} == {"bp-spike"}
    assert {kind for kind, _, _ in _found(browser, "?text=l3")} == {"L3"}
    assert {kind for kind, _, _ in _found(browser, "?text=change+of+dose")} == {"L3"}
    assert {audience for _, audience, _ in _found(browser, "?text=spanish")} == {"patient"}
    assert 0 < len(_found(browser, "?text=spike+psychiatrist")) < len(_found(browser, "?text=spike")) < len(every)


def test_kind_and_reader_narrow_the_list_and_both_stay_chosen(browser):
    found = _found(browser, "?kind=L5&audience=primary-care&text=")
    assert found
    assert {(kind, audience) for kind, audience, _ in found} == {("L5", "primary-care")}
    page = browser.get("/letters?kind=L5&audience=primary-care&text=spike").text
    assert '<option value="L5" selected>' in page
    assert '<option value="primary-care" selected>' in page
    assert 'value="spike"' in page
    assert f"{len(PLACE.findall(page))} of {len(_found(browser))} letters" in words(
        browser.get("/letters?kind=L5&audience=primary-care&text=spike")
    )


def test_what_cannot_be_meant_is_left_out_and_nothing_found_is_said(browser):
    assert _found(browser, "?kind=L99&audience=neighbour") == _found(browser)
    text = words(browser.get("/letters?text=zzz"))
    assert "Nothing matches." in text
    assert "Show every letter" in text
    assert "<script>" not in browser.get("/letters?text=%3Cscript%3E").text.split("</head>")[1]


def test_the_form_works_without_script_and_by_keyboard(browser):
    page = browser.get("/letters").text
    assert '<form method="get" action="/letters"' in page
    for name in ("text", "kind", "audience"):
        assert f'<label for="{name}"' in page
    assert "data-search" in page
    assert page.count("<tr data-row>") == len(_found(browser))
    assert 'id="text"' in page


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
